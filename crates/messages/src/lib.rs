//! The messages of the package `lisa_ros` as Rust types. Their definitions are in the package's `msg/`.
//!
//! Recordings of the node hold them, and here they are read and written without ROS. The node itself publishes the types that its
//! build generates from the same files. Beside them are the messages of other packages that the node publishes.

mod definitions;
mod detections;
mod published;

use rosbag2::{ros_message, Header, Image, Point, PoseStamped, RegionOfInterest, Vector3};

pub use definitions::DEFINITIONS;
use definitions::{
    INSTRUCTION, REASONING_RESULT, SEGMENTED_OBJECT, SEGMENTED_OBJECT_STAMPED, STAGE_TIME,
    TEXT_DELTA,
};
pub use detections::{
    BoundingBox2D, BoundingBox3D, ColorRgba, Covariance, Detection2D, Detection2DArray,
    Detection3D, Detection3DArray, Duration, LabelInfo, Marker, MarkerArray, MeshFile,
    ObjectHypothesis, ObjectHypothesisWithPose, Point2D, PointCloud2, PointField, Pose2D,
    PoseWithCovariance, UvCoordinate, VisionClass,
};

/// A key of a recording's custom data in `metadata.yaml`. Its value names the kinds of questions that the recording asks,
/// separated by spaces. An instruction
/// whose id ends in `_KIND` is of that kind, and an evaluation counts it there.
pub const QUESTION_KINDS: &str = "lisa_ros.question_kinds";

ros_message! {
    /// A spoken or typed instruction about the frame nearest to `header.stamp`.
    #[derive(Eq, Hash)]
    pub struct Instruction = INSTRUCTION {
        /// The moment the instruction is about; a zero stamp means the newest frame.
        pub header: Header,
        /// The id that the answer carries as [`ReasoningResult::instruction_id`].
        pub id: String,
        /// Instructions with the same conversation id share their history. Empty for a question on its own.
        pub conversation_id: String,
        /// The text of the instruction.
        pub text: String,
    }

    /// The answer to one instruction.
    pub struct ReasoningResult<'a> = REASONING_RESULT {
        /// The header of the source image, unchanged; empty if there was no image.
        pub header: Header,
        /// [`Instruction::id`], or a number that the node chose if that was empty.
        pub instruction_id: String,
        /// The [`Instruction::conversation_id`].
        pub conversation_id: String,
        /// The text of the instruction.
        pub instruction: String,
        /// What the model said. Each `[SEG]` in it stands for one object.
        pub answer: String,
        /// The number of a [`ResultStatus`].
        pub status: u8,
        /// What was wrong, and what is accepted. Empty on success.
        pub error: String,
        /// Remarks for the user, each a line.
        pub notes: Vec<String>,
        /// The objects that the answer names.
        pub objects: Vec<SegmentedObject<'a>>,
        /// The wall time of each stage.
        pub timings: Vec<StageTime>,
        /// The time that each generated token took, seconds.
        pub token_seconds: Vec<f32>,
    }

    /// One object that an answer names.
    pub struct SegmentedObject<'a> = SEGMENTED_OBJECT {
        /// The number of its `[SEG]` in the answer, from 0.
        pub id: u32,
        /// The name of the object.
        pub label: String,
        /// The mask decoder's own estimate of the mask's IoU, 0..1.
        pub score: f32,
        /// Tight box around the mask, in pixels of the source image.
        pub roi: RegionOfInterest,
        /// The mask as a `mono8` image of 0 and 255, cropped to the box.
        pub mask: Image<'a>,
        /// The same number while one object is followed, from 1; 0 if it is not followed.
        pub track_id: u32,
        /// The number of a [`SpatialStatus`]. The fields after it are only set if it is [`SpatialStatus::Ok`].
        pub spatial_status: u8,
        /// Centre, metres, and orientation of the box, with the picture's stamp and in the target frame.
        pub pose: PoseStamped,
        /// The whole extents of the box along its own axes, metres.
        pub size: Vector3,
        /// The share of the mask's pixels that have a depth, 0..1.
        pub depth_coverage: f32,
        /// The points that the measurement rests on, outliers removed.
        pub number_of_points: u32,
        /// A point on the visible surface, metres, in the frame of the pose.
        pub grasp_point: Point,
        /// The unit vector out of the surface at that point, towards the camera.
        pub grasp_normal: Vector3,
        /// The unit vector along which the visible surface is narrowest, across the normal.
        pub grasp_axis: Vector3,
        /// The extent of the visible surface along that axis, metres.
        pub grasp_width: f32,
    }

    /// One object of an answer, as soon as its mask is there.
    pub struct SegmentedObjectStamped<'a> = SEGMENTED_OBJECT_STAMPED {
        /// The header of the source image.
        pub header: Header,
        /// As in [`ReasoningResult::instruction_id`].
        pub instruction_id: String,
        /// As in [`ReasoningResult::conversation_id`].
        pub conversation_id: String,
        /// The object, with its mask.
        pub object: SegmentedObject<'a>,
    }

    /// Wall time of one stage of one answer.
    pub struct StageTime = STAGE_TIME {
        /// The name of the stage: queue, preprocess, clip, prefill, generate, sam, decode, postprocess or total.
        pub stage: String,
        /// How long the stage took, seconds.
        pub seconds: f32,
    }

    /// A piece of an answer as it is being written.
    #[derive(Eq, Hash)]
    pub struct TextDelta = TEXT_DELTA {
        /// The header of the source image.
        pub header: Header,
        /// As in [`ReasoningResult::instruction_id`].
        pub instruction_id: String,
        /// As in [`ReasoningResult::conversation_id`].
        pub conversation_id: String,
        /// The text that follows what came before.
        pub delta: String,
        /// The number of tokens of the answer so far.
        pub tokens: u32,
        /// Whether this is the last piece of the answer.
        pub done: bool,
    }
}

impl StageTime {
    /// The name of the row that has the time of all stages, from the submission to the end.
    pub const TOTAL: &'static str = "total";
}

/// How an instruction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ResultStatus {
    /// An answer, and at least one mask.
    Segmented = 0,
    /// An answer without a mask: a success.
    TextOnly = 1,
    /// An answer that named objects, and every mask was empty.
    EmptyMask = 2,
    /// There was no frame to answer about.
    NoImage = 3,
    /// Too many instructions were waiting.
    Overloaded = 4,
    /// It was taken back before it was finished.
    Cancelled = 5,
    /// It failed.
    Error = 6,
}

impl ResultStatus {
    const ALL: [Self; 7] = [
        Self::Segmented,
        Self::TextOnly,
        Self::EmptyMask,
        Self::NoImage,
        Self::Overloaded,
        Self::Cancelled,
        Self::Error,
    ];

    /// The status that a number means; `None` if it means none.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u8 == number)
    }

    /// Its name in the message's definition, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segmented => "segmented",
            Self::TextOnly => "text_only",
            Self::EmptyMask => "empty_mask",
            Self::NoImage => "no_image",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }

    /// Whether the model answered.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Segmented | Self::TextOnly | Self::EmptyMask)
    }
}

/// Whether an object was measured in space, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SpatialStatus {
    /// No depth topic is configured; of a followed object also: measuring took longer than a frame.
    #[default]
    Off = 0,
    /// It was measured.
    Ok = 1,
    /// No depth image belongs to the picture.
    NoDepth = 2,
    /// No usable calibration of the camera has come.
    NoCameraInfo = 3,
    /// There is no transform from the camera to the target frame at the picture's stamp.
    NoTransform = 4,
    /// Too little of the mask has a depth.
    TooFewPoints = 5,
}

impl SpatialStatus {
    const ALL: [Self; 6] = [
        Self::Off,
        Self::Ok,
        Self::NoDepth,
        Self::NoCameraInfo,
        Self::NoTransform,
        Self::TooFewPoints,
    ];

    /// The status that a number means; `None` if it means none.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u8 == number)
    }

    /// Its name in the message's definition, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "spatial_off",
            Self::Ok => "spatial_ok",
            Self::NoDepth => "no_depth",
            Self::NoCameraInfo => "no_camera_info",
            Self::NoTransform => "no_transform",
            Self::TooFewPoints => "too_few_points",
        }
    }
}

#[cfg(test)]
mod tests;
