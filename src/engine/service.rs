//! The thread, the queue in front of it, and the handle everybody holds.

use std::any::Any;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::queue::{Queue, Refused};
use super::{
    Answer, CancelToken, EngineConfig, EngineError, Event, LisaReasoner, Request, RequestError,
    Stage,
};
use crate::text::Instruction;
use crate::weights::GuidedHead;

/// What the engine's thread drives. [`LisaReasoner`] is the one that ships.
pub trait Reasoner {
    /// Answers one request. Events go out through `reply`, all but the last one, which the result becomes.
    fn answer(&mut self, request: &Request, reply: &mut Reply<'_>) -> Result<Answer, RequestError>;

    /// Forgets one conversation, or all.
    fn reset_conversation(&mut self, id: Option<&str>);

    /// Conversations remembered.
    fn conversations(&self) -> usize;

    /// Drops everything remembered between requests but the conversations: a panic may have left it half done.
    fn clear_caches(&mut self);
}

/// The way out for a request's events, and its cancel token.
pub struct Reply<'a> {
    pub cancel: &'a CancelToken,
    /// Time between submission and now, spent waiting.
    pub queued: Duration,
    /// When the request was submitted.
    pub submitted: Instant,
    sink: &'a mut dyn FnMut(Event),
}

impl<'a> Reply<'a> {
    pub fn new(
        cancel: &'a CancelToken,
        submitted: Instant,
        sink: &'a mut dyn FnMut(Event),
    ) -> Self {
        Self {
            cancel,
            queued: submitted.elapsed(),
            submitted,
            sink,
        }
    }

    pub fn send(&mut self, event: Event) {
        (self.sink)(event);
    }
}

/// What was loaded, and onto what.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Name from the model's `lisa.json`.
    pub model: String,
    /// "cpu" or "cuda:0".
    pub device: String,
    /// "f32", "f16" or "bf16".
    pub dtype: String,
    pub parameters: u64,
    /// The head that says where the model looks; `None` where training guided none.
    pub guided_head: Option<GuidedHead>,
}

/// "lisa-mini on cpu in f32, 5700676 parameters, guided head 0 of layer 2".
impl fmt::Display for ModelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            model,
            device,
            dtype,
            parameters,
            guided_head,
        } = self;
        write!(f, "{model} on {device} in {dtype}, {parameters} parameters")?;
        match guided_head {
            Some(GuidedHead { layer, head }) => write!(f, ", guided head {head} of layer {layer}"),
            None => Ok(()),
        }
    }
}

/// What the engine is and has, for diagnostics.
#[derive(Clone, Debug)]
pub struct EngineStatus {
    pub model: ModelInfo,
    /// Requests waiting; neither the one being answered nor those taken back.
    pub pending: usize,
    pub max_pending: usize,
    /// True while a request is being answered.
    pub busy: bool,
    pub conversations: usize,
    pub answered: u64,
    pub failed: u64,
}

type Sink = Box<dyn FnMut(Event) + Send>;

struct Job {
    request: Request,
    cancel: CancelToken,
    submitted: Instant,
    sink: Sink,
}

enum Message {
    Answer(Box<Job>),
    Reset(Option<String>),
}

#[derive(Default)]
struct Counters {
    busy: AtomicBool,
    conversations: AtomicUsize,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// A running engine. Dropping it ends it: what runs is cancelled, what waits fails, the thread is joined.
#[must_use = "dropping an engine ends it"]
pub struct Engine {
    queue: Arc<Queue<Message>>,
    counters: Arc<Counters>,
    current: Arc<Mutex<Option<CancelToken>>>,
    info: ModelInfo,
    thread: Option<JoinHandle<()>>,
}

/// A submitted request. Dropping it takes the request back.
#[must_use = "dropping a ticket takes the request back"]
pub struct Ticket {
    /// Ends after [`Event::Done`] or [`Event::Failed`].
    pub events: Receiver<Event>,
    pub cancel: CancelToken,
}

impl Ticket {
    /// Waits for the end.
    ///
    /// # Errors
    /// What [`Event::Failed`] carried.
    pub fn wait(self) -> Result<Answer, RequestError> {
        for event in self.events.iter() {
            match event {
                Event::Done(answer) => return Ok(*answer),
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
        Err(RequestError::ShuttingDown)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Engine {
    /// Loads the model on a thread of its own; returns when it has answered a first, throw-away request.
    ///
    /// # Errors
    /// Says which file, tensor or device cannot be used.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let max_pending = config.max_pending;
        Self::start_with(max_pending, move || {
            let mut reasoner = LisaReasoner::load(&config)?;
            if config.warm_up {
                reasoner.warm_up().map_err(EngineError::WarmUp)?;
            }
            let info = reasoner.info().clone();
            Ok((reasoner, info))
        })
    }

    /// Runs any [`Reasoner`]; `load` is called on the engine's thread, which owns what it returns.
    pub fn start_with<R: Reasoner + 'static>(
        max_pending: usize,
        load: impl FnOnce() -> Result<(R, ModelInfo), EngineError> + Send + 'static,
    ) -> Result<Self, EngineError> {
        let queue = Arc::new(Queue::new(max_pending));
        let counters = Arc::new(Counters::default());
        let current = Arc::new(Mutex::new(None));
        let (loaded, ready) = crossbeam_channel::bounded(1);
        let thread = {
            let (queue, counters, current) = (
                Arc::clone(&queue),
                Arc::clone(&counters),
                Arc::clone(&current),
            );
            std::thread::Builder::new()
                .name("lisa-model".into())
                .spawn(move || match catch_unwind(AssertUnwindSafe(load)) {
                    Ok(Ok((mut reasoner, info))) => {
                        // Nobody waiting for us to be ready means nobody will ask either.
                        if loaded.send(Ok(info)).is_ok() {
                            serve(&mut reasoner, &queue, &counters, &current);
                        }
                    }
                    Ok(Err(error)) => drop(loaded.send(Err(error))),
                    Err(panic) => {
                        drop(loaded.send(Err(EngineError::Panicked(panic_text(&*panic)))))
                    }
                })
                .map_err(EngineError::Thread)?
        };
        let info = ready
            .recv()
            .unwrap_or_else(|_| Err(EngineError::Panicked("the thread ended".into())))?;
        Ok(Self {
            queue,
            counters,
            current,
            info,
            thread: Some(thread),
        })
    }

    /// Hands in a request; its events arrive on the ticket's channel.
    ///
    /// # Errors
    /// [`RequestError::Overloaded`], [`RequestError::ShuttingDown`], or what is wrong with the request itself.
    pub fn submit(&self, request: Request) -> Result<Ticket, RequestError> {
        // Unbounded, and bounded all the same: an answer has at most max_new_tokens events.
        let (sender, events): (Sender<Event>, _) = crossbeam_channel::unbounded();
        let cancel = self.submit_to(request, move |event| drop(sender.send(event)))?;
        Ok(Ticket { events, cancel })
    }

    /// Hands in a request; `sink` is called for every event, and must not block: it runs on the model thread, or on the one
    /// that takes back a request that still waits.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); then `sink` is never called.
    pub fn submit_to(
        &self,
        request: Request,
        sink: impl FnMut(Event) + Send + 'static,
    ) -> Result<CancelToken, RequestError> {
        check(&request)?;
        let cancel = CancelToken::new();
        let job = Job {
            request,
            cancel: cancel.clone(),
            submitted: Instant::now(),
            sink: Box::new(sink),
        };
        match self.queue.push(Message::Answer(Box::new(job))) {
            Ok(place) => {
                let (queue, counters) = (Arc::downgrade(&self.queue), Arc::clone(&self.counters));
                cancel.on_cancel(move || {
                    // One that no longer waits is being answered, and hears of it from the token, or has ended.
                    let waiting = queue.upgrade().and_then(|queue| queue.withdraw(place));
                    if let Some(Message::Answer(mut job)) = waiting {
                        counters.failed.fetch_add(1, Ordering::Relaxed);
                        (job.sink)(Event::Failed(RequestError::Cancelled { tokens: 0 }));
                    }
                });
                Ok(cancel)
            }
            Err(Refused::Full { waiting, max }) => Err(RequestError::Overloaded {
                pending: waiting,
                max,
            }),
            Err(Refused::Closed) => Err(RequestError::ShuttingDown),
        }
    }

    /// Forgets one conversation, or all, before the next request is answered.
    pub fn reset_conversation(&self, id: Option<&str>) {
        self.queue
            .push_control(Message::Reset(id.map(str::to_owned)));
    }

    /// Requests that may wait from now on; those that wait already stay.
    pub fn set_max_pending(&self, max: usize) {
        self.queue.set_max(max);
    }

    pub fn status(&self) -> EngineStatus {
        let (pending, max_pending) = self.queue.pending_and_max();
        EngineStatus {
            model: self.info.clone(),
            pending,
            max_pending,
            busy: self.counters.busy.load(Ordering::Relaxed),
            conversations: self.counters.conversations.load(Ordering::Relaxed),
            answered: self.counters.answered.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
        }
    }

    /// Ends the engine; the same as dropping it.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let waiting = self.queue.close();
        if let Some(cancel) = &*lock(&self.current) {
            cancel.cancel();
        }
        for message in waiting {
            if let Message::Answer(mut job) = message {
                (job.sink)(Event::Failed(RequestError::ShuttingDown));
            }
        }
        if let Some(thread) = self.thread.take() {
            // A thread that panicked outside a request has nothing left to clean up.
            drop(thread.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What can be wrong with a request before the model sees it.
fn check(request: &Request) -> Result<(), RequestError> {
    Instruction::parse(&request.instruction)?;
    let (width, height) = (request.frame.width(), request.frame.height());
    if width == 0 || height == 0 {
        return Err(RequestError::EmptyFrame { width, height });
    }
    let options = &request.options;
    let refused = |name, value: String, accepted| {
        Err(RequestError::Option {
            name,
            value,
            accepted,
        })
    };
    if options.max_new_tokens == 0 {
        return refused("max_new_tokens", "0".into(), "1 or more");
    }
    if !(options.temperature >= 0.0 && options.temperature.is_finite()) {
        return refused("temperature", options.temperature.to_string(), "0 or more");
    }
    if !(options.mask_threshold > 0.0 && options.mask_threshold < 1.0) {
        return refused(
            "mask_threshold",
            options.mask_threshold.to_string(),
            "between 0 and 1",
        );
    }
    Ok(())
}

fn serve(
    reasoner: &mut dyn Reasoner,
    queue: &Queue<Message>,
    counters: &Counters,
    current: &Mutex<Option<CancelToken>>,
) {
    while let Some(message) = queue.pop() {
        match message {
            Message::Reset(id) => reasoner.reset_conversation(id.as_deref()),
            Message::Answer(mut job) => {
                *lock(current) = Some(job.cancel.clone());
                // Whoever closed the queue cancels what is current, and this was not yet when they looked.
                if queue.is_closed() {
                    job.cancel.cancel();
                }
                counters.busy.store(true, Ordering::Relaxed);
                let result = answer(reasoner, &mut job);
                let counter = if result.is_ok() {
                    &counters.answered
                } else {
                    &counters.failed
                };
                counter.fetch_add(1, Ordering::Relaxed);
                counters.busy.store(false, Ordering::Relaxed);
                *lock(current) = None;
                counters
                    .conversations
                    .store(reasoner.conversations(), Ordering::Relaxed);
                (job.sink)(match result {
                    Ok(answer) => Event::Done(Box::new(answer)),
                    Err(error) => Event::Failed(error),
                });
            }
        }
        counters
            .conversations
            .store(reasoner.conversations(), Ordering::Relaxed);
    }
}

fn answer(reasoner: &mut dyn Reasoner, job: &mut Job) -> Result<Answer, RequestError> {
    if job.cancel.is_cancelled() {
        return Err(RequestError::Cancelled { tokens: 0 });
    }
    let mut reply = Reply::new(&job.cancel, job.submitted, &mut job.sink);
    reply.send(Event::Stage(Stage::Queue));
    match catch_unwind(AssertUnwindSafe(|| {
        reasoner.answer(&job.request, &mut reply)
    })) {
        Ok(result) => result,
        Err(panic) => {
            reasoner.clear_caches();
            Err(RequestError::Panicked(panic_text(&*panic)))
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
