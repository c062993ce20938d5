//! How a question ended, and the message that says so.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use lisa_messages::{ReasoningResult, SegmentedObject, StageTime};
use rosbag2::{Header, Image, RegionOfInterest};

use super::question::Question;
use crate::engine::{Answer, AnswerStatus, ObjectMask, RequestError};

pub use lisa_messages::ResultStatus;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of its result.
    pub status: ResultStatus,
    /// What was wrong and what is accepted, in words.
    pub why: String,
}

impl Refusal {
    pub(super) fn new(status: ResultStatus, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { status, why }
    }

    /// The frame cannot be decoded; `why` says what is wrong with it and what is accepted.
    pub fn bad_frame(why: &str) -> Self {
        let why = format!("the image cannot be used: {why}");
        Self::new(ResultStatus::Error, why)
    }
}

impl From<&RequestError> for Refusal {
    fn from(error: &RequestError) -> Self {
        let status = match error {
            RequestError::Cancelled { .. } | RequestError::ShuttingDown => ResultStatus::Cancelled,
            RequestError::Overloaded { .. } => ResultStatus::Overloaded,
            _ => ResultStatus::Error,
        };
        Self::new(status, error.to_string())
    }
}

/// The one result of a question.
#[derive(Clone, Debug)]
pub struct QuestionResult {
    /// The question.
    pub question: Arc<Question>,
    /// The header of the frame that it is about, untouched; empty if there was no frame.
    pub header: Header,
    /// The answer, or why there is none.
    pub outcome: Result<Arc<Answer>, Refusal>,
}

impl QuestionResult {
    /// The status that its message carries.
    pub fn status(&self) -> ResultStatus {
        match &self.outcome {
            Ok(answer) => match answer.status {
                AnswerStatus::Segmented => ResultStatus::Segmented,
                AnswerStatus::TextOnly => ResultStatus::TextOnly,
                AnswerStatus::EmptyMask => ResultStatus::EmptyMask,
            },
            Err(refusal) => refusal.status,
        }
    }

    /// The message that is published on `~/result`; its masks are borrowed.
    pub fn message(&self) -> ReasoningResult<'_> {
        let question = &self.question;
        let blank = ReasoningResult {
            header: self.header.clone(),
            instruction_id: question.instruction_id.clone(),
            conversation_id: question.conversation_id.clone(),
            instruction: question.text.words.clone(),
            status: self.status() as u8,
            ..ReasoningResult::default()
        };
        let answer = match &self.outcome {
            Ok(answer) => answer,
            Err(refusal) => {
                return ReasoningResult {
                    error: refusal.why.clone(),
                    ..blank
                }
            }
        };
        let timings = &answer.timings;
        let stage = |stage: &str, time: Duration| StageTime {
            stage: stage.to_owned(),
            seconds: time.as_secs_f32(),
        };
        let stages = timings
            .stages()
            .map(|(name, time)| stage(name.name(), time));
        let objects = answer.objects.iter();
        ReasoningResult {
            answer: answer.text.clone(),
            notes: answer.notes.clone(),
            objects: objects.map(|o| object_message(&self.header, o)).collect(),
            timings: stages.chain([stage("total", timings.total)]).collect(),
            token_seconds: timings.tokens.iter().map(|t| t.as_secs_f32()).collect(),
            ..blank
        }
    }
}

/// An object as a message; its mask is borrowed.
pub fn object_message<'a>(header: &Header, object: &'a ObjectMask) -> SegmentedObject<'a> {
    SegmentedObject {
        id: object.index as u32,
        label: object.label.clone(),
        score: object.score,
        roi: RegionOfInterest {
            x_offset: object.roi.x,
            y_offset: object.roi.y,
            width: object.roi.width,
            height: object.roi.height,
            do_rectify: false,
        },
        mask: Image {
            header: header.clone(),
            height: object.mask.height(),
            width: object.mask.width(),
            encoding: "mono8".to_owned(),
            is_bigendian: 0,
            step: object.mask.width(),
            data: Cow::Borrowed(object.mask.as_raw()),
        },
    }
}
