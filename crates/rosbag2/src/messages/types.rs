//! The standard messages as types: `builtin_interfaces`, `std_msgs`, `rosgraph_msgs`, `sensor_msgs`, `geometry_msgs` and
//! `tf2_msgs`, as far as recordings of cameras need them.

use std::borrow::Cow;

use super::definition::{
    CAMERA_INFO, CLOCK, COMPRESSED_IMAGE, HEADER, IMAGE, POINT, POSE, POSE_STAMPED, QUATERNION,
    REGION_OF_INTEREST, STRING, TF_MESSAGE, TIME, TRANSFORM, TRANSFORM_STAMPED, VECTOR3,
};
use crate::ros_message;

const SECOND: i64 = 1_000_000_000;

ros_message! {
    /// A moment, since 1970 or since a simulation began.
    #[derive(Copy, Eq, PartialOrd, Ord, Hash)]
    pub struct Time = TIME {
        /// Whole seconds.
        pub sec: i32,
        /// Nanoseconds after those, 0 to 999,999,999.
        pub nanosec: u32,
    }

    /// The time and the coordinate frame of a measurement (REP 103, REP 105).
    #[derive(Eq, Hash)]
    pub struct Header = HEADER {
        /// The time of the measurement.
        pub stamp: Time,
        /// The coordinate frame it refers to.
        pub frame_id: String,
    }

    /// `std_msgs/msg/String`, under another name than Rust's own.
    #[derive(Eq, Hash)]
    pub struct StringMessage = STRING {
        /// The text.
        pub data: String,
    }

    /// The time of a simulation or of a replayed bag.
    #[derive(Eq, Hash)]
    pub struct Clock = CLOCK {
        /// The current time.
        pub clock: Time,
    }
}

impl Time {
    /// The moment so many nanoseconds after zero. Seconds that 32 bits cannot hold become the nearest that they can.
    pub fn from_nanoseconds(nanoseconds: i64) -> Self {
        let sec = nanoseconds.div_euclid(SECOND);
        Self {
            sec: sec.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            nanosec: nanoseconds.rem_euclid(SECOND) as u32,
        }
    }

    /// Nanoseconds after zero.
    pub fn nanoseconds(self) -> i64 {
        i64::from(self.sec) * SECOND + i64::from(self.nanosec)
    }
}

// What cameras publish.
ros_message! {
    /// An uncompressed picture.
    pub struct Image<'a> = IMAGE {
        /// The time it was taken, and the camera's optical frame (z forward, x right, y down).
        pub header: Header,
        /// Rows.
        pub height: u32,
        /// Width in pixels.
        pub width: u32,
        /// What a pixel is, e.g. `rgb8`, `mono8`, `16UC1` (`sensor_msgs/image_encodings.hpp`).
        pub encoding: String,
        /// 1 if values of several bytes are big-endian, else 0.
        pub is_bigendian: u8,
        /// Bytes of a row, padding included.
        pub step: u32,
        /// `step * height` bytes, row after row.
        pub data: Cow<'a, [u8]>,
    }

    /// A compressed picture.
    pub struct CompressedImage<'a> = COMPRESSED_IMAGE {
        /// The time and frame, as in [`Image`].
        pub header: Header,
        /// `jpeg`, `png`, or image_transport's longer form, e.g. `rgb8; jpeg compressed bgr8`.
        pub format: String,
        /// The content of the JPEG or PNG file.
        pub data: Cow<'a, [u8]>,
    }

    /// The calibration of a camera, by the pinhole model of `image_pipeline`.
    pub struct CameraInfo = CAMERA_INFO {
        /// The header of the picture it belongs to.
        pub header: Header,
        /// Rows the camera was calibrated for.
        pub height: u32,
        /// Columns the camera was calibrated for.
        pub width: u32,
        /// The model of the lens distortion, e.g. `plumb_bob`.
        pub distortion_model: String,
        /// The parameters of that model.
        pub d: Vec<f64>,
        /// Intrinsic matrix of the raw picture, 3x3, row after row: fx 0 cx, 0 fy cy, 0 0 1. Pixels.
        pub k: [f64; 9],
        /// Rectification matrix, 3x3, row after row.
        pub r: [f64; 9],
        /// Projection matrix of the rectified picture, 3x4, row after row. Pixels.
        pub p: [f64; 12],
        /// The number of columns that were combined into one; 0 means 1.
        pub binning_x: u32,
        /// The number of rows that were combined into one; 0 means 1.
        pub binning_y: u32,
        /// The part of the sensor that was read; all 0 means the whole.
        pub roi: RegionOfInterest,
    }

    /// A box in a picture, in its pixels.
    #[derive(Copy, Eq, Hash)]
    pub struct RegionOfInterest = REGION_OF_INTEREST {
        /// The leftmost column of the box.
        pub x_offset: u32,
        /// The uppermost row of the box.
        pub y_offset: u32,
        /// Rows.
        pub height: u32,
        /// Columns.
        pub width: u32,
        /// Whether it applies to the rectified picture.
        pub do_rectify: bool,
    }
}

// Where frames are.
ros_message! {
    /// A vector; for a translation, in meters.
    #[derive(Copy)]
    pub struct Vector3 = VECTOR3 {
        /// Forward, in the frame of a body (REP 103).
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

    /// A point, meters.
    #[derive(Copy)]
    pub struct Point = POINT {
        /// Forward, in the frame of a body (REP 103).
        pub x: f64,
        /// Left.
        pub y: f64,
        /// Up.
        pub z: f64,
    }

    /// Where something is and how it is turned.
    #[derive(Copy)]
    pub struct Pose = POSE {
        /// The place, meters.
        pub position: Point,
        /// The rotation, a quaternion of length 1.
        pub orientation: Quaternion,
    }

    /// A pose in a named coordinate frame.
    pub struct PoseStamped = POSE_STAMPED {
        /// The time, and the frame that the pose is in.
        pub header: Header,
        /// The pose in that frame.
        pub pose: Pose,
    }

    /// A rigid transform: first the rotation, then the translation.
    #[derive(Copy)]
    pub struct Transform = TRANSFORM {
        /// The translation, meters.
        pub translation: Vector3,
        /// The rotation, a quaternion of length 1.
        pub rotation: Quaternion,
    }

    /// The pose of a coordinate frame in its parent frame.
    pub struct TransformStamped = TRANSFORM_STAMPED {
        /// The time, and the parent frame.
        pub header: Header,
        /// The frame whose pose it is.
        pub child_frame_id: String,
        /// Takes coordinates in the child frame to those in the parent frame.
        pub transform: Transform,
    }

    /// The messages of `/tf` and `/tf_static`.
    pub struct TFMessage = TF_MESSAGE {
        /// One transform for each frame.
        pub transforms: Vec<TransformStamped>,
    }
}
