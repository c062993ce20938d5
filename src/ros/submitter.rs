//! Between the machine and the engine: a thread that decodes frames and submits, so that the largest JPEG delays no cancel.
//!
//! One thread, first come first served: the engine's queue has to have the order of the questions.

use std::collections::HashMap;
use std::sync::{mpsc, Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedSender;

use super::convert::SourceImage;
use crate::engine::{CancelToken, Engine, Event, Request, RequestError};
use crate::node::{EngineRequest, QuestionId};

/// What comes back.
pub enum EngineReport {
    Engine(Event),
    /// The frame is none, and why.
    BadFrame(String),
}

/// Gives questions to the engine, and takes them back.
pub struct Submitter {
    requests: mpsc::Sender<EngineRequest<SourceImage>>,
    open: Arc<Mutex<HashMap<QuestionId, OpenRequest>>>,
    thread: JoinHandle<()>,
}

/// A question that is not done.
enum OpenRequest {
    /// The engine does not have it yet.
    Decoding,
    /// The engine has it.
    Submitted(CancelToken),
}

impl Submitter {
    /// `reports` carries what becomes of each question.
    ///
    /// # Errors
    /// The operating system's, where it refuses a thread.
    pub fn start(
        engine: Arc<Engine>,
        reports: UnboundedSender<(QuestionId, EngineReport)>,
    ) -> std::io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<EngineRequest<SourceImage>>();
        let open = Arc::<Mutex<HashMap<QuestionId, OpenRequest>>>::default();
        let thread_open = Arc::clone(&open);
        let thread = std::thread::Builder::new()
            .name("submitter".to_owned())
            .spawn(move || {
                for request in incoming {
                    decode_and_submit(&engine, request, &thread_open, &reports);
                }
            })?;
        Ok(Self {
            requests,
            open,
            thread,
        })
    }

    /// Puts a question to the engine, once its frame is decoded.
    pub fn submit(&self, request: EngineRequest<SourceImage>) {
        lock(&self.open).insert(request.id, OpenRequest::Decoding);
        // The thread ends with this channel, so it is there.
        let _ = self.requests.send(request);
    }

    /// Takes a question back.
    pub fn cancel(&self, id: QuestionId) {
        if let Some(OpenRequest::Submitted(token)) = lock(&self.open).remove(&id) {
            token.cancel();
        }
    }

    /// The question is done.
    pub fn forget(&self, id: QuestionId) {
        lock(&self.open).remove(&id);
    }

    /// Ends the thread, and returns when it is at the end of what it does.
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
    request: EngineRequest<SourceImage>,
    open: &Mutex<HashMap<QuestionId, OpenRequest>>,
    reports: &UnboundedSender<(QuestionId, EngineReport)>,
) {
    let id = request.id;
    // Acceptance back before its turn: no need to decode.
    if !lock(open).contains_key(&id) {
        return;
    }
    // A closed channel means that the node is ending, and has told the submitter itself.
    let report = |report| drop(reports.send((id, report)));
    let frame = match request.frame.frame() {
        Ok(frame) => frame,
        Err(why) => return report(EngineReport::BadFrame(why)),
    };
    // Under the lock, so that whoever takes it back finds either what waits or what the engine has.
    let mut open = lock(open);
    let Some(slot) = open.get_mut(&id) else {
        return;
    };
    let acceptance = Arc::<Mutex<Acceptance>>::default();
    let mut sink = EventSink {
        id,
        reports: reports.clone(),
        ended: false,
        acceptance: Arc::clone(&acceptance),
    };
    let submitted = engine.submit_to(
        Request {
            instruction: request.instruction,
            frame,
            conversation_id: request.conversation_id,
            options: request.options,
        },
        move |event| sink.report(event),
    );
    match submitted {
        Ok(token) => {
            *slot = OpenRequest::Submitted(token);
            let dropped = std::mem::replace(&mut *lock(&acceptance), Acceptance::Accepted)
                == Acceptance::Dropped;
            if dropped {
                report(EngineReport::Engine(Event::Failed(without_answer())));
            }
        }
        Err(error) => report(EngineReport::Engine(Event::Failed(error))),
    }
}

/// Whether the engine has acceptance a question. One that it refuses is dropped, too, and then the refusal is what is told.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Acceptance {
    #[default]
    Unknown,
    Accepted,
    /// Dropped before it was known that it is acceptance.
    Dropped,
}

fn without_answer() -> RequestError {
    RequestError::Model("the request was dropped without an answer".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries one question's events, and an end where the engine gives none.
struct EventSink {
    id: QuestionId,
    reports: UnboundedSender<(QuestionId, EngineReport)>,
    ended: bool,
    acceptance: Arc<Mutex<Acceptance>>,
}

impl EventSink {
    fn report(&mut self, event: Event) {
        self.ended |= matches!(event, Event::Done(_) | Event::Failed(_));
        let _ = self.reports.send((self.id, EngineReport::Engine(event)));
    }
}

impl Drop for EventSink {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let acceptance = {
            let mut acceptance = lock(&self.acceptance);
            if *acceptance == Acceptance::Unknown {
                *acceptance = Acceptance::Dropped;
            }
            *acceptance == Acceptance::Accepted
        };
        if acceptance {
            self.report(Event::Failed(without_answer()));
        }
    }
}
