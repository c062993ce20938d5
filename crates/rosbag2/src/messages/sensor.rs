//! `sensor_msgs`: what cameras publish.

use std::borrow::Cow;

use super::definition::{CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, REGION_OF_INTEREST};
use super::Header;
use crate::ros_message;

ros_message! {
    /// A picture, uncompressed.
    pub struct Image<'a> = IMAGE {
        /// When it was taken; the frame is the camera's optical one (z forward, x right, y down).
        pub header: Header,
        /// Rows.
        pub height: u32,
        /// Pixels of a row.
        pub width: u32,
        /// What a pixel is, e.g. `rgb8`, `mono8`, `16UC1` (`sensor_msgs/image_encodings.hpp`).
        pub encoding: String,
        /// Not 0 where values of several bytes have the highest first.
        pub is_bigendian: u8,
        /// Bytes of a row, padding included.
        pub step: u32,
        /// `step * height` bytes, row after row.
        pub data: Cow<'a, [u8]>,
    }

    /// A picture, compressed.
    pub struct CompressedImage<'a> = COMPRESSED_IMAGE {
        /// As of [`Image`].
        pub header: Header,
        /// `jpeg`, `png`, or image_transport's longer form, e.g. `rgb8; jpeg compressed bgr8`.
        pub format: String,
        /// The file.
        pub data: Cow<'a, [u8]>,
    }

    /// How a camera projects (the pinhole model of `image_pipeline`).
    pub struct CameraInfo = CAMERA_INFO {
        /// That of the picture it belongs to.
        pub header: Header,
        /// Rows the camera was calibrated for.
        pub height: u32,
        /// Columns the camera was calibrated for.
        pub width: u32,
        /// e.g. `plumb_bob`.
        pub distortion_model: String,
        /// Its parameters.
        pub d: Vec<f64>,
        /// Intrinsic matrix of the raw picture, 3x3, row after row: fx 0 cx, 0 fy cy, 0 0 1. Pixels.
        pub k: [f64; 9],
        /// Rectification, 3x3.
        pub r: [f64; 9],
        /// Projection of the rectified picture, 3x4.
        pub p: [f64; 12],
        /// Columns that were taken together; 0 is 1.
        pub binning_x: u32,
        /// Rows that were taken together; 0 is 1.
        pub binning_y: u32,
        /// Which part of the sensor was read; all 0: the whole.
        pub roi: RegionOfInterest,
    }

    /// A box in a picture, in its pixels.
    #[derive(Copy, Eq, Hash)]
    pub struct RegionOfInterest = REGION_OF_INTEREST {
        /// Leftmost column.
        pub x_offset: u32,
        /// Uppermost row.
        pub y_offset: u32,
        /// Rows.
        pub height: u32,
        /// Columns.
        pub width: u32,
        /// Whether it applies to the rectified picture.
        pub do_rectify: bool,
    }
}
