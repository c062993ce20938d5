//! The messages of an MCAP file in log-time order.
//!
//! Chunks may overlap in time. Each is unpacked when the first message it could hold is due, and dropped after its last, so
//! that a file recorded in order has one chunk in memory at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::vec::IntoIter;

use super::chunk::{self, Entry};
use super::open::McapFile;
use crate::payload::{Backing, Payload, RawMessage};
use crate::select::MessageFilter;
use crate::{BagError, McapFault};

/// A run of messages in order.
struct Run {
    backing: Arc<Backing>,
    next: Entry,
    after: IntoIter<Entry>,
}

enum Source {
    /// A chunk by its place in the index, not unpacked yet.
    Chunk(usize),
    Run(Run),
}

/// The messages of one file that are wanted, in log-time order.
pub struct Messages {
    file: Arc<McapFile>,
    filter: MessageFilter,
    sources: Vec<Option<Source>>,
    /// When the next message of each source is due; a chunk's is the earliest it could be.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    errors: VecDeque<BagError>,
}

impl Messages {
    /// The messages of a file that are wanted.
    pub fn new(file: Arc<McapFile>, filter: MessageFilter) -> Self {
        let mut messages = Self {
            file,
            filter,
            sources: Vec::new(),
            due: BinaryHeap::new(),
            errors: VecDeque::new(),
        };
        if messages.filter.topics.is_empty() {
            return messages;
        }
        let (loose, errors) = messages.file.loose();
        messages.errors = errors.into();
        for (backing, mut entries) in loose {
            entries.retain(|entry| messages.wants(entry.channel, entry.log_time));
            entries.sort_by_key(|entry| entry.log_time);
            messages.put_run(backing, entries, None);
        }
        for number in 0..messages.file.index.chunks.len() {
            let Some(chunk) = messages.file.index.chunks.get(number) else {
                continue;
            };
            let (start, end) = (chunk.start, chunk.end);
            let times = messages.filter.overlaps(start, end);
            let topics = chunk.channels.as_ref().is_none_or(|channels| {
                let mut wanted = channels.iter();
                wanted.any(|channel| messages.wants_channel(*channel))
            });
            if times && topics {
                messages.put(start, Source::Chunk(number), None);
            }
        }
        messages
    }

    /// A message of a channel that the file does not describe is not wanted, and is an error when its chunk is listed.
    fn wants(&self, channel: u16, time: u64) -> bool {
        self.filter.includes(time) && (self.wants_channel(channel) || self.unknown(channel))
    }

    fn wants_channel(&self, channel: u16) -> bool {
        self.filter.topics.contains_key(&channel.into())
    }

    fn unknown(&self, channel: u16) -> bool {
        !self.file.index.channels.contains_key(&channel)
    }

    /// Where `place` is given, the source takes that place.
    fn put(&mut self, time: u64, source: Source, place: Option<usize>) {
        let place = place.unwrap_or_else(|| {
            self.sources.push(None);
            self.sources.len() - 1
        });
        if let Some(slot) = self.sources.get_mut(place) {
            *slot = Some(source);
            self.due.push(Reverse((time, place)));
        }
    }

    fn put_run(&mut self, backing: Arc<Backing>, entries: Vec<Entry>, place: Option<usize>) {
        let mut after = entries.into_iter();
        if let Some(next) = after.next() {
            let time = next.log_time;
            let run = Run {
                backing,
                next,
                after,
            };
            self.put(time, Source::Run(run), place);
        }
    }

    fn unpack(&mut self, number: usize, place: usize) {
        let Some(chunk) = self.file.index.chunks.get(number) else {
            return;
        };
        let at = chunk.at;
        let record = match self.file.bytes.read(chunk.record()) {
            Ok(record) => record,
            Err(error) => return self.errors.push_back(error),
        };
        let records = match chunk::open(&record) {
            Ok(records) => records,
            Err(fault) => return self.errors.push_back(self.file.damaged(at, fault)),
        };
        let (entries, fault) = chunk::list(&records, |channel, time| self.wants(channel, time));
        if let Some(fault) = fault {
            self.errors.push_back(self.file.damaged(at, fault));
        }
        self.put_run(records.backing, entries, Some(place));
    }

    /// Takes the next message of a run, and puts back what comes after.
    fn message(&mut self, run: Run, place: usize) -> Result<RawMessage, BagError> {
        let Run {
            backing,
            next: entry,
            mut after,
        } = run;
        if let Some(next) = after.next() {
            let time = next.log_time;
            let rest = Run {
                backing: backing.clone(),
                next,
                after,
            };
            self.put(time, Source::Run(rest), Some(place));
        }
        self.raw(&entry, Payload::new(backing, entry.data.clone()))
    }

    fn raw(&self, entry: &Entry, data: Payload) -> Result<RawMessage, BagError> {
        let topic = self.filter.topics.get(&entry.channel.into());
        let topic = topic.ok_or_else(|| {
            let fault = McapFault::Channel {
                channel: entry.channel,
            };
            self.file.damaged(entry.data.start, fault)
        })?;
        Ok(RawMessage {
            topic: *topic,
            log_time: entry.log_time,
            publish_time: entry.publish_time,
            sequence: entry.sequence,
            data,
        })
    }
}

impl Iterator for Messages {
    type Item = Result<RawMessage, BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.errors.pop_front() {
                return Some(Err(error));
            }
            let Reverse((_, place)) = self.due.pop()?;
            match self.sources.get_mut(place).and_then(Option::take) {
                Some(Source::Chunk(number)) => self.unpack(number, place),
                Some(Source::Run(run)) => return Some(self.message(run, place)),
                None => {}
            }
        }
    }
}
