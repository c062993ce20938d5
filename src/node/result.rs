//! How a question ended, and the message that says so.

use std::iter::repeat;
use std::sync::Arc;
use std::time::Duration;

use depth_camera::glam::DVec3;
use lisa_messages::{ReasoningResult, SegmentedObject, SpatialStatus, StageTime};
use rosbag2::{Header, Point, Pose, PoseStamped, Quaternion, RegionOfInterest, Vector3};

use super::publishing::{mono8, ros_text};
use super::question::Question;
use super::space::{FoundObject, Place, PlacedObject};
use crate::engine::{Answer, AnswerStatus, ObjectMask, RequestError};
use crate::spatial::{NotLocated, NotLocatedCode};

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
            RequestError::Dropped
            | RequestError::Instruction(_)
            | RequestError::EmptyFrame { .. }
            | RequestError::Option { .. }
            | RequestError::PromptTooLong { .. }
            | RequestError::OtherModel { .. }
            | RequestError::Load(_)
            | RequestError::Model(_)
            | RequestError::Panicked(_) => ResultStatus::Error,
        };
        Self::new(status, error.to_string())
    }
}

/// What kind of answer a result with this status has; `None` if it has none.
pub fn answer_status(status: ResultStatus) -> Option<AnswerStatus> {
    match status {
        ResultStatus::Segmented => Some(AnswerStatus::Segmented),
        ResultStatus::TextOnly => Some(AnswerStatus::TextOnly),
        ResultStatus::EmptyMask => Some(AnswerStatus::EmptyMask),
        _ => None,
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
    /// The answer's objects with their places; empty where nobody looked for places.
    pub objects: Arc<[FoundObject]>,
}

impl QuestionResult {
    /// How a question ended: about the frame of this header, or of an empty one where there was no frame.
    pub fn ended(
        question: Arc<Question>,
        header: Header,
        outcome: Result<Arc<Answer>, Refusal>,
    ) -> Self {
        Self {
            question,
            header,
            outcome,
            objects: Arc::default(),
        }
    }

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

    /// What a person should know about the answer, and why objects have no place in space; those with the same reason share a note.
    pub fn notes(&self) -> Vec<String> {
        let answer = self.outcome.as_ref();
        let mut notes = answer.map_or_else(|_| Vec::new(), |answer| answer.notes.clone());
        let mut reasons: Vec<(&NotLocated, Vec<String>)> = Vec::new();
        for object in self.objects.iter() {
            let Some(Err(why)) = &object.place else {
                continue;
            };
            let number = object.mask.index.to_string();
            match reasons.iter_mut().find(|(known, _)| **known == **why) {
                Some((_, numbers)) => numbers.push(number),
                None => reasons.push((why, vec![number])),
            }
        }
        notes.extend(reasons.into_iter().map(|(why, numbers)| {
            let s = if numbers.len() == 1 { "" } else { "s" };
            let (numbers, code) = (numbers.join(", "), why.code().name());
            format!("{code}: object{s} {numbers} could not be placed in space: {why}")
        }));
        notes
    }

    /// The message that is published on `~/result`; its masks are borrowed.
    pub fn message(&self) -> ReasoningResult<'_> {
        let question = &self.question;
        let blank = ReasoningResult {
            header: self.header.clone(),
            instruction_id: ros_text(&question.instruction_id),
            conversation_id: ros_text(&question.conversation_id),
            instruction: ros_text(&question.text.words),
            status: self.status() as u8,
            ..ReasoningResult::default()
        };
        let answer = match &self.outcome {
            Ok(answer) => answer,
            Err(refusal) => {
                return ReasoningResult {
                    error: ros_text(&refusal.why),
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
        let places = self.objects.iter().map(|found| found.place.as_ref());
        let objects = answer.objects.iter().zip(places.chain(repeat(None)));
        let objects = objects.map(|(mask, place)| object_message(&self.header, mask, place));
        ReasoningResult {
            answer: ros_text(&answer.text),
            notes: self.notes().iter().map(|note| ros_text(note)).collect(),
            objects: objects.collect(),
            timings: stages
                .chain([stage(StageTime::TOTAL, timings.total)])
                .collect(),
            token_seconds: timings.tokens.iter().map(|t| t.as_secs_f32()).collect(),
            ..blank
        }
    }
}

/// An object as a message, with its place where one was looked for; its mask is borrowed.
pub fn object_message<'a>(
    header: &Header,
    object: &'a ObjectMask,
    place: Option<&Place>,
) -> SegmentedObject<'a> {
    let message = flat_message(header, object);
    let placed = match place {
        None => return message,
        Some(Err(why)) => {
            let status = match why.code() {
                NotLocatedCode::NoDepth => SpatialStatus::NoDepth,
                NotLocatedCode::NoCameraInfo => SpatialStatus::NoCameraInfo,
                NotLocatedCode::NoTransform => SpatialStatus::NoTransform,
                NotLocatedCode::TooFewPoints => SpatialStatus::TooFewPoints,
            };
            return SegmentedObject {
                spatial_status: status as u8,
                ..message
            };
        }
        Some(Ok(placed)) => placed,
    };
    let located = &placed.located;
    let (bounds, grasp) = (&located.bounding_box, &located.grasp);
    SegmentedObject {
        spatial_status: SpatialStatus::Ok as u8,
        pose: PoseStamped {
            header: placed.header(header),
            pose: placed.pose(),
        },
        size: vector(bounds.size),
        depth_coverage: located.depth_coverage as f32,
        number_of_points: located.points.len() as u32,
        grasp_point: point(grasp.position),
        grasp_normal: vector(grasp.normal),
        grasp_axis: vector(grasp.across),
        grasp_width: grasp.width as f32,
        ..message
    }
}

impl PlacedObject {
    /// The header of its place: the picture's stamp, and the frame of the place.
    pub fn header(&self, picture: &Header) -> Header {
        Header {
            stamp: picture.stamp,
            frame_id: ros_text(&self.frame_id),
        }
    }

    /// The pose of its box.
    pub fn pose(&self) -> Pose {
        let bounds = &self.located.bounding_box;
        let turn = bounds.rotation;
        Pose {
            position: point(bounds.center),
            orientation: Quaternion {
                x: turn.x,
                y: turn.y,
                z: turn.z,
                w: turn.w,
            },
        }
    }
}

fn vector(v: DVec3) -> Vector3 {
    let DVec3 { x, y, z } = v;
    Vector3 { x, y, z }
}

fn point(v: DVec3) -> Point {
    let DVec3 { x, y, z } = v;
    Point { x, y, z }
}

/// What a message says of an object in its picture.
fn flat_message<'a>(header: &Header, object: &'a ObjectMask) -> SegmentedObject<'a> {
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
        mask: mono8(header, object.mask.dimensions(), object.mask.as_raw()),
        pose: PoseStamped {
            pose: Pose {
                // A message that nobody has filled has the identity; zeros are no rotation.
                orientation: Quaternion {
                    w: 1.0,
                    ..Quaternion::default()
                },
                ..Pose::default()
            },
            ..PoseStamped::default()
        },
        ..SegmentedObject::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tests::{answer, object};
    use super::super::{InstructionText, Origin, QuestionId};
    use super::*;

    /// A replay once called a request cancelled that the engine had lost, and the node called it an error.
    #[test]
    fn a_request_that_the_engine_lost_is_an_error_and_one_that_it_gave_up_is_cancelled() {
        let status = |error: RequestError| Refusal::from(&error).status;
        assert_eq!(status(RequestError::Dropped), ResultStatus::Error);
        assert_eq!(status(RequestError::ShuttingDown), ResultStatus::Cancelled);
        let cancelled = RequestError::Cancelled { tokens: 3 };
        assert_eq!(status(cancelled), ResultStatus::Cancelled);
        let overloaded = RequestError::Overloaded { pending: 2, max: 2 };
        assert_eq!(status(overloaded), ResultStatus::Overloaded);
    }

    /// The node replaced them when it published and a replay did not, so that their results differed.
    #[test]
    fn a_message_has_no_nul_in_any_of_its_texts() {
        let question = Arc::new(Question {
            id: QuestionId(1),
            origin: Origin::Newest,
            instruction_id: "a\0".to_owned(),
            conversation_id: "b\0".to_owned(),
            text: InstructionText::new(b"the\0cup"),
            max_new_tokens: None,
            received: Instant::now(),
        });
        let answer = Answer {
            text: "this\0".to_owned(),
            notes: vec!["note\0".to_owned()],
            objects: vec![ObjectMask {
                label: "cup\0".to_owned(),
                ..object()
            }],
            ..answer()
        };
        let refusal = Refusal::bad_frame("its\0encoding");
        let plain = |text: &str| text.replace('\0', "\u{fffd}");
        for outcome in [Ok(Arc::new(answer)), Err(refusal)] {
            let result = QuestionResult::ended(Arc::clone(&question), Header::default(), outcome);
            let message = result.message();
            assert_eq!(message.instruction_id, plain("a\0"));
            assert_eq!(message.conversation_id, plain("b\0"));
            assert_eq!(message.instruction, plain("the\0cup"));
            match &result.outcome {
                Ok(_) => {
                    assert_eq!(message.answer, plain("this\0"));
                    assert_eq!(message.notes, [plain("note\0")]);
                    assert_eq!(message.objects[0].label, plain("cup\0"));
                }
                Err(_) => assert!(message.error.ends_with(&plain("its\0encoding"))),
            }
        }
    }
}
