//! A thread that decodes frames and submits requests to the engine, so that decoding a large JPEG delays no cancel request.
//!
//! It is a single thread and works first in, first out, because the engine has to get the questions in their order.

use std::collections::HashMap;
use std::sync::{mpsc, Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedSender;

use super::convert::SourceImage;
use crate::engine::{CancelToken, Engine, Event, Request, RequestError, Source};
use crate::node::{EngineRequest, Place, QuestionId};

/// What the threads beside the main one report about a question.
pub enum EngineReport {
    /// An event of the engine.
    Engine(Event),
    /// The frame cannot be decoded, for this reason; the engine has not got the question.
    BadFrame(String),
    /// Where an object is.
    Place {
        /// The number of the object among those of the question.
        index: usize,
        /// Its place, or why there is none.
        place: Place,
    },
}

/// The way of such reports to the main thread, for one camera.
#[derive(Clone)]
pub struct Reports {
    /// The camera's place.
    pub camera: usize,
    pub sender: UnboundedSender<(usize, QuestionId, EngineReport)>,
}

impl Reports {
    pub fn send(&self, id: QuestionId, report: EngineReport) {
        // The channel is closed only when the node is ending, and then the node has ended the question itself.
        let _ = self.sender.send((self.camera, id, report));
    }
}

/// Submits questions to the engine, and cancels them.
pub struct Submitter {
    requests: mpsc::Sender<EngineRequest<SourceImage>>,
    /// The questions that have neither ended nor been cancelled.
    open: Arc<Mutex<HashMap<QuestionId, OpenRequest>>>,
    thread: JoinHandle<()>,
}

/// How far an open question is.
enum OpenRequest {
    /// The engine does not have it yet.
    Decoding,
    /// The engine has it.
    Submitted(CancelToken),
}

impl Submitter {
    /// Starts the thread, for the camera that the engine knows under `source`. Everything about its questions is sent to `reports`.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(engine: Arc<Engine>, source: Source, reports: Reports) -> std::io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<EngineRequest<SourceImage>>();
        let open = Arc::<Mutex<HashMap<QuestionId, OpenRequest>>>::default();
        let thread_open = Arc::clone(&open);
        let thread = std::thread::Builder::new()
            .name("submitter".to_owned())
            .spawn(move || {
                for request in incoming {
                    decode_and_submit(&engine, source, request, &thread_open, &reports);
                }
            })?;
        Ok(Self {
            requests,
            open,
            thread,
        })
    }

    /// Submits a question as soon as its frame is decoded.
    pub fn submit(&self, request: EngineRequest<SourceImage>) {
        lock(&self.open).insert(request.id, OpenRequest::Decoding);
        // The thread lives as long as this channel, so sending cannot fail.
        let _ = self.requests.send(request);
    }

    /// Cancels a question.
    pub fn cancel(&self, id: QuestionId) {
        if let Some(OpenRequest::Submitted(token)) = lock(&self.open).remove(&id) {
            token.cancel();
        }
    }

    /// Drops what is kept of a question that has ended.
    pub fn forget(&self, id: QuestionId) {
        lock(&self.open).remove(&id);
    }

    /// Ends the thread, and returns when it has finished the frame that it is decoding.
    pub fn stop(self) {
        lock(&self.open).clear();
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the thread that asks the engine had panicked");
        }
    }
}

fn decode_and_submit(
    engine: &Engine,
    source: Source,
    request: EngineRequest<SourceImage>,
    open: &Mutex<HashMap<QuestionId, OpenRequest>>,
    reports: &Reports,
) {
    let id = request.id;
    // It was cancelled before its turn, so its frame need not be decoded.
    if !lock(open).contains_key(&id) {
        return;
    }
    let frame = match request.frame.frame() {
        Ok(frame) => frame,
        Err(why) => return reports.send(id, EngineReport::BadFrame(why)),
    };
    // Submitted under the lock, so that a cancel finds the question either still decoding or with the engine's token.
    let mut open = lock(open);
    let Some(slot) = open.get_mut(&id) else {
        return;
    };
    match submit_reporting(engine, source, id, request.with_frame(frame), reports) {
        Ok(token) => *slot = OpenRequest::Submitted(token),
        Err(error) => reports.send(id, EngineReport::Engine(Event::Failed(error))),
    }
}

/// Submits a request whose events are all sent to `reports`, and always a last one, even if the engine loses it.
///
/// # Errors
/// Why the engine refuses it; nothing is reported then.
pub fn submit_reporting(
    engine: &Engine,
    source: Source,
    id: QuestionId,
    request: Request,
    reports: &Reports,
) -> Result<CancelToken, RequestError> {
    let acceptance = Arc::<Mutex<Acceptance>>::default();
    let mut sink = EventSink {
        id,
        reports: reports.clone(),
        ended: false,
        acceptance: Arc::clone(&acceptance),
    };
    let token = engine.submit_from(source, request, move |event| sink.report(event))?;
    let before = std::mem::replace(&mut *lock(&acceptance), Acceptance::Accepted);
    if before == Acceptance::Dropped {
        let lost = Event::Failed(RequestError::Dropped);
        reports.send(id, EngineReport::Engine(lost));
    }
    Ok(token)
}

/// Whether the engine has accepted a request. It also drops the sink of a request that it refuses, and then the refusal is what
/// is reported.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Acceptance {
    /// `submit_to` has not returned yet.
    #[default]
    Unknown,
    Accepted,
    /// The sink was dropped before `submit_to` returned.
    Dropped,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reports one question's events, and an error if the engine drops it without a last event.
struct EventSink {
    id: QuestionId,
    reports: Reports,
    ended: bool,
    acceptance: Arc<Mutex<Acceptance>>,
}

impl EventSink {
    fn report(&mut self, event: Event) {
        self.ended |= matches!(event, Event::Done(_) | Event::Failed(_));
        self.reports.send(self.id, EngineReport::Engine(event));
    }
}

impl Drop for EventSink {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let accepted = {
            let mut acceptance = lock(&self.acceptance);
            if *acceptance == Acceptance::Unknown {
                *acceptance = Acceptance::Dropped;
            }
            *acceptance == Acceptance::Accepted
        };
        if accepted {
            self.report(Event::Failed(RequestError::Dropped));
        }
    }
}
