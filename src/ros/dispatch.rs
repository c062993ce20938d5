//! From instruction to result: the one place that knows which questions are open.
//!
//! **Invariant.** Every [`Ask`] that enters [`Dispatcher::ask`] leaves through [`Dispatcher::refuse`] or
//! [`Dispatcher::answered`], once. Whoever is not yet out is in `waiting` (its frame is still on its way) or in `running` (the engine has it).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::std_msgs::msg::Header;
use tokio::sync::mpsc::UnboundedSender;

use super::action::ActionServer;
use super::continuous::{Due, Repeat, Repeated};
use super::convert::{self, Refusal, SourceImage, Status};
use super::diagnostics::image_trouble;
use super::frames::{Held, Nearest, Stamp};
use super::health::Health;
use super::instructions::{Ask, Key, Origin, Spoken, Text};
use super::params::{NodeParams, MAX_NEW_TOKENS};
use super::publish::Outputs;
use super::shared::Shared;
use super::spin::{reply, Input};
use crate::engine::{Answer, CancelToken, Engine, Event, Frame, Request, RequestError, Stage};

/// A stamped instruction may come before its frame; it waits for the camera this long, or `sync_slop_s` where that is more.
const CAMERA_LAG: Duration = Duration::from_millis(500);

/// A node that has just begun to listen gives the camera this long to show something.
const FIRST_FRAME: Duration = Duration::from_secs(1);

/// The frame a question is about.
struct Picture {
    /// Its [`Held::number`]; 0 for a goal's own picture.
    number: u64,
    image: Arc<SourceImage>,
}

impl From<Held<SourceImage>> for Picture {
    fn from(held: Held<SourceImage>) -> Self {
        Self {
            number: held.number,
            image: held.image,
        }
    }
}

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
    outputs: Outputs,
    action: ActionServer,
    events: UnboundedSender<(Key, Event)>,
    waiting: Vec<Waiting>,
    running: HashMap<Key, Running>,
    repeat: Repeat,
    health: Health,
    asked: u64,
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
            outputs,
            action,
            events,
            waiting: Vec::new(),
            running: HashMap::new(),
            repeat: Repeat::default(),
            health: Health::default(),
            asked: 0,
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Questions the engine has not yet been given.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Goals the action server remembers.
    pub fn goals(&self) -> usize {
        self.action.remembered()
    }

    /// Does what the spinning thread reports; [`Input::Broken`] is not for the dispatcher.
    pub fn input(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Spoken(spoken) => self.spoken(spoken, now),
            Input::Goal(request) => {
                let key = self.next_key();
                if let Some((ask, own)) = self.action.accept(request, key, now) {
                    self.ask(ask, own, now);
                }
            }
            Input::CancelGoal(request) => {
                for key in self.action.cancel(request) {
                    self.cancel(key);
                }
            }
            Input::GoalResult(request) => self.action.result(request),
            Input::Enable(request) => {
                let on = request.message.data;
                self.shared.set_enabled(on);
                let message = if on {
                    "enabled"
                } else {
                    "disabled: frames and instructions are not taken"
                };
                tracing::info!("{message}");
                reply(
                    request,
                    r2r::std_srvs::srv::SetBool::Response {
                        success: true,
                        message: message.to_owned(),
                    },
                );
            }
            Input::Reset(request) => {
                self.engine.reset_conversation(None);
                let message = "all conversations were forgotten".to_owned();
                tracing::info!("{message}");
                reply(
                    request,
                    r2r::std_srvs::srv::Trigger::Response {
                        success: true,
                        message,
                    },
                );
            }
            Input::ParamsChanged => self
                .engine
                .set_max_pending(self.shared.params().max_pending),
            Input::Broken(_) => {}
        }
        self.repeat_if_due(now);
    }

    /// Does what the engine reports.
    pub fn event(&mut self, key: Key, event: Event) {
        let now = Instant::now();
        match event {
            Event::Stage(stage) => self.stage(key, stage),
            Event::TextDelta { text, tokens } => self.delta(key, &text, tokens),
            // Masks are published together, with the answer they belong to.
            Event::Mask(_) => {}
            Event::Done(answer) => {
                if let Some(run) = self.running.remove(&key) {
                    self.answered(run, &answer, now);
                }
            }
            Event::Failed(error) => {
                if let Some(run) = self.running.remove(&key) {
                    self.failed(run, error.into(), now);
                }
            }
        }
        self.repeat_if_due(now);
    }

    /// A frame came, or a deadline passed.
    pub fn look(&mut self) {
        let now = Instant::now();
        let waiting = std::mem::take(&mut self.waiting);
        let ready = |w: &Waiting| w.until <= now || !self.is_awaited(w.ask.origin);
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
        self.action.expire(Instant::now());
    }

    /// The node ends: whoever is still open is told.
    pub fn close(mut self) -> Engine {
        let now = Instant::now();
        let goodbye = || Refusal::new(Status::Cancelled, "the node is shutting down");
        for Waiting { ask, .. } in std::mem::take(&mut self.waiting) {
            self.refuse(ask, &Header::default(), goodbye(), now);
        }
        for (_, run) in std::mem::take(&mut self.running) {
            run.cancel.cancel();
            self.failed(run, goodbye(), now);
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
        if let Some(refusal) = self.unfit(&ask) {
            return self.refuse(ask, &Header::default(), refusal, now);
        }
        match (own, self.patience(ask.origin, now)) {
            (Some(image), _) => self.submit(
                ask,
                Picture {
                    number: 0,
                    image: Arc::new(image),
                },
                now,
            ),
            (None, Some(until)) => self.wait(ask, until, now),
            (None, None) => self.pick(ask, now),
        }
    }

    /// Takes the frame the question is about from those that are there.
    fn pick(&mut self, ask: Ask, now: Instant) {
        let picture = match ask.origin {
            Origin::Stamped(stamp) => self.nearest(stamp),
            Origin::Newest | Origin::Repeat | Origin::Goal(_) => self.newest(),
        };
        match picture {
            Ok(picture) => self.submit(ask, picture, now),
            Err(refusal) => self.refuse(ask, &Header::default(), refusal, now),
        }
    }

    /// True while the frame the question is about may still be on its way.
    fn is_awaited(&self, origin: Origin) -> bool {
        let frames = self.shared.frames();
        match origin {
            Origin::Stamped(stamp) => !frames.has_reached(stamp),
            Origin::Newest | Origin::Repeat | Origin::Goal(_) => frames.is_empty(),
        }
    }

    /// Until when the question waits for its frame, where it should.
    fn patience(&self, origin: Origin, now: Instant) -> Option<Instant> {
        if !self.is_awaited(origin) {
            return None;
        }
        let until = match origin {
            Origin::Stamped(_) => {
                now + CAMERA_LAG.max(Duration::from_secs_f64(self.shared.params().sync_slop_s))
            }
            Origin::Newest | Origin::Repeat | Origin::Goal(_) => {
                self.shared.listening_since() + FIRST_FRAME
            }
        };
        Some(until).filter(|t| *t > now)
    }

    /// Why this question cannot be asked, whatever the picture.
    fn unfit(&self, ask: &Ask) -> Option<Refusal> {
        if !self.shared.enabled() {
            let why = format!(
                "the node is disabled; call {} with data: true",
                self.shared.names.enable
            );
            return Some(Refusal::new(Status::Error, why));
        }
        if let Some(fault) = &ask.text.fault {
            return Some(Refusal::new(Status::Error, fault.to_string()));
        }
        ask.max_new_tokens.filter(|n| *n > MAX_NEW_TOKENS).map(|n| {
            Refusal::new(Status::Error, format!("max_new_tokens is {n}; accepted: 1 to {MAX_NEW_TOKENS}, or 0 for the node's parameter"))
        })
    }

    fn wait(&mut self, ask: Ask, until: Instant, now: Instant) {
        let (pending, max) = (self.waiting.len(), self.shared.params().max_pending);
        match pending < max {
            true => self.waiting.push(Waiting { ask, until }),
            false => self.refuse(
                ask,
                &Header::default(),
                RequestError::Overloaded { pending, max }.into(),
                now,
            ),
        }
    }

    fn newest(&self) -> Result<Picture, Refusal> {
        let newest = self.shared.frames().newest();
        newest.map(Picture::from).ok_or_else(|| self.no_image())
    }

    fn nearest(&self, stamp: Stamp) -> Result<Picture, Refusal> {
        let slop = self.shared.params().sync_slop_s;
        let nearest = self.shared.frames().nearest(stamp, slop);
        match nearest {
            Nearest::Found(held) => Ok(held.into()),
            Nearest::Empty => Err(self.no_image()),
            Nearest::TooFar { nearest, gap_s } => Err(Refusal::new(
                Status::NoImage,
                format!(
                    "no frame within {slop} s of stamp {stamp}: the nearest is {gap_s:.3} s away, at {nearest}; raise sync_slop_s, or stamp \
                     the instruction with a frame's own stamp"
                ),
            )),
        }
    }

    fn no_image(&self) -> Refusal {
        let silent = self.shared.listening_since().elapsed();
        Refusal::new(
            Status::NoImage,
            image_trouble(
                &self.shared.names.image,
                silent,
                &self.shared.params(),
                &self.shared.image_publishers(),
            ),
        )
    }

    fn submit(&mut self, ask: Ask, picture: Picture, now: Instant) {
        let frame = match picture.image.frame() {
            Ok(frame) => frame,
            Err(why) => {
                let refusal =
                    Refusal::new(Status::Error, format!("the image cannot be used: {why}"));
                return self.refuse(ask, picture.image.header(), refusal, now);
            }
        };
        let request = self.request(&ask, &frame, &self.shared.params());
        let mut sink = Sink {
            key: ask.key,
            events: self.events.clone(),
            ended: false,
        };
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
            Err(error) => self.refuse(ask, picture.image.header(), error.into(), now),
        }
    }

    fn request(&self, ask: &Ask, frame: &Frame, params: &NodeParams) -> Request {
        let mut options = params.answer.clone();
        options.max_new_tokens = ask.max_new_tokens.unwrap_or(options.max_new_tokens);
        options.seed = ask.key.0;
        Request {
            instruction: ask.text.words.clone(),
            frame: frame.clone(),
            conversation_id: Some(ask.conversation_id.clone()).filter(|id| !id.is_empty()),
            options,
        }
    }

    fn cancel(&mut self, key: Key) {
        let now = Instant::now();
        let taken_back = || {
            Refusal::new(
                Status::Cancelled,
                "cancelled before the model began with it",
            )
        };
        if let Some(at) = self.waiting.iter().position(|w| w.ask.key == key) {
            let Waiting { ask, .. } = self.waiting.remove(at);
            return self.refuse(ask, &Header::default(), taken_back(), now);
        }
        let Some(run) = self.running.get(&key) else {
            return;
        };
        run.cancel.cancel();
        // The engine will say so itself, at the next token; one still in its queue need not wait for its turn.
        if !run.begun {
            if let Some(run) = self.running.remove(&key) {
                self.failed(run, taken_back(), now);
            }
        }
    }

    fn stage(&mut self, key: Key, stage: Stage) {
        let Some(run) = self.running.get_mut(&key) else {
            return;
        };
        run.begun = true;
        if let Origin::Goal(id) = run.ask.origin {
            self.action.feedback(id, stage.name(), "", run.tokens);
        }
    }

    fn delta(&mut self, key: Key, text: &str, tokens: usize) {
        let Some(run) = self.running.get_mut(&key) else {
            return;
        };
        (run.begun, run.tokens) = (true, tokens);
        self.outputs
            .delta(&run.ask, run.picture.image.header(), text, tokens, false);
        if let Origin::Goal(id) = run.ask.origin {
            self.action
                .feedback(id, Stage::Generate.name(), text, tokens);
        }
    }

    fn answered(&mut self, run: Running, answer: &Answer, now: Instant) {
        // A client that was told "canceling" is owed CANCELLED, even where the last token was already on its way.
        if matches!(run.ask.origin, Origin::Goal(id) if self.action.is_canceling(id)) {
            return self.failed(
                run,
                RequestError::Cancelled {
                    tokens: answer.tokens,
                }
                .into(),
                now,
            );
        }
        let Running {
            ask,
            picture,
            frame,
            ..
        } = run;
        let (header, params) = (picture.image.header(), self.shared.params());
        let status = Status::from(answer.status);
        self.outputs.delta(&ask, header, "", answer.tokens, true);
        let alpha = params.publish_overlay.then_some(params.overlay_alpha);
        self.outputs.answer(&ask, header, &frame, answer, alpha);
        let result = convert::answered(&ask, header, answer);
        self.outputs.result(&result);
        if let Origin::Goal(id) = ask.origin {
            self.action.finish(id, status, &result, now);
        }
        self.health
            .answered(status, picture.number, &answer.timings);
        let seconds = now.duration_since(ask.received).as_secs_f64();
        let what = match answer.objects.len() {
            1 => "1 object".to_owned(),
            n => format!("{n} objects"),
        };
        tracing::info!(
            "{} in {seconds:.2} s, {what}: {:?}",
            status.name(),
            answer.text
        );
        answer
            .notes
            .iter()
            .for_each(|note| tracing::info!("instruction {}: {note}", ask.id));
    }

    /// An end without an answer, of a question that was in the engine's hands.
    fn failed(&mut self, run: Running, refusal: Refusal, now: Instant) {
        self.outputs
            .delta(&run.ask, run.picture.image.header(), "", run.tokens, true);
        self.refuse(run.ask, run.picture.image.header(), refusal, now);
    }

    /// An end without an answer.
    fn refuse(&mut self, ask: Ask, header: &Header, refusal: Refusal, now: Instant) {
        let result = convert::refused(&ask, header, &refusal);
        self.outputs.result(&result);
        if let Origin::Goal(id) = ask.origin {
            self.action.finish(id, refusal.status, &result, now);
        }
        let known = ask.origin == Origin::Repeat && self.health.is_last(&refusal);
        match refusal.status {
            _ if known => tracing::debug!("{}: {}", refusal.status.name(), refusal.why),
            Status::Cancelled => tracing::info!(
                "instruction {} {}: {}",
                ask.id,
                refusal.status.name(),
                refusal.why
            ),
            _ => tracing::warn!(
                "instruction {} {}: {}",
                ask.id,
                refusal.status.name(),
                refusal.why
            ),
        }
        self.health.refused(&refusal, now);
    }

    fn repeat_due(&self, now: Instant) -> Due {
        let params = self.shared.params();
        if !params.continuous || !self.shared.enabled() {
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
        let Ok(picture) = self.newest() else { return };
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

/// Carries one request's events to the dispatcher, and an end where the engine gives none.
struct Sink {
    key: Key,
    events: UnboundedSender<(Key, Event)>,
    ended: bool,
}

impl Sink {
    fn take(&mut self, event: Event) {
        self.ended |= matches!(event, Event::Done(_) | Event::Failed(_));
        // A closed channel means that the node is ending, and has told the asker itself.
        let _ = self.events.send((self.key, event));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.ended {
            let error = RequestError::Model("the request was dropped without an answer".to_owned());
            let _ = self.events.send((self.key, Event::Failed(error)));
        }
    }
}
