//! From the points of an object's mask to what a planner needs: an oriented box, a grasp hint, how much of the mask had
//! depth, and why there is nothing where there is nothing.
//!
//! ```
//! use object_geometry::{measure, Alignment, DVec3, Options, PixelPoint, View};
//!
//! // A wall of 40×20 pixels at two metres, 5 mm apart, in the camera's optical frame (z forward, x right, y down).
//! let points: Vec<PixelPoint> = (0..800)
//!     .map(|k| (k % 40, k / 40))
//!     .map(|(column, row)| PixelPoint {
//!         column,
//!         row,
//!         position: DVec3::new(0.005 * f64::from(column), 0.005 * f64::from(row), 2.0),
//!     })
//!     .collect();
//! let view = View { points: &points, mask_pixels: 1000, camera: DVec3::ZERO };
//! let options = Options::new(Alignment::Gravity { up: -DVec3::Y });
//! let object = measure(&view, &options)?;
//! assert!(object.bounding_box.size.distance(DVec3::new(0.195, 0.0, 0.095)) < 0.006);
//! assert!(object.grasp.normal.distance(-DVec3::Z) < 1e-3);
//! assert_eq!(object.depth_coverage, 0.8);
//! # Ok::<(), object_geometry::GeometryError>(())
//! ```
//!
//! # What is left out
//! The points of a mask are not all of the object. At its edge, depth cameras give points that fly between the object and what
//! is behind it; the mask's rim and its holes show the background. The rule knows the pixels' neighbourhood, and one number of
//! the camera: the standard deviation of a depth z is σ = [`Options::depth_noise`] · z².
//!
//! 1. **Neighbours.** Two of the eight neighbours *join* if their ranges differ by no more than a surface inclined by 79°
//!    explains (5 times their distance across the view), plus 3·√2·σ. A point that joins fewer than two of its neighbours flies,
//!    and is left out, unless it joins all that it has.
//! 2. **Parts.** What joins makes up parts. Those of fewer than 5 points are left out. The object is built from the nearest of
//!    the parts that have a quarter of the largest one's points, for background lies behind.
//! 3. **Depth.** A further part of that size belongs to the object if its ranges (of its middle four fifths) come within a
//!    quarter of the nearest part's smaller side, plus 3σ, of what is already taken; a smaller part only if they lie within that
//!    altogether. So an object that something in front divides stays one, and the wall behind a chair or through the handle of a
//!    mug is left out.
//!
//! What touches the object, like the table at its foot, joins it, and background that is nearer behind than the tolerances above
//! cannot be told apart either. [`measure_on_support`] leaves out the surface that the object stands on, for who also knows the
//! points beside the mask:
//!
//! 4. **Support.** The plane that holds most of the points beside the mask, and three tenths of them at least, is found by trying 150
//!    triples of them and fitted by least squares. Points near the mask's outline that lie within 3σ of it, at least 2 mm, are
//!    left out before all else, unless less than a quarter of the mask's points stand out of it. A box that stands upright, and ends
//!    above a level plane (15°) by twice that tolerance or less, is brought down to it.
//! 5. **Ground.** A part that step 3 leaves out belongs to the object if most of it stands out of that plane and its distances *along the
//!    plane* lie where step 3 asks for its ranges: the foot of a lamp is far behind the shade for the camera, and right below it.
//!    The wall behind is as far away along the table as along the view.
//!
//! # How it is measured
//! The range of each point that is left is smoothed by a plane through the 25 pixels around it, as far as they join. Extents
//! are from the quantile at 0.3 % to that at 99.7 %, so that of fewer than 334 points they are the extremes. Sizes are those of
//! the **visible** surface: what the camera does not see, like the far side of a ball, is not guessed.

mod boxes;
mod eigen;
mod extent;
mod grasp;
mod grid;
mod measure;
mod outline;
mod overlap;
mod reject;
mod smooth;
mod support;

pub use glam::{DQuat, DVec3};
pub use measure::{
    measure, measure_on_support, Alignment, GeometryError, GraspHint, MeasuredObject,
    ObjectGeometry, Options, OrientedBox, PixelPoint, Surroundings, View,
};
pub use support::Plane;

/// The examples of the README, which have to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
