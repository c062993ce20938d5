//! Drives the state machine of [`crate::node`] with what comes from ROS and from the engine, and carries out its outputs.

use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::{Node, ServiceRequest};

use super::action::{
    answer_cancel, answer_goal, answer_result, cancelled_goals, goal_offer, ActionTopics,
};
use super::clock::RosClock;
use super::convert::object;
use super::follow_action::{self, FollowTopics};
use super::locate_worker::LocateWorker;
use super::publishers::Publishers;
use super::qos::QosOverrides;
use super::r2r_ext::reply;
use super::renderer::{RenderJob, RenderKind, Renderer};
use super::shared::{Ros, Shared, SharedCamera};
use super::spin::ClientInput;
use super::submitter::{EngineReport, Reports, Submitter};
use crate::engine::{Engine, Event, Source};
use crate::node::{
    object_message, CameraNames, GoalId, LogLevel, NodeCore, Output, QuestionId, Settings,
};

/// Connects the state machine of one camera to ROS and to the engine.
pub struct Driver {
    shared: Arc<Shared>,
    /// The camera's place among those of the node.
    place: usize,
    /// The model, while there is one.
    answering: Option<Answering>,
    reports: Reports,
    publishers: Publishers,
    action: ActionTopics,
    follow: FollowTopics,
    clock: RosClock,
    renderer: Renderer,
    locate_worker: LocateWorker,
}

/// An engine, and the thread that submits questions to it.
pub struct Answering {
    engine: Arc<Engine>,
    submitter: Submitter,
}

impl Answering {
    /// Ends the thread, and returns the engine, which ends when it is dropped.
    pub fn stop(self) -> Arc<Engine> {
        self.submitter.stop();
        self.engine
    }
}

impl Driver {
    /// A driver without an engine, of the camera whose reports these are. Whatever arrives there is to be given to
    /// [`handle_report`](Self::handle_report).
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(
        shared: Arc<Shared>,
        CameraTopics {
            publishers,
            action,
            follow,
        }: CameraTopics,
        clock: RosClock,
        reports: Reports,
    ) -> std::io::Result<Self> {
        Ok(Self {
            locate_worker: LocateWorker::start(reports.clone())?,
            answering: None,
            renderer: Renderer::start()?,
            shared,
            place: reports.camera,
            reports,
            publishers,
            action,
            follow,
            clock,
        })
    }

    /// Takes the engine that answers from now on.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn set_engine(&mut self, engine: Arc<Engine>) -> std::io::Result<()> {
        let (source, reports) = (self.camera().source, self.reports.clone());
        self.answering = Some(Answering {
            submitter: Submitter::start(Arc::clone(&engine), source, reports)?,
            engine,
        });
        Ok(())
    }

    /// Hands the engine back, so that it can be ended. No question may be open.
    pub fn take_engine(&mut self) -> Option<Answering> {
        self.answering.take()
    }

    /// The engine that answers, while there is one.
    pub fn engine(&self) -> Option<&Engine> {
        self.answering.as_ref().map(|answering| &*answering.engine)
    }

    fn submitter(&self) -> Option<&Submitter> {
        self.answering
            .as_ref()
            .map(|answering| &answering.submitter)
    }

    /// What the threads share of its camera.
    pub fn camera(&self) -> &SharedCamera {
        &self.shared.cameras[self.place]
    }

    fn core(&self) -> MutexGuard<'_, NodeCore<Ros>> {
        self.camera().core()
    }

    /// The camera's publishers.
    pub fn publishers(&self) -> &Publishers {
        &self.publishers
    }

    /// Takes what a client asks.
    pub fn input(&self, input: ClientInput) {
        let now = Instant::now();
        let mut core = self.core();
        match input {
            ClientInput::Instruction(instruction) => {
                core.handle_subscribers(self.publishers.subscribers());
                core.handle_instruction(instruction, now);
            }
            ClientInput::Goal(mut request) => {
                core.handle_subscribers(self.publishers.subscribers());
                let offer = goal_offer(&mut request);
                core.handle_goal(offer, request, self.clock.stamp(), now);
            }
            ClientInput::CancelGoal(request) => {
                let (goal, until) = cancelled_goals(&request);
                core.handle_cancel(goal, until, request, now);
            }
            ClientInput::GoalResult(request) => {
                let goal = GoalId::from_slice(&request.message.goal_id.uuid);
                core.handle_result_request(goal, request);
            }
            ClientInput::FollowGoal(mut request) => {
                let offer = follow_action::goal_offer(&mut request);
                core.handle_follow_goal(offer, request, self.clock.stamp(), now);
            }
            ClientInput::CancelFollow(request) => {
                let (goal, until) = cancelled_goals(&request);
                core.handle_follow_cancel(goal, until, request, now);
            }
            ClientInput::FollowResult(request) => {
                let goal = GoalId::from_slice(&request.message.goal_id.uuid);
                core.handle_follow_result_request(goal, request);
            }
            ClientInput::Enable(request) => {
                core.handle_enable(request.message.data, now);
                answer_enable(request);
            }
            ClientInput::Reset(request) => reset(self.engine(), self.camera().source, request),
        }
        drop(core);
        self.act();
    }

    /// Takes a report about a question.
    pub fn handle_report(&self, id: QuestionId, report: EngineReport) {
        let now = Instant::now();
        let mut core = self.core();
        match report {
            EngineReport::Engine(event) => {
                if matches!(event, Event::Done(_) | Event::Failed(_)) {
                    self.forget(id);
                    // So that those who subscribed since the question was asked see this answer, and the next repeat's attention.
                    core.handle_subscribers(self.publishers.subscribers());
                }
                core.handle_engine_event(id, event, now);
            }
            EngineReport::Place { index, place } => core.handle_place(id, index, place, now),
            EngineReport::BadFrame(why) => {
                self.forget(id);
                core.handle_bad_frame(id, &why, now);
            }
        }
        drop(core);
        self.act();
    }

    fn forget(&self, id: QuestionId) {
        if let Some(submitter) = self.submitter() {
            submitter.forget(id);
        }
    }

    /// Looks who subscribes to the drawn images, because r2r does not report changes. To be called once a second.
    pub fn update_subscribers(&self) {
        let subscribers = self.publishers.subscribers();
        self.core().handle_subscribers(subscribers);
    }

    /// Takes new values of the parameters.
    pub fn params_changed(&self) {
        let params = self.shared.params();
        let (settings, unload_after) = (Arc::clone(&params.settings), params.unload_after);
        if let Some(engine) = self.engine() {
            engine.set_max_pending(engine_max_pending(&settings));
            engine.set_unload_after(unload_after);
        }
        self.core().handle_settings(settings, Instant::now());
        self.act();
    }

    /// When to call [`timeout`](Self::timeout) if nothing comes before.
    pub fn next_timeout(&self) -> Option<Instant> {
        let timeout = self.core().poll_timeout(Instant::now());
        timeout.map(|(at, _)| at)
    }

    /// Says that the instant of [`next_timeout`](Self::next_timeout) has come.
    pub fn timeout(&self) {
        self.core().handle_timeout(Instant::now());
        self.act();
    }

    /// Carries out all outputs of the state machine.
    pub fn act(&self) {
        // Not under the lock, because publishing takes a while and the spinning thread may wait for the lock.
        loop {
            let Some(output) = self.core().poll_output() else {
                return;
            };
            self.perform(output);
        }
    }

    fn perform(&self, output: Output<Ros>) {
        match output {
            Output::AskEngine(request) => match self.submitter() {
                Some(submitter) => submitter.submit(request),
                // The state machine asks nothing while there is no model.
                None => tracing::error!("a question was asked of a node without a model"),
            },
            Output::CancelEngine(id) => {
                if let Some(submitter) = self.submitter() {
                    submitter.cancel(id);
                }
            }
            Output::PublishDelta {
                question,
                header,
                text,
                tokens,
                done,
            } => self
                .publishers
                .delta(&question, &header, &text, tokens, done),
            Output::PublishObject {
                question,
                header,
                object,
            } => self.publishers.object(&question, &header, &object),
            Output::Locate(request) => self.locate_worker.locate(request),
            Output::TellPage { id, event } => self.camera().page.tell(id, event),
            Output::PublishDetections {
                header,
                frame,
                objects,
                ..
            } => {
                let in_space = self.shared.params().settings.space.enabled;
                self.publishers
                    .detections(&header, &frame, &objects, in_space);
            }
            Output::PublishMask {
                header,
                frame,
                answer,
            } => self.publishers.mask(&header, &frame, &answer),
            Output::DrawOverlay {
                question,
                header,
                frame,
                answer,
                alpha,
            } => self.renderer.render(RenderJob {
                kind: RenderKind::Overlay(question),
                header,
                frame,
                answer,
                alpha,
                publisher: self.publishers.overlay.clone(),
            }),
            Output::DrawAttention {
                header,
                frame,
                answer,
                alpha,
            } => self.renderer.render(RenderJob {
                kind: RenderKind::Attention,
                header,
                frame,
                answer,
                alpha,
                publisher: self.publishers.attention.clone(),
            }),
            Output::PublishAnswer { text } => self.publishers.answer(&text),
            Output::PublishResult(result) => self.publishers.result(&result),
            Output::AnswerGoal {
                request,
                accepted,
                stamp,
            } => answer_goal(request, accepted, stamp),
            Output::AnswerCancel { request, reply } => answer_cancel(request, reply),
            Output::AnswerResult { request, result } => {
                let ended = result.as_ref().map(|(state, result)| (*state, &**result));
                answer_result(request, ended);
            }
            Output::GoalFeedback {
                goal,
                header,
                stage,
                text,
                tokens,
                object: found,
            } => {
                let objects = found.iter().map(|found| {
                    object(object_message(&header, &found.mask, found.place.as_ref()))
                });
                let objects = objects.collect();
                self.action
                    .feedback(goal, stage.name(), &text, tokens, objects);
            }
            Output::PublishGoalStates(states) => self.action.states(states),
            Output::AnswerFollowGoal {
                request,
                accepted,
                stamp,
            } => follow_action::answer_goal(request, accepted, stamp),
            Output::AnswerFollowResult { request, result } => {
                let ended = result.as_ref().map(|(state, result)| (*state, &**result));
                follow_action::answer_result(request, ended);
            }
            Output::FollowFeedback(seen) => self.follow.feedback(&seen, self.clock.stamp()),
            Output::PublishFollowStates(states) => self.follow.states(states),
            Output::Log { level, text } => match level {
                LogLevel::Debug => tracing::debug!("{text}"),
                LogLevel::Info => tracing::info!("{text}"),
                LogLevel::Warn => tracing::warn!("{text}"),
            },
        }
    }

    /// Ends the state machine: all open questions end as cancelled, and so do those that come after it.
    pub fn close(&self) {
        self.core().close(Instant::now());
        self.act();
    }

    /// Whether any result is owed.
    pub fn owes_a_result(&self) -> bool {
        self.core().owes_a_result()
    }

    /// Ends the threads. Returns the engine, if there is one.
    pub fn stop(self) -> Option<Arc<Engine>> {
        self.renderer.stop();
        self.locate_worker.stop();
        self.answering.map(Answering::stop)
    }
}

/// What a camera publishes.
pub struct CameraTopics {
    pub publishers: Publishers,
    pub action: ActionTopics,
    pub follow: FollowTopics,
}

impl CameraTopics {
    /// Creates all of it.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create(
        node: &mut Node,
        overrides: &QosOverrides,
        names: &CameraNames,
    ) -> r2r::Result<Self> {
        Ok(Self {
            publishers: Publishers::create(node, overrides, names)?,
            action: ActionTopics::create(node, overrides, names)?,
            follow: FollowTopics::create(node, overrides, names)?,
        })
    }
}

/// How many requests of each camera may wait in the engine. The state machine decides which question is one too many. The engine has two places
/// more: it reports an answer before it takes the next request out of its queue, and it may have a follower's request beside
/// the questions.
pub fn engine_max_pending(settings: &Settings) -> usize {
    settings.max_pending + 2
}

/// Answers a call of `~/enable`.
fn answer_enable(request: ServiceRequest<SetBool::Service>) {
    let message = match request.message.data {
        true => "enabled",
        false => "disabled: frames and instructions are not taken",
    };
    tracing::info!("{message}");
    let response = SetBool::Response {
        success: true,
        message: message.to_owned(),
    };
    reply(request, response);
}

/// Serves a call of `~/reset_conversation`: all conversations about the camera are forgotten before its next question.
fn reset(engine: Option<&Engine>, source: Source, request: ServiceRequest<Trigger::Service>) {
    if let Some(engine) = engine {
        engine.reset_conversation_of(source, None);
    }
    let message = "all conversations were forgotten".to_owned();
    tracing::info!("{message}");
    let response = Trigger::Response {
        success: true,
        message,
    };
    reply(request, response);
}
