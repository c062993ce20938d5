//! A depth message, decoded when somebody asks for it, and once.

use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};

use depth_camera::{decode, decode_compressed, CameraInfo, DepthImage, Roi};

use super::NotLocated;
use crate::frames::Stamp;

/// A depth image as its message holds it.
#[derive(Clone)]
pub enum DepthMessage {
    /// A `sensor_msgs/Image` of the encodings `16UC1`, `mono16` or `32FC1`.
    Image {
        /// What a pixel is.
        encoding: String,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes of a row.
        step: u32,
        /// Whether values of several bytes are big-endian.
        is_bigendian: bool,
        /// `step * height` bytes.
        data: Arc<[u8]>,
    },
    /// A `sensor_msgs/CompressedImage`, as `compressedDepth` or PNG.
    Compressed {
        /// The message's format, e.g. `16UC1; compressedDepth rvl`.
        format: String,
        /// The message's bytes.
        data: Arc<[u8]>,
    },
    /// An image that is decoded already.
    Decoded(Arc<DepthImage>),
}

impl DepthMessage {
    /// A `sensor_msgs/Image`.
    pub fn of_image(image: &rosbag2::Image<'_>) -> Self {
        Self::Image {
            encoding: image.encoding.clone(),
            width: image.width,
            height: image.height,
            step: image.step,
            is_bigendian: image.is_bigendian != 0,
            data: Arc::from(image.data.as_ref()),
        }
    }

    /// A `sensor_msgs/CompressedImage`.
    pub fn of_compressed(image: &rosbag2::CompressedImage<'_>) -> Self {
        Self::Compressed {
            format: image.format.clone(),
            data: Arc::from(image.data.as_ref()),
        }
    }

    /// The bytes that it takes in memory, without those that decoding adds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Image { data, .. } | Self::Compressed { data, .. } => data.len(),
            Self::Decoded(image) => std::mem::size_of_val(image.metres()),
        }
    }

    fn decode(&self) -> Result<Arc<DepthImage>, depth_camera::DepthError> {
        match self {
            Self::Image {
                encoding,
                width,
                height,
                step,
                is_bigendian,
                data,
            } => decode(encoding, *width, *height, *step, *is_bigendian, data).map(Arc::new),
            Self::Compressed { format, data } => decode_compressed(format, data).map(Arc::new),
            Self::Decoded(image) => Ok(Arc::clone(image)),
        }
    }
}

impl fmt::Debug for DepthMessage {
    /// Without the pixels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Image { encoding, .. } => encoding,
            Self::Compressed { format, .. } => format,
            Self::Decoded(_) => "decoded",
        };
        write!(f, "{kind}, {} bytes", self.bytes())
    }
}

/// A depth image with its time and place.
#[derive(Debug)]
pub struct DepthFrame {
    /// When it was taken.
    pub stamp: Stamp,
    /// The optical frame of its camera, or of the colour camera where it was registered already.
    pub frame_id: String,
    message: DepthMessage,
    decoded: OnceLock<Result<Arc<DepthImage>, String>>,
}

impl DepthFrame {
    /// A frame that is decoded when it is first asked for.
    pub fn new(stamp: Stamp, frame_id: impl Into<String>, message: DepthMessage) -> Self {
        Self {
            stamp,
            frame_id: frame_id.into(),
            message,
            decoded: OnceLock::new(),
        }
    }

    /// The bytes of its message.
    pub fn bytes(&self) -> usize {
        self.message.bytes()
    }

    /// The depth image; all calls return the same one.
    ///
    /// # Errors
    /// [`NotLocated::UnreadableDepth`]. A decoder that panics is one too: what one message does must not end the work on others.
    pub fn image(&self) -> Result<Arc<DepthImage>, NotLocated> {
        let decode = || match catch_unwind(AssertUnwindSafe(|| self.message.decode())) {
            Ok(image) => image.map_err(|error| error.to_string()),
            Err(_) => Err("the depth decoder panicked on this message".to_owned()),
        };
        let decoded = self.decoded.get_or_init(decode).clone();
        decoded.map_err(|why| NotLocated::UnreadableDepth { why })
    }
}

/// The calibration of a message, for [`ColourView`](super::ColourView) and [`DepthView`](super::DepthView).
pub fn camera_info(info: &rosbag2::CameraInfo) -> CameraInfo {
    CameraInfo {
        width: info.width,
        height: info.height,
        distortion_model: info.distortion_model.clone(),
        d: info.d.clone(),
        k: info.k,
        r: info.r,
        p: info.p,
        binning_x: info.binning_x,
        binning_y: info.binning_y,
        roi: Roi {
            x_offset: info.roi.x_offset,
            y_offset: info.roi.y_offset,
            width: info.roi.width,
            height: info.roi.height,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: DepthMessage) -> DepthFrame {
        DepthFrame::new(Stamp(1), "camera", message)
    }

    #[test]
    fn a_message_is_decoded_once_and_a_bad_one_says_why() {
        let image = |encoding: &str| DepthMessage::Image {
            encoding: encoding.to_owned(),
            width: 2,
            height: 1,
            step: 4,
            is_bigendian: false,
            data: Arc::from([0xdc, 0x05, 0, 0].as_slice()),
        };
        let good = frame(image("16UC1"));
        let first = good.image().unwrap();
        assert!(Arc::ptr_eq(&first, &good.image().unwrap()));
        assert_eq!(first.metres()[0], 1.5);
        let error = frame(image("rgb8")).image().unwrap_err().to_string();
        assert!(error.contains("rgb8") && error.contains("16UC1"), "{error}");
        let data = Arc::from([1, 2, 3].as_slice());
        let format = "32FC1; compressedDepth rvl".to_owned();
        assert!(frame(DepthMessage::Compressed { format, data })
            .image()
            .is_err());
    }
}
