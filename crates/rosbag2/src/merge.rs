//! The messages of several files in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::payload::{Payload, RawMessage};
use super::select::MessageFilter;
use super::storage::{StorageFile, Stored};
use super::topic::Topic;
use super::unpack::{self, ZSTD_MAGIC};
use super::BagError;

/// The messages of a bag; see [`Bag::messages`](super::Bag::messages).
///
/// A file is opened when its first message is due, so that a bag in many files has few open at a time.
pub struct Messages {
    sources: Vec<Option<Source>>,
    /// When the next message of each source is due; a file's that is not open is the earliest it could be.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    topics: Arc<[Topic]>,
}

enum Source {
    Closed(StorageFile, MessageFilter),
    Open(Stored, Result<RawMessage, BagError>),
}

impl Messages {
    pub(super) fn new(
        parts: impl Iterator<Item = (StorageFile, MessageFilter)>,
        topics: Arc<[Topic]>,
    ) -> Self {
        let mut messages = Self {
            sources: Vec::new(),
            due: BinaryHeap::new(),
            topics,
        };
        for (file, filter) in parts {
            // A damaged file may not know its times: then it is asked for its messages.
            let (first, last) = file.span().unwrap_or((0, u64::MAX));
            if filter.topics.is_empty() || !filter.overlaps(first, last) {
                continue;
            }
            let place = messages.sources.len();
            messages.sources.push(Some(Source::Closed(file, filter)));
            messages.due.push(Reverse((first, place)));
        }
        messages
    }

    /// Puts back what comes after `time` of a source.
    fn put(&mut self, place: usize, time: u64, mut messages: Stored) {
        let Some(next) = messages.next() else {
            return;
        };
        // What cannot be read has no time of its own.
        let time = next.as_ref().map_or(time, |message| message.log_time);
        if let Some(slot) = self.sources.get_mut(place) {
            *slot = Some(Source::Open(messages, next));
            self.due.push(Reverse((time, place)));
        }
    }

    /// A message that is compressed by itself, unpacked. Plain CDR begins with a zero, so that the two cannot be mistaken.
    fn unpacked(&self, mut message: RawMessage) -> Result<RawMessage, BagError> {
        let Some(topic) = self.topics.get(message.topic) else {
            return Ok(message);
        };
        if topic.serialization_format != "cdr" || !message.data.starts_with(&ZSTD_MAGIC) {
            return Ok(message);
        }
        let unpacked = unpack::zstd(&message.data, None);
        match unpacked.fault {
            None => message.data = Payload::from(unpacked.bytes),
            Some(reason) => {
                return Err(BagError::UnpackMessage {
                    topic: topic.name.clone(),
                    time: message.log_time,
                    reason,
                })
            }
        }
        Ok(message)
    }
}

impl Iterator for Messages {
    type Item = Result<RawMessage, BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((time, place)) = self.due.pop()?;
            match self.sources.get_mut(place).and_then(Option::take) {
                Some(Source::Closed(file, filter)) => match file.messages(filter) {
                    Ok(messages) => self.put(place, time, messages),
                    Err(error) => return Some(Err(error)),
                },
                Some(Source::Open(messages, message)) => {
                    self.put(place, time, messages);
                    return Some(message.and_then(|message| self.unpacked(message)));
                }
                None => {}
            }
        }
    }
}
