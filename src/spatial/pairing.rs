//! Which depth image belongs to a picture: the nearest one in time, waited for until no nearer one can come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{DepthFrame, NotLocated};
use crate::frames::{Arrival, Bounds, FrameStore, Nearest, Stamp};

/// How far apart the stamps of a picture and its depth image may be: one and a half periods at 30 Hz.
pub const DEFAULT_MAX_OFFSET: Duration = Duration::from_millis(50);

/// The newest depth images, for pictures that ask for theirs.
#[derive(Debug)]
pub struct DepthPairing {
    max_offset: Duration,
    frames: FrameStore<DepthFrame>,
}

/// What there is for a picture.
#[derive(Clone, Debug)]
pub enum Pairing {
    /// Its depth image. Keep it: the store holds no more than a second of them.
    Found(Arc<DepthFrame>),
    /// A nearer one may still come: ask again after the next [`DepthPairing::push`], and when the deadline is over.
    Wait,
    /// There is none: [`NotLocated::NoDepth`].
    None(NotLocated),
}

impl Default for DepthPairing {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_OFFSET)
    }
}

impl DepthPairing {
    /// An empty store: a second of depth images at 30 Hz, and 64 MiB of messages.
    pub fn new(max_offset: Duration) -> Self {
        Self {
            max_offset,
            frames: FrameStore::new(Bounds {
                frames: 32,
                bytes: 64 << 20,
            }),
        }
    }

    /// Takes a depth image that arrived now. If its stamp is more than a second behind the newest one, time went back, and those
    /// before it are dropped: at once, unlike pictures, for a wrong depth image is worse than none.
    pub fn push(&mut self, frame: DepthFrame, now: Instant) -> Arrival {
        let (stamp, bytes) = (frame.stamp, frame.bytes());
        let is_back = self.frames.newest().is_some_and(|newest| {
            newest.stamp > stamp
                && newest.stamp.gap_s(stamp) > crate::frames::TIME_JUMP.as_secs_f64()
        });
        if is_back {
            self.frames.clear();
        }
        match (self.frames.push(stamp, bytes, frame, now), is_back) {
            (_, true) => Arrival::TimeJump,
            (arrival, false) => arrival,
        }
    }

    /// The depth image for a picture that was taken at `stamp`. `is_over` says that the caller waits no longer.
    ///
    /// One with the same stamp is the one. Else it is the nearest within the offset, as soon as one has come that is not older than
    /// the picture: those after it are farther away.
    pub fn ask(&self, stamp: Stamp, is_over: bool) -> Pairing {
        let nearest = self.frames.nearest(stamp, self.max_offset.as_secs_f64());
        let is_final = is_over
            || self.frames.has_reached(stamp)
            || matches!(&nearest, Nearest::Found(found) if found.stamp == stamp);
        let none = |nearest| {
            Pairing::None(NotLocated::NoDepth {
                stamp,
                max_offset: self.max_offset,
                nearest,
            })
        };
        match nearest {
            _ if !is_final => Pairing::Wait,
            Nearest::Found(found) => Pairing::Found(found.frame),
            Nearest::TooFar { nearest, .. } => none(Some(nearest)),
            Nearest::Empty => none(None),
        }
    }

    /// Drops the depth images that are later than this: for a caller who notices in another way that time went back to it. Those of
    /// the time since, which may have come before, stay.
    pub fn forget_after(&mut self, stamp: Stamp) {
        self.frames.forget_after(stamp);
    }

    /// Drops all depth images.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// Sets how far apart the stamps may be.
    pub fn set_max_offset(&mut self, max_offset: Duration) {
        self.max_offset = max_offset;
    }

    /// Depth images that arrived since the start.
    pub fn received(&self) -> u64 {
        self.frames.received()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::flat_depth;
    use super::*;

    fn ms(milliseconds: i64) -> Stamp {
        Stamp(milliseconds * 1_000_000)
    }

    fn pairing(stamps: &[i64]) -> DepthPairing {
        let mut pairing = DepthPairing::default();
        for stamp in stamps {
            pairing.push(flat_depth(ms(*stamp), "camera"), Instant::now());
        }
        pairing
    }

    fn found(pairing: &DepthPairing, stamp: i64) -> Option<Stamp> {
        match pairing.ask(ms(stamp), false) {
            Pairing::Found(frame) => Some(frame.stamp),
            _ => None,
        }
    }

    #[test]
    fn the_nearest_one_is_waited_for_until_no_nearer_one_can_come() {
        let mut depth = pairing(&[1000]);
        assert!(matches!(depth.ask(ms(1020), false), Pairing::Wait));
        // The caller's deadline: what is there has to do.
        assert!(matches!(depth.ask(ms(1020), true), Pairing::Found(f) if f.stamp == ms(1000)));
        depth.push(flat_depth(ms(1033), "camera"), Instant::now());
        assert_eq!(found(&depth, 1020), Some(ms(1033)));
        assert_eq!(found(&depth, 1010), Some(ms(1000)));
        // The same stamp needs no waiting.
        assert_eq!(found(&depth, 1033), Some(ms(1033)));
        assert!(matches!(depth.ask(ms(1034), false), Pairing::Wait));
    }

    #[test]
    fn none_says_how_far_the_nearest_one_is() {
        let depth = pairing(&[1000, 1200]);
        let Pairing::None(none) = depth.ask(ms(1100), false) else {
            panic!("found or waiting");
        };
        assert!(none.to_string().contains("0.100 s"), "{none}");
        let Pairing::None(none) = DepthPairing::default().ask(ms(1), true) else {
            panic!("found or waiting");
        };
        assert!(none.to_string().contains("none has come"), "{none}");
        assert!(matches!(
            DepthPairing::default().ask(ms(1), false),
            Pairing::Wait
        ));
    }

    #[test]
    fn late_images_are_sorted_in_and_time_that_goes_back_drops_them() {
        let mut depth = pairing(&[10_000, 10_066, 10_033]);
        assert_eq!(found(&depth, 10_030), Some(ms(10_033)));
        let arrival = depth.push(flat_depth(ms(500), "camera"), Instant::now());
        assert_eq!(arrival, Arrival::TimeJump);
        assert_eq!(found(&depth, 500), Some(ms(500)));
        assert!(matches!(depth.ask(ms(10_030), false), Pairing::Wait));
        assert!(matches!(depth.ask(ms(10_030), true), Pairing::None(_)));
    }

    #[test]
    fn its_memory_is_bounded() {
        let stamps: Vec<i64> = (0..500).map(|k| k * 33).collect();
        let depth = pairing(&stamps);
        assert!(matches!(depth.ask(ms(33 * 400), false), Pairing::None(_)));
        assert_eq!(found(&depth, 33 * 480), Some(ms(33 * 480)));
        assert_eq!(depth.received(), 500);
    }
}
