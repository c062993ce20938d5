//! One mask: its points in the target frame, and what is measured of them.

use depth_camera::glam::DVec3;
use depth_camera::{points, DepthCounts};
use object_geometry::{
    measure_on_support, Alignment, GeometryError, GraspHint, Options, OrientedBox, PixelPoint,
    Surroundings, View,
};

use super::mask_rim::MaskRim;
use super::{LocatedFrame, NotLocated};
use crate::image::Mask;

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocateOptions {
    /// Which way boxes stand (`up` in the target frame), the depth's noise, and how many points are enough.
    pub geometry: Options,
    /// Whether points at the mask's rim that lie in the plane around it are left out: see [`LocatedFrame::locate`].
    pub leave_out_support: bool,
}

impl LocateOptions {
    /// The usual ones.
    pub fn new(alignment: Alignment) -> Self {
        Self {
            geometry: Options::new(alignment),
            leave_out_support: true,
        }
    }
}

/// A pixel of the picture and the point that it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectPoint {
    /// Column and row in the picture.
    pub pixel: (u32, u32),
    /// In the target frame, metres, as it was measured.
    pub position: DVec3,
}

/// Pixels of a mask that say nothing of the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Without a measurement.
    pub missing: usize,
    /// Too near or too far for the depth camera.
    pub out_of_range: usize,
    /// With depth, and on no ray of the lens model.
    pub without_ray: usize,
    /// In the plane that the object stands on.
    pub support: usize,
    /// Flying between the object and what is behind it, or behind it.
    pub background: usize,
}

/// Where an object is, in the target frame.
#[derive(Clone, Debug, PartialEq)]
pub struct LocatedObject {
    /// The box around the visible surface: its pose and whole lengths, metres.
    pub bounding_box: OrientedBox,
    /// Where it may be taken hold of. Its position is the centroid by area of the visible surface.
    pub grasp: GraspHint,
    /// The share of the mask's pixels that have depth, 0 to 1.
    pub depth_coverage: f64,
    /// The points that all this follows from.
    pub points: Vec<ObjectPoint>,
    /// What was left out.
    pub rejected: Rejected,
}

impl LocatedFrame {
    /// Measures the object of a mask.
    ///
    /// Masks spill over. With [`LocateOptions::leave_out_support`] the plane that holds most of the pixels 3 to 8 outside the mask
    /// is found, and points within 4 pixels of the mask's outline that lie in it (3σ of the depth, at least 2 mm) are not the
    /// object's; then a box that stands upright just above a level plane is brought down to it. Where less than a quarter of the
    /// mask stands out of the plane, as of a sheet of paper, nothing is left out.
    ///
    /// # Errors
    /// [`NotLocated::TooFewPoints`], [`NotLocated::MaskSize`], and [`NotLocated::BadTransform`] for an up vector without a direction.
    pub fn locate(
        &self,
        mask: &Mask,
        options: &LocateOptions,
    ) -> Result<LocatedObject, NotLocated> {
        let picture = (self.depth.width(), self.depth.height());
        if mask.frame() != picture {
            let mask = mask.frame();
            return Err(NotLocated::MaskSize { mask, picture });
        }
        let rim = MaskRim::of(mask);
        let (object, counts, without_ray) =
            self.points(rim.object.iter().map(|(x, y, _)| (*x, *y)))?;
        // Both are in the order of the rows, and a pixel without depth has no point.
        let mut pixels = rim.object.iter();
        let is_rim: Vec<bool> = (object.iter())
            .map(|point| {
                pixels
                    .find(|(x, y, _)| (*x, *y) == (point.column, point.row))
                    .is_some_and(|(_, _, is_rim)| *is_rim)
            })
            .collect();
        let beside = match options.leave_out_support {
            true => self.points(rim.beside)?.0,
            false => Vec::new(),
        };
        let surroundings = Surroundings {
            beside: &beside,
            is_rim: &is_rim,
        };
        let view = View {
            points: &object,
            mask_pixels: mask.area(),
            camera: self.eye,
        };
        let surroundings = options.leave_out_support.then_some(&surroundings);
        let measured = measure_on_support(&view, surroundings, &options.geometry);
        let measured = measured.map_err(|error| match error {
            GeometryError::NoUp { .. } | GeometryError::NoCamera { .. } => {
                let why = error.to_string();
                NotLocated::BadTransform { why }
            }
            _ => NotLocated::TooFewPoints(error),
        })?;
        let geometry = measured.geometry;
        let points = measured.points.into_iter().map(|point| ObjectPoint {
            pixel: (point.column, point.row),
            position: point.position,
        });
        Ok(LocatedObject {
            bounding_box: geometry.bounding_box,
            grasp: geometry.grasp,
            depth_coverage: geometry.depth_coverage,
            points: points.collect(),
            rejected: Rejected {
                missing: counts.missing,
                out_of_range: counts.too_near + counts.too_far,
                without_ray,
                support: measured.of_support,
                background: geometry.rejected - measured.of_support,
            },
        })
    }

    /// The points of pixels in the target frame.
    fn points(
        &self,
        pixels: impl IntoIterator<Item = (u32, u32)>,
    ) -> Result<(Vec<PixelPoint>, DepthCounts, usize), NotLocated> {
        let found = points(&self.camera, &self.depth, pixels);
        let found = found.map_err(|error| NotLocated::UnreadableDepth {
            why: error.to_string(),
        })?;
        let points = found.points.into_iter().map(|seen| PixelPoint {
            column: seen.pixel.0,
            row: seen.pixel.1,
            position: self.colour_in_target.point(seen.point),
        });
        Ok((points.collect(), found.counts, found.without_ray))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{depth_of, info};
    use super::super::{ColourView, DepthView, FrameTransforms, Locator, NotLocatedCode};
    use super::*;
    use crate::frames::Stamp;
    use ::image::{GrayImage, Luma};
    use depth_camera::Rectification::Raw;
    use tf_buffer::{DQuat, Transform};

    /// A picture of 64×48 pixels with this depth, 2 m above the target frame's origin.
    fn located(metres: Vec<f32>) -> LocatedFrame {
        let info = info(64, 48);
        let colour = ColourView {
            size: (64, 48),
            frame_id: "camera",
            info: Some(&info),
            rectification: Raw,
        };
        let frame = depth_of(Stamp(0), "camera", (64, 48), metres);
        let depth = DepthView {
            frame: &frame,
            info: None,
            rectification: Raw,
        };
        let transforms = FrameTransforms {
            colour_in_target: Transform::new(DVec3::Z * 2.0, DQuat::IDENTITY),
            depth_in_colour: None,
        };
        Locator::default()
            .frame(&colour, &depth, &transforms)
            .unwrap()
    }

    /// The 20×10 pixels from (20, 15) on.
    fn mask(size: (u32, u32)) -> Mask {
        Mask::from_frame(&GrayImage::from_fn(size.0, size.1, |x, y| {
            let inside = (20..40).contains(&x) && (15..25).contains(&y);
            Luma([if inside { 255 } else { 0 }])
        }))
    }

    fn options() -> LocateOptions {
        LocateOptions::new(Alignment::Gravity { up: -DVec3::Y })
    }

    /// A plate that faces the camera at 0.5 m, before a wall at 1 m; its left column is without depth.
    fn plate() -> Vec<f32> {
        let value = |k: u32| match (k % 64, k / 64) {
            (20, 15..=24) => f32::NAN,
            (21..=39, 15..=24) => 0.5,
            _ => 1.0,
        };
        (0..64 * 48).map(value).collect()
    }

    #[test]
    fn a_plate_is_where_it_is_and_every_pixel_is_accounted_for() {
        let found = located(plate())
            .locate(&mask((64, 48)), &options())
            .unwrap();
        assert_eq!(found.points.len(), 190);
        assert_eq!(found.rejected.missing, 10);
        assert_eq!(found.depth_coverage, 0.95);
        // The focal length is 64 pixels: columns 21 to 39 have their middle at 30, which is 1.5 pixels left of the axis.
        let middle = DVec3::new(-1.5 / 64.0 * 0.5, (19.5 - 23.5) / 64.0 * 0.5, 2.5);
        // Smoothing takes ranges for linear in columns and rows, which on so wide pixels is off by 0.3 mm.
        let position = found.grasp.position;
        assert!(position.distance(middle) < 5e-4, "{position}");
        let size = DVec3::new(18.0, 0.0, 9.0) / 64.0 * 0.5;
        let measured = found.bounding_box.size;
        assert!(measured.distance(size) < 5e-4, "{measured}");
        let first = found.points[0];
        assert_eq!(first.pixel, (21, 15));
        assert!((first.position.z - 2.5).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_measured_says_why() {
        let code = |metres: Vec<f32>, mask: &Mask, options: &LocateOptions| {
            let error = located(metres).locate(mask, options).unwrap_err();
            assert!(!error.to_string().is_empty());
            error.code()
        };
        let few = NotLocatedCode::TooFewPoints;
        let own = mask((64, 48));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, f32::MAX] {
            assert_eq!(code(vec![value; 64 * 48], &own, &options()), few);
        }
        let empty = Mask::from_frame(&GrayImage::new(64, 48));
        assert_eq!(code(plate(), &empty, &options()), few);
        let other = mask((128, 96));
        assert_eq!(
            code(plate(), &other, &options()),
            NotLocatedCode::NoCameraInfo
        );
        let no_up = LocateOptions::new(Alignment::Gravity { up: DVec3::ZERO });
        assert_eq!(code(plate(), &own, &no_up), NotLocatedCode::NoTransform);
    }
}
