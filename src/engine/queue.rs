//! The bounded queue in front of the model thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// First in, first out; refuses what would be one too many. The bound can change while it runs.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    /// Second: whether the entry counts towards the bound.
    entries: VecDeque<(T, bool)>,
    counted: usize,
    max: usize,
    closed: bool,
}

/// Why an entry was not taken.
pub(super) enum Refused {
    Full { waiting: usize, max: usize },
    Closed,
}

impl<T> Queue<T> {
    pub fn new(max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                entries: VecDeque::new(),
                counted: 0,
                max: max.max(1),
                closed: false,
            }),
            ready: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it holds the lock; the state is sound even if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an entry that counts towards the bound.
    pub fn push(&self, entry: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.counted >= state.max {
            return Err(Refused::Full {
                waiting: state.counted,
                max: state.max,
            });
        }
        state.counted += 1;
        state.entries.push_back((entry, true));
        self.ready.notify_one();
        Ok(())
    }

    /// Appends an entry that does not count: a word to the thread, not work.
    pub fn push_control(&self, entry: T) {
        let mut state = self.lock();
        if !state.closed {
            state.entries.push_back((entry, false));
            self.ready.notify_one();
        }
    }

    /// The next entry; waits for one. `None` when the queue is closed.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some((entry, counts)) = state.entries.pop_front() {
                state.counted -= usize::from(counts);
                return Some(entry);
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes nothing more, wakes the thread, and returns what was waiting.
    pub fn close(&self) -> Vec<T> {
        let mut state = self.lock();
        state.closed = true;
        state.counted = 0;
        self.ready.notify_all();
        state.entries.drain(..).map(|(entry, _)| entry).collect()
    }

    pub fn set_max(&self, max: usize) {
        self.lock().max = max.max(1);
    }

    /// Entries that count, and the bound.
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.counted, state.max)
    }
}
