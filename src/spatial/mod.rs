//! From a mask to metres: the depth image of a picture, and where in the world the object of a mask is.
//!
//! Without I/O, threads or a clock, so that the node and a replay share it:
//!
//! 1. Depth images go into a [`DepthPairing`] as they arrive; it says which of them belongs to a picture, and whether a better one
//!    can still come.
//! 2. [`FrameTransforms::look_up`] takes from a [`TfBuffer`](tf_buffer::TfBuffer) where the cameras were at the stamps of the two.
//! 3. [`Locator::frame`] prepares what all masks of a picture share: the camera's model, and depth in the picture's own pixels.
//! 4. [`LocatedFrame::locate`] measures one mask: box, grasp hint, points. What cannot be measured is a [`NotLocated`], which says
//!    what is missing and how to get it.
//!
//! | file | one idea |
//! |---|---|
//! | `depth_frame.rs` | a depth message, decoded when somebody asks |
//! | `pairing.rs` | which depth image belongs to a picture |
//! | `transforms.rs` | where the cameras were at the stamps of their pictures |
//! | `locator.rs` | what the masks of a picture share |
//! | `object.rs` | one mask: its points, and what is measured of them |
//! | `mask_rim.rs` | the pixels around a mask, and those near its outline |
//! | `not_located.rs` | why there is no place |

mod depth_frame;
mod locator;
mod mask_rim;
mod not_located;
mod object;
mod pairing;
#[cfg(test)]
mod testing;
mod transforms;

pub use depth_frame::{camera_info, DepthFrame, DepthMessage};
pub use locator::{ColourView, DepthView, LocatedFrame, Locator};
pub use not_located::{Camera, NotLocated, NotLocatedCode};
pub use object::{LocateOptions, LocatedObject, ObjectPoint, Rejected};
pub use pairing::{DepthPairing, Pairing, DEFAULT_MAX_OFFSET};
pub use transforms::{FrameTransforms, Moment};
