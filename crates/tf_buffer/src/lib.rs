//! Coordinate frames in time, without ROS: where a frame lay in another at the time of a picture.
//!
//! A [`TfBuffer`] takes the transforms that `/tf` and `/tf_static` carry, keeps the moving ones for 10 seconds, and answers
//! where one frame lay in another at a stamp, by the rules of tf2 (ros2/geometry2). It has no clock, no thread and no
//! subscription: who uses it feeds it, and decides for how long an answer is waited for ([`LookupError::may_pass`]).
//!
//! ```
//! use tf_buffer::{stamp, DQuat, DVec3, TfBuffer, Transform};
//!
//! let mut buffer = TfBuffer::default();
//! let mount = Transform::new(DVec3::new(0.1, 0.0, 0.5), DQuat::IDENTITY);
//! buffer.insert_static("base_link", "camera", mount)?;
//! for (second, x) in [(1, 0.0), (2, 4.0)] {
//!     let moved = Transform::new(DVec3::new(x, 0.0, 0.0), DQuat::IDENTITY);
//!     buffer.insert("odom", "base_link", stamp(second, 0), moved)?;
//! }
//! let camera = buffer.lookup("odom", "camera", stamp(1, 250_000_000))?;
//! assert_eq!(camera.point(DVec3::ZERO), DVec3::new(1.1, 0.0, 0.5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why not the crate `transforms`
//! Its version 2.3.0 was tried on chains computed by hand. Interpolation, composition and the refusal to extrapolate are right.
//! Its rules are not tf2's: a frame cannot change its parent without the loss of its history, or change from static to moving;
//! a quaternion written as 0.7071 is refused, for its length is asked to be 1 within 10⁻⁶; time that is set back is not noticed;
//! a loop is told without the frames that make it; and where two frames are not connected, a stamp out of range on the
//! way is told instead.

mod buffer;
mod error;
mod link;
mod transform;

pub use buffer::{Inserted, TfBuffer, DEFAULT_HISTORY, JUMP_BACK, MOST_METRES};
pub use error::{InsertError, LookupError};
pub use glam::{DQuat, DVec3};
pub use transform::Transform;

/// A stamp in nanoseconds, from the two numbers of builtin_interfaces/Time. Each pair fits.
pub fn stamp(sec: i32, nanosec: u32) -> i64 {
    i64::from(sec) * 1_000_000_000 + i64::from(nanosec)
}

/// The examples of the README, which have to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
