//! What a client of the action `~/follow` sends, and what it is told.

use std::time::{Duration, Instant};

use rosbag2::Header;

use super::super::ids::{GoalId, QuestionId};
use super::super::result::ResultStatus;
use super::tracks::Sighting;

/// A goal as a client sends it.
#[derive(Clone, Debug)]
pub struct FollowOffer {
    /// The id that the client gave it.
    pub id: GoalId,
    /// What to look for, as it was received; empty if an object of an earlier result is to be followed.
    pub instruction: Vec<u8>,
    /// The id of that earlier result.
    pub instruction_id: String,
    /// Which of its objects, from 0.
    pub object_index: u32,
    /// Frames a second; 0 for as many as can be computed.
    pub rate_hz: f32,
    /// For how long, from the first frame in which it was looked for; zero until the goal is cancelled. `None` is a duration
    /// that is none: a negative one.
    pub duration: Option<Duration>,
}

/// How a goal ended; the numbers are those of `Follow.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FollowStatus {
    /// It was followed for the whole duration.
    Segmented = 0,
    /// The model named no object.
    TextOnly = 1,
    /// The model named objects, and every mask was empty.
    EmptyMask = 2,
    /// There was no frame to follow it in.
    NoImage = 3,
    /// Too many goals are followed already.
    Overloaded = 4,
    /// It was taken back, or the node ended.
    Cancelled = 5,
    /// It failed.
    Error = 6,
    /// It was out of sight at the end of the duration.
    Lost = 7,
}

impl FollowStatus {
    /// Its name in the action's definition, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segmented => "segmented",
            Self::TextOnly => "text_only",
            Self::EmptyMask => "empty_mask",
            Self::NoImage => "no_image",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
            Self::Lost => "lost",
        }
    }
}

impl From<ResultStatus> for FollowStatus {
    fn from(status: ResultStatus) -> Self {
        match status {
            ResultStatus::Segmented => Self::Segmented,
            ResultStatus::TextOnly => Self::TextOnly,
            ResultStatus::EmptyMask => Self::EmptyMask,
            ResultStatus::NoImage => Self::NoImage,
            ResultStatus::Overloaded => Self::Overloaded,
            ResultStatus::Cancelled => Self::Cancelled,
            ResultStatus::Error => Self::Error,
        }
    }
}

/// The one result of a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowResult {
    /// How it ended.
    pub status: FollowStatus,
    /// What was wrong and what is accepted; empty on success.
    pub error: String,
    /// Frames in which it was looked for.
    pub frames: u32,
    /// Frames that were passed over because a newer one was there.
    pub frames_dropped: u32,
    /// How often it went out of sight.
    pub times_lost: u32,
    /// How often the language model was asked.
    pub times_asked: u32,
}

/// Whether the objects are in sight; the numbers are those of `Follow.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FollowState {
    /// At least one of them is, or was a moment ago.
    Following = 0,
    /// None was found for `follow.patience` seconds.
    Lost = 1,
}

/// What is told of one frame.
#[derive(Clone, Debug)]
pub struct FollowFeedback {
    /// The goal.
    pub goal: GoalId,
    /// The engine's request about the frame.
    pub request: QuestionId,
    /// The frame's header, untouched.
    pub header: Header,
    /// When the frame arrived.
    pub arrived: Instant,
    /// Whether the objects are in sight.
    pub state: FollowState,
    /// The objects that were found in this frame.
    pub objects: Vec<Sighting>,
    /// That they are still the same objects, 0 to 1: that of the least certain one, and 0 if one is missing.
    pub confidence: f32,
    /// Frames that were passed over so far.
    pub frames_dropped: u32,
}
