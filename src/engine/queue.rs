//! The bounded queue in front of the model thread, fair between those who share the model.
//!
//! Every [`Source`] waits in a lane of its own, first in, first out, and its lane is bounded for itself. The next entry is that of the
//! lane which has had the least of the model's time, as its entries were charged; of two that have had the same, the one whose
//! last turn is longer ago. A lane that was empty begins where the entry that was taken last began: nobody saves up time by being silent. This
//! is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): while two lanes both have entries, the times that they get
//! differ by one entry of each at the most, however many entries either has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Source;

/// Refuses what would be one too many in its lane. The bound can change while it runs.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    lanes: BTreeMap<Source, Lane<T>>,
    /// The number of the latest id.
    ids: u64,
    /// The number of the latest turn.
    turns: u64,
    /// What the lane of the entry that was taken last had had before it.
    clock: Duration,
    max: usize,
    closed: bool,
}

/// The entries of one source.
struct Lane<T> {
    /// Each entry, with an id where it counts towards the bound.
    entries: VecDeque<(T, Option<EntryId>)>,
    counted: usize,
    /// The time that it has had. Only differences between lanes mean something.
    had: Duration,
    /// When its last turn was.
    turn: u64,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            counted: 0,
            had: Duration::ZERO,
            turn: 0,
        }
    }
}

impl<T> State<T> {
    /// Appends an entry to a lane.
    fn append(&mut self, source: Source, entry: T, id: Option<EntryId>) {
        let lane = self.lanes.entry(source).or_default();
        if lane.entries.is_empty() {
            lane.had = lane.had.max(self.clock);
        }
        lane.counted += usize::from(id.is_some());
        lane.entries.push_back((entry, id));
    }

    /// Takes the next entry out of the lane whose turn it is.
    fn take(&mut self) -> Option<T> {
        let lanes = self.lanes.values_mut();
        let waiting = lanes.filter(|lane| !lane.entries.is_empty());
        let lane = waiting.min_by_key(|lane| (lane.had, lane.turn))?;
        let (entry, id) = lane.entries.pop_front()?;
        lane.counted -= usize::from(id.is_some());
        self.turns += 1;
        lane.turn = self.turns;
        self.clock = lane.had;
        Some(entry)
    }

    fn counted(&self, source: Source) -> usize {
        self.lanes.get(&source).map_or(0, |lane| lane.counted)
    }
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
    /// The lane is full.
    Full { waiting: usize, max: usize },
    /// [`Queue::close`] was called.
    Closed,
}

impl<T> Queue<T> {
    pub fn new(max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                lanes: BTreeMap::new(),
                ids: 0,
                turns: 0,
                clock: Duration::ZERO,
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

    /// Appends an entry that counts towards its lane's bound.
    pub fn push(&self, source: Source, entry: T) -> Result<EntryId, PushError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PushError::Closed);
        }
        let (waiting, max) = (state.counted(source), state.max);
        if waiting >= max {
            return Err(PushError::Full { waiting, max });
        }
        state.ids += 1;
        let id = EntryId(state.ids);
        state.append(source, entry, Some(id));
        self.ready.notify_one();
        Ok(id)
    }

    /// Takes an entry out before its turn, so that another one may wait; `None` if it no longer waits.
    pub fn withdraw(&self, source: Source, id: EntryId) -> Option<T> {
        let mut state = self.lock();
        let lane = state.lanes.get_mut(&source)?;
        let at = lane
            .entries
            .iter()
            .position(|(_, known)| *known == Some(id))?;
        lane.counted -= 1;
        lane.entries.remove(at).map(|(entry, _)| entry)
    }

    /// Appends an entry that does not count towards the bound, because it is no work: a command to the model thread. Its turn comes
    /// after the entries that its own lane has by now.
    pub fn push_control(&self, source: Source, entry: T) {
        let mut state = self.lock();
        if !state.closed {
            state.append(source, entry, None);
            self.ready.notify_one();
        }
    }

    /// Says how much of the model's time an entry of this source took.
    pub fn charge(&self, source: Source, time: Duration) {
        if let Some(lane) = self.lock().lanes.get_mut(&source) {
            lane.had += time;
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
            if let Some(entry) = state.take() {
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
        self.ready.notify_all();
        let lanes = state.lanes.values_mut();
        let waiting = lanes.flat_map(|lane| {
            lane.counted = 0;
            std::mem::take(&mut lane.entries)
        });
        waiting.map(|(entry, _)| entry).collect()
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub fn set_max(&self, max: usize) {
        self.lock().max = max.max(1);
    }

    /// How many entries count towards the bounds of all lanes, and the sum of those bounds.
    pub fn pending_and_max(&self) -> (usize, usize) {
        let state = self.lock();
        let counted = state.lanes.values().map(|lane| lane.counted).sum();
        (counted, state.max * state.lanes.len().max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: Source = Source(0);
    const SECOND: Duration = Duration::from_secs(1);

    fn next<T>(queue: &Queue<T>) -> Option<T> {
        match queue.pop(None) {
            Popped::Entry(entry) => Some(entry),
            _ => None,
        }
    }

    fn ids<const N: usize>(queue: &Queue<u32>, entries: [u32; N]) -> [EntryId; N] {
        entries.map(|entry| queue.push(ONE, entry).unwrap())
    }

    #[test]
    fn a_withdrawn_entry_frees_its_place_at_once_and_the_others_keep_their_order() {
        let queue = Queue::new(3);
        let [first, second, third] = ids(&queue, [1, 2, 3]);
        assert!(matches!(
            queue.push(ONE, 4),
            Err(PushError::Full { waiting: 3, max: 3 })
        ));
        assert_eq!(queue.withdraw(ONE, second), Some(2));
        assert_eq!(queue.pending_and_max(), (2, 3));
        let [fourth] = ids(&queue, [4]);
        assert!(matches!(queue.push(ONE, 5), Err(PushError::Full { .. })));
        assert_eq!(
            [next(&queue), next(&queue), next(&queue)],
            [1, 3, 4].map(Some)
        );
        assert_eq!(queue.pending_and_max(), (0, 3));
        for gone in [first, second, third, fourth] {
            assert_eq!(queue.withdraw(ONE, gone), None, "it no longer waits");
        }
        assert_eq!(queue.pending_and_max(), (0, 3), "a place is freed once");
    }

    #[test]
    fn a_command_to_the_thread_takes_no_place() {
        let queue = Queue::new(1);
        queue.push_control(ONE, 10);
        let [id] = ids(&queue, [1]);
        queue.push_control(ONE, 11);
        assert_eq!(queue.withdraw(ONE, id), Some(1));
        assert_eq!(queue.pending_and_max(), (0, 1));
        assert_eq!([next(&queue), next(&queue)], [10, 11].map(Some));
    }

    #[test]
    fn who_waits_only_so_long_is_told_that_nothing_came() {
        let queue = Queue::new(2);
        let moment = Some(Duration::from_millis(1));
        assert_eq!(queue.pop(moment), Popped::Idle);
        queue.push_control(ONE, 1);
        assert_eq!(queue.pop(moment), Popped::Entry(1));
        queue.close();
        assert_eq!(queue.pop(moment), Popped::Closed);
    }

    #[test]
    fn a_closed_queue_hands_out_what_waited_once() {
        let queue = Queue::new(2);
        let [first, second] = ids(&queue, [1, 2]);
        assert_eq!(queue.withdraw(ONE, first), Some(1));
        assert_eq!(queue.close(), [2]);
        assert_eq!(queue.withdraw(ONE, second), None);
        assert_eq!(queue.pending_and_max(), (0, 2));
        assert!(matches!(queue.push(ONE, 3), Err(PushError::Closed)));
        assert_eq!(next(&queue), None);
    }

    /// A queue whose entries are the numbers of their sources.
    fn shared(max: usize, entries: &[u16]) -> Queue<u16> {
        let queue = Queue::new(max);
        entries.iter().for_each(|source| ask(&queue, *source));
        queue
    }

    fn ask(queue: &Queue<u16>, source: u16) {
        queue.push(Source(source), source).unwrap();
    }

    /// Answers one entry, which takes the time that `cost` says for its source; whose it was.
    fn serve(queue: &Queue<u16>, cost: impl Fn(u16) -> Duration) -> Option<u16> {
        let (pending, _) = queue.pending_and_max();
        let source = (pending > 0).then(|| next(queue))??;
        queue.charge(Source(source), cost(source));
        Some(source)
    }

    fn all(queue: &Queue<u16>, cost: impl Fn(u16) -> Duration + Copy) -> Vec<u16> {
        std::iter::from_fn(|| serve(queue, cost)).collect()
    }

    #[test]
    fn a_flood_of_one_source_makes_another_wait_for_no_more_than_its_turn() {
        let queue = shared(100, &[0; 100]);
        let same = |_| SECOND;
        assert_eq!(serve(&queue, same), Some(0));
        ask(&queue, 1);
        assert_eq!(serve(&queue, same), Some(1), "it is next, before 99 others");
        // Who keeps asking gets every second answer, whatever waits beside it.
        for _ in 0..10 {
            ask(&queue, 1);
            assert_eq!(
                [serve(&queue, same), serve(&queue, same)],
                [Some(0), Some(1)]
            );
        }
        assert_eq!(all(&queue, same), [0; 89]);
    }

    #[test]
    fn those_who_all_have_entries_take_turns() {
        let queue = shared(3, &[2, 2, 2, 0, 0, 0, 1, 1, 1]);
        assert_eq!(all(&queue, |_| SECOND), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        // They take turns even where nothing is charged.
        let queue = shared(3, &[1, 1, 1, 0, 0, 0]);
        assert_eq!(all(&queue, |_| Duration::ZERO), [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn shares_are_in_time_and_not_in_entries() {
        let queue = shared(40, &[0; 8]);
        (0..32).for_each(|_| ask(&queue, 1));
        let served = all(
            &queue,
            |source| if source == 0 { SECOND * 4 } else { SECOND },
        );
        assert_eq!(served[..10], [0, 1, 1, 1, 1, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn nobody_saves_up_time_by_being_silent() {
        let queue = shared(100, &[1; 50]);
        let same = |_| SECOND;
        assert_eq!(all(&queue, same), [1; 50]);
        (0..5).for_each(|_| ask(&queue, 1));
        (0..5).for_each(|_| ask(&queue, 0));
        let served = all(&queue, same);
        let silent = served[..4].iter().filter(|source| **source == 0).count();
        assert!((1..=3).contains(&silent), "{served:?}");
    }

    #[test]
    fn a_full_lane_refuses_its_own_entries_only() {
        let queue = shared(2, &[0, 0]);
        let refused = queue.push(Source(0), 0);
        assert!(matches!(
            refused,
            Err(PushError::Full { waiting: 2, max: 2 })
        ));
        ask(&queue, 1);
        assert_eq!(queue.pending_and_max(), (3, 4));
        queue.push_control(Source(1), 7);
        assert_eq!([next(&queue), next(&queue)], [0, 1].map(Some));
        queue.charge(Source(0), SECOND);
        assert_eq!(
            next(&queue),
            Some(7),
            "a command follows its own lane's entries"
        );
        assert_eq!(queue.close(), [0]);
    }

    proptest! {
        /// While two sources both have entries, the times that they get differ by one entry of each at the most.
        #[test]
        fn the_times_of_those_who_wait_differ_by_no_more_than_an_entry(
            costs in prop::collection::vec(1u64..1000, 4),
            silent in prop::collection::vec(0usize..30, 4),
        ) {
            let cost = |source: u16| Duration::from_millis(costs[usize::from(source)]);
            let queue = shared(1000, &[]);
            // Some have been busy before, and some have not.
            for (source, count) in silent.iter().enumerate() {
                (0..*count).for_each(|_| ask(&queue, source as u16));
                all(&queue, cost);
            }
            (0..4).for_each(|source| (0..200).for_each(|_| ask(&queue, source)));
            let mut had = [Duration::ZERO; 4];
            for _ in 0..200 {
                let source = serve(&queue, cost).unwrap();
                had[usize::from(source)] += cost(source);
                for (one, other) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
                    let apart = had[one].abs_diff(had[other]);
                    let most = cost(one as u16) + cost(other as u16);
                    prop_assert!(apart <= most, "{had:?} after {source}, {costs:?}");
                }
            }
        }
    }
}
