//! The state machine: its inputs and outputs, and the open questions between them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rosbag2::Header;

use super::camera::{CameraSilence, CameraTopic, ImagePublisher};
use super::follow::Following;
use super::frame_choice::ChosenFrame;
use super::goals::{GoalOffer, Goals, ResultReply};
use super::health::Health;
use super::ids::{GoalId, QuestionId};
use super::instruction::StampedInstruction;
use super::locating::OpenAnswer;
use super::output::{CameraFrame, Host, LogLevel, Output, Timer};
use super::page::PageQuestions;
use super::question::{Origin, Question};
use super::repeat::{Due, Repeat};
use super::result::{QuestionResult, Refusal, ResultStatus};
use super::settings::{Settings, Subscribers};
use super::space::Space;
use crate::engine::Event;
use crate::frames::{Arrival, Bounds, FrameStore, Stamp};

/// A question that waits for its frame.
pub(super) struct AwaitingFrame {
    pub question: Arc<Question>,
    pub until: Instant,
}

/// A question that was given to the engine.
pub(super) struct Submitted<F> {
    pub question: Arc<Question>,
    pub chosen: ChosenFrame<F>,
    /// Whether the model has begun to answer it.
    pub started: bool,
    /// Tokens of its answer so far.
    pub tokens: usize,
    /// Its answer so far, and where the objects of it are.
    pub open: OpenAnswer,
}

/// The node without ROS. The [module](super) says how to drive it.
pub struct NodeCore<H: Host> {
    pub(super) settings: Arc<Settings>,
    pub(super) camera: CameraTopic,
    /// The name of the service that enables the node, for messages.
    pub(super) enable_service: String,
    pub(super) subscribers: Subscribers,
    pub(super) enabled: bool,
    /// While the node is a managed node that is not active: which state it is in and what to do about it, in words.
    pub(super) standby: Option<String>,
    pub(super) frames: FrameStore<H::Frame>,
    pub(super) silence: CameraSilence,
    pub(super) space: Space,
    pub(super) awaiting: Vec<AwaitingFrame>,
    pub(super) submitted: BTreeMap<QuestionId, Submitted<H::Frame>>,
    pub(super) repeat: Repeat,
    pub(super) goals: Goals<Arc<QuestionResult>, H::ResultRequest>,
    pub(super) follow: Following<H>,
    pub(super) page: PageQuestions,
    pub(super) health: Health,
    pub(super) questions: u64,
    pub(super) outputs: VecDeque<Output<H>>,
    /// Once the node ends: why new questions are refused.
    pub(super) shutdown_refusal: Option<Refusal>,
}

/// Inputs.
impl<H: Host> NodeCore<H> {
    /// A node that takes frames from `now` on. `enable_service` is the name of the service that enables it, for messages.
    pub fn new(
        settings: Arc<Settings>,
        camera: CameraTopic,
        enable_service: impl Into<String>,
        now: Instant,
    ) -> Self {
        Self {
            settings,
            camera,
            enable_service: enable_service.into(),
            subscribers: Subscribers::default(),
            enabled: true,
            standby: None,
            frames: FrameStore::new(Bounds::default()),
            silence: CameraSilence::new(now),
            space: Space::default(),
            awaiting: Vec::new(),
            submitted: BTreeMap::new(),
            repeat: Repeat::default(),
            goals: Goals::default(),
            follow: Following::default(),
            page: PageQuestions::default(),
            health: Health::default(),
            questions: 0,
            outputs: VecDeque::new(),
            shutdown_refusal: None,
        }
    }

    /// Says that the driver takes frames from `now` on, so that the camera's silence counts from here.
    pub fn mark_listening(&mut self, now: Instant) {
        self.silence.restart(now);
    }

    /// Takes a frame of the camera.
    pub fn handle_frame(&mut self, frame: H::Frame, now: Instant) {
        if !self.takes_frames() {
            return;
        }
        let (stamp, bytes) = (frame.stamp(), frame.bytes());
        let arrival = self.frames.push(stamp, bytes, frame, now);
        if arrival == Arrival::TimeJump {
            self.space.picture_went_back(stamp);
            self.log(
                LogLevel::Info,
                format!("the camera's time went back to {stamp}; earlier frames will be forgotten"),
            );
        }
        if arrival != Arrival::Late {
            self.follow_frame(now);
        }
        if self.silence.frame_arrived(now) {
            let topic = &self.camera.topic;
            let text = format!("images come on {topic} again");
            self.log(LogLevel::Info, text);
        }
        self.resolve_waiting(now);
        self.use_idle_engine(now);
    }

    /// Says that the robot's clock, which is a simulation's or a recording's, went back to `stamp`. What is stamped later belongs to the
    /// time before: it is forgotten, however short the way back was, while a picture's own stamp tells of a jump only beyond
    /// [`TIME_JUMP`](crate::frames::TIME_JUMP).
    pub fn handle_clock_back(&mut self, stamp: Stamp) {
        self.frames.forget_after(stamp);
        self.space.forget_after(stamp);
        self.log(
            LogLevel::Info,
            format!(
                "the clock went back to {stamp}; frames and transforms after that are forgotten"
            ),
        );
    }

    /// Takes an instruction from a topic.
    pub fn handle_instruction(&mut self, instruction: StampedInstruction, now: Instant) {
        if let Some(why) = &self.standby {
            let text = format!("an instruction is ignored: {why}");
            return self.log(LogLevel::Warn, text);
        }
        let id = self.next_id();
        let question = Question {
            id,
            origin: instruction.stamp.map_or(Origin::Newest, Origin::Stamped),
            instruction_id: instruction.id_or_number(id),
            conversation_id: instruction.conversation_id,
            text: instruction.text,
            max_new_tokens: None,
            received: now,
        };
        self.ask(question, None, now);
        self.use_idle_engine(now);
    }

    /// Takes a goal that a client sends; `stamp` is the present time on the robot's clock.
    pub fn handle_goal(
        &mut self,
        offer: GoalOffer<H::Frame>,
        request: H::GoalRequest,
        stamp: Stamp,
        now: Instant,
    ) {
        let id = self.next_id();
        let accepted = self.takes_goals() && self.goals.accept(offer.id, id, stamp);
        self.outputs.push_back(Output::AnswerGoal {
            request,
            accepted,
            stamp,
        });
        if !accepted {
            return self.log_rejected(offer.id);
        }
        self.publish_goal_states();
        let question = Question {
            id,
            origin: Origin::Goal(offer.id),
            instruction_id: offer.id.to_string(),
            conversation_id: offer.conversation_id,
            text: offer.instruction,
            max_new_tokens: offer.max_new_tokens,
            received: now,
        };
        self.ask(question, offer.frame, now);
        self.use_idle_engine(now);
    }

    /// Takes a client's request to cancel goals; `goal` and `until` are those of `action_msgs/CancelGoal`.
    pub fn handle_cancel(
        &mut self,
        goal: GoalId,
        until: Stamp,
        request: H::CancelRequest,
        now: Instant,
    ) {
        let (reply, questions) = self.goals.cancel(goal, until);
        self.outputs
            .push_back(Output::AnswerCancel { request, reply });
        if !questions.is_empty() {
            self.publish_goal_states();
        }
        for id in questions {
            self.cancel(id, now);
        }
        self.use_idle_engine(now);
    }

    /// Takes a client's request for a goal's result. It is answered now or when the goal ends.
    pub fn handle_result_request(&mut self, goal: GoalId, request: H::ResultRequest) {
        let (request, result) = match self.goals.result_or_wait(goal, request) {
            ResultReply::Waiting => return,
            ResultReply::Ready(request, state, result) => (request, Some((state, result))),
            ResultReply::Unknown(request) => (request, None),
        };
        self.outputs
            .push_back(Output::AnswerResult { request, result });
    }

    /// Takes new values of the parameters.
    pub fn handle_settings(&mut self, settings: Arc<Settings>, now: Instant) {
        if self.settings.space != settings.space {
            self.page.forget_scenes();
        }
        self.settings = settings;
        self.resolve_waiting(now);
        self.use_idle_engine(now);
    }

    /// Enables or disables the node. A disabled node ignores frames and refuses instructions, but still answers the questions
    /// that the engine has. It forgets its frames, so that none is stale when it is enabled again.
    pub fn handle_enable(&mut self, enabled: bool, now: Instant) {
        self.enabled = enabled;
        match enabled {
            true => self.silence.restart(now),
            false => {
                self.frames.clear();
                self.space.clear();
            }
        }
        if let Some(refusal) = self.disabled_refusal() {
            self.end_followers(&refusal, now);
        }
        self.resolve_waiting(now);
        self.use_idle_engine(now);
    }

    /// Makes a managed node active: frames and instructions are taken from `now` on.
    pub fn handle_activate(&mut self, now: Instant) {
        if self.standby.take().is_some() {
            self.silence.restart(now);
        }
    }

    /// Makes a managed node inactive, or says that it is in another of the states in which it does not answer; `why` is that
    /// state and what to do about it. Open questions end as cancelled. From then on frames and instructions are ignored, goals
    /// are rejected, and there are no results.
    pub fn handle_deactivate(&mut self, why: impl Into<String>, now: Instant) {
        if self.standby.replace(why.into()).is_some() {
            return;
        }
        self.frames.clear();
        self.space.clear();
        let goodbye = Refusal::new(ResultStatus::Cancelled, "the node was deactivated");
        self.end_open_questions(&goodbye, now);
    }

    /// Says which of the drawn images somebody subscribes to.
    pub fn handle_subscribers(&mut self, subscribers: Subscribers) {
        self.subscribers = subscribers;
    }

    /// Says who publishes on the camera's topic.
    pub fn handle_image_publishers(&mut self, publishers: Vec<ImagePublisher>) {
        self.camera.publishers = Some(publishers);
    }

    /// Takes an event of the engine about a question that it was given.
    pub fn handle_engine_event(&mut self, id: QuestionId, event: Event, now: Instant) {
        match event {
            _ if id.is_follower() => self.follow_event(id, event, now),
            _ if id.is_page() => self.page_event(id, event, now),
            Event::Stage(stage) => self.stage(id, stage),
            Event::TextDelta { text, tokens } => self.delta(id, text, tokens),
            Event::Mask(object) => self.object(id, object, now),
            Event::Done(answer) => self.done(id, *answer, now),
            Event::Failed(error) => self.failed(id, (&error).into(), now),
        }
        self.use_idle_engine(now);
    }

    /// Says that the frame of a question for the engine cannot be decoded; `why` says what is wrong and what is accepted.
    pub fn handle_bad_frame(&mut self, id: QuestionId, why: &str, now: Instant) {
        if id.is_follower() {
            self.follow_bad_frame(id, why, now);
        }
        if let Some(asked) = self.submitted.remove(&id) {
            let header = asked.chosen.frame.header();
            self.refused(asked.question, header, Refusal::bad_frame(why), now);
        }
        self.use_idle_engine(now);
    }

    /// Says that an instant that [`poll_timeout`](Self::poll_timeout) returned has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.resolve_waiting(now);
        self.advance_waiting(now);
        self.follow_timeouts(now);
        self.use_idle_engine(now);
        self.goals.expire(now);
        if self.silence.due().is_some_and(|due| due <= now) && self.takes_frames() {
            self.silence.reported = true;
            let text = self.explain_no_image(now);
            self.log(LogLevel::Warn, text);
        }
    }

    /// Ends the node: all open questions end as cancelled, and new ones are refused.
    pub fn close(&mut self, now: Instant) {
        let goodbye = Refusal::new(ResultStatus::Cancelled, "the node is shutting down");
        self.shutdown_refusal = Some(goodbye.clone());
        self.end_open_questions(&goodbye, now);
    }

    /// Whether goals of either action are taken.
    pub(super) fn takes_goals(&self) -> bool {
        self.shutdown_refusal.is_none() && self.standby.is_none()
    }

    /// Logs why a goal was rejected. A node that is ending rejects goals silently: it could not give a client their results any
    /// more.
    pub(super) fn log_rejected(&mut self, goal: GoalId) {
        if self.shutdown_refusal.is_none() {
            let why = self.standby.as_deref();
            let why = why.unwrap_or("a goal of that id was sent before");
            let text = format!("goal {goal} rejected: {why}");
            self.log(LogLevel::Warn, text);
        }
    }

    fn end_open_questions(&mut self, goodbye: &Refusal, now: Instant) {
        for AwaitingFrame { question, .. } in std::mem::take(&mut self.awaiting) {
            self.refused(question, Header::default(), goodbye.clone(), now);
        }
        let asked: Vec<QuestionId> = self.submitted.keys().copied().collect();
        for id in asked {
            self.outputs.push_back(Output::CancelEngine(id));
            self.failed(id, goodbye.clone(), now);
        }
        self.end_followers(goodbye, now);
        self.end_page_questions(&goodbye.why);
    }
}

/// Outputs.
impl<H: Host> NodeCore<H> {
    /// The next thing to do; `None` if there is nothing left to do.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<H>> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing arrives before, and why.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<(Instant, Timer)> {
        let awaiting = self.awaiting.iter();
        let frames = awaiting.map(|a| (a.until, Timer::AwaitFrame(a.question.id)));
        let repeat = match self.repeat_due(now) {
            Due::Now => Some(now),
            Due::At(at) => Some(at),
            Due::Never => None,
        };
        let silence = self.silence.due().filter(|_| self.takes_frames());
        let open = self.submitted.iter();
        let space = open.filter_map(|(id, asked)| {
            let until = asked.open.deadline(&self.settings.space)?;
            Some((until, Timer::AwaitSpace(*id)))
        });
        frames
            .chain(space)
            .chain(self.page.deadlines(&self.settings.space))
            .chain(repeat.map(|at| (at, Timer::Repeat)))
            .chain(self.goals.next_expiry().map(|at| (at, Timer::ExpireGoals)))
            .chain(self.follow_timeout(now).map(|at| (at, Timer::Follow)))
            .chain(silence.map(|at| (at, Timer::CameraSilent)))
            .min()
    }
}

/// Getters.
impl<H: Host> NodeCore<H> {
    /// What is known about the camera's topic.
    pub fn camera(&self) -> &CameraTopic {
        &self.camera
    }

    /// Counts for the diagnostics.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Whether frames and instructions are taken.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Why nothing is taken or published, while the node is a managed node that is not active.
    pub fn standby(&self) -> Option<&str> {
        self.standby.as_deref()
    }

    pub(super) fn takes_frames(&self) -> bool {
        self.enabled && self.standby.is_none()
    }

    /// The frames that questions can be about.
    pub fn frames(&self) -> &FrameStore<H::Frame> {
        &self.frames
    }

    /// Why no frames come, once none has come for so long that people have to know.
    pub fn camera_fault(&self, now: Instant) -> Option<String> {
        self.silence
            .is_long(now)
            .then(|| self.explain_no_image(now))
    }

    /// What to do about a node that is disabled, in words.
    pub fn how_to_enable(&self) -> String {
        format!("call {} with data: true", self.enable_service)
    }

    pub(super) fn explain_no_image(&self, now: Instant) -> String {
        self.camera.explain_no_image(self.silence.duration(now))
    }

    /// The number that the next question will have.
    pub fn next_question_id(&self) -> QuestionId {
        QuestionId(self.questions + 1)
    }

    /// How many questions wait for their frames.
    pub fn awaiting(&self) -> usize {
        self.awaiting.len()
    }

    /// How many questions wait, for their frames or for the model.
    pub fn pending(&self) -> usize {
        self.awaiting.len() + self.asked_of_engine().saturating_sub(1)
    }

    /// How many questions the engine has. One whose answer is complete may still wait to learn where its objects are; that costs
    /// the engine nothing.
    pub(super) fn asked_of_engine(&self) -> usize {
        let asked = self.submitted.values();
        asked.filter(|asked| asked.open.answer().is_none()).count()
    }

    /// Whether a question has no result yet.
    pub fn has_open_questions(&self) -> bool {
        !self.awaiting.is_empty() || !self.submitted.is_empty()
    }

    /// Whether a question or a goal of `~/follow` has no result yet.
    pub fn owes_a_result(&self) -> bool {
        self.has_open_questions() || self.follow.has_goals()
    }

    /// How many goals are not forgotten.
    pub fn goals(&self) -> usize {
        self.goals.len()
    }
}
