//! The messages of the package `lisa_ros` as types; their definitions stand in its `msg/`.
//!
//! They are what recordings of the node hold, and are read and written here without ROS. The node itself publishes the types that
//! its build generates from the same files.

mod definitions;

use rosbag2::{ros_message, Header, Image, RegionOfInterest};

pub use definitions::DEFINITIONS;
use definitions::{
    INSTRUCTION, REASONING_RESULT, SEGMENTED_OBJECT, SEGMENTED_OBJECT_STAMPED, STAGE_TIME,
    TEXT_DELTA,
};

/// Key of a recording's custom data (metadata.yaml): the kinds of questions that it asks, separated by spaces. An instruction
/// whose id ends in `_KIND` is of that kind, and an evaluation counts it there.
pub const QUESTION_KINDS: &str = "lisa_ros.question_kinds";

ros_message! {
    /// A spoken or typed instruction about the frame nearest to `header.stamp`.
    #[derive(Eq, Hash)]
    pub struct Instruction = INSTRUCTION {
        /// The moment the instruction is about; a zero stamp means the newest frame.
        pub header: Header,
        /// Comes back as [`ReasoningResult::instruction_id`].
        pub id: String,
        /// Turns that share it share their history; empty: a question on its own.
        pub conversation_id: String,
        /// What was said.
        pub text: String,
    }

    /// The answer to one instruction.
    pub struct ReasoningResult<'a> = REASONING_RESULT {
        /// The source image's, untouched; empty where there was none.
        pub header: Header,
        /// [`Instruction::id`], or a number of the node's own.
        pub instruction_id: String,
        /// [`Instruction::conversation_id`].
        pub conversation_id: String,
        /// What was asked.
        pub instruction: String,
        /// What the model said; `[SEG]` stands where an object is named.
        pub answer: String,
        /// A [`ResultStatus`], as its number.
        pub status: u8,
        /// What was wrong and what is accepted; empty on success.
        pub error: String,
        /// Things to know.
        pub notes: Vec<String>,
        /// What the answer speaks of.
        pub objects: Vec<SegmentedObject<'a>>,
        /// Wall time of the stages.
        pub timings: Vec<StageTime>,
        /// Time of each generated token, seconds.
        pub token_seconds: Vec<f32>,
    }

    /// One object the answer speaks of.
    pub struct SegmentedObject<'a> = SEGMENTED_OBJECT {
        /// Which `[SEG]` of the answer it is, from 0.
        pub id: u32,
        /// What to call it.
        pub label: String,
        /// The mask decoder's own estimate of the mask's IoU, 0..1.
        pub score: f32,
        /// Tight box around the mask, in pixels of the source image.
        pub roi: RegionOfInterest,
        /// `mono8`, 0 or 255, cropped to the box.
        pub mask: Image<'a>,
    }

    /// One object of an answer, as soon as its mask is there.
    pub struct SegmentedObjectStamped<'a> = SEGMENTED_OBJECT_STAMPED {
        /// The source image's.
        pub header: Header,
        /// As of [`ReasoningResult`].
        pub instruction_id: String,
        /// As of [`ReasoningResult`].
        pub conversation_id: String,
        /// The object.
        pub object: SegmentedObject<'a>,
    }

    /// Wall time of one stage of one answer.
    pub struct StageTime = STAGE_TIME {
        /// queue, preprocess, clip, prefill, generate, sam, decode, postprocess, total.
        pub stage: String,
        /// How long it took.
        pub seconds: f32,
    }

    /// A piece of an answer as it is being written.
    #[derive(Eq, Hash)]
    pub struct TextDelta = TEXT_DELTA {
        /// The source image's.
        pub header: Header,
        /// As of [`ReasoningResult`].
        pub instruction_id: String,
        /// As of [`ReasoningResult`].
        pub conversation_id: String,
        /// Append it to what came before.
        pub delta: String,
        /// Tokens of the answer so far.
        pub tokens: u32,
        /// The last one of this answer.
        pub done: bool,
    }
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
    /// No frame to answer about.
    NoImage = 3,
    /// Too many instructions were waiting.
    Overloaded = 4,
    /// Taken back before it was finished.
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

    /// The status of a number, if it is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u8 == number)
    }

    /// As in the message's definition, lower case.
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

#[cfg(test)]
mod tests;
