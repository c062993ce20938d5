//! From instruction to result: the one place that knows which questions are open.
//!
//! **Invariant.** Every [`Ask`] that enters [`Dispatcher::ask`] leaves through [`Endings`], once. Whoever is not yet out is
//! in `waiting` (its frame is still on its way) or in `running` (the engine has it).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use r2r::std_msgs::msg::Header;
use tokio::sync::mpsc::UnboundedSender;

use super::action::ActionServer;
use super::choice::Picture;
use super::continuous::{Due, Repeat, Repeated};
use super::control;
use super::convert::{Refusal, SourceImage, Status};
use super::endings::Endings;
use super::health::Health;
use super::instructions::{Ask, Key, Origin, Spoken, Text};
use super::params::NodeParams;
use super::publish::Outputs;
use super::shared::Shared;
use super::sink::Sink;
use super::spin::Input;
use crate::engine::{Answer, CancelToken, Engine, Event, Frame, Request, RequestError, Stage};

struct Waiting {
    ask: Ask,
    until: Instant,
}

struct Running {
    ask: Ask,
    picture: Picture,
    frame: Frame,
    cancel: CancelToken,
    /// The model thread has begun with it.
    begun: bool,
    tokens: usize,
}

/// The open questions, and what it takes to close them.
pub struct Dispatcher {
    shared: Arc<Shared>,
    engine: Engine,
    endings: Endings,
    events: UnboundedSender<(Key, Event)>,
    waiting: Vec<Waiting>,
    running: HashMap<Key, Running>,
    repeat: Repeat,
    asked: u64,
    /// Why nothing is begun any more, once the node ends.
    goodbye: Option<Refusal>,
}

impl Dispatcher {
    /// `events` carries what the engine reports back to [`event`](Self::event).
    pub fn new(
        shared: Arc<Shared>,
        engine: Engine,
        outputs: Outputs,
        action: ActionServer,
        events: UnboundedSender<(Key, Event)>,
    ) -> Self {
        Self {
            shared,
            engine,
            endings: Endings {
                outputs,
                action,
                health: Health::default(),
            },
            events,
            waiting: Vec::new(),
            running: HashMap::new(),
            repeat: Repeat::default(),
            asked: 0,
            goodbye: None,
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The publishers, the action and the books.
    pub fn endings(&self) -> &Endings {
        &self.endings
    }

    /// Questions the engine has not yet been given.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Does what the spinning thread reports; [`Input::Broken`] is not for the dispatcher.
    pub fn input(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Spoken(spoken) => self.spoken(spoken, now),
            Input::Goal(request) if self.goodbye.is_some() => self.endings.action.reject(request),
            Input::Goal(request) => {
                let key = self.next_key();
                if let Some((ask, own)) = self.endings.action.accept(request, key, now) {
                    self.ask(ask, own, now);
                }
            }
            Input::CancelGoal(request) => {
                for key in self.endings.action.cancel(request) {
                    self.cancel(key);
                }
            }
            Input::GoalResult(request) => self.endings.action.result(request),
            Input::Enable(request) => control::enable(&self.shared, request),
            Input::Reset(request) => control::reset(&self.engine, request),
            Input::Broken(_) => {}
        }
        self.repeat_if_due(now);
    }

    /// Parameters may have other values than before.
    pub fn params_changed(&mut self) {
        self.engine
            .set_max_pending(self.shared.params().max_pending);
        self.repeat_if_due(Instant::now());
    }

    /// Does what the engine reports.
    pub fn event(&mut self, key: Key, event: Event) {
        let now = Instant::now();
        match event {
            Event::Stage(stage) => self.stage(key, stage),
            Event::TextDelta { text, tokens } => self.delta(key, &text, tokens),
            // Masks are published together, with the answer they belong to.
            Event::Mask(_) => {}
            Event::Done(answer) => self.done(key, &answer),
            Event::Failed(error) => self.failed(key, &error.into()),
        }
        self.repeat_if_due(now);
    }

    /// A frame came, or a deadline passed.
    pub fn look(&mut self) {
        let now = Instant::now();
        let waiting = std::mem::take(&mut self.waiting);
        let ready = |w: &Waiting| w.until <= now || !self.shared.is_awaited(w.ask.origin);
        let (ready, waiting) = waiting.into_iter().partition(ready);
        self.waiting = waiting;
        for Waiting { ask, .. } in ready {
            self.pick(ask, now);
        }
        self.repeat_if_due(now);
    }

    /// When to [`look`](Self::look) although no frame comes.
    pub fn next_look(&self) -> Option<Instant> {
        let now = Instant::now();
        let repeat = match self.repeat_due(now) {
            Due::Now => Some(now),
            Due::At(t) => Some(t),
            Due::Never => None,
        };
        self.waiting.iter().map(|w| w.until).chain(repeat).min()
    }

    /// Once a second.
    pub fn tick(&mut self) {
        self.endings.action.expire(Instant::now());
    }

    /// Whether somebody waits for a result.
    pub fn owes(&self) -> bool {
        !self.waiting.is_empty() || !self.running.is_empty()
    }

    /// The node ends: whoever is still open is told, and so is whoever stands behind `rest`, which was taken and not yet done.
    pub fn close(mut self, rest: Vec<Input>) -> Engine {
        let goodbye = Refusal::new(Status::Cancelled, "the node is shutting down");
        self.goodbye = Some(goodbye.clone());
        for input in rest {
            self.input(input);
        }
        for Waiting { ask, .. } in std::mem::take(&mut self.waiting) {
            self.endings
                .refused(&ask, &Header::default(), None, &goodbye);
        }
        for key in self.running.keys().copied().collect::<Vec<_>>() {
            if let Some(run) = self.running.get(&key) {
                run.cancel.cancel();
            }
            self.failed(key, &goodbye);
        }
        self.engine
    }

    fn next_key(&mut self) -> Key {
        self.asked += 1;
        Key(self.asked)
    }

    fn spoken(&mut self, spoken: Spoken, now: Instant) {
        let key = self.next_key();
        let id = if spoken.id.is_empty() {
            key.0.to_string()
        } else {
            spoken.id
        };
        let ask = Ask {
            key,
            origin: spoken.origin,
            id,
            conversation_id: spoken.conversation_id,
            text: spoken.text,
            max_new_tokens: None,
            received: now,
        };
        self.ask(ask, None, now);
    }

    /// Every question enters here. `own` is the picture it brought along.
    fn ask(&mut self, ask: Ask, own: Option<SourceImage>, now: Instant) {
        let refusal = self.goodbye.clone().or_else(|| self.shared.closed());
        if let Some(refusal) = refusal.or_else(|| ask.fault()) {
            return self
                .endings
                .refused(&ask, &Header::default(), None, &refusal);
        }
        match (own, self.shared.patience(ask.origin, now)) {
            (Some(image), _) => self.submit(ask, image.into(), now),
            (None, Some(until)) => self.wait(ask, until),
            (None, None) => self.pick(ask, now),
        }
    }

    /// Takes the frame the question is about from those that are there.
    fn pick(&mut self, ask: Ask, now: Instant) {
        match self.shared.pick(ask.origin) {
            Ok(picture) => self.submit(ask, picture, now),
            Err(refusal) => self
                .endings
                .refused(&ask, &Header::default(), None, &refusal),
        }
    }

    fn wait(&mut self, ask: Ask, until: Instant) {
        let (pending, max) = (self.waiting.len(), self.shared.params().max_pending);
        if pending < max {
            return self.waiting.push(Waiting { ask, until });
        }
        let refusal = RequestError::Overloaded { pending, max }.into();
        self.endings
            .refused(&ask, &Header::default(), None, &refusal);
    }

    fn submit(&mut self, ask: Ask, picture: Picture, now: Instant) {
        let frame = match picture.image.frame() {
            Ok(frame) => frame,
            Err(why) => {
                let refusal =
                    Refusal::new(Status::Error, format!("the image cannot be used: {why}"));
                return self
                    .endings
                    .refused(&ask, picture.image.header(), None, &refusal);
            }
        };
        let request = self.request(&ask, &frame, &self.shared.params());
        let mut sink = Sink::new(ask.key, self.events.clone());
        match self
            .engine
            .submit_to(request, move |event| sink.take(event))
        {
            Ok(cancel) => {
                if !matches!(ask.origin, Origin::Goal(_) | Origin::Repeat) {
                    let last = Repeated {
                        id: ask.id.clone(),
                        words: ask.text.words.clone(),
                    };
                    self.repeat.remember(last, picture.number, now);
                }
                let run = Running {
                    picture,
                    frame,
                    cancel,
                    begun: false,
                    tokens: 0,
                    ask,
                };
                self.running.insert(run.ask.key, run);
            }
            Err(error) => self
                .endings
                .refused(&ask, picture.image.header(), None, &error.into()),
        }
    }

    fn request(&self, ask: &Ask, frame: &Frame, params: &NodeParams) -> Request {
        let watched = self.endings.outputs.attention_watched();
        let options = params.answering(ask.max_new_tokens, ask.key.0, watched);
        Request {
            instruction: ask.text.words.clone(),
            frame: frame.clone(),
            conversation_id: Some(ask.conversation_id.clone()).filter(|id| !id.is_empty()),
            options,
        }
    }

    fn cancel(&mut self, key: Key) {
        let taken_back = Refusal::new(
            Status::Cancelled,
            "cancelled before the model began with it",
        );
        if let Some(at) = self.waiting.iter().position(|w| w.ask.key == key) {
            let Waiting { ask, .. } = self.waiting.remove(at);
            return self
                .endings
                .refused(&ask, &Header::default(), None, &taken_back);
        }
        let Some(run) = self.running.get(&key) else {
            return;
        };
        run.cancel.cancel();
        // The engine will say so itself, at the next token; one still in its queue need not wait for its turn.
        if !run.begun {
            self.failed(key, &taken_back);
        }
    }

    fn stage(&mut self, key: Key, stage: Stage) {
        let Some(run) = self.running.get_mut(&key) else {
            return;
        };
        run.begun = true;
        if let Origin::Goal(id) = run.ask.origin {
            self.endings
                .action
                .feedback(id, stage.name(), "", run.tokens);
        }
    }

    fn delta(&mut self, key: Key, text: &str, tokens: usize) {
        let Some(run) = self.running.get_mut(&key) else {
            return;
        };
        (run.begun, run.tokens) = (true, tokens);
        self.endings
            .outputs
            .delta(&run.ask, run.picture.image.header(), text, tokens, false);
        if let Origin::Goal(id) = run.ask.origin {
            self.endings
                .action
                .feedback(id, Stage::Generate.name(), text, tokens);
        }
    }

    fn done(&mut self, key: Key, answer: &Answer) {
        // A client that was told "canceling" is owed CANCELLED, even where the last token was already on its way.
        let canceling = self.running.get(&key).is_some_and(|run| {
            matches!(run.ask.origin, Origin::Goal(id) if self.endings.action.is_canceling(id))
        });
        if canceling {
            let tokens = answer.tokens;
            return self.failed(key, &RequestError::Cancelled { tokens }.into());
        }
        if let Some(run) = self.running.remove(&key) {
            let (header, number) = (run.picture.image.header(), run.picture.number);
            let params = self.shared.params();
            self.endings
                .answered(&run.ask, header, &run.frame, number, answer, &params);
        }
    }

    /// An end without an answer, of a question that was in the engine's hands.
    fn failed(&mut self, key: Key, refusal: &Refusal) {
        if let Some(run) = self.running.remove(&key) {
            let header = run.picture.image.header();
            self.endings
                .refused(&run.ask, header, Some(run.tokens), refusal);
        }
    }

    fn repeat_due(&self, now: Instant) -> Due {
        let params = self.shared.params();
        if !params.continuous || !self.shared.enabled() || self.goodbye.is_some() {
            return Due::Never;
        }
        let newest = self.shared.frames().newest().map(|h| h.number);
        let idle = self.running.is_empty() && self.waiting.is_empty();
        self.repeat.due(newest, idle, params.max_rate_hz, now)
    }

    fn repeat_if_due(&mut self, now: Instant) {
        if self.repeat_due(now) != Due::Now {
            return;
        }
        let Some(Repeated { id, words }) = self.repeat.last().cloned() else {
            return;
        };
        let Ok(picture) = self.shared.pick(Origin::Newest) else {
            return;
        };
        self.repeat.began(picture.number, now);
        let key = self.next_key();
        let ask = Ask {
            key,
            origin: Origin::Repeat,
            id,
            // A question on its own: repeats would push the person's own turns out of the conversation.
            conversation_id: String::new(),
            text: Text { words, fault: None },
            max_new_tokens: None,
            received: now,
        };
        self.submit(ask, picture, now);
    }
}
