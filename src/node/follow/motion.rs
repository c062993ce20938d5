//! Where an object is expected in the next frame: its last mask, moved as its centre moved before.

use std::sync::Arc;

use image::GrayImage;

use crate::engine::ObjectMask;
use crate::frames::Stamp;
use crate::image::Roi;

/// For how long an object is expected to go on as it did, seconds. A camera on an arm turns around in about this time; after it the
/// object is expected to rest.
const HORIZON_S: f64 = 1.0;

/// Where and when an object was seen, and how it moved.
#[derive(Clone, Debug)]
pub struct Motion {
    stamp: Stamp,
    roi: Roi,
    mask: Arc<GrayImage>,
    /// The mean of the mask's pixels, in pixels of the frame.
    centre: (f64, f64),
    /// Pixels a second.
    velocity: (f64, f64),
}

impl Motion {
    /// An object that was seen once: it is expected to stay where it is.
    pub fn at_rest(object: &ObjectMask, stamp: Stamp) -> Self {
        Self {
            stamp,
            roi: object.roi,
            mask: Arc::clone(&object.mask),
            centre: centre(object.roi, &object.mask),
            velocity: (0.0, 0.0),
        }
    }

    /// The object was seen again. It moves on as it moved between the two; if the clock went back, it rests.
    pub fn seen(&self, object: &ObjectMask, stamp: Stamp) -> Self {
        let now = Self::at_rest(object, stamp);
        let seconds = self.seconds_to(stamp);
        if seconds <= 0.0 {
            return now;
        }
        let speed = |from: f64, to: f64| (to - from) / seconds;
        Self {
            velocity: (
                speed(self.centre.0, now.centre.0),
                speed(self.centre.1, now.centre.1),
            ),
            ..now
        }
    }

    /// IoU of an object's mask with the one expected at that time, 0 to 1.
    pub fn overlap(&self, object: &ObjectMask, stamp: Stamp) -> f32 {
        let seconds = self.seconds_to(stamp).clamp(0.0, HORIZON_S);
        let by = |speed: f64| (speed * seconds).round() as i64;
        let expected = Placed {
            x: i64::from(self.roi.x) + by(self.velocity.0),
            y: i64::from(self.roi.y) + by(self.velocity.1),
            mask: &self.mask,
        };
        let found = Placed {
            x: i64::from(object.roi.x),
            y: i64::from(object.roi.y),
            mask: &object.mask,
        };
        iou(&expected, &found)
    }

    fn seconds_to(&self, stamp: Stamp) -> f64 {
        (stamp.0 as f64 - self.stamp.0 as f64) * 1e-9
    }
}

/// The mean of the mask's pixels in the frame; the middle of the box if it has none.
fn centre(roi: Roi, mask: &GrayImage) -> (f64, f64) {
    let inside = mask
        .enumerate_pixels()
        .filter(|(_, _, value)| value.0[0] > 0);
    let (count, x, y) = inside.fold((0u64, 0u64, 0u64), |(n, sx, sy), (x, y, _)| {
        (n + 1, sx + u64::from(x), sy + u64::from(y))
    });
    let mean = |sum: u64, size: u32| match count {
        0 => f64::from(size) / 2.0,
        n => sum as f64 / n as f64,
    };
    (
        f64::from(roi.x) + mean(x, roi.width),
        f64::from(roi.y) + mean(y, roi.height),
    )
}

/// A mask whose top left pixel stands at `(x, y)` of a frame, or outside of it.
struct Placed<'m> {
    x: i64,
    y: i64,
    mask: &'m GrayImage,
}

impl Placed<'_> {
    fn right(&self) -> i64 {
        self.x + i64::from(self.mask.width())
    }

    fn bottom(&self) -> i64 {
        self.y + i64::from(self.mask.height())
    }

    /// Pixels that are left of the frame or above it count as gone. Where the frame ends on the other side is not known here.
    fn area(&self) -> usize {
        (self.y.max(0)..self.bottom())
            .map(|y| count(self.row(y, self.x.max(0), self.right())))
            .sum()
    }

    /// Row `y` of the frame, from column `left` to before `right`; both lie within the mask.
    fn row(&self, y: i64, left: i64, right: i64) -> &[u8] {
        let start = (y - self.y) * i64::from(self.mask.width()) + left - self.x;
        let length = (right - left).max(0);
        let row = self.mask.as_raw().get(start.max(0) as usize..);
        row.and_then(|row| row.get(..length as usize))
            .unwrap_or_default()
    }
}

fn count(row: &[u8]) -> usize {
    row.iter().filter(|value| **value > 0).count()
}

/// Intersection over union, 0 to 1; 0 where both are empty, because then nothing was found.
fn iou(a: &Placed<'_>, b: &Placed<'_>) -> f32 {
    let (left, right) = (a.x.max(b.x).max(0), a.right().min(b.right()));
    let (top, bottom) = (a.y.max(b.y).max(0), a.bottom().min(b.bottom()));
    let both: usize = (top..bottom)
        .map(|y| {
            let pairs = a.row(y, left, right).iter().zip(b.row(y, left, right));
            pairs.filter(|(a, b)| **a > 0 && **b > 0).count()
        })
        .sum();
    match a.area() + b.area() - both {
        0 => 0.0,
        either => (both as f64 / either as f64) as f32,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::tests::block;
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn what_moves_on_is_where_it_is_expected() {
        let first = Motion::at_rest(&block(10, 20, 8, 6), Stamp(0));
        assert_eq!(first.overlap(&block(10, 20, 8, 6), Stamp(0)), 1.0);
        // Half of the box beside it: 24 of 72 pixels are in both.
        let beside = first.overlap(&block(14, 20, 8, 6), Stamp(SECOND / 10));
        assert_eq!(beside, 24.0 / 72.0);
        let moving = first.seen(&block(14, 22, 8, 6), Stamp(SECOND / 10));
        for (x, y, tenths) in [(18, 24, 2), (22, 26, 3), (14, 22, 1)] {
            let there = block(x, y, 8, 6);
            assert_eq!(moving.overlap(&there, Stamp(tenths * SECOND / 10)), 1.0);
        }
    }

    #[test]
    fn what_was_not_seen_for_long_rests_where_it_would_be_after_a_second() {
        let motion = Motion::at_rest(&block(0, 0, 4, 4), Stamp(0));
        let motion = motion.seen(&block(8, 0, 4, 4), Stamp(2 * SECOND));
        for seconds in [1, 2, 60] {
            let there = motion.overlap(&block(12, 0, 4, 4), Stamp((2 + seconds) * SECOND));
            assert_eq!(there, 1.0);
        }
        // A clock that went back, or two masks of one stamp, say nothing of the speed.
        for stamp in [SECOND, 2 * SECOND] {
            let motion = motion.seen(&block(9, 9, 4, 4), Stamp(stamp));
            assert_eq!(motion.velocity, (0.0, 0.0));
            assert_eq!(motion.overlap(&block(9, 9, 4, 4), Stamp(0)), 1.0);
        }
    }

    #[test]
    fn what_has_left_the_frame_is_not_expected() {
        let motion = Motion::at_rest(&block(4, 0, 8, 4), Stamp(0));
        let motion = motion.seen(&block(0, 0, 8, 4), Stamp(SECOND));
        // Half of it is outside now; what remains of it is all that is expected.
        let half = motion.overlap(&block(0, 0, 4, 4), Stamp(2 * SECOND));
        assert_eq!(half, 1.0);
    }

    proptest! {
        #[test]
        fn an_overlap_is_a_share_and_the_same_both_ways(a in [0u32..30, 0u32..30, 1u32..12, 1u32..12], b in [0u32..30, 0u32..30, 1u32..12, 1u32..12]) {
            let [a, b] = [a, b].map(|[x, y, w, h]| block(x, y, w, h));
            let of = |from: &ObjectMask, to: &ObjectMask| Motion::at_rest(from, Stamp(0)).overlap(to, Stamp(0));
            let (one, other) = (of(&a, &b), of(&b, &a));
            prop_assert_eq!(one, other);
            prop_assert!((0.0..=1.0).contains(&one));
            prop_assert_eq!(of(&a, &a), 1.0);
        }
    }
}
