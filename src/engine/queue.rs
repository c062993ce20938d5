//! The bounded queue in front of the model thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// First in, first out; refuses what would be one too many. The bound can change while it runs.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    /// Second: the place of an entry that counts towards the bound.
    entries: VecDeque<(T, Option<Place>)>,
    places: u64,
    counted: usize,
    max: usize,
    closed: bool,
}

/// Names an entry that counts, for as long as it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

/// Why an entry was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    Full { waiting: usize, max: usize },
    Closed,
}

impl<T> Queue<T> {
    pub fn new(max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                entries: VecDeque::new(),
                places: 0,
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
    pub fn push(&self, entry: T) -> Result<Place, Refused> {
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
        state.places += 1;
        let place = Place(state.places);
        state.entries.push_back((entry, Some(place)));
        self.ready.notify_one();
        Ok(place)
    }

    /// Takes an entry out before its turn, and frees its place; `None` where it no longer waits.
    pub fn withdraw(&self, place: Place) -> Option<T> {
        let mut state = self.lock();
        let at = state.entries.iter().position(|(_, p)| *p == Some(place))?;
        state.counted -= 1;
        state.entries.remove(at).map(|(entry, _)| entry)
    }

    /// Appends an entry that does not count: a word to the thread, not work.
    pub fn push_control(&self, entry: T) {
        let mut state = self.lock();
        if !state.closed {
            state.entries.push_back((entry, None));
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
            if let Some((entry, place)) = state.entries.pop_front() {
                state.counted -= usize::from(place.is_some());
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

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub fn set_max(&self, max: usize) {
        self.lock().max = max.max(1);
    }

    /// Entries that count, and the bound.
    pub fn pending_and_max(&self) -> (usize, usize) {
        let state = self.lock();
        (state.counted, state.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places<const N: usize>(queue: &Queue<u32>, entries: [u32; N]) -> [Place; N] {
        entries.map(|entry| queue.push(entry).unwrap())
    }

    #[test]
    fn a_withdrawn_entry_frees_its_place_at_once_and_the_others_keep_their_order() {
        let queue = Queue::new(3);
        let [first, second, third] = places(&queue, [1, 2, 3]);
        assert!(matches!(
            queue.push(4),
            Err(Refused::Full { waiting: 3, max: 3 })
        ));
        assert_eq!(queue.withdraw(second), Some(2));
        assert_eq!(queue.pending_and_max(), (2, 3));
        let [fourth] = places(&queue, [4]);
        assert!(matches!(queue.push(5), Err(Refused::Full { .. })));
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [1, 3, 4].map(Some));
        assert_eq!(queue.pending_and_max(), (0, 3));
        for gone in [first, second, third, fourth] {
            assert_eq!(queue.withdraw(gone), None, "it no longer waits");
        }
        assert_eq!(queue.pending_and_max(), (0, 3), "a place is freed once");
    }

    #[test]
    fn a_word_to_the_thread_takes_no_place() {
        let queue = Queue::new(1);
        queue.push_control(10);
        let [place] = places(&queue, [1]);
        queue.push_control(11);
        assert_eq!(queue.withdraw(place), Some(1));
        assert_eq!(queue.pending_and_max(), (0, 1));
        assert_eq!([queue.pop(), queue.pop()], [10, 11].map(Some));
    }

    #[test]
    fn a_closed_queue_hands_out_what_waited_once() {
        let queue = Queue::new(2);
        let [first, second] = places(&queue, [1, 2]);
        assert_eq!(queue.withdraw(first), Some(1));
        assert_eq!(queue.close(), [2]);
        assert_eq!(queue.withdraw(second), None);
        assert_eq!(queue.pending_and_max(), (0, 2));
        assert!(matches!(queue.push(3), Err(Refused::Closed)));
        assert_eq!(queue.pop(), None);
    }
}
