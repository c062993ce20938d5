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
