//! `geometry_msgs` and `tf2_msgs`: where frames are.

use super::{ros_message, Header};

ros_message! {
    /// A direction and length, meters for a translation.
    #[derive(Copy)]
    pub struct Vector3 = "geometry_msgs/msg/Vector3" {
        /// Forward, in a body's frame (REP 103).
        pub x: f64,
        /// Left.
        pub y: f64,
        /// Up.
        pub z: f64,
    }

    /// A rotation, of length 1.
    #[derive(Copy)]
    pub struct Quaternion = "geometry_msgs/msg/Quaternion" {
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
    pub struct Transform = "geometry_msgs/msg/Transform" {
        /// Meters.
        pub translation: Vector3,
        /// Of length 1.
        pub rotation: Quaternion,
    }

    /// Where a frame is.
    pub struct TransformStamped = "geometry_msgs/msg/TransformStamped" {
        /// When, and in which frame (the parent).
        pub header: Header,
        /// Which frame.
        pub child_frame_id: String,
        /// From the child's coordinates to the parent's.
        pub transform: Transform,
    }

    /// What `/tf` and `/tf_static` carry.
    pub struct TFMessage = "tf2_msgs/msg/TFMessage" {
        /// One for each frame.
        pub transforms: Vec<TransformStamped>,
    }
}
