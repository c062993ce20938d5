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
pub enum Reported {
    Engine(Event),
    /// The frame is none, and why.
    BadFrame(String),
}

/// Gives questions to the engine, and takes them back.
pub struct Asker {
    requests: mpsc::Sender<EngineRequest<SourceImage>>,
    open: Arc<Mutex<HashMap<QuestionId, Open>>>,
    thread: JoinHandle<()>,
}

/// A question that is not done.
enum Open {
    /// The engine does not have it yet.
    Decoding,
    Asked(CancelToken),
}

impl Asker {
    /// `reports` carries what becomes of each question.
    ///
    /// # Errors
    /// The operating system's, where it refuses a thread.
    pub fn start(
        engine: Arc<Engine>,
        reports: UnboundedSender<(QuestionId, Reported)>,
    ) -> std::io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<EngineRequest<SourceImage>>();
        let open = Arc::<Mutex<HashMap<QuestionId, Open>>>::default();
        let of_the_thread = Arc::clone(&open);
        let thread = std::thread::Builder::new()
            .name("asker".to_owned())
            .spawn(move || {
                for request in incoming {
                    ask(&engine, request, &of_the_thread, &reports);
                }
            })?;
        Ok(Self {
            requests,
            open,
            thread,
        })
    }

    /// Puts a question to the engine, once its frame is decoded.
    pub fn ask(&self, request: EngineRequest<SourceImage>) {
        lock(&self.open).insert(request.id, Open::Decoding);
        // The thread ends with this channel, so it is there.
        let _ = self.requests.send(request);
    }

    /// Takes a question back.
    pub fn cancel(&self, id: QuestionId) {
        if let Some(Open::Asked(token)) = lock(&self.open).remove(&id) {
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

fn ask(
    engine: &Engine,
    request: EngineRequest<SourceImage>,
    open: &Mutex<HashMap<QuestionId, Open>>,
    reports: &UnboundedSender<(QuestionId, Reported)>,
) {
    let id = request.id;
    // Taken back before its turn: no need to decode.
    if !lock(open).contains_key(&id) {
        return;
    }
    // A closed channel means that the node is ending, and has told the asker itself.
    let report = |reported| drop(reports.send((id, reported)));
    let frame = match request.frame.frame() {
        Ok(frame) => frame,
        Err(why) => return report(Reported::BadFrame(why)),
    };
    // Under the lock, so that whoever takes it back finds either what waits or what the engine has.
    let mut open = lock(open);
    let Some(slot) = open.get_mut(&id) else {
        return;
    };
    let taken = Arc::<Mutex<Taken>>::default();
    let mut sink = Sink {
        id,
        reports: reports.clone(),
        ended: false,
        taken: Arc::clone(&taken),
    };
    let submitted = engine.submit_to(
        Request {
            instruction: request.instruction,
            frame,
            conversation_id: request.conversation_id,
            options: request.options,
        },
        move |event| sink.take(event),
    );
    match submitted {
        Ok(token) => {
            *slot = Open::Asked(token);
            let dropped = std::mem::replace(&mut *lock(&taken), Taken::Yes) == Taken::Dropped;
            if dropped {
                report(Reported::Engine(Event::Failed(without_answer())));
            }
        }
        Err(error) => report(Reported::Engine(Event::Failed(error))),
    }
}

/// Whether the engine has taken a question. One that it refuses is dropped, too, and then the refusal is what is told.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Taken {
    #[default]
    NotYet,
    Yes,
    /// Dropped before it was known that it is taken.
    Dropped,
}

fn without_answer() -> RequestError {
    RequestError::Model("the request was dropped without an answer".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries one question's events, and an end where the engine gives none.
struct Sink {
    id: QuestionId,
    reports: UnboundedSender<(QuestionId, Reported)>,
    ended: bool,
    taken: Arc<Mutex<Taken>>,
}

impl Sink {
    fn take(&mut self, event: Event) {
        self.ended |= matches!(event, Event::Done(_) | Event::Failed(_));
        let _ = self.reports.send((self.id, Reported::Engine(event)));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let taken = {
            let mut taken = lock(&self.taken);
            if *taken == Taken::NotYet {
                *taken = Taken::Dropped;
            }
            *taken == Taken::Yes
        };
        if taken {
            self.take(Event::Failed(without_answer()));
        }
    }
}
