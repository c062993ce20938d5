//! Conversions between r2r's messages and the library's own types.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::OnceLock;

use cv_convert::TryToCv;
use image::{GrayImage, RgbImage};
use r2r::builtin_interfaces::msg::Time;
use r2r::lisa_ros::msg::{ReasoningResult, SegmentedObject, StageTime};
use r2r::sensor_msgs::msg::{CompressedImage, Image, RegionOfInterest};
use r2r::std_msgs::msg::Header;

use crate::engine::Frame;
use crate::frames::Stamp;
use crate::image::{decode_compressed, EncodingError, RosImage};
use crate::node::CameraFrame;

/// A camera's message. Its pixels are decoded when they are first asked for, and kept.
#[derive(Debug)]
pub struct SourceImage {
    message: Message,
    frame: OnceLock<Result<Frame, String>>,
}

#[derive(Debug)]
enum Message {
    Raw(Image),
    Compressed(CompressedImage),
}

impl From<Image> for SourceImage {
    fn from(message: Image) -> Self {
        Self {
            message: Message::Raw(message),
            frame: OnceLock::new(),
        }
    }
}

impl From<CompressedImage> for SourceImage {
    fn from(message: CompressedImage) -> Self {
        Self {
            message: Message::Compressed(message),
            frame: OnceLock::new(),
        }
    }
}

impl CameraFrame for SourceImage {
    fn header(&self) -> rosbag2::Header {
        let header = self.ros_header();
        rosbag2::Header {
            stamp: rosbag2::Time {
                sec: header.stamp.sec,
                nanosec: header.stamp.nanosec,
            },
            frame_id: header.frame_id.clone(),
        }
    }
}

impl SourceImage {
    fn ros_header(&self) -> &Header {
        match &self.message {
            Message::Raw(m) => &m.header,
            Message::Compressed(m) => &m.header,
        }
    }

    /// When the camera took it.
    pub fn stamp(&self) -> Stamp {
        let stamp = &self.ros_header().stamp;
        Stamp::new(stamp.sec, stamp.nanosec)
    }

    /// How many bytes of pixels the message has.
    pub fn bytes(&self) -> usize {
        match &self.message {
            Message::Raw(m) => m.data.len(),
            Message::Compressed(m) => m.data.len(),
        }
    }

    /// The decoded frame. All calls return the same one, so that the engine encodes it once.
    ///
    /// # Errors
    /// What is wrong with the message and what is accepted, in words.
    pub fn frame(&self) -> Result<Frame, String> {
        let decode = || {
            let pixels = catch_unwind(AssertUnwindSafe(|| self.decode()))
                .map_err(|_| "the image decoder panicked on this message".to_owned())?
                .map_err(|e| e.to_string())?;
            Ok(Frame::new(pixels))
        };
        self.frame.get_or_init(decode).clone()
    }

    fn decode(&self) -> Result<RgbImage, EncodingError> {
        match &self.message {
            Message::Raw(m) => RosImage {
                width: m.width,
                height: m.height,
                encoding: &m.encoding,
                is_bigendian: m.is_bigendian != 0,
                step: m.step,
                data: &m.data,
            }
            .try_to_cv(),
            Message::Compressed(m) => decode_compressed(&m.format, &m.data),
        }
    }
}

/// A header as a message.
pub fn header(header: &rosbag2::Header) -> Header {
    Header {
        stamp: Time {
            sec: header.stamp.sec,
            nanosec: header.stamp.nanosec,
        },
        frame_id: header.frame_id.clone(),
    }
}

/// A result as a message.
pub fn result(result: lisa_messages::ReasoningResult<'_>) -> ReasoningResult {
    let stage = |time: lisa_messages::StageTime| StageTime {
        stage: time.stage,
        seconds: time.seconds,
    };
    ReasoningResult {
        header: header(&result.header),
        instruction_id: ros_text(&result.instruction_id),
        conversation_id: ros_text(&result.conversation_id),
        instruction: ros_text(&result.instruction),
        answer: ros_text(&result.answer),
        status: result.status,
        error: ros_text(&result.error),
        notes: result.notes.iter().map(|note| ros_text(note)).collect(),
        objects: result.objects.into_iter().map(object).collect(),
        timings: result.timings.into_iter().map(stage).collect(),
        token_seconds: result.token_seconds,
    }
}

/// An object as a message.
pub fn object(object: lisa_messages::SegmentedObject<'_>) -> SegmentedObject {
    SegmentedObject {
        id: object.id,
        label: ros_text(&object.label),
        score: object.score,
        roi: RegionOfInterest {
            x_offset: object.roi.x_offset,
            y_offset: object.roi.y_offset,
            width: object.roi.width,
            height: object.roi.height,
            do_rectify: object.roi.do_rectify,
        },
        mask: Image {
            header: header(&object.mask.header),
            height: object.mask.height,
            width: object.mask.width,
            encoding: object.mask.encoding,
            is_bigendian: object.mask.is_bigendian,
            step: object.mask.step,
            data: object.mask.data.into_owned(),
        },
    }
}

/// A mask as a message, rows without padding.
pub fn mono8(header: &rosbag2::Header, mask: GrayImage) -> Image {
    let (width, height) = mask.dimensions();
    pixels(header, "mono8", width, height, width, mask.into_raw())
}

/// An image as a message, rows without padding.
pub fn rgb8(header: &rosbag2::Header, picture: RgbImage) -> Image {
    let (width, height) = picture.dimensions();
    pixels(header, "rgb8", width, height, width * 3, picture.into_raw())
}

fn pixels(
    of: &rosbag2::Header,
    encoding: &str,
    width: u32,
    height: u32,
    step: u32,
    data: Vec<u8>,
) -> Image {
    Image {
        header: header(of),
        height,
        width,
        encoding: encoding.to_owned(),
        is_bigendian: 0,
        step,
        data,
    }
}

/// The text with U+FFFD for NUL, at which a ROS string ends and r2r panics.
pub fn ros_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
