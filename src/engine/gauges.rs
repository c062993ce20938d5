//! The engine's gauges: plain numbers that say what waits, what runs, what has ended and what was found in a cache.
//!
//! [`Engine::load`](super::Engine::load) reads them without waiting for the model. Counters only grow, so that a caller who asks
//! twice can compute a rate; everything else is the value of the moment. The numbers are read one after the other while the
//! model thread goes on, so that two of them may differ by the request that is just ending.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::{Answer, CacheLoad, RequestError};

/// A snapshot of the engine's load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineLoad {
    /// Requests in the queue: neither the one that is being answered nor those that were cancelled.
    pub waiting: usize,
    /// How many requests may wait.
    pub max_waiting: usize,
    /// Whether the weights are in memory.
    pub loaded: bool,
    /// Whether a request is being answered.
    pub running: bool,
    /// Requests that ended with an answer.
    pub answered: u64,
    /// Requests that were cancelled, while they waited or while they were being answered.
    pub cancelled: u64,
    /// Requests that ended with any other error.
    pub failed: u64,
    /// Requests that found the queue full.
    pub overloaded: u64,
    /// Tokens of all answers, end-of-turn tokens included.
    pub tokens: u64,
    /// What is kept between requests, as of the end of the last request.
    pub caches: CacheLoad,
}

/// The counters behind [`EngineLoad`], written by the model thread and by the threads that submit and cancel.
#[derive(Default)]
pub(super) struct Gauges {
    unloaded: AtomicBool,
    running: AtomicBool,
    answered: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
    overloaded: AtomicU64,
    tokens: AtomicU64,
    caches: Mutex<CacheLoad>,
}

impl Gauges {
    pub fn started(&self) {
        self.running.store(true, Relaxed);
    }

    /// Whether the weights are in memory, which they are at the start.
    pub fn set_loaded(&self, loaded: bool) {
        self.unloaded.store(!loaded, Relaxed);
    }

    /// The request that [`started`](Self::started) has ended.
    pub fn ended(&self, result: &Result<Answer, RequestError>) {
        match result {
            Ok(answer) => {
                self.answered.fetch_add(1, Relaxed);
                self.tokens.fetch_add(answer.tokens as u64, Relaxed);
            }
            Err(RequestError::Cancelled { .. }) => self.cancelled(),
            Err(_) => {
                self.failed.fetch_add(1, Relaxed);
            }
        }
        self.running.store(false, Relaxed);
    }

    pub fn cancelled(&self) {
        self.cancelled.fetch_add(1, Relaxed);
    }

    pub fn overloaded(&self) {
        self.overloaded.fetch_add(1, Relaxed);
    }

    pub fn set_caches(&self, caches: CacheLoad) {
        *self.caches.lock().unwrap_or_else(PoisonError::into_inner) = caches;
    }

    /// All of them, beside the queue's own numbers.
    pub fn snapshot(&self, waiting: usize, max_waiting: usize) -> EngineLoad {
        EngineLoad {
            waiting,
            max_waiting,
            loaded: !self.unloaded.load(Relaxed),
            running: self.running.load(Relaxed),
            answered: self.answered.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            failed: self.failed.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            tokens: self.tokens.load(Relaxed),
            caches: *self.caches.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}
