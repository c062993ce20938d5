//! Between r2r's messages and the library's own types.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::OnceLock;

use cv_convert::TryToCv;
use image::{GrayImage, RgbImage};
use r2r::lisa_ros::msg::{ReasoningResult, SegmentedObject, StageTime};
use r2r::sensor_msgs::msg::{CompressedImage, Image, RegionOfInterest};
use r2r::std_msgs::msg::Header;

use super::instructions::Ask;
use crate::engine::{Answer, AnswerStatus, Frame, ObjectMask, RequestError, Timings};
use crate::frames::Stamp;
use crate::image::{decode_compressed, EncodingError, RosImage};

/// A camera message. Its pixels are decoded when somebody first asks for them, and once.
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

impl SourceImage {
    /// As the camera wrote it.
    pub fn header(&self) -> &Header {
        match &self.message {
            Message::Raw(m) => &m.header,
            Message::Compressed(m) => &m.header,
        }
    }

    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.header().stamp.sec, self.header().stamp.nanosec)
    }

    /// Bytes of the message's pixels.
    pub fn bytes(&self) -> usize {
        match &self.message {
            Message::Raw(m) => m.data.len(),
            Message::Compressed(m) => m.data.len(),
        }
    }

    /// The picture. Clones of it share their identity, so that the engine encodes it once.
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

/// How an instruction ended; the numbers are `ReasoningResult`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    Segmented = 0,
    TextOnly = 1,
    EmptyMask = 2,
    NoImage = 3,
    Overloaded = 4,
    Cancelled = 5,
    Error = 6,
}

impl Status {
    /// As in the message definition, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Status::Segmented => "segmented",
            Status::TextOnly => "text_only",
            Status::EmptyMask => "empty_mask",
            Status::NoImage => "no_image",
            Status::Overloaded => "overloaded",
            Status::Cancelled => "cancelled",
            Status::Error => "error",
        }
    }
}

impl From<AnswerStatus> for Status {
    fn from(status: AnswerStatus) -> Self {
        match status {
            AnswerStatus::Segmented => Status::Segmented,
            AnswerStatus::TextOnly => Status::TextOnly,
            AnswerStatus::EmptyMask => Status::EmptyMask,
        }
    }
}

/// No answer, and why.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: Status,
    pub why: String,
}

impl Refusal {
    pub fn new(status: Status, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let status = match &error {
            RequestError::Cancelled { .. } | RequestError::ShuttingDown => Status::Cancelled,
            RequestError::Overloaded { .. } => Status::Overloaded,
            _ => Status::Error,
        };
        Self::new(status, error.to_string())
    }
}

/// The result of an instruction that was answered.
pub fn answered(ask: &Ask, header: &Header, answer: &Answer) -> ReasoningResult {
    ReasoningResult {
        answer: ros_text(&answer.text),
        status: Status::from(answer.status) as u8,
        notes: answer.notes.iter().map(|n| ros_text(n)).collect(),
        objects: answer.objects.iter().map(|o| object(header, o)).collect(),
        timings: stage_times(&answer.timings),
        token_seconds: answer
            .timings
            .tokens
            .iter()
            .map(|t| t.as_secs_f32())
            .collect(),
        ..blank(ask, header)
    }
}

/// The result of an instruction that was not.
pub fn refused(ask: &Ask, header: &Header, refusal: &Refusal) -> ReasoningResult {
    ReasoningResult {
        status: refusal.status as u8,
        error: ros_text(&refusal.why),
        ..blank(ask, header)
    }
}

fn blank(ask: &Ask, header: &Header) -> ReasoningResult {
    ReasoningResult {
        header: header.clone(),
        instruction_id: ros_text(&ask.id),
        conversation_id: ros_text(&ask.conversation_id),
        instruction: ros_text(&ask.text.words),
        ..ReasoningResult::default()
    }
}

fn object(header: &Header, object: &ObjectMask) -> SegmentedObject {
    SegmentedObject {
        id: object.index as u32,
        label: ros_text(&object.label),
        score: object.score,
        roi: RegionOfInterest {
            x_offset: object.roi.x,
            y_offset: object.roi.y,
            width: object.roi.width,
            height: object.roi.height,
            do_rectify: false,
        },
        mask: mono8(header, object.mask.clone()),
    }
}

fn stage_times(timings: &Timings) -> Vec<StageTime> {
    let time = |name: &str, t: std::time::Duration| StageTime {
        stage: name.to_owned(),
        seconds: t.as_secs_f32(),
    };
    let stages = timings.stages().map(|(stage, t)| time(stage.name(), t));
    stages.chain([time("total", timings.total)]).collect()
}

/// A mask as a message, rows without padding.
pub fn mono8(header: &Header, mask: GrayImage) -> Image {
    let (width, height) = mask.dimensions();
    pixels(header, "mono8", width, height, width, mask.into_raw())
}

/// A picture as a message, rows without padding.
pub fn rgb8(header: &Header, picture: RgbImage) -> Image {
    let (width, height) = picture.dimensions();
    pixels(header, "rgb8", width, height, width * 3, picture.into_raw())
}

fn pixels(
    header: &Header,
    encoding: &str,
    width: u32,
    height: u32,
    step: u32,
    data: Vec<u8>,
) -> Image {
    Image {
        header: header.clone(),
        height,
        width,
        encoding: encoding.to_owned(),
        is_bigendian: 0,
        step,
        data,
    }
}

/// A ROS string ends at a NUL, and r2r panics on one: it stands as U+FFFD.
pub fn ros_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
