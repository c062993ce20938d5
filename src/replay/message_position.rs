//! Where a message stands in a bag, so that it need not be held.

use std::collections::HashMap;

use rosbag2::{Bag, RawMessage, Selection};

use super::ReplayError;

/// A message of a topic: its log time, nanoseconds, and which of the topic's messages of that time it is, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessagePosition {
    at: u64,
    nth: usize,
}

/// Tells the positions of a topic's messages, as they come.
#[derive(Default)]
pub(super) struct MessagePositions {
    times: HashMap<u64, usize>,
}

impl MessagePositions {
    /// The position of the topic's next message.
    pub fn next(&mut self, log_time: u64) -> MessagePosition {
        let seen = self.times.entry(log_time).or_default();
        *seen += 1;
        MessagePosition {
            at: log_time,
            nth: *seen - 1,
        }
    }
}

impl MessagePosition {
    /// The message that stands there; `None` where there is none any longer.
    pub fn message(self, bag: &Bag, topic: &str) -> Result<Option<RawMessage>, ReplayError> {
        let wanted = Selection::all().topics([topic]).at(self.at);
        Ok(bag.messages(&wanted)?.nth(self.nth).transpose()?)
    }
}
