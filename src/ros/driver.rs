//! Drives the machine ([`crate::node`]) with what comes from ROS and from the engine, and does what it says.

use std::sync::Arc;
use std::time::Instant;

use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::ServiceRequest;
use tokio::sync::mpsc::UnboundedSender;

use super::action::{
    answer_cancel, answer_goal, answer_result, cancelled_goals, goal_offer, ActionTopics,
};
use super::clock::RosClock;
use super::convert::object;
use super::publishers::Publishers;
use super::r2r_ext::reply;
use super::renderer::{RenderJob, RenderKind, Renderer};
use super::shared::{Ros, Shared};
use super::spin::Input;
use super::submitter::{EngineReport, Submitter};
use crate::engine::{Engine, Event};
use crate::node::{object_message, GoalId, LogLevel, Output, QuestionId, Settings};

/// The machine's hands and ears.
pub struct Driver {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    publishers: Publishers,
    action: ActionTopics,
    clock: RosClock,
    submitter: Submitter,
    renderer: Renderer,
}

impl Driver {
    /// `reports` carries what becomes of questions back to [`handle_report`](Self::handle_report).
    ///
    /// # Errors
    /// The operating system's, where it refuses a thread.
    pub fn start(
        shared: Arc<Shared>,
        engine: Engine,
        publishers: Publishers,
        action: ActionTopics,
        clock: RosClock,
        reports: UnboundedSender<(QuestionId, EngineReport)>,
    ) -> std::io::Result<Self> {
        let engine = Arc::new(engine);
        Ok(Self {
            submitter: Submitter::start(Arc::clone(&engine), reports)?,
            renderer: Renderer::start()?,
            shared,
            engine,
            publishers,
            action,
            clock,
        })
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn publishers(&self) -> &Publishers {
        &self.publishers
    }

    /// What the spinning thread reports; [`Input::Broken`] is not for the driver.
    pub fn input(&self, input: Input) {
        let now = Instant::now();
        let mut core = self.shared.core();
        match input {
            Input::Instruction(instruction) => {
                core.handle_subscribers(self.publishers.subscribers());
                core.handle_instruction(instruction, now);
            }
            Input::Goal(mut request) => {
                core.handle_subscribers(self.publishers.subscribers());
                let offer = goal_offer(&mut request);
                core.handle_goal(offer, request, self.clock.stamp(), now);
            }
            Input::CancelGoal(request) => {
                let (goal, until) = cancelled_goals(&request);
                core.handle_cancel(goal, until, request, now);
            }
            Input::GoalResult(request) => {
                let goal = GoalId::from_slice(&request.message.goal_id.uuid);
                core.handle_result_request(goal, request);
            }
            Input::Enable(request) => {
                core.handle_enable(request.message.data, now);
                answer_enable(request);
            }
            Input::Reset(request) => reset(&self.engine, request),
            Input::Broken(_) => {}
        }
        drop(core);
        self.act();
    }

    /// What became of a question.
    pub fn handle_report(&self, id: QuestionId, report: EngineReport) {
        let now = Instant::now();
        let mut core = self.shared.core();
        match report {
            EngineReport::Engine(event) => {
                if matches!(event, Event::Done(_) | Event::Failed(_)) {
                    self.submitter.forget(id);
                    // Whoever came since the question was asked sees its answer, and the next repeat's.
                    core.handle_subscribers(self.publishers.subscribers());
                }
                core.handle_engine_event(id, event, now);
            }
            EngineReport::BadFrame(why) => {
                self.submitter.forget(id);
                core.handle_bad_frame(id, &why, now);
            }
        }
        drop(core);
        self.act();
    }

    /// Once a second: who subscribes to pictures is not told, so it is looked at.
    pub fn update_subscribers(&self) {
        let subscribers = self.publishers.subscribers();
        self.shared.core().handle_subscribers(subscribers);
    }

    /// Parameters have other values than before.
    pub fn params_changed(&self) {
        let settings = Arc::clone(&self.shared.params().settings);
        self.engine.set_max_pending(engine_max_pending(&settings));
        self.shared.core().handle_settings(settings, Instant::now());
        self.act();
    }

    /// When to call [`timeout`](Self::timeout) although nothing comes.
    pub fn next_timeout(&self) -> Option<Instant> {
        let timeout = self.shared.core().poll_timeout(Instant::now());
        timeout.map(|(at, _)| at)
    }

    /// A moment that [`next_timeout`](Self::next_timeout) named has come.
    pub fn timeout(&self) {
        self.shared.core().handle_timeout(Instant::now());
        self.act();
    }

    /// Does what the machine says.
    pub fn act(&self) {
        // Not under the lock: the spinning thread may want it, and publishing takes its time.
        loop {
            let Some(output) = self.shared.core().poll_output() else {
                return;
            };
            self.perform(output);
        }
    }

    fn perform(&self, output: Output<Ros>) {
        match output {
            Output::AskEngine(request) => self.submitter.submit(request),
            Output::CancelEngine(id) => self.submitter.cancel(id),
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
                kind: RenderKind::Overlay {
                    instruction: question.text.words.clone(),
                },
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
                object: mask,
            } => {
                let objects = mask
                    .iter()
                    .map(|mask| object(object_message(&header, mask)));
                let objects = objects.collect();
                self.action
                    .feedback(goal, stage.name(), &text, tokens, objects);
            }
            Output::PublishGoalStates(states) => self.action.states(states),
            Output::Log { level, text } => match level {
                LogLevel::Debug => tracing::debug!("{text}"),
                LogLevel::Info => tracing::info!("{text}"),
                LogLevel::Warn => tracing::warn!("{text}"),
            },
        }
    }

    /// The node ends: whoever is still open is told, and so is whoever stands behind `rest`, which was taken and not yet
    /// done. Returns the engine, and whether somebody was owed a result.
    pub fn close(self, rest: Vec<Input>) -> (Arc<Engine>, bool) {
        let owed = !rest.is_empty() || self.shared.core().has_open_questions();
        self.shared.core().close(Instant::now());
        self.act();
        for input in rest {
            self.input(input);
        }
        self.renderer.stop();
        self.submitter.stop();
        (self.engine, owed)
    }
}

/// How many requests may wait in the engine. Which question is one too many is the machine's to say; the engine has a place more,
/// because it reports an answer before it takes the next request out of its queue.
pub fn engine_max_pending(settings: &Settings) -> usize {
    settings.max_pending + 1
}

/// `~/enable`: whether frames and instructions are taken. What is being answered is answered.
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

/// `~/reset_conversation`: all of them are forgotten before the next question.
fn reset(engine: &Engine, request: ServiceRequest<Trigger::Service>) {
    engine.reset_conversation(None);
    let message = "all conversations were forgotten".to_owned();
    tracing::info!("{message}");
    let response = Trigger::Response {
        success: true,
        message,
    };
    reply(request, response);
}
