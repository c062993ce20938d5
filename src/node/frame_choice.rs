//! Which frame a question is about, and how long it waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::question::Origin;
use super::result::{Refusal, ResultStatus};
use super::settings::Settings;
use crate::frames::{FrameStore, Nearest, StoredFrame};

/// A stamped instruction may come before its frame; it waits for the camera this long, or `sync_slop_s` where that is more.
const CAMERA_LAG: Duration = Duration::from_millis(500);

/// A node that has just begun to listen gives the camera this long to show something.
const FIRST_FRAME: Duration = Duration::from_secs(1);

/// The frame a question is about.
pub(super) struct ChosenFrame<F> {
    /// Its [`StoredFrame::number`]; 0 for a goal's own picture.
    pub number: u64,
    pub frame: Arc<F>,
}

impl<F> From<StoredFrame<F>> for ChosenFrame<F> {
    fn from(stored: StoredFrame<F>) -> Self {
        Self {
            number: stored.number,
            frame: stored.frame,
        }
    }
}

/// True while the frame for a question may still be on its way.
pub(super) fn is_awaited<F>(frames: &FrameStore<F>, origin: Origin) -> bool {
    match origin {
        Origin::Stamped(stamp) => !frames.has_reached(stamp),
        Origin::Newest | Origin::Repeat | Origin::Goal(_) => frames.is_empty(),
    }
}

/// Until when a question waits for its frame, where it should.
pub(super) fn frame_deadline<F>(
    frames: &FrameStore<F>,
    origin: Origin,
    settings: &Settings,
    listening_since: Instant,
    now: Instant,
) -> Option<Instant> {
    if !is_awaited(frames, origin) {
        return None;
    }
    let until = match origin {
        Origin::Stamped(_) => now + CAMERA_LAG.max(settings.sync_slop()),
        Origin::Newest | Origin::Repeat | Origin::Goal(_) => listening_since + FIRST_FRAME,
    };
    Some(until).filter(|until| *until > now)
}

/// The frame for a question, from those that are there. `trouble` says why there is none.
///
/// # Errors
/// NO_IMAGE, and in words why there is none.
pub(super) fn choose<F>(
    frames: &FrameStore<F>,
    origin: Origin,
    settings: &Settings,
    trouble: impl Fn() -> String,
) -> Result<ChosenFrame<F>, Refusal> {
    let no_image = |why| Refusal::new(ResultStatus::NoImage, why);
    let Origin::Stamped(stamp) = origin else {
        let newest = frames.newest().map(ChosenFrame::from);
        return newest.ok_or_else(|| no_image(trouble()));
    };
    let slop = settings.sync_slop_s;
    match frames.nearest(stamp, slop) {
        Nearest::Found(stored) => Ok(stored.into()),
        Nearest::Empty => Err(no_image(trouble())),
        Nearest::TooFar { nearest, gap_s } => Err(no_image(format!(
            "no frame within {slop} s of stamp {stamp}: the nearest is {gap_s:.3} s away, at {nearest}; \
             raise sync_slop_s, or stamp the instruction with a frame's own stamp"
        ))),
    }
}
