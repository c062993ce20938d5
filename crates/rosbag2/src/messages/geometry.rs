//! `geometry_msgs` and `tf2_msgs`: where frames are.

use super::definition::{QUATERNION, TF_MESSAGE, TRANSFORM, TRANSFORM_STAMPED, VECTOR3};
use super::Header;
use crate::ros_message;

ros_message! {
    /// A direction and length, meters for a translation.
    #[derive(Copy)]
    pub struct Vector3 = VECTOR3 {
        /// Forward, in a body's frame (REP 103).
        pub x: f64,
        /// Left.
        pub y: f64,
        /// Up.
        pub z: f64,
    }

    /// A rotation, of length 1.
    #[derive(Copy)]
    pub struct Quaternion = QUATERNION {
        /// First imaginary part.
        pub x: f64,
        /// Second imaginary part.
        pub y: f64,
        /// Third imaginary part.
        pub z: f64,
        /// Real part.
        pub w: f64,
    }

    /// A rotation, then a translation.
    #[derive(Copy)]
    pub struct Transform = TRANSFORM {
        /// Meters.
        pub translation: Vector3,
        /// Of length 1.
        pub rotation: Quaternion,
    }

    /// Where a frame is.
    pub struct TransformStamped = TRANSFORM_STAMPED {
        /// When, and in which frame (the parent).
        pub header: Header,
        /// Which frame.
        pub child_frame_id: String,
        /// From the child's coordinates to the parent's.
        pub transform: Transform,
    }

    /// What `/tf` and `/tf_static` carry.
    pub struct TFMessage = TF_MESSAGE {
        /// One for each frame.
        pub transforms: Vec<TransformStamped>,
    }
}
