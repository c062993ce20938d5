//! Depth images and camera models of ROS, without ROS: from the pixels of a mask to points in metres.
//!
//! - [`decode`] and [`decode_compressed`] read a depth image (REP 118) from the fields of a `sensor_msgs/Image` or
//!   `sensor_msgs/CompressedImage`.
//! - [`Camera`] is the model of a calibrated camera, from the fields of a `sensor_msgs/CameraInfo`.
//! - [`Registration`] brings a depth image into the picture of another camera.
//! - [`points()`] gives the points that a set of pixels shows.
//!
//! Lengths are metres. Depth is the distance along a picture's optical axis and not the range along the pixel's ray. Points are
//! in the camera's optical frame (REP 103): x right, y down, z forward. Pixel (0, 0) is the centre of the top left pixel.
//!
//! Nothing that is read is trusted: each size and count is looked at before memory is taken for it.
//!
//! ```
//! use depth_camera::{decode, points, Camera, RigidTransform, Registration};
//!
//! // Two pixels, 1.5 m and nothing, as 16UC1.
//! let image = decode("16UC1", 2, 1, 4, false, &[0xdc, 0x05, 0x00, 0x00])?;
//! let depth_camera = Camera::pinhole((2, 1), (2.0, 2.0), (0.5, 0.0))?;
//! let colour_camera = Camera::pinhole((4, 2), (4.0, 4.0), (1.5, 0.5))?;
//!
//! let registration = Registration::new(depth_camera, colour_camera.clone())?;
//! let image = registration.register(&image, &RigidTransform::IDENTITY)?.image;
//! let found = points(&colour_camera, &image, [(0, 0), (3, 0)])?;
//! assert_eq!(found.points[0].point.to_array(), [-0.5625, -0.1875, 1.5]);
//! assert_eq!(found.counts.missing, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod camera;
mod compressed;
mod error;
mod image;
mod points;
mod registration;
pub mod rvl;
mod size;
mod transform;

pub use camera::{Camera, CameraError, CameraInfo, Rectification, Roi, UNDISTORTION_TOLERANCE};
pub use compressed::decode_compressed;
pub use error::DepthError;
/// The vectors of the interface.
pub use glam;
pub use image::{decode, Depth, DepthCounts, DepthImage};
pub use points::{points, PixelPoint, PixelPoints};
pub use registration::{Registered, Registration, SAME_SURFACE};
pub use size::MAX_PIXELS;
pub use transform::{GeometryError, RigidTransform};
