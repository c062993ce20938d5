//! Messages of a bag that are read again later, and the masks in them.
//!
//! Results and true masks of a long recording do not fit in memory. So only their positions are kept, and a message is read when
//! its instruction is looked at.

use std::collections::HashMap;

use cv_convert::TryToCv;
use image::{GrayImage, RgbImage};
use rosbag2::{Bag, Image, RawMessage, Selection};

use super::images::borrowed;
use super::ReplayError;

/// Where a message of a topic is in its bag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessagePosition {
    /// Nanoseconds.
    log_time: u64,
    /// Which of the topic's messages of that log time it is, from 0.
    nth: usize,
}

/// Tells the positions of a topic's messages while they are read in order.
#[derive(Default)]
pub(super) struct MessagePositions {
    times: HashMap<u64, usize>,
}

impl MessagePositions {
    /// The position of the topic's next message, which has this log time.
    pub fn next(&mut self, log_time: u64) -> MessagePosition {
        let seen = self.times.entry(log_time).or_default();
        *seen += 1;
        MessagePosition {
            log_time,
            nth: *seen - 1,
        }
    }
}

impl MessagePosition {
    /// Reads the message; `None` if the bag no longer has it.
    pub fn message(self, bag: &Bag, topic: &str) -> Result<Option<RawMessage>, ReplayError> {
        let wanted = Selection::all().topics([topic]).at(self.log_time);
        Ok(bag.messages(&wanted)?.nth(self.nth).transpose()?)
    }
}

/// The first channel of a mask's message, whatever its encoding and the padding of its rows.
pub(super) fn first_channel(mask: &Image<'_>) -> Result<GrayImage, ReplayError> {
    let pixels: RgbImage = borrowed(mask).try_to_cv().map_err(ReplayError::Mask)?;
    let (width, height) = pixels.dimensions();
    let gray = pixels.pixels().map(|pixel| pixel.0[0]).collect();
    Ok(GrayImage::from_raw(width, height, gray).unwrap_or_default())
}
