//! What is known of one child frame: a fixed transform, or a history of stamped ones.

use std::collections::VecDeque;

use crate::transform::Transform;

/// A frame, numbered by the buffer.
pub(crate) type FrameId = usize;

/// A transform into the parent that it names. As in tf2, each has a parent of its own: a frame may change its parent, and
/// what was before the change stays right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StampedTransform {
    /// Nanoseconds; of no meaning in a static transform.
    pub stamp: i64,
    pub parent: FrameId,
    pub transform: Transform,
}

/// The transforms of one child frame.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// One that holds at all times.
    Static(StampedTransform),
    /// Those of the history, with stamps that ascend strictly. There is at least one.
    Moving(VecDeque<StampedTransform>),
}

/// What a link has for a stamp.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TransformAt {
    /// The transform, interpolated.
    Here(StampedTransform),
    /// The stamp lies before the oldest sample, by this many nanoseconds.
    Before(StampedTransform, u64),
    /// The stamp lies after the newest sample, by this many nanoseconds.
    After(StampedTransform, u64),
}

impl TransformAt {
    /// The parent at that time, or at the nearest time of which it is known.
    pub fn parent(&self) -> FrameId {
        match self {
            Self::Here(sample) | Self::Before(sample, _) | Self::After(sample, _) => sample.parent,
        }
    }
}

impl Link {
    /// The newest sample.
    pub fn newest(&self) -> Option<&StampedTransform> {
        match self {
            Self::Static(sample) => Some(sample),
            Self::Moving(samples) => samples.back(),
        }
    }

    /// The transform at a stamp, which is never extrapolated.
    ///
    /// Between two samples of one parent it is interpolated. Between two of different parents the older one holds until the
    /// newer begins, as in tf2 (`TimeCache::getData`).
    pub fn at(&self, stamp: i64) -> Option<TransformAt> {
        let samples = match self {
            Self::Static(sample) => return Some(TransformAt::Here(*sample)),
            Self::Moving(samples) => samples,
        };
        let after = samples.partition_point(|sample| sample.stamp <= stamp);
        let Some(older) = after.checked_sub(1).and_then(|at| samples.get(at)) else {
            let oldest = samples.front()?;
            return Some(TransformAt::Before(*oldest, oldest.stamp.abs_diff(stamp)));
        };
        if older.stamp == stamp {
            return Some(TransformAt::Here(*older));
        }
        let Some(newer) = samples.get(after) else {
            return Some(TransformAt::After(*older, stamp.abs_diff(older.stamp)));
        };
        if newer.parent != older.parent {
            return Some(TransformAt::Here(*older));
        }
        let share = stamp.abs_diff(older.stamp) as f64 / newer.stamp.abs_diff(older.stamp) as f64;
        Some(TransformAt::Here(StampedTransform {
            stamp,
            parent: older.parent,
            transform: older.transform.interpolate(&newer.transform, share),
        }))
    }
}

/// Puts a sample where its stamp belongs, in place of one with the same stamp, and drops what is older than the history.
pub(crate) fn insert(
    samples: &mut VecDeque<StampedTransform>,
    sample: StampedTransform,
    history: u64,
) {
    let at = samples.partition_point(|other| other.stamp < sample.stamp);
    match samples.get_mut(at) {
        Some(other) if other.stamp == sample.stamp => *other = sample,
        _ => samples.insert(at, sample),
    }
    let newest = samples.back().map_or(sample.stamp, |newest| newest.stamp);
    while samples
        .front()
        .is_some_and(|oldest| newest.abs_diff(oldest.stamp) > history)
    {
        samples.pop_front();
    }
}
