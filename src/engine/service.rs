//! The model thread, the queue in front of it, and the handle through which everybody else reaches them.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use tracing::{debug, debug_span, field, info, Span};

use super::gauges::Gauges;
use super::queue::{Popped, PushError, Queue};
use super::reasoner::log_stage;
use super::{
    Answer, CancelToken, EngineError, EngineLoad, Event, ModelInfo, Reasoner, Request,
    RequestContext, RequestError, RequestId, Source, Stage,
};
use crate::compute::give_back_free_memory;

type Sink = Box<dyn FnMut(Event) + Send>;

/// A request on its way through the queue and the model thread.
struct Job {
    id: RequestId,
    source: Source,
    request: Request,
    cancel: CancelToken,
    submitted: Instant,
    sink: Sink,
    /// The request's whole life, from its submission to its last event.
    span: Span,
    /// Its time in the queue; dropped when its turn comes.
    queue_span: Option<Span>,
}

impl Job {
    /// A request that is being submitted now. Its spans begin here.
    fn new(id: RequestId, source: Source, request: Request, sink: Sink) -> Self {
        let span = debug_span!(
            "request",
            %id,
            width = request.frame.width(),
            height = request.frame.height(),
            conversation = request.conversation_id.is_some(),
            tokens = field::Empty,
        );
        let queue_span = debug_span!(parent: &span, "stage", name = Stage::Queue.name());
        Self {
            id,
            source,
            request,
            cancel: CancelToken::new(),
            submitted: Instant::now(),
            sink,
            span,
            queue_span: Some(queue_span),
        }
    }

    /// Ends the request: logs how, and sends the last event.
    fn end(mut self: Box<Self>, result: Result<Answer, RequestError>) {
        let seconds = self.submitted.elapsed().as_secs_f64();
        let request = self.id;
        self.span.in_scope(|| match &result {
            Ok(answer) => {
                debug!(%request, seconds, tokens = answer.tokens, "request answered");
                self.span.record("tokens", answer.tokens);
            }
            Err(error) => {
                debug!(%request, seconds, %error, "request ended without an answer");
                if let RequestError::Cancelled { tokens } = error {
                    self.span.record("tokens", *tokens);
                }
            }
        });
        (self.sink)(match result {
            Ok(answer) => Event::Done(Box::new(answer)),
            Err(error) => Event::Failed(error),
        });
    }
}

/// What the model thread takes out of its queue.
enum Command {
    Answer(Box<Job>),
    ResetConversation(Source, Option<String>),
    /// Forgets the first source's conversations and everything computed so far.
    Forget,
    /// Gives the memory of the weights back; the sender is dropped when that is done.
    Unload(Sender<()>),
    /// From now on the weights are given back after so long without a request, or never.
    UnloadAfter(Option<Duration>),
}

/// A running engine. Dropping it ends it: the running request is cancelled, those that wait fail, and the thread is joined.
#[must_use = "dropping an engine ends it"]
pub struct Engine {
    queue: Arc<Queue<Command>>,
    gauges: Arc<Gauges>,
    /// Cancels the request that is being answered.
    current: Arc<Mutex<Option<CancelToken>>>,
    requests: AtomicU64,
    model: ModelInfo,
    thread: Option<JoinHandle<()>>,
}

/// A submitted request. Dropping it cancels the request.
#[must_use = "dropping a ticket cancels the request"]
pub struct Ticket {
    /// The request's events; the channel closes after [`Event::Done`] or [`Event::Failed`].
    pub events: Receiver<Event>,
    /// Cancels the request, from any thread.
    pub cancel: CancelToken,
}

impl Ticket {
    /// Waits for the answer.
    ///
    /// # Errors
    /// What [`Event::Failed`] carried, and [`RequestError::Dropped`] if no last event came.
    pub fn wait(self) -> Result<Answer, RequestError> {
        for event in self.events.iter() {
            match event {
                Event::Done(answer) => return Ok(*answer),
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
        Err(RequestError::Dropped)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Engine {
    /// Runs any [`Reasoner`]; `load` is called on the engine's thread, which owns what it returns.
    ///
    /// # Errors
    /// What `load` returns, a panic in it, or a thread that the operating system refuses.
    pub fn start_with<R: Reasoner + 'static>(
        max_pending: usize,
        load: impl FnOnce() -> Result<(R, ModelInfo), EngineError> + Send + 'static,
    ) -> Result<Self, EngineError> {
        let queue = Arc::new(Queue::new(max_pending));
        let gauges = Arc::new(Gauges::default());
        let current = Arc::new(Mutex::new(None));
        let (loaded, ready) = crossbeam_channel::bounded(1);
        let thread = {
            let (queue, gauges, current) = (
                Arc::clone(&queue),
                Arc::clone(&gauges),
                Arc::clone(&current),
            );
            std::thread::Builder::new()
                .name("lisa-model".into())
                .spawn(move || match catch_unwind(AssertUnwindSafe(load)) {
                    Ok(Ok((mut reasoner, model))) => {
                        // Sending fails if `start_with` has returned early, and then there is no engine to serve.
                        if loaded.send(Ok(model)).is_ok() {
                            serve(&mut reasoner, &queue, &gauges, &current);
                            drop(reasoner);
                            give_back_free_memory();
                        }
                    }
                    Ok(Err(error)) => drop(loaded.send(Err(error))),
                    Err(panic) => {
                        drop(loaded.send(Err(EngineError::Panicked(panic_text(&*panic)))))
                    }
                })
                .map_err(EngineError::Thread)?
        };
        let model = ready
            .recv()
            .unwrap_or_else(|_| Err(EngineError::Panicked("the thread ended".into())))?;
        Ok(Self {
            queue,
            gauges,
            current,
            requests: AtomicU64::new(0),
            model,
            thread: Some(thread),
        })
    }

    /// Queues a request; its events arrive on the ticket's channel.
    ///
    /// # Errors
    /// [`RequestError::Overloaded`], [`RequestError::ShuttingDown`], or what is wrong with the request itself.
    pub fn submit(&self, request: Request) -> Result<Ticket, RequestError> {
        // The channel needs no bound of its own: an answer has at most a few events for each of its max_new_tokens tokens.
        let (sender, events): (Sender<Event>, _) = crossbeam_channel::unbounded();
        let cancel = self.submit_to(request, move |event| drop(sender.send(event)))?;
        Ok(Ticket { events, cancel })
    }

    /// Queues a request; `sink` is called for every event. It must not block, because it runs on the model thread, or on the
    /// thread that cancels a request which still waits.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); `sink` is then never called.
    pub fn submit_to(
        &self,
        request: Request,
        sink: impl FnMut(Event) + Send + 'static,
    ) -> Result<CancelToken, RequestError> {
        self.submit_from(Source::default(), request, sink)
    }

    /// Queues a request of one of several who share the engine, as [`submit_to`](Self::submit_to) does for the first of them. Its
    /// turn comes after the earlier ones of its own source, and for the rest by its source's share of the model's time.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); [`RequestError::Overloaded`] counts the source's own requests.
    pub fn submit_from(
        &self,
        source: Source,
        request: Request,
        sink: impl FnMut(Event) + Send + 'static,
    ) -> Result<CancelToken, RequestError> {
        request.check()?;
        let id = RequestId(self.requests.fetch_add(1, Ordering::Relaxed) + 1);
        let job = Job::new(id, source, request, Box::new(sink));
        let cancel = job.cancel.clone();
        match self.queue.push(source, Command::Answer(Box::new(job))) {
            Ok(entry) => {
                let (queue, gauges) = (Arc::downgrade(&self.queue), Arc::clone(&self.gauges));
                cancel.on_cancel(move || {
                    // A request that no longer waits has ended, or is being answered and learns of it from the token.
                    let waiting = queue
                        .upgrade()
                        .and_then(|queue| queue.withdraw(source, entry));
                    if let Some(Command::Answer(job)) = waiting {
                        gauges.cancelled();
                        job.end(Err(RequestError::Cancelled { tokens: 0 }));
                    }
                });
                Ok(cancel)
            }
            Err(PushError::Full { waiting, max }) => {
                self.gauges.overloaded();
                Err(RequestError::Overloaded {
                    pending: waiting,
                    max,
                })
            }
            Err(PushError::Closed) => Err(RequestError::ShuttingDown),
        }
    }

    /// Forgets one conversation of the first source, or all of that source where `id` is `None`, once its requests before this call
    /// are answered and before those after it.
    pub fn reset_conversation(&self, id: Option<&str>) {
        self.reset_conversation_of(Source::default(), id);
    }

    /// The same for another source.
    pub fn reset_conversation_of(&self, source: Source, id: Option<&str>) {
        let reset = Command::ResetConversation(source, id.map(str::to_owned));
        self.queue.push_control(source, reset);
    }

    /// Forgets the first source's conversations and everything that was computed for earlier requests, once these are answered and before
    /// those after this call. The next request is then answered to the bit as the first one of a new engine: a prompt whose
    /// beginning is reused gives the same answer only within rounding.
    pub fn forget(&self) {
        self.queue.push_control(Source::default(), Command::Forget);
    }

    /// Sets how many requests of each source may wait from now on; those that wait already stay.
    pub fn set_max_pending(&self, max: usize) {
        self.queue.set_max(max);
    }

    /// Gives the memory of the weights and of everything computed from frames back, once the first source's requests before this call
    /// are answered. Conversations stay. The next request loads the weights again, and its answer's notes say how long that took.
    /// The channel that is returned closes when the memory is free.
    pub fn unload(&self) -> Receiver<()> {
        let (done, unloaded) = crossbeam_channel::bounded(0);
        self.queue
            .push_control(Source::default(), Command::Unload(done));
        unloaded
    }

    /// Gives the memory back by itself, as [`unload`](Self::unload) does, whenever nothing was asked for so long; `None`, the
    /// default, never does.
    pub fn set_unload_after(&self, idle: Option<Duration>) {
        self.queue
            .push_control(Source::default(), Command::UnloadAfter(idle));
    }

    /// Which model answers.
    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// The requests that wait, run and have ended, as of now. The call never waits for the model.
    pub fn load(&self) -> EngineLoad {
        let (waiting, max_waiting) = self.queue.pending_and_max();
        self.gauges.snapshot(waiting, max_waiting)
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
        for command in waiting {
            if let Command::Answer(job) = command {
                job.end(Err(RequestError::ShuttingDown));
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

/// The model thread's loop: takes commands until the queue is closed.
fn serve(
    reasoner: &mut dyn Reasoner,
    queue: &Queue<Command>,
    gauges: &Gauges,
    current: &Mutex<Option<CancelToken>>,
) {
    let mut unload_after = None;
    loop {
        let patience = unload_after.filter(|_| reasoner.is_loaded());
        let command = match queue.pop(patience) {
            Popped::Entry(command) => command,
            Popped::Idle => Command::Unload(crossbeam_channel::bounded(0).0),
            Popped::Closed => return,
        };
        match command {
            Command::Unload(done) => {
                if reasoner.is_loaded() {
                    reasoner.unload();
                    info!(
                        "the memory of the model was given back; the next question loads it again"
                    );
                }
                gauges.set_loaded(false);
                gauges.set_caches(reasoner.caches());
                drop(done);
            }
            Command::UnloadAfter(idle) => unload_after = idle,
            Command::ResetConversation(source, id) => {
                reasoner.reset_conversation(source, id.as_deref());
                gauges.set_caches(reasoner.caches());
            }
            Command::Forget => {
                reasoner.reset_conversation(Source::default(), None);
                reasoner.clear_caches();
                gauges.set_caches(reasoner.caches());
            }
            Command::Answer(mut job) => {
                *lock(current) = Some(job.cancel.clone());
                // Whoever closed the queue cancels the current request, and this one was not current yet when they looked.
                if queue.is_closed() {
                    job.cancel.cancel();
                }
                gauges.started();
                let began = Instant::now();
                let result = answer(reasoner, &mut job);
                queue.charge(job.source, began.elapsed());
                gauges.set_loaded(reasoner.is_loaded());
                gauges.set_caches(reasoner.caches());
                gauges.ended(&result);
                *lock(current) = None;
                job.end(result);
            }
        }
    }
}

/// Answers a request inside its span; a panic of the reasoner becomes an error.
fn answer(reasoner: &mut dyn Reasoner, job: &mut Job) -> Result<Answer, RequestError> {
    let _request = job.span.clone().entered();
    job.queue_span = None;
    if job.cancel.is_cancelled() {
        return Err(RequestError::Cancelled { tokens: 0 });
    }
    let mut context = RequestContext::new(job.id, &job.cancel, job.submitted, &mut job.sink);
    context.source = job.source;
    log_stage(job.id, Stage::Queue, context.queued);
    context.send(Event::Stage(Stage::Queue));
    match catch_unwind(AssertUnwindSafe(|| {
        answer_loaded(reasoner, &job.request, &mut context)
    })) {
        Ok(result) => result,
        Err(panic) => {
            reasoner.clear_caches();
            Err(RequestError::Panicked(panic_text(&*panic)))
        }
    }
}

/// Answers a request, after the weights were loaded again where they had been given back.
fn answer_loaded(
    reasoner: &mut dyn Reasoner,
    request: &Request,
    context: &mut RequestContext<'_>,
) -> Result<Answer, RequestError> {
    if reasoner.is_loaded() {
        return reasoner.answer(request, context);
    }
    context.send(Event::Stage(Stage::Load));
    let started = Instant::now();
    reasoner.load_again()?;
    let loading = started.elapsed();
    log_stage(context.id, Stage::Load, loading);
    let mut answer = reasoner.answer(request, context)?;
    answer.timings.add(Stage::Load, loading);
    answer.notes.push(format!(
        "the model had given its memory back; loading it again took {:.1} s",
        loading.as_secs_f64()
    ));
    Ok(answer)
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
