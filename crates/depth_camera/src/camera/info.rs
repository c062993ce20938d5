//! What a `sensor_msgs/CameraInfo` says, and which matrix and size follow from it for the picture that is there.

use super::error::CameraError;

/// The fields of a `sensor_msgs/CameraInfo`, less its header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CameraInfo {
    /// Width of the full picture that the camera was calibrated for, pixels, before region and binning.
    pub width: u32,
    /// Height of the full picture, pixels.
    pub height: u32,
    /// Name of the lens model: `plumb_bob`, `rational_polynomial` or `equidistant`.
    pub distortion_model: String,
    /// Coefficients of the lens model.
    pub d: Vec<f64>,
    /// Intrinsic matrix of the raw full picture, 3×3, row by row: (fx, 0, cx), (0, fy, cy), (0, 0, 1). Pixels.
    pub k: [f64; 9],
    /// Rotation from the camera's own axes into those of the rectified picture, 3×3, row by row.
    pub r: [f64; 9],
    /// Projection matrix of the rectified full picture, 3×4, row by row: (fx, 0, cx, Tx), (0, fy, cy, Ty), (0, 0, 1, 0). Pixels.
    pub p: [f64; 12],
    /// Columns of the full picture that became one; 0 means 1.
    pub binning_x: u32,
    /// Rows of the full picture that became one; 0 means 1.
    pub binning_y: u32,
    /// The part of the full picture that was read, before binning; all 0 means the whole.
    pub roi: Roi,
}

/// A part of a picture. `do_rectify` of the message is left out: the rectified picture of a part is as large as the part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roi {
    /// Leftmost column, pixels.
    pub x_offset: u32,
    /// Uppermost row, pixels.
    pub y_offset: u32,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
}

/// Focal lengths and principal point of a picture, pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Intrinsics {
    pub fx: f64,
    pub fy: f64,
    pub cx: f64,
    pub cy: f64,
}

impl CameraInfo {
    /// Size of the picture: the region of interest, divided by the binning.
    pub(super) fn picture_size(&self) -> Result<(u32, u32), CameraError> {
        let roi = self.roi;
        let (width, height) = match roi == Roi::default() {
            true => (self.width, self.height),
            false => {
                let fits = |offset: u32, side: u32, full: u32| {
                    side > 0 && u64::from(offset) + u64::from(side) <= u64::from(full)
                };
                if !fits(roi.x_offset, roi.width, self.width)
                    || !fits(roi.y_offset, roi.height, self.height)
                {
                    return Err(CameraError::Roi {
                        x_offset: roi.x_offset,
                        y_offset: roi.y_offset,
                        width: roi.width,
                        height: roi.height,
                        full_width: self.width,
                        full_height: self.height,
                    });
                }
                (roi.width, roi.height)
            }
        };
        let (width, height) = (
            width / self.binning_x.max(1),
            height / self.binning_y.max(1),
        );
        match width > 0 && height > 0 {
            true => Ok((width, height)),
            false => Err(CameraError::Size { width, height }),
        }
    }

    /// Intrinsics of the raw picture.
    pub(super) fn raw(&self) -> Result<Intrinsics, CameraError> {
        let [fx, s, cx, a, fy, cy, bottom @ ..] = self.k;
        let intrinsics = Intrinsics { fx, fy, cx, cy };
        let zeros = s == 0.0 && a == 0.0 && bottom == [0.0, 0.0, 1.0];
        self.checked(intrinsics, zeros, ("K", "raw"), &self.k)
    }

    /// Intrinsics of the rectified picture.
    pub(super) fn rectified(&self) -> Result<Intrinsics, CameraError> {
        let [fx, s, cx, tx, a, fy, cy, ty, bottom @ ..] = self.p;
        let intrinsics = Intrinsics { fx, fy, cx, cy };
        let zeros = s == 0.0 && a == 0.0 && bottom == [0.0, 0.0, 1.0, 0.0];
        let has_form = zeros && tx.is_finite() && ty.is_finite();
        self.checked(intrinsics, has_form, ("P", "rectified"), &self.p)
    }

    /// The intrinsics of the picture that is there, if the matrix that they are from has the form that its definition gives it.
    fn checked(
        &self,
        full: Intrinsics,
        has_form: bool,
        (matrix, pictures): (&'static str, &'static str),
        values: &[f64],
    ) -> Result<Intrinsics, CameraError> {
        match has_form && full.are_valid() {
            true => Ok(self.of_picture(full)),
            false if full.fx == 0.0 => Err(CameraError::Uncalibrated { matrix, pictures }),
            false => Err(CameraError::Matrix {
                matrix,
                values: values.to_vec(),
            }),
        }
    }

    /// From the full picture to the one that is there, as `image_geometry` does it: the region's offset first, then the binning.
    /// There is no half pixel in it, so pixel 0 of a binned picture lies where pixel 0 of the full one lies.
    fn of_picture(&self, full: Intrinsics) -> Intrinsics {
        let (bx, by) = (self.binning_x.max(1), self.binning_y.max(1));
        let (bx, by) = (f64::from(bx), f64::from(by));
        Intrinsics {
            fx: full.fx / bx,
            fy: full.fy / by,
            cx: (full.cx - f64::from(self.roi.x_offset)) / bx,
            cy: (full.cy - f64::from(self.roi.y_offset)) / by,
        }
    }
}

impl Intrinsics {
    fn are_valid(self) -> bool {
        let positive = |f: f64| f > 0.0 && f.is_finite();
        positive(self.fx) && positive(self.fy) && self.cx.is_finite() && self.cy.is_finite()
    }
}
