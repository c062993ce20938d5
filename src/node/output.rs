//! The interface to a driver: the types that it brings along, and what it is asked to do.

use std::sync::Arc;

use rosbag2::Header;

use super::follow::{FollowFeedback, FollowResult};
use super::goals::{CancelReply, GoalState};
use super::ids::{GoalId, QuestionId};
use super::page::PageEvent;
use super::question::Question;
use super::result::QuestionResult;
use super::space::{FoundObject, Scene};
use crate::engine::{Answer, AnswerOptions, Frame, ObjectMask, Request, Stage};
use crate::frames::Stamp;

/// The types that a driver brings along. The state machine only stores them and hands them back.
pub trait Host {
    /// A camera's message.
    type Frame: CameraFrame;
    /// A client's request to accept a goal, to be answered with [`Output::AnswerGoal`].
    type GoalRequest;
    /// A client's request to cancel goals, to be answered with [`Output::AnswerCancel`].
    type CancelRequest;
    /// A client's request for a goal's result, to be answered with [`Output::AnswerResult`].
    type ResultRequest;
    /// A client's request to accept a goal of `~/follow`, to be answered with [`Output::AnswerFollowGoal`].
    type FollowRequest;
    /// A client's request for the result of such a goal, to be answered with [`Output::AnswerFollowResult`].
    type FollowResultRequest;
}

/// What the state machine needs to know of a camera's message.
pub trait CameraFrame {
    /// The header as the camera wrote it.
    fn header(&self) -> Header;

    /// How many bytes of pixels it has, as they were sent. The memory of frames is bounded in these.
    fn bytes(&self) -> usize;

    /// When the camera took it.
    fn stamp(&self) -> Stamp {
        Stamp(self.header().stamp.nanoseconds())
    }
}

/// One thing to do. A driver does them in the order in which [`poll_output`](super::NodeCore::poll_output) returns them.
pub enum Output<H: Host> {
    /// Decode the frame, submit the request to the engine, and report its events with
    /// [`handle_engine_event`](super::NodeCore::handle_engine_event). If the frame cannot be decoded, call
    /// [`handle_bad_frame`](super::NodeCore::handle_bad_frame) instead.
    AskEngine(EngineRequest<H::Frame>),
    /// Cancel the engine's request for this question.
    CancelEngine(QuestionId),
    /// Publish more of an answer's text.
    PublishDelta {
        /// The question that it belongs to.
        question: Arc<Question>,
        /// The header of the frame that it is about, untouched.
        header: Header,
        /// What came since the last delta; may be empty with the last one.
        text: String,
        /// How many tokens the answer has so far.
        tokens: usize,
        /// Whether this is the last of the text.
        done: bool,
    },
    /// Publish an object's mask, although the answer's text is not complete yet.
    PublishObject {
        /// The question that it belongs to.
        question: Arc<Question>,
        /// The header of the frame that it is about, untouched.
        header: Header,
        /// The object, its mask and its place.
        object: FoundObject,
    },
    /// Measure where an object is with [`Scene::locate`], and report it with
    /// [`handle_place`](super::NodeCore::handle_place).
    Locate(LocateRequest<H::Frame>),
    /// Tell the page for a browser what happens to a question of its own.
    TellPage {
        /// The question.
        id: QuestionId,
        /// What happens.
        event: PageEvent,
    },
    /// Publish what an answer found: boxes in the picture and in space, markers, points. There may be nothing, which consumers
    /// have to know, too.
    PublishDetections {
        /// The question that it belongs to.
        question: Arc<Question>,
        /// The header of the frame that it is about, untouched.
        header: Header,
        /// The frame.
        frame: Arc<H::Frame>,
        /// The objects, in the order of the answer.
        objects: Arc<[FoundObject]>,
    },
    /// Publish the union of the answer's masks at the frame's size. It is all zero if objects were named and every mask is empty.
    PublishMask {
        /// The header of the frame that it is about, untouched.
        header: Header,
        /// The frame.
        frame: Arc<H::Frame>,
        /// The complete answer.
        answer: Arc<Answer>,
    },
    /// Draw the answer over its frame and publish that. This may be done later, and may be left out if newer ones wait.
    DrawOverlay {
        /// The question that it belongs to.
        question: Arc<Question>,
        /// The header of the frame that it is about, untouched.
        header: Header,
        /// The frame.
        frame: Arc<H::Frame>,
        /// The complete answer.
        answer: Arc<Answer>,
        /// Opacity of what is drawn, 0 to 1.
        alpha: f32,
    },
    /// Draw where the model looked over the frame and publish that, with the same liberties as
    /// [`DrawOverlay`](Self::DrawOverlay).
    DrawAttention {
        /// The header of the frame that it is about, untouched.
        header: Header,
        /// The frame.
        frame: Arc<H::Frame>,
        /// The complete answer.
        answer: Arc<Answer>,
        /// Opacity of what is drawn, 0 to 1.
        alpha: f32,
    },
    /// Publish the text of a complete answer.
    PublishAnswer {
        /// `[SEG]` included.
        text: String,
    },
    /// Publish the one result of a question. Nothing else about the question follows.
    PublishResult(Arc<QuestionResult>),
    /// Answer the client that sent a goal.
    AnswerGoal {
        /// The request to answer.
        request: H::GoalRequest,
        /// Whether the goal was accepted.
        accepted: bool,
        /// When that was decided, on the robot's clock.
        stamp: Stamp,
    },
    /// Answer the client that asked to cancel goals.
    AnswerCancel {
        /// The request to answer.
        request: H::CancelRequest,
        /// What to answer.
        reply: CancelReply,
    },
    /// Answer the client that asked for a goal's result.
    AnswerResult {
        /// The request to answer.
        request: H::ResultRequest,
        /// The goal's final state and its result; `None` if the goal is unknown.
        result: Option<(GoalState, Arc<QuestionResult>)>,
    },
    /// Publish feedback on a goal.
    GoalFeedback {
        /// The goal.
        goal: GoalId,
        /// The header of the frame that it is about, untouched.
        header: Header,
        /// What the engine is doing.
        stage: Stage,
        /// More of the answer's text, if that is what there is to report.
        text: String,
        /// How many tokens the answer has so far.
        tokens: usize,
        /// An object whose mask has just been decoded.
        object: Option<FoundObject>,
    },
    /// Publish the states of all goals that are not forgotten: id, time of acceptance, state.
    PublishGoalStates(Vec<(GoalId, Stamp, GoalState)>),
    /// Answer the client that sent a goal of `~/follow`.
    AnswerFollowGoal {
        /// The request to answer.
        request: H::FollowRequest,
        /// Whether the goal was accepted.
        accepted: bool,
        /// When that was decided, on the robot's clock.
        stamp: Stamp,
    },
    /// Answer the client that asked for the result of a goal of `~/follow`.
    AnswerFollowResult {
        /// The request to answer.
        request: H::FollowResultRequest,
        /// The goal's final state and its result; `None` if the goal is unknown.
        result: Option<(GoalState, Arc<FollowResult>)>,
    },
    /// Publish feedback on a goal of `~/follow`.
    FollowFeedback(FollowFeedback),
    /// Publish the states of all goals of `~/follow` that are not forgotten.
    PublishFollowStates(Vec<(GoalId, Stamp, GoalState)>),
    /// Write a line to the log.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// The line.
        text: String,
    },
}

/// A request to measure where an object is.
pub struct LocateRequest<F> {
    /// The question that it is about.
    pub id: QuestionId,
    /// The number of the object among those of the question.
    pub index: usize,
    /// The picture, whose size counts.
    pub picture: LocatePicture<F>,
    /// The object.
    pub object: Arc<ObjectMask>,
    /// What is known about space at the time of the frame.
    pub scene: Arc<Scene>,
}

/// The picture that an object was found in.
pub enum LocatePicture<F> {
    /// A camera's message, which was decoded when the engine was asked about it.
    Message(Arc<F>),
    /// A decoded frame: the page asks about those.
    Decoded(Frame),
}

/// A request to the engine, whose frame is not decoded yet.
pub struct EngineRequest<F> {
    /// The question that it answers.
    pub id: QuestionId,
    /// The frame, to be decoded.
    pub frame: Arc<F>,
    /// The instruction's words.
    pub instruction: String,
    /// The conversation that it continues; `None` asks outside of any.
    pub conversation_id: Option<String>,
    /// How to answer it.
    pub options: AnswerOptions,
}

impl<F> EngineRequest<F> {
    /// The request as the engine takes it, with the decoded frame.
    pub fn with_frame(self, frame: Frame) -> Request {
        Request {
            instruction: self.instruction,
            frame,
            conversation_id: self.conversation_id,
            options: self.options,
        }
    }
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Details for debugging.
    Debug,
    /// What the node does.
    Info,
    /// What a person may want to change.
    Warn,
}

/// Why [`handle_timeout`](super::NodeCore::handle_timeout) is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A question has waited for its frame long enough.
    AwaitFrame(QuestionId),
    /// An object has waited for what it takes to locate it long enough.
    AwaitSpace(QuestionId),
    /// Mode `continuous` may ask again.
    Repeat,
    /// A finished goal is to be forgotten.
    ExpireGoals,
    /// A goal of `~/follow` may look at the next frame, or ends.
    Follow,
    /// The camera has been silent for so long that a warning is due.
    CameraSilent,
}
