//! What is given and what is found, and the way from one to the other.

use glam::{DQuat, DVec3};

use crate::boxes;
use crate::grasp::grasp_hint;
use crate::grid::{Grid, Pixel};
use crate::reject::{object_pixels, Continuity, Ground};
use crate::smooth::smooth;
use crate::support::{stand_on, standing_out, supporting_plane, Plane};

/// A pixel of a mask and the point that it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelPoint {
    /// The pixel's column in the depth picture, from 0 at the left.
    pub column: u32,
    /// Its row, from 0 at the top.
    pub row: u32,
    /// The point, metres, in the frame that the answer shall be in. A pixel without depth is left out of the list, or its point
    /// holds NaN or lies in the camera: all three are the same.
    pub position: DVec3,
}

/// An object's mask as a camera saw it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The pixels of the mask, in any order. They are those of a dense depth picture: neighbours are needed.
    pub points: &'a [PixelPoint],
    /// The number of pixels of the mask, with depth and without.
    pub mask_pixels: usize,
    /// Where the camera is, metres, in the frame of the points: 0 in the camera's optical frame.
    pub camera: DVec3,
}

/// Which way a box stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alignment {
    /// Upright, for what stands on something: z is up, and the box has the smallest rectangle of the points seen along it.
    Gravity {
        /// Where up is, in the frame of the points, of any length. In a camera's optical frame of a level camera it is −y.
        up: DVec3,
    },
    /// Along the principal axes of the points.
    Principal,
}

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Which way the box stands.
    pub alignment: Alignment,
    /// The standard deviation of a depth z is this times z², metres; not below 0. Khoshelham and Elberink 2012 give 0.0014 for
    /// the first Kinect. 0 is for rendered depth, which is then not smoothed.
    pub depth_noise: f64,
    /// Fewer points than this are too few; at least 1.
    pub min_points: usize,
}

impl Options {
    /// With depth noise 0.002 and 20 points at least.
    pub fn new(alignment: Alignment) -> Self {
        Self {
            alignment,
            depth_noise: 0.002,
            min_points: 20,
        }
    }
}

/// A box, as vision_msgs/BoundingBox3D has it.
///
/// Its axes are chosen so that the same points give the same pose. x is the longest side, or with
/// [`Alignment::Gravity`] the longer horizontal one. z is up with gravity, and otherwise the shortest side, to the side where
/// the camera is.
/// x has a positive part along the frame's x axis; along its y axis, and then z, where it has none along those before (within
/// 10⁻⁶). y = z × x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrientedBox {
    /// The centre, metres, in the frame of the points.
    pub center: DVec3,
    /// How its axes are turned in that frame: a quaternion of length 1, with w not below 0.
    pub rotation: DQuat,
    /// The whole lengths along its own x, y and z, metres; not below 0. A flat or thin surface has lengths of about 0.
    pub size: DVec3,
}

/// Where a gripper may take hold of what the camera sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GraspHint {
    /// The centroid by area of the visible surface, metres, in the frame of the points. Of a curved surface it lies a
    /// little below, and of a ring in its hole.
    pub position: DVec3,
    /// Where the surface faces, as the mean over its area, to the side of the camera; of length 1. A gripper comes against it.
    pub normal: DVec3,
    /// The direction in which the surface is narrowest, across the normal; of length 1, with the sign rule of
    /// [`OrientedBox`]'s x. A gripper closes along it.
    pub across: DVec3,
    /// How far the surface reaches along `across`, metres; not below 0.
    pub width: f64,
}

/// What the points of a mask say about the object. All numbers are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectGeometry {
    /// The box around the visible surface.
    pub bounding_box: OrientedBox,
    /// Where it may be taken hold of.
    pub grasp: GraspHint,
    /// The share of the mask's pixels that have depth, 0 to 1.
    pub depth_coverage: f64,
    /// The number of points that the answer is of.
    pub points: usize,
    /// The number of points with depth that were left out, as flying or as background.
    pub rejected: usize,
}

/// Why there is no geometry of an object.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GeometryError {
    /// The mask has no pixels.
    #[error("the mask is empty")]
    EmptyMask,
    /// Too few points have depth, or too few are left of them.
    #[error("{kept} points are left of {with_depth} with depth in a mask of {mask_pixels} pixels; needed: {needed}")]
    TooFewPoints {
        /// Pixels of the mask.
        mask_pixels: usize,
        /// Those with depth.
        with_depth: usize,
        /// Those that are neither flying nor background.
        kept: usize,
        /// [`Options::min_points`].
        needed: usize,
    },
    /// The vector that says where up is has no direction.
    #[error("up is {up}; accepted: a vector of finite numbers with a direction")]
    NoUp {
        /// The vector.
        up: DVec3,
    },
    /// The camera's place is not of finite numbers up to 1e5 metres.
    #[error("the camera is at {camera}; accepted: finite numbers up to 1e5 metres")]
    NoCamera {
        /// The place.
        camera: DVec3,
    },
    /// The depth noise is negative or not a number, or no points at all would be enough.
    #[error(
        "a depth noise of {depth_noise} and {min_points} points; accepted: 0 to 1, and 1 or more"
    )]
    BadOptions {
        /// [`Options::depth_noise`].
        depth_noise: f64,
        /// [`Options::min_points`].
        min_points: usize,
    },
    /// The pixels span more than a picture holds.
    #[error("the pixels span {columns}×{rows}; accepted: 16777216 in all, as in 4096×4096")]
    PixelsTooFarApart {
        /// Columns from the first to the last.
        columns: u64,
        /// Rows from the first to the last.
        rows: u64,
    },
}

/// What is known around a mask, to tell the object from what it stands on.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Points of pixels a little outside the mask, all around it; those without depth as in [`View::points`].
    pub beside: &'a [PixelPoint],
    /// For each of [`View::points`], whether its pixel is within a few pixels of the mask's outline. Only those are ever left out.
    pub is_rim: &'a [bool],
}

/// What is known of an object, and the points that say so.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredObject {
    /// Box, grasp hint and counts. `rejected` counts the points of the support too.
    pub geometry: ObjectGeometry,
    /// The points that the answer is of, as they were measured: without smoothing.
    pub points: Vec<PixelPoint>,
    /// The plane beside the mask, if there is one.
    pub support: Option<Plane>,
    /// The number of points that were left out because they lie in that plane.
    pub of_support: usize,
}

/// Measures an object from the points of its mask: see the crate's docs for what is left out and how it is measured.
///
/// Points on one line, or in one plane, have a box with lengths of 0 across. The pose follows from the points and the options
/// alone, not from the order of the points, up to rounding.
///
/// # Errors
/// [`GeometryError`].
pub fn measure(view: &View<'_>, options: &Options) -> Result<ObjectGeometry, GeometryError> {
    Ok(measure_on_support(view, None, options)?.geometry)
}

/// [`measure`], which also gives the points, and with `surroundings` leaves out what of the mask is of the surface that the object
/// stands on.
///
/// # Errors
/// [`GeometryError`].
pub fn measure_on_support(
    view: &View<'_>,
    surroundings: Option<&Surroundings<'_>>,
    options: &Options,
) -> Result<MeasuredObject, GeometryError> {
    let up = check(view, options)?;
    let continuity = Continuity {
        noise: options.depth_noise,
    };
    let camera = view.camera;
    let support = surroundings.and_then(|s| supporting_plane(s.beside, camera, &continuity));
    let standing = surroundings.zip(support.as_ref()).and_then(|(s, plane)| {
        let is_rim = |k: usize| s.is_rim.get(k).copied().unwrap_or(false);
        standing_out(view.points, is_rim, plane, camera, &continuity)
    });
    let all = Grid::of_points(view.points, camera)?;
    let with_depth = all.pixels.len();
    let seen = match &standing {
        Some(kept) => {
            let kept = view.points.iter().zip(kept).filter(|(_, kept)| **kept);
            let kept: Vec<PixelPoint> = kept.map(|(point, _)| *point).collect();
            Grid::of_points(&kept, camera)?
        }
        None => all,
    };
    let of_support = with_depth - seen.pixels.len();
    // Who counts the mask's pixels below those that it gives does not get a share above 1.
    let mask_pixels = view.mask_pixels.max(with_depth);
    let ground = support.as_ref().map(|plane| Ground { plane, camera });
    let kept = object_pixels(&seen, &continuity, ground.as_ref());
    if kept.len() < options.min_points {
        return Err(GeometryError::TooFewPoints {
            mask_pixels,
            with_depth,
            kept: kept.len(),
            needed: options.min_points,
        });
    }
    let object = Grid::new(kept)?;
    let ranges = match options.depth_noise > 0.0 {
        true => smooth(&object, &continuity),
        false => object.pixels.iter().map(|pixel| pixel.range).collect(),
    };
    // Relative to the camera first, and then to their mean: covariances lose no digits to a far origin.
    let place = |(pixel, range): (&Pixel, &f64)| pixel.direction * *range;
    let mut points: Vec<DVec3> = object.pixels.iter().zip(&ranges).map(place).collect();
    let mean = points.iter().sum::<DVec3>() / points.len() as f64;
    points.iter_mut().for_each(|point| *point -= mean);
    let origin = camera + mean;
    let mut bounding_box = match up {
        Some(up) => boxes::gravity_aligned(&points, origin, up),
        None => boxes::principal(&points, origin, camera),
    };
    if let (Some(up), Some(plane), true) = (up, &support, standing.is_some()) {
        stand_on(&mut bounding_box, plane, up, camera, &continuity);
    }
    let measured = object.pixels.iter().map(|pixel| PixelPoint {
        column: pixel.column,
        row: pixel.row,
        position: camera + pixel.direction * pixel.range,
    });
    Ok(MeasuredObject {
        points: measured.collect(),
        geometry: ObjectGeometry {
            bounding_box,
            grasp: grasp_hint(&object, &points, origin, camera, &continuity),
            depth_coverage: with_depth as f64 / mask_pixels as f64,
            points: points.len(),
            rejected: with_depth - points.len(),
        },
        support,
        of_support,
    })
}

/// Refuses what cannot be computed with, and gives where up is with length 1, if the box shall stand upright.
fn check(view: &View<'_>, options: &Options) -> Result<Option<DVec3>, GeometryError> {
    let Options {
        alignment,
        depth_noise,
        min_points,
    } = *options;
    if view.mask_pixels == 0 {
        return Err(GeometryError::EmptyMask);
    }
    if !(0.0..=1.0).contains(&depth_noise) || min_points == 0 {
        return Err(GeometryError::BadOptions {
            depth_noise,
            min_points,
        });
    }
    let camera = view.camera;
    if !(camera.is_finite() && camera.abs().max_element() <= 1e5) {
        return Err(GeometryError::NoCamera { camera });
    }
    match alignment {
        Alignment::Principal => Ok(None),
        // The length of very small or large numbers would not be finite, so that they are scaled first.
        Alignment::Gravity { up } => {
            let unit = Some(up / up.abs().max_element())
                .filter(|scaled| scaled.is_finite())
                .map(DVec3::normalize);
            unit.map(Some).ok_or(GeometryError::NoUp { up })
        }
    }
}
