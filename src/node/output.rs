//! What a driver is asked to do.

use std::sync::Arc;

use rosbag2::Header;

use super::goals::{CancelReply, GoalState};
use super::question::{GoalId, Question, QuestionId};
use super::result::QuestionResult;
use crate::engine::{Answer, AnswerOptions, ObjectMask, Stage};
use crate::frames::Stamp;

/// What a driver brings along.
pub trait Host {
    /// A camera's message.
    type Frame: CameraFrame;
    /// Somebody who waits to hear whether a goal was accepted.
    type GoalRequest;
    /// Somebody who waits to hear which goals are being cancelled.
    type CancelRequest;
    /// Somebody who waits for a goal's result.
    type ResultRequest;
}

/// A camera's message, as the machine sees it.
pub trait CameraFrame {
    /// As the camera wrote it.
    fn header(&self) -> Header;
}

/// One thing to do. A driver does them in the order in which they come.
pub enum Output<H: Host> {
    /// Give it to the engine, and its events to [`handle_engine_event`](super::NodeCore::handle_engine_event); a frame
    /// that cannot be decoded goes to [`handle_bad_frame`](super::NodeCore::handle_bad_frame).
    AskEngine(EngineRequest<H::Frame>),
    /// Take back what the engine was given under that number.
    CancelEngine(QuestionId),
    /// More of an answer's text; `done` with the last of it.
    PublishDelta {
        question: Arc<Question>,
        header: Header,
        text: String,
        /// Of the answer so far.
        tokens: usize,
        done: bool,
    },
    /// An object's mask is there, while the text still comes.
    PublishObject {
        question: Arc<Question>,
        header: Header,
        object: Arc<ObjectMask>,
    },
    /// The union of the answer's masks at the frame's size; all zero where objects were named and every mask is empty.
    PublishMask {
        header: Header,
        frame: Arc<H::Frame>,
        answer: Arc<Answer>,
    },
    /// The answer drawn over its frame, at `alpha`; may be done later, and need not be done where newer ones wait.
    DrawOverlay {
        question: Arc<Question>,
        header: Header,
        frame: Arc<H::Frame>,
        answer: Arc<Answer>,
        alpha: f32,
    },
    /// Where the model looked, drawn over the frame; as [`DrawOverlay`](Self::DrawOverlay).
    DrawAttention {
        header: Header,
        frame: Arc<H::Frame>,
        answer: Arc<Answer>,
        alpha: f32,
    },
    /// The text of a whole answer.
    PublishAnswer { text: String },
    /// The one result of a question, behind everything else that belongs to it.
    PublishResult(Arc<QuestionResult>),
    /// Tell who sent a goal whether it was accepted, and when.
    AnswerGoal {
        request: H::GoalRequest,
        accepted: bool,
        stamp: Stamp,
    },
    /// Tell who asked to cancel goals which of them are being cancelled.
    AnswerCancel {
        request: H::CancelRequest,
        reply: CancelReply,
    },
    /// Tell who asked for a goal's result; `None` where the goal is unknown.
    AnswerResult {
        request: H::ResultRequest,
        result: Option<(GoalState, Arc<QuestionResult>)>,
    },
    /// How far a goal is; with an object as soon as its mask is there.
    GoalFeedback {
        goal: GoalId,
        header: Header,
        stage: Stage,
        text: String,
        tokens: usize,
        object: Option<Arc<ObjectMask>>,
    },
    /// Where all goals are that are not forgotten: their ids, when they were accepted, their states.
    PublishGoalStates(Vec<(GoalId, Stamp, GoalState)>),
    /// A line for people.
    Log { level: LogLevel, text: String },
}

/// A question for the engine.
pub struct EngineRequest<F> {
    pub id: QuestionId,
    pub frame: Arc<F>,
    pub instruction: String,
    /// `None`: a question on its own.
    pub conversation_id: Option<String>,
    pub options: AnswerOptions,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
}

/// Why [`handle_timeout`](super::NodeCore::handle_timeout) is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A question has waited for its frame long enough.
    AwaitFrame(QuestionId),
    /// Mode `continuous` may ask again.
    Repeat,
    /// A finished goal is to be forgotten.
    ExpireGoals,
    /// The camera has been silent for so long that it is said.
    CameraSilent,
}
