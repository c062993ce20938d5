//! Which frame a question is about, and how long it waits for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::question::Origin;
use super::result::{Refusal, ResultStatus};
use super::settings::Settings;
use crate::frames::{FrameStore, Nearest, StoredFrame};

/// A stamped instruction may arrive before its frame does. It waits this long for it, or `sync_slop_s` if that is longer.
const CAMERA_LAG: Duration = Duration::from_millis(500);

/// After the node has begun to listen, an instruction waits this long for the first frame.
const FIRST_FRAME: Duration = Duration::from_secs(1);

/// The frame a question is about.
pub(super) struct ChosenFrame<F> {
    /// Its [`StoredFrame::number`]; 0 for an image that a goal brought along.
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

/// Whether the frame for a question may still be on its way.
pub(super) fn is_awaited<F>(frames: &FrameStore<F>, origin: Origin) -> bool {
    match origin {
        Origin::Stamped(stamp) => !frames.has_reached(stamp),
        Origin::Newest | Origin::Repeat | Origin::Goal(_) => frames.is_empty(),
    }
}

/// Until when a question waits for its frame; `None` if it need not wait.
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

/// Chooses the frame for a question from those in the store. `explain_no_image` says why the store is empty.
///
/// # Errors
/// A refusal with status NO_IMAGE that says in words why no frame fits.
pub(super) fn choose<F>(
    frames: &FrameStore<F>,
    origin: Origin,
    settings: &Settings,
    explain_no_image: impl Fn() -> String,
) -> Result<ChosenFrame<F>, Refusal> {
    let no_image = |why| Refusal::new(ResultStatus::NoImage, why);
    let Origin::Stamped(stamp) = origin else {
        let newest = frames.newest().map(ChosenFrame::from);
        return newest.ok_or_else(|| no_image(explain_no_image()));
    };
    let slop = settings.sync_slop_s;
    match frames.nearest(stamp, slop) {
        Nearest::Found(stored) => Ok(stored.into()),
        Nearest::Empty => Err(no_image(explain_no_image())),
        Nearest::TooFar { nearest, gap_s } => Err(no_image(format!(
            "no frame within {slop} s of stamp {stamp}: the nearest is {gap_s:.3} s away, at {nearest}; \
             raise sync_slop_s, or stamp the instruction with a frame's own stamp"
        ))),
    }
}
