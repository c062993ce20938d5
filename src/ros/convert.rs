//! Conversions between r2r's messages and the library's own types.

use r2r::builtin_interfaces::msg::Time;
use r2r::geometry_msgs::msg::{Point, Pose, PoseStamped, Quaternion, Vector3};
use r2r::lisa_ros::msg::{ReasoningResult, SegmentedObject, StageTime};
use r2r::sensor_msgs::msg::{CompressedImage, Image, RegionOfInterest};
use r2r::std_msgs::msg::Header;
use r2r::WrappedTypesupport;

use crate::engine::Frame;
use crate::image::RosImage;
use crate::node::{CameraFrame, CameraPixels, DecodeOnce};

/// A camera's message. Its pixels are decoded when they are first asked for, and kept.
#[derive(Debug)]
pub struct SourceImage {
    message: Message,
    decoded: DecodeOnce,
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
            decoded: DecodeOnce::default(),
        }
    }
}

impl From<CompressedImage> for SourceImage {
    fn from(message: CompressedImage) -> Self {
        Self {
            message: Message::Compressed(message),
            decoded: DecodeOnce::default(),
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

    fn bytes(&self) -> usize {
        self.pixels().bytes()
    }
}

impl SourceImage {
    fn ros_header(&self) -> &Header {
        match &self.message {
            Message::Raw(m) => &m.header,
            Message::Compressed(m) => &m.header,
        }
    }

    /// The decoded frame. All calls return the same one.
    ///
    /// # Errors
    /// What is wrong with the message and what is accepted, in words.
    pub fn frame(&self) -> Result<Frame, String> {
        self.decoded.frame(self.pixels())
    }

    fn pixels(&self) -> CameraPixels<'_> {
        match &self.message {
            Message::Raw(m) => CameraPixels::Raw(RosImage {
                width: m.width,
                height: m.height,
                encoding: &m.encoding,
                is_bigendian: m.is_bigendian != 0,
                step: m.step,
                data: &m.data,
            }),
            Message::Compressed(m) => CameraPixels::Compressed {
                format: &m.format,
                data: &m.data,
            },
        }
    }
}

/// The same message as r2r has it, by way of the bytes of which both are the same. Its texts must have no NUL, at which r2r would
/// panic.
///
/// # Errors
/// The middleware does not take the bytes; those of a message of the same definition it does.
pub fn same_message<'a, T: WrappedTypesupport>(
    message: &impl rosbag2::Message<'a>,
) -> r2r::Result<T> {
    T::from_serialized_bytes(&message.to_cdr())
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

/// A result as a message. Its texts have no NUL, at which r2r would panic: [`QuestionResult::message`] has replaced it.
///
/// [`QuestionResult::message`]: crate::node::QuestionResult::message
pub fn result(result: lisa_messages::ReasoningResult<'_>) -> ReasoningResult {
    let stage = |time: lisa_messages::StageTime| StageTime {
        stage: time.stage,
        seconds: time.seconds,
    };
    ReasoningResult {
        header: header(&result.header),
        instruction_id: result.instruction_id,
        conversation_id: result.conversation_id,
        instruction: result.instruction,
        answer: result.answer,
        status: result.status,
        error: result.error,
        notes: result.notes,
        objects: result.objects.into_iter().map(object).collect(),
        timings: result.timings.into_iter().map(stage).collect(),
        token_seconds: result.token_seconds,
    }
}

/// An object as a message.
pub fn object(object: lisa_messages::SegmentedObject<'_>) -> SegmentedObject {
    SegmentedObject {
        id: object.id,
        label: object.label,
        score: object.score,
        roi: RegionOfInterest {
            x_offset: object.roi.x_offset,
            y_offset: object.roi.y_offset,
            width: object.roi.width,
            height: object.roi.height,
            do_rectify: object.roi.do_rectify,
        },
        mask: image(object.mask),
        track_id: object.track_id,
        spatial_status: object.spatial_status,
        pose: PoseStamped {
            header: header(&object.pose.header),
            pose: pose(object.pose.pose),
        },
        size: vector(object.size),
        depth_coverage: object.depth_coverage,
        number_of_points: object.number_of_points,
        grasp_point: point(object.grasp_point),
        grasp_normal: vector(object.grasp_normal),
        grasp_axis: vector(object.grasp_axis),
        grasp_width: object.grasp_width,
    }
}

/// A pose as a message.
fn pose(pose: rosbag2::Pose) -> Pose {
    let rosbag2::Quaternion { x, y, z, w } = pose.orientation;
    Pose {
        position: point(pose.position),
        orientation: Quaternion { x, y, z, w },
    }
}

/// A point as a message.
fn point(point: rosbag2::Point) -> Point {
    let rosbag2::Point { x, y, z } = point;
    Point { x, y, z }
}

/// A vector as a message.
fn vector(vector: rosbag2::Vector3) -> Vector3 {
    let rosbag2::Vector3 { x, y, z } = vector;
    Vector3 { x, y, z }
}

/// An image as a message.
pub fn image(image: rosbag2::Image<'_>) -> Image {
    Image {
        header: header(&image.header),
        height: image.height,
        width: image.width,
        encoding: image.encoding,
        is_bigendian: image.is_bigendian,
        step: image.step,
        data: image.data.into_owned(),
    }
}
