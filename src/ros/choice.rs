//! Which frame a question is about, and whether to wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::convert::{Refusal, SourceImage, Status};
use super::diagnostics::image_trouble;
use super::instructions::Origin;
use super::shared::Shared;
use crate::frames::{Held, Nearest, Stamp};

/// A stamped instruction may come before its frame; it waits for the camera this long, or `sync_slop_s` where that is more.
const CAMERA_LAG: Duration = Duration::from_millis(500);

/// A node that has just begun to listen gives the camera this long to show something.
const FIRST_FRAME: Duration = Duration::from_secs(1);

/// The frame a question is about.
pub struct Picture {
    /// Its [`Held::number`]; 0 for a goal's own picture.
    pub number: u64,
    pub image: Arc<SourceImage>,
}

impl From<Held<SourceImage>> for Picture {
    fn from(held: Held<SourceImage>) -> Self {
        Self {
            number: held.number,
            image: held.image,
        }
    }
}

impl From<SourceImage> for Picture {
    fn from(own: SourceImage) -> Self {
        Self {
            number: 0,
            image: Arc::new(own),
        }
    }
}

impl Shared {
    /// Why nothing is taken at all, where that is so.
    pub fn closed(&self) -> Option<Refusal> {
        let why = format!(
            "the node is disabled; call {} with data: true",
            self.names.enable
        );
        (!self.enabled()).then(|| Refusal::new(Status::Error, why))
    }

    /// The frame for a question, from those that are there.
    ///
    /// # Errors
    /// NO_IMAGE, and in words why there is none.
    pub fn pick(&self, origin: Origin) -> Result<Picture, Refusal> {
        match origin {
            Origin::Stamped(stamp) => self.nearest(stamp),
            Origin::Newest | Origin::Repeat | Origin::Goal(_) => {
                let newest = self.frames().newest();
                newest.map(Picture::from).ok_or_else(|| self.no_image())
            }
        }
    }

    /// True while the frame for a question may still be on its way.
    pub fn is_awaited(&self, origin: Origin) -> bool {
        let frames = self.frames();
        match origin {
            Origin::Stamped(stamp) => !frames.has_reached(stamp),
            Origin::Newest | Origin::Repeat | Origin::Goal(_) => frames.is_empty(),
        }
    }

    /// Until when a question waits for its frame, where it should.
    pub fn patience(&self, origin: Origin, now: Instant) -> Option<Instant> {
        if !self.is_awaited(origin) {
            return None;
        }
        let until = match origin {
            Origin::Stamped(_) => {
                now + CAMERA_LAG.max(Duration::from_secs_f64(self.params().sync_slop_s))
            }
            Origin::Newest | Origin::Repeat | Origin::Goal(_) => {
                self.listening_since() + FIRST_FRAME
            }
        };
        Some(until).filter(|t| *t > now)
    }

    fn nearest(&self, stamp: Stamp) -> Result<Picture, Refusal> {
        let slop = self.params().sync_slop_s;
        let nearest = self.frames().nearest(stamp, slop);
        match nearest {
            Nearest::Found(held) => Ok(held.into()),
            Nearest::Empty => Err(self.no_image()),
            Nearest::TooFar { nearest, gap_s } => {
                let why = format!(
                    "no frame within {slop} s of stamp {stamp}: the nearest is {gap_s:.3} s away, at {nearest}; \
                     raise sync_slop_s, or stamp the instruction with a frame's own stamp"
                );
                Err(Refusal::new(Status::NoImage, why))
            }
        }
    }

    fn no_image(&self) -> Refusal {
        let silent = self.listening_since().elapsed();
        let (params, publishers) = (self.params(), self.image_publishers());
        let why = image_trouble(&self.names.image, silent, &params, &publishers);
        Refusal::new(Status::NoImage, why)
    }
}
