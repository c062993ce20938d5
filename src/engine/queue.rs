//! The bounded queue in front of the model thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// First in, first out; refuses what would be one too many. The bound can change while it runs.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    /// Each entry, with an id where it counts towards the bound.
    entries: VecDeque<(T, Option<EntryId>)>,
    /// The number of the latest id.
    ids: u64,
    counted: usize,
    max: usize,
    closed: bool,
}

/// Names an entry that counts towards the bound. An id is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(u64);

/// What [`Queue::pop`] has waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped<T> {
    /// The next entry.
    Entry(T),
    /// Nothing has come for as long as the caller would wait.
    Idle,
    /// [`Queue::close`] was called.
    Closed,
}

/// Why the queue did not take an entry.
#[derive(Debug)]
pub(super) enum PushError {
    /// The queue is full.
    Full { waiting: usize, max: usize },
    /// [`Queue::close`] was called.
    Closed,
}

impl<T> Queue<T> {
    pub fn new(max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                entries: VecDeque::new(),
                ids: 0,
                counted: 0,
                max: max.max(1),
                closed: false,
            }),
            ready: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it holds the lock, and the state would be consistent even then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an entry that counts towards the bound.
    pub fn push(&self, entry: T) -> Result<EntryId, PushError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PushError::Closed);
        }
        if state.counted >= state.max {
            return Err(PushError::Full {
                waiting: state.counted,
                max: state.max,
            });
        }
        state.counted += 1;
        state.ids += 1;
        let id = EntryId(state.ids);
        state.entries.push_back((entry, Some(id)));
        self.ready.notify_one();
        Ok(id)
    }

    /// Takes an entry out before its turn, so that another one may wait; `None` if it no longer waits.
    pub fn withdraw(&self, id: EntryId) -> Option<T> {
        let mut state = self.lock();
        let at = state
            .entries
            .iter()
            .position(|(_, known)| *known == Some(id))?;
        state.counted -= 1;
        state.entries.remove(at).map(|(entry, _)| entry)
    }

    /// Appends an entry that does not count towards the bound, because it is no work: a command to the model thread.
    pub fn push_control(&self, entry: T) {
        let mut state = self.lock();
        if !state.closed {
            state.entries.push_back((entry, None));
            self.ready.notify_one();
        }
    }

    /// The next entry; waits for one, for ever if `patience` is `None`.
    pub fn pop(&self, patience: Option<Duration>) -> Popped<T> {
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.lock();
        loop {
            if state.closed {
                return Popped::Closed;
            }
            if let Some((entry, id)) = state.entries.pop_front() {
                state.counted -= usize::from(id.is_some());
                return Popped::Entry(entry);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return Popped::Idle,
                Some(left) => {
                    let waited = self.ready.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.ready.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Refuses further entries, wakes the thread that waits in [`pop`](Self::pop), and returns the entries that were waiting.
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

    /// How many entries count towards the bound, and the bound.
    pub fn pending_and_max(&self) -> (usize, usize) {
        let state = self.lock();
        (state.counted, state.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next<T>(queue: &Queue<T>) -> Option<T> {
        match queue.pop(None) {
            Popped::Entry(entry) => Some(entry),
            _ => None,
        }
    }

    fn ids<const N: usize>(queue: &Queue<u32>, entries: [u32; N]) -> [EntryId; N] {
        entries.map(|entry| queue.push(entry).unwrap())
    }

    #[test]
    fn a_withdrawn_entry_frees_its_place_at_once_and_the_others_keep_their_order() {
        let queue = Queue::new(3);
        let [first, second, third] = ids(&queue, [1, 2, 3]);
        assert!(matches!(
            queue.push(4),
            Err(PushError::Full { waiting: 3, max: 3 })
        ));
        assert_eq!(queue.withdraw(second), Some(2));
        assert_eq!(queue.pending_and_max(), (2, 3));
        let [fourth] = ids(&queue, [4]);
        assert!(matches!(queue.push(5), Err(PushError::Full { .. })));
        assert_eq!(
            [next(&queue), next(&queue), next(&queue)],
            [1, 3, 4].map(Some)
        );
        assert_eq!(queue.pending_and_max(), (0, 3));
        for gone in [first, second, third, fourth] {
            assert_eq!(queue.withdraw(gone), None, "it no longer waits");
        }
        assert_eq!(queue.pending_and_max(), (0, 3), "a place is freed once");
    }

    #[test]
    fn a_command_to_the_thread_takes_no_place() {
        let queue = Queue::new(1);
        queue.push_control(10);
        let [id] = ids(&queue, [1]);
        queue.push_control(11);
        assert_eq!(queue.withdraw(id), Some(1));
        assert_eq!(queue.pending_and_max(), (0, 1));
        assert_eq!([next(&queue), next(&queue)], [10, 11].map(Some));
    }

    #[test]
    fn who_waits_only_so_long_is_told_that_nothing_came() {
        let queue = Queue::new(2);
        let moment = Some(Duration::from_millis(1));
        assert_eq!(queue.pop(moment), Popped::Idle);
        queue.push_control(1);
        assert_eq!(queue.pop(moment), Popped::Entry(1));
        queue.close();
        assert_eq!(queue.pop(moment), Popped::Closed);
    }

    #[test]
    fn a_closed_queue_hands_out_what_waited_once() {
        let queue = Queue::new(2);
        let [first, second] = ids(&queue, [1, 2]);
        assert_eq!(queue.withdraw(first), Some(1));
        assert_eq!(queue.close(), [2]);
        assert_eq!(queue.withdraw(second), None);
        assert_eq!(queue.pending_and_max(), (0, 2));
        assert!(matches!(queue.push(3), Err(PushError::Closed)));
        assert_eq!(next(&queue), None);
    }
}
