//! A question's way to the engine, and what is done with the engine's events.

use std::sync::Arc;
use std::time::Instant;

use rosbag2::Header;

use super::core::{AwaitingFrame, NodeCore, Submitted};
use super::frame_choice::{choose, frame_deadline, is_awaited, ChosenFrame};
use super::goals::GoalState;
use super::ids::QuestionId;
use super::instruction::InstructionText;
use super::locating::OpenAnswer;
use super::output::{CameraFrame, EngineRequest, Host, LogLevel, Output};
use super::question::{Origin, Question};
use super::repeat::{Due, RepeatedInstruction};
use super::result::{Refusal, ResultStatus};
use super::settings::bounds;
use super::space::SceneState;
use crate::engine::{Answer, ObjectMask, RequestError, Stage};

/// The way of a question from the input to the engine.
impl<H: Host> NodeCore<H> {
    pub(super) fn next_id(&mut self) -> QuestionId {
        self.questions += 1;
        QuestionId(self.questions)
    }

    pub(super) fn log(&mut self, level: LogLevel, text: String) {
        self.outputs.push_back(Output::Log { level, text });
    }

    /// Takes up a question. `own` is the image that it brought along, if it did.
    pub(super) fn ask(&mut self, question: Question, own: Option<H::Frame>, now: Instant) {
        let question = Arc::new(question);
        let refusal = self
            .shutdown_refusal
            .clone()
            .or_else(|| self.disabled_refusal());
        if let Some(refusal) = refusal.or_else(|| fault(&question)) {
            return self.refused(question, Header::default(), refusal, now);
        }
        if let Some(frame) = own {
            let frame = Arc::new(frame);
            return self.submit(question, ChosenFrame { number: 0, frame }, now);
        }
        let since = now - self.silence.duration(now);
        let deadline = frame_deadline(&self.frames, question.origin, &self.settings, since, now);
        match deadline {
            Some(until) => self.wait(question, until, now),
            None => self.choose(question, now),
        }
    }

    pub(super) fn disabled_refusal(&self) -> Option<Refusal> {
        let why = format!("the node is disabled; {}", self.how_to_enable());
        (!self.enabled).then(|| Refusal::new(ResultStatus::Error, why))
    }

    pub(super) fn wait(&mut self, question: Arc<Question>, until: Instant, now: Instant) {
        let (pending, max) = (self.awaiting.len(), self.settings.max_pending);
        if pending < max {
            return self.awaiting.push(AwaitingFrame { question, until });
        }
        let overloaded = RequestError::Overloaded { pending, max };
        self.refused(question, Header::default(), (&overloaded).into(), now);
    }

    /// Chooses the frame that the question is about from those that have arrived, and submits the question.
    pub(super) fn choose(&mut self, question: Arc<Question>, now: Instant) {
        let explain_no_image = || self.explain_no_image(now);
        match choose(
            &self.frames,
            question.origin,
            &self.settings,
            explain_no_image,
        ) {
            Ok(chosen) => self.submit(question, chosen, now),
            Err(refusal) => self.refused(question, Header::default(), refusal, now),
        }
    }

    /// Takes up the questions whose frame has arrived, and those that have waited long enough.
    pub(super) fn resolve_waiting(&mut self, now: Instant) {
        let awaiting = std::mem::take(&mut self.awaiting);
        let (ready, awaiting) = awaiting
            .into_iter()
            .partition(|a| a.until <= now || !is_awaited(&self.frames, a.question.origin));
        self.awaiting = awaiting;
        let ready: Vec<AwaitingFrame> = ready;
        for AwaitingFrame { question, .. } in ready {
            self.choose(question, now);
        }
    }

    pub(super) fn submit(
        &mut self,
        question: Arc<Question>,
        chosen: ChosenFrame<H::Frame>,
        now: Instant,
    ) {
        // One question is being answered, and `max_pending` more may wait.
        let (asked, max) = (self.asked_of_engine(), self.settings.max_pending);
        if asked > max {
            let pending = asked.saturating_sub(1);
            let overloaded = RequestError::Overloaded { pending, max };
            return self.refused(question, chosen.frame.header(), (&overloaded).into(), now);
        }
        if matches!(question.origin, Origin::Newest | Origin::Stamped(_)) {
            let last = RepeatedInstruction {
                id: question.instruction_id.clone(),
                words: question.text.words.clone(),
            };
            self.repeat.remember(last, chosen.number, now);
        }
        let options =
            self.settings
                .answering(question.max_new_tokens, question.seed(), self.subscribers);
        self.follow.give_turn();
        self.outputs.push_back(Output::AskEngine(EngineRequest {
            id: question.id,
            frame: Arc::clone(&chosen.frame),
            instruction: question.text.words.clone(),
            conversation_id: question.conversation(),
            options,
        }));
        let id = question.id;
        self.submitted.insert(
            id,
            Submitted {
                question,
                chosen,
                started: false,
                tokens: 0,
                open: OpenAnswer::new(SceneState::of(&self.settings.space)),
            },
        );
        // Its depth image may be there already, and is kept for it.
        self.advance(id, now);
    }

    pub(super) fn cancel(&mut self, id: QuestionId, now: Instant) {
        let taken_back = Refusal::new(
            ResultStatus::Cancelled,
            "cancelled before the model began with it",
        );
        if let Some(at) = self.awaiting.iter().position(|a| a.question.id == id) {
            let AwaitingFrame { question, .. } = self.awaiting.remove(at);
            return self.refused(question, Header::default(), taken_back, now);
        }
        let Some(asked) = self.submitted.get(&id) else {
            return;
        };
        // The engine has done its part, and nothing more comes from it.
        if let Some(answer) = asked.open.answer() {
            let tokens = answer.tokens;
            return self.failed(id, (&RequestError::Cancelled { tokens }).into(), now);
        }
        let started = asked.started;
        self.outputs.push_back(Output::CancelEngine(id));
        // A request that is being answered ends at its next token, and the engine says so. One that still waits in the engine's
        // queue ends here.
        if !started {
            self.failed(id, taken_back, now);
        }
    }
}

/// Why a question cannot be asked about any frame.
fn fault(question: &Question) -> Option<Refusal> {
    if let Some(fault) = &question.text.fault {
        return Some(Refusal::new(ResultStatus::Error, fault.to_string()));
    }
    let accepted = bounds::MAX_NEW_TOKENS;
    let refused = question.max_new_tokens.filter(|n| !accepted.contains(n))?;
    let (min, max) = (accepted.start(), accepted.end());
    let why = format!(
        "max_new_tokens is {refused}; accepted: {min} to {max}, or 0 for the node's parameter"
    );
    Some(Refusal::new(ResultStatus::Error, why))
}

/// The engine's events.
impl<H: Host> NodeCore<H> {
    pub(super) fn stage(&mut self, id: QuestionId, stage: Stage) {
        let Some(asked) = self.submitted.get_mut(&id) else {
            return;
        };
        asked.started = true;
        if let Some(goal) = asked.question.goal() {
            self.outputs.push_back(Output::GoalFeedback {
                goal,
                header: asked.chosen.frame.header(),
                stage,
                text: String::new(),
                tokens: asked.tokens,
                object: None,
            });
        }
    }

    pub(super) fn delta(&mut self, id: QuestionId, text: String, tokens: usize) {
        let Some(asked) = self.submitted.get_mut(&id) else {
            return;
        };
        (asked.started, asked.tokens) = (true, tokens);
        let header = asked.chosen.frame.header();
        self.outputs.push_back(Output::PublishDelta {
            question: Arc::clone(&asked.question),
            header: header.clone(),
            text: text.clone(),
            tokens,
            done: false,
        });
        if let Some(goal) = asked.question.goal() {
            self.outputs.push_back(Output::GoalFeedback {
                goal,
                header,
                stage: Stage::Generate,
                text,
                tokens,
                object: None,
            });
        }
    }

    pub(super) fn object(&mut self, id: QuestionId, object: ObjectMask, now: Instant) {
        if let Some(asked) = self.submitted.get_mut(&id) {
            asked.started = true;
            asked.open.add(object);
            self.advance(id, now);
        }
    }

    pub(super) fn done(&mut self, id: QuestionId, answer: Answer, now: Instant) {
        // A client that was told "canceling" has to get CANCELLED, even if the answer was complete by then.
        let goal = self
            .submitted
            .get(&id)
            .and_then(|asked| asked.question.goal());
        if goal.is_some_and(|goal| self.goals.state(goal) == Some(GoalState::Canceling)) {
            let tokens = answer.tokens;
            return self.failed(id, (&RequestError::Cancelled { tokens }).into(), now);
        }
        self.complete(id, answer, now);
    }

    /// Ends a question that the engine had, without an answer.
    pub(super) fn failed(&mut self, id: QuestionId, refusal: Refusal, now: Instant) {
        if let Some(asked) = self.submitted.remove(&id) {
            let header = asked.chosen.frame.header();
            self.outputs.push_back(Output::PublishDelta {
                question: Arc::clone(&asked.question),
                header: header.clone(),
                text: String::new(),
                tokens: asked.tokens,
                done: true,
            });
            self.refused(asked.question, header, refusal, now);
        }
    }
}

/// Mode `continuous`.
impl<H: Host> NodeCore<H> {
    pub(super) fn repeat_due(&self, now: Instant) -> Due {
        if !self.settings.continuous || !self.takes_frames() || self.shutdown_refusal.is_some() {
            return Due::Never;
        }
        let newest = self.frames.newest().map(|stored| stored.number);
        let rate = self.settings.max_rate_hz;
        let idle = !self.has_open_questions() && !self.follow.is_in_flight();
        self.repeat.due(newest, idle, rate, now)
    }

    /// Gives the engine something to do that nobody waits for: the next frame of a follower, or the repeat of an instruction, in
    /// turns. To be called at the end of every input.
    pub(super) fn use_idle_engine(&mut self, now: Instant) {
        if !self.follow.had_last_turn {
            self.follow_if_due(now);
        }
        self.repeat_if_due(now);
        self.follow_if_due(now);
    }

    fn repeat_if_due(&mut self, now: Instant) {
        if self.repeat_due(now) != Due::Now {
            return;
        }
        let (Some(RepeatedInstruction { id, words }), Some(newest)) =
            (self.repeat.last().cloned(), self.frames.newest())
        else {
            return;
        };
        self.repeat.started(newest.number, now);
        let question = Question {
            id: self.next_id(),
            origin: Origin::Repeat,
            instruction_id: id,
            // Outside of any conversation, because repeats would push the person's own turns out of it.
            conversation_id: String::new(),
            text: InstructionText::checked(words),
            max_new_tokens: None,
            received: now,
        };
        self.submit(Arc::new(question), newest.into(), now);
    }
}
