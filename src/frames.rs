//! Camera frames as they arrive: the newest one, and a short memory for instructions that name a stamp.
//!
//! Nothing here looks at pixels. Frames are ordered by their stamps, because networks deliver late, and by arrival among equal
//! stamps, because some drivers never set one. A stamp more than [`TIME_JUMP`] behind the newest does not belong to a late frame
//! but to a clock that went back (a bag that loops, a simulation that was reset). It opens a new epoch, in which its frame is the
//! newest. The frames of the old epoch are dropped once a second frame confirms the new one, so that a single odd stamp loses
//! nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A time on the robot's clock, in nanoseconds since its epoch; zero in a message means that it is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub i64);

impl Stamp {
    /// A stamp as messages carry it.
    pub fn new(sec: i32, nanosec: u32) -> Self {
        Self(i64::from(sec) * 1_000_000_000 + i64::from(nanosec))
    }

    /// The distance to another stamp, in seconds; never negative.
    pub fn gap_s(self, other: Stamp) -> f64 {
        self.0.abs_diff(other.0) as f64 * 1e-9
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0 as f64 * 1e-9)
    }
}

/// A frame this far behind the newest one means that the clock went back.
pub const TIME_JUMP: Duration = Duration::from_secs(1);

/// The frame rate is averaged over this long.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// Bounds of the memory. The newest frame is kept even if it alone exceeds them.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many frames are kept.
    pub frames: usize,
    /// How many bytes of pixels are kept.
    pub bytes: usize,
}

impl Default for Bounds {
    /// A second of frames at 30 Hz, and 128 MiB.
    fn default() -> Self {
        Self {
            frames: 32,
            bytes: 128 << 20,
        }
    }
}

/// A frame in the memory.
#[derive(Debug)]
pub struct StoredFrame<T> {
    epoch: u64,
    /// When the camera took it.
    pub stamp: Stamp,
    /// The number of its arrival, from 1.
    pub number: u64,
    /// When it arrived.
    pub arrived: Instant,
    bytes: usize,
    /// The frame itself.
    pub frame: Arc<T>,
}

impl<T> Clone for StoredFrame<T> {
    fn clone(&self) -> Self {
        Self {
            frame: Arc::clone(&self.frame),
            ..*self
        }
    }
}

impl<T> StoredFrame<T> {
    fn order(&self) -> (u64, Stamp, u64) {
        (self.epoch, self.stamp, self.number)
    }
}

/// How a new frame relates to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the newest.
    Newest,
    /// It is older than the newest, by [`TIME_JUMP`] at most.
    Late,
    /// It is older by more than that: the clock went back.
    TimeJump,
}

/// The frame for a stamp, if there is one.
#[derive(Debug)]
pub enum Nearest<T> {
    /// The nearest frame.
    Found(StoredFrame<T>),
    /// The nearest frame is too far from the stamp.
    TooFar {
        /// Its stamp.
        nearest: Stamp,
        /// How far it is from the stamp, seconds.
        gap_s: f64,
    },
    /// There are no frames.
    Empty,
}

/// The newest frame and its predecessors.
#[derive(Debug)]
pub struct FrameStore<T> {
    bounds: Bounds,
    /// Sorted by [`StoredFrame::order`].
    ring: VecDeque<StoredFrame<T>>,
    bytes: usize,
    arrivals: VecDeque<Instant>,
    received: u64,
}

impl<T> FrameStore<T> {
    /// An empty memory with these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ring: VecDeque::new(),
            bytes: 0,
            arrivals: VecDeque::new(),
            received: 0,
        }
    }

    /// Stores a frame of `bytes` bytes, and drops the oldest ones that exceed the bounds.
    pub fn push(&mut self, stamp: Stamp, bytes: usize, frame: T, now: Instant) -> Arrival {
        self.received += 1;
        self.arrivals.push_back(now);
        self.forget_arrivals(now);
        let (arrival, epoch) = match self.ring.back() {
            None => (Arrival::Newest, 0),
            Some(newest) if stamp >= newest.stamp => (Arrival::Newest, newest.epoch),
            Some(newest) if newest.stamp.gap_s(stamp) > TIME_JUMP.as_secs_f64() => {
                (Arrival::TimeJump, newest.epoch + 1)
            }
            Some(newest) => (Arrival::Late, newest.epoch),
        };
        if arrival != Arrival::TimeJump {
            self.confirm_epoch(epoch, stamp);
        }
        let stored = StoredFrame {
            epoch,
            stamp,
            number: self.received,
            arrived: now,
            bytes,
            frame: Arc::new(frame),
        };
        let at = self.ring.partition_point(|h| h.order() < stored.order());
        self.ring.insert(at, stored);
        self.bytes += bytes;
        while self.ring.len() > self.bounds.frames.max(1)
            || (self.bytes > self.bounds.bytes && self.ring.len() > 1)
        {
            self.drop_oldest();
        }
        arrival
    }

    /// Drops the frames of older epochs if this one is the second to be older than they are: then the clock really went back.
    fn confirm_epoch(&mut self, epoch: u64, stamp: Stamp) {
        let old_end = self
            .ring
            .iter()
            .rev()
            .find(|h| h.epoch < epoch)
            .map(|h| h.stamp);
        if old_end.is_some_and(|end| stamp < end) {
            while self.ring.front().is_some_and(|h| h.epoch < epoch) {
                self.drop_oldest();
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(old) = self.ring.pop_front() {
            self.bytes -= old.bytes;
        }
    }

    /// The newest frame.
    pub fn newest(&self) -> Option<StoredFrame<T>> {
        self.ring.back().cloned()
    }

    /// The frame nearest to `stamp`, at most `slop_s` seconds from it; of two that are equally near, the later one.
    pub fn nearest(&self, stamp: Stamp, slop_s: f64) -> Nearest<T> {
        let newest_first = self.ring.iter().rev();
        let Some(best) = newest_first.min_by_key(|h| h.stamp.0.abs_diff(stamp.0)) else {
            return Nearest::Empty;
        };
        let gap_s = best.stamp.gap_s(stamp);
        match gap_s <= slop_s {
            true => Nearest::Found(best.clone()),
            false => Nearest::TooFar {
                nearest: best.stamp,
                gap_s,
            },
        }
    }

    /// Whether no later frame can be nearer to `stamp` than those in the store.
    pub fn has_reached(&self, stamp: Stamp) -> bool {
        self.ring.back().is_some_and(|h| h.stamp >= stamp)
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Drops the frames whose stamps are later than this; the counts go on.
    pub fn forget_after(&mut self, stamp: Stamp) {
        self.ring.retain(|stored| stored.stamp <= stamp);
        self.bytes = self.ring.iter().map(|stored| stored.bytes).sum();
    }

    /// Drops all frames; the counts go on.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.bytes = 0;
    }

    /// Frames received since the start.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Frames a second, over the last few seconds.
    pub fn rate_hz(&self, now: Instant) -> f64 {
        let old = |t: &Instant| now.saturating_duration_since(*t) > RATE_WINDOW;
        let forgotten = self.arrivals.partition_point(old);
        match (self.arrivals.get(forgotten), self.arrivals.back()) {
            (Some(first), Some(last)) if last > first => {
                (self.arrivals.len() - 1 - forgotten) as f64 / (*last - *first).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    fn forget_arrivals(&mut self, now: Instant) {
        while self
            .arrivals
            .front()
            .is_some_and(|t| now.saturating_duration_since(*t) > RATE_WINDOW)
        {
            self.arrivals.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn store(frames: usize) -> FrameStore<u64> {
        FrameStore::new(Bounds {
            frames,
            bytes: 1000,
        })
    }

    fn ms(v: i64) -> Stamp {
        Stamp(v * 1_000_000)
    }

    fn push(s: &mut FrameStore<u64>, stamp_ms: i64) -> Arrival {
        s.push(ms(stamp_ms), 10, stamp_ms as u64, Instant::now())
    }

    #[test]
    fn late_frames_do_not_become_the_newest() {
        let mut s = store(8);
        assert_eq!(push(&mut s, 1000), Arrival::Newest);
        assert_eq!(push(&mut s, 1066), Arrival::Newest);
        assert_eq!(push(&mut s, 1033), Arrival::Late);
        assert_eq!(s.newest().unwrap().stamp, ms(1066));
        assert!(matches!(s.nearest(ms(1030), 0.1), Nearest::Found(h) if h.stamp == ms(1033)));
    }

    #[test]
    fn equal_stamps_go_by_arrival() {
        let mut s = store(8);
        push(&mut s, 0);
        push(&mut s, 0);
        assert_eq!(s.newest().unwrap().number, 2);
        assert!(matches!(s.nearest(ms(0), 0.0), Nearest::Found(h) if h.number == 2));
    }

    #[test]
    fn a_clock_that_goes_back_drops_the_old_frames_once_confirmed() {
        let mut s = store(8);
        push(&mut s, 50_000);
        push(&mut s, 50_033);
        assert_eq!(push(&mut s, 1000), Arrival::TimeJump);
        assert_eq!(s.newest().unwrap().stamp, ms(1000));
        assert!(
            matches!(s.nearest(ms(50_000), 0.1), Nearest::Found(_)),
            "one odd stamp loses nothing"
        );
        assert_eq!(push(&mut s, 1033), Arrival::Newest);
        assert!(
            matches!(s.nearest(ms(50_000), 0.1), Nearest::TooFar { nearest, .. } if nearest == ms(1033))
        );
    }

    #[test]
    fn one_odd_stamp_does_not_end_an_epoch() {
        let mut s = store(8);
        push(&mut s, 50_000);
        push(&mut s, 0);
        push(&mut s, 50_033);
        assert_eq!(s.newest().unwrap().stamp, ms(50_033));
        assert!(matches!(s.nearest(ms(50_000), 0.001), Nearest::Found(_)));
    }

    #[test]
    fn what_is_later_than_a_clock_that_went_back_is_forgotten() {
        let mut s = store(8);
        for stamp in [1000, 1400, 1800, 1030] {
            push(&mut s, stamp);
        }
        s.forget_after(ms(1040));
        assert_eq!((s.newest().unwrap().stamp, s.bytes), (ms(1030), 20));
        assert_eq!(push(&mut s, 1060), Arrival::Newest);
    }

    #[test]
    fn slop_is_kept_and_waiting_ends_when_the_stamp_is_reached() {
        let mut s = store(8);
        assert!(matches!(s.nearest(ms(5), 1.0), Nearest::Empty));
        push(&mut s, 1000);
        assert!(
            matches!(s.nearest(ms(1200), 0.1), Nearest::TooFar { gap_s, .. } if (gap_s - 0.2).abs() < 1e-9)
        );
        assert!(!s.has_reached(ms(1001)) && s.has_reached(ms(1000)));
    }

    #[test]
    fn memory_is_bounded_in_frames_and_bytes_and_keeps_the_newest() {
        let mut s = store(4);
        (0..100).for_each(|i| {
            push(&mut s, i * 33);
        });
        assert_eq!((s.ring.len(), s.bytes, s.received()), (4, 40, 100));
        s.push(ms(10_000), 5000, 7, Instant::now());
        assert_eq!((s.ring.len(), s.bytes), (1, 5000));
    }

    #[test]
    fn rate_counts_the_last_seconds_only() {
        let mut s = store(8);
        let t = Instant::now();
        (0..=30u32).for_each(|i| {
            s.push(
                ms(i64::from(i) * 100),
                1,
                0,
                t + Duration::from_millis(100) * i,
            );
        });
        assert!((s.rate_hz(t + Duration::from_secs(3)) - 10.0).abs() < 0.01);
        assert_eq!(s.rate_hz(t + Duration::from_secs(60)), 0.0);
    }

    proptest! {
        #[test]
        fn nearest_is_nearest_and_the_books_balance(stamps in prop::collection::vec(0i64..100_000, 1..60), ask in 0i64..100_000) {
            let mut s = store(16);
            for v in &stamps {
                push(&mut s, *v);
                prop_assert_eq!(s.bytes, s.ring.len() * 10);
                prop_assert!(s.ring.len() <= 16);
                prop_assert!(s.ring.iter().zip(s.ring.iter().skip(1)).all(|(a, b)| a.order() < b.order()));
            }
            let best = s.ring.iter().map(|h| h.stamp.gap_s(ms(ask))).fold(f64::INFINITY, f64::min);
            match s.nearest(ms(ask), f64::INFINITY) {
                Nearest::Found(h) => prop_assert_eq!(h.stamp.gap_s(ms(ask)), best),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
