//! Which pixel a point falls on, and where a pixel's point lies.

mod brown;
mod error;
mod fisheye;
mod info;
mod lens;
mod reach;

use glam::{DMat3, DVec2, DVec3};

pub use error::CameraError;
use info::Intrinsics;
pub use info::{CameraInfo, Roi};
use lens::Lens;

/// Up to which distance in the picture [`Camera::ray`] undoes the lens, pixels: the pixel on which the ray falls is that near to
/// the one that was asked for.
pub const UNDISTORTION_TOLERANCE: f64 = 1e-7;

/// Which of a camera's pictures a model is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rectification {
    /// As the sensor saw it (topics `…/image_raw`): K and D hold.
    Raw,
    /// With the lens undone (topics `…/image_rect`): P holds.
    Rectified,
}

/// A camera's model for one of its pictures.
///
/// # Coordinates
/// Pixel (0, 0) is the centre of the top left pixel, x to the right and y down, so the picture reaches from −½ to width − ½
/// (OpenCV's convention, and that of `image_geometry`).
///
/// Points are in metres in the camera's optical frame (REP 103): x right, y down, z forward. It is the frame in which P holds,
/// also for raw pictures, as in `image_geometry`: a raw picture's rays are turned by R. Only stereo cameras have such an R, and a
/// fourth column of P that moves the camera's centre along the baseline: by the message's definition points are in the first
/// camera's frame.
///
/// The depth of a point is its distance along the picture's optical axis, which is z unless R turns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    width: u32,
    height: u32,
    intrinsics: Intrinsics,
    lens: Lens,
    /// From the optical frame into the axes of the picture.
    rotation: DMat3,
    /// Where the camera stands in the optical frame, metres.
    centre: DVec3,
}

impl Camera {
    /// The model of a calibrated camera's picture, with region of interest and binning as they are in `info`.
    ///
    /// # Models
    /// Raw pictures: `plumb_bob` with 4 or 5 coefficients, `rational_polynomial` with 8, 12 (thin prism) or 14 (tilted sensor)
    /// and `equidistant` with 4. Without coefficients the first two bend nothing, and so does a calibration without a name.
    /// Rectified pictures have no distortion, so their model is not looked at.
    ///
    /// # Errors
    /// [`CameraError`].
    pub fn new(info: &CameraInfo, picture: Rectification) -> Result<Self, CameraError> {
        let (width, height) = info.picture_size()?;
        let (intrinsics, lens, rotation) = match picture {
            Rectification::Raw => (
                info.raw()?,
                Lens::of(info)?,
                rectification(info)?.transpose(),
            ),
            Rectification::Rectified => (info.rectified()?, Lens::Pinhole, DMat3::IDENTITY),
        };
        // P of a camera that was calibrated alone may be missing; it then stands at the origin.
        let [fx, _, _, tx, _, fy, _, ty, ..] = info.p;
        let shift = |t: f64, f: f64| if t == 0.0 { 0.0 } else { -t / f };
        let centre = DVec3::new(shift(tx, fx), shift(ty, fy), 0.0);
        if !centre.is_finite() {
            let values = info.p.to_vec();
            let matrix = "P";
            return Err(CameraError::Matrix { matrix, values });
        }
        Ok(Self {
            width,
            height,
            intrinsics,
            lens,
            rotation,
            centre,
        })
    }

    /// A camera without distortion. Sizes, focal lengths and the principal point are in pixels.
    ///
    /// # Errors
    /// [`CameraError::Size`], [`CameraError::Matrix`], [`CameraError::Uncalibrated`].
    pub fn pinhole(
        (width, height): (u32, u32),
        (fx, fy): (f64, f64),
        (cx, cy): (f64, f64),
    ) -> Result<Self, CameraError> {
        let info = CameraInfo {
            width,
            height,
            k: [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
            ..CameraInfo::default()
        };
        Self::new(&info, Rectification::Raw)
    }

    /// The model of the same picture after it was resized to this many pixels. Its borders stay where they are, so the centre of
    /// pixel 0 moves by a part of a pixel (as `cv::resize` does it).
    ///
    /// # Errors
    /// [`CameraError::Size`].
    pub fn resized(&self, width: u32, height: u32) -> Result<Self, CameraError> {
        if width == 0 || height == 0 {
            return Err(CameraError::Size { width, height });
        }
        let x = f64::from(width) / f64::from(self.width);
        let y = f64::from(height) / f64::from(self.height);
        let Intrinsics { fx, fy, cx, cy } = self.intrinsics;
        Ok(Self {
            width,
            height,
            intrinsics: Intrinsics {
                fx: fx * x,
                fy: fy * y,
                cx: (cx + 0.5) * x - 0.5,
                cy: (cy + 0.5) * y - 0.5,
            },
            ..self.clone()
        })
    }

    /// Width of the picture, pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the picture, pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Focal lengths, pixels.
    pub fn focal_lengths(&self) -> DVec2 {
        DVec2::new(self.intrinsics.fx, self.intrinsics.fy)
    }

    /// Where the optical axis meets the picture, pixels.
    pub fn principal_point(&self) -> DVec2 {
        DVec2::new(self.intrinsics.cx, self.intrinsics.cy)
    }

    /// Whether a place lies in the picture, its outermost pixels included to their edges.
    pub fn contains(&self, pixel: DVec2) -> bool {
        let inside = |at: f64, side: u32| (-0.5..f64::from(side) - 0.5).contains(&at);
        inside(pixel.x, self.width) && inside(pixel.y, self.height)
    }

    /// The pixel on which a point falls; it may lie outside the picture (see [`Camera::contains`]).
    ///
    /// `None` where the point is not in front of the camera or further off the axis than the lens model goes: its polynomial
    /// falls again somewhere, and would fold what is beyond back into the picture.
    pub fn project(&self, point: DVec3) -> Option<DVec2> {
        let seen = self.rotation * (point - self.centre);
        match seen.z > 0.0 {
            true => self.pixel_of(seen.truncate() / seen.z),
            false => None,
        }
    }

    /// The distance of a point along the picture's optical axis, metres: what a depth image of this camera holds for it. It is
    /// negative behind the camera.
    pub fn depth_of(&self, point: DVec3) -> f64 {
        (self.rotation * (point - self.centre)).z
    }

    /// The ray of a pixel: times a depth, it leads from the camera's centre to the point. It is (x, y, 1) unless R turns it, so
    /// it is not of length 1.
    ///
    /// The lens is undone by Newton's method to [`UNDISTORTION_TOLERANCE`]. `None` where that does not converge, because nothing
    /// that the lens model shows falls on the pixel.
    pub fn ray(&self, pixel: DVec2) -> Option<DVec3> {
        let place = self.place_of(pixel)?;
        Some(self.rotation.transpose() * place.extend(1.0))
    }

    /// The point, metres, that is seen at a pixel with a depth along the optical axis, metres. `None` where the pixel has no ray.
    pub fn point(&self, pixel: DVec2, depth: f64) -> Option<DVec3> {
        Some(self.centre + self.ray(pixel)? * depth)
    }

    /// Where the ray of a pixel meets the plane at distance 1, in the axes of the picture.
    pub(crate) fn place_of(&self, pixel: DVec2) -> Option<DVec2> {
        let focal = self.focal_lengths();
        let tolerance = (UNDISTORTION_TOLERANCE / focal.max_element()).max(1e-15);
        let bent = (pixel - self.principal_point()) / focal;
        self.lens.undistort(bent, tolerance)
    }

    /// The pixel of a place on the plane at distance 1, in the axes of the picture.
    pub(crate) fn pixel_of(&self, place: DVec2) -> Option<DVec2> {
        let bent = self.lens.distort(place)?;
        Some(self.focal_lengths() * bent + self.principal_point())
    }

    /// Whether rays pass straight through the lens.
    pub(crate) fn is_straight(&self) -> bool {
        self.lens == Lens::Pinhole
    }

    /// The rotation from the optical frame into the picture's axes, and the camera's centre in the optical frame.
    pub(crate) fn stand(&self) -> (DMat3, DVec3) {
        (self.rotation, self.centre)
    }
}

/// R, or no rotation where the message has zeros.
fn rectification(info: &CameraInfo) -> Result<DMat3, CameraError> {
    if info.r == [0.0; 9] {
        return Ok(DMat3::IDENTITY);
    }
    let r = DMat3::from_cols_array(&info.r).transpose();
    let apart = (r * r.transpose() - DMat3::IDENTITY).to_cols_array();
    // Calibration files have six digits or more.
    let is_rotation = apart.iter().all(|value| value.abs() < 1e-4) && r.determinant() > 0.0;
    match is_rotation {
        true => Ok(r),
        false => Err(CameraError::Rotation { values: info.r }),
    }
}
