//! What an MCAP file says about itself: its topics, and where its messages are.

use std::collections::BTreeMap;
use std::ops::Range;

use mcap::records::Channel;

use super::records::{op, ChunkHeader, Fields, Record, PREFIX};
use crate::McapFault;

/// A schema: what messages of a channel are made of.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub name: String,
    pub encoding: String,
    pub text: String,
}

/// Where a chunk is.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Where its record begins in the file.
    pub at: usize,
    /// The length of its record's body: less than the record says if the file ends before.
    pub len: usize,
    /// Log time of its first message, nanoseconds.
    pub start: u64,
    /// Log time of its last message, nanoseconds.
    pub end: u64,
    /// The channels it holds messages of; `None` if that is not known before it is unpacked.
    pub channels: Option<Vec<u16>>,
    /// The length of the message indexes that follow it.
    pub indexes: usize,
}

impl Chunk {
    /// The chunk of a record, by its own header.
    pub fn of(record: &Record) -> Result<Self, McapFault> {
        let header = ChunkHeader::read(record.body)?;
        Ok(Self {
            at: record.at,
            len: record.body.len(),
            start: header.start,
            end: header.end,
            channels: None,
            indexes: 0,
        })
    }

    /// Where its record is.
    pub fn record(&self) -> Range<usize> {
        self.at..self.at.saturating_add(PREFIX + self.len)
    }

    /// Where its record and its message indexes end.
    pub fn after(&self) -> usize {
        self.at
            .saturating_add(PREFIX + self.len)
            .saturating_add(self.indexes)
    }
}

/// Everything a file says about itself.
#[derive(Default)]
pub struct Index {
    pub schemas: BTreeMap<u16, Schema>,
    pub channels: BTreeMap<u16, Channel>,
    pub chunks: Vec<Chunk>,
    /// How many messages of each channel.
    pub counts: BTreeMap<u16, u64>,
    /// Log times of the first and the last message.
    pub span: Option<(u64, u64)>,
    /// rosbag2's metadata, as the file holds it.
    pub metadata: Option<String>,
}

impl Index {
    /// Takes over a schema or channel; other records are none of an index's business.
    pub fn describe(&mut self, record: &Record) -> Result<(), McapFault> {
        let mut fields = Fields::new(record.opcode, record.body);
        match record.opcode {
            op::SCHEMA => {
                let id = fields.u16("id")?;
                let schema = Schema {
                    name: fields.string("name")?,
                    encoding: fields.string("encoding")?,
                    text: fields.string("data")?,
                };
                self.schemas.insert(id, schema);
            }
            op::CHANNEL => {
                let id = fields.u16("id")?;
                let channel = Channel {
                    id,
                    schema_id: fields.u16("schema id")?,
                    topic: fields.string("topic")?,
                    message_encoding: fields.string("message encoding")?,
                    metadata: fields.texts("metadata")?,
                };
                self.channels.insert(id, channel);
            }
            op::METADATA => self.metadata = rosbag2(record.body)?.or(self.metadata.take()),
            _ => {}
        }
        Ok(())
    }

    /// Counts a message.
    pub fn count(&mut self, channel: u16, time: u64) {
        *self.counts.entry(channel).or_default() += 1;
        let (start, end) = self.span.unwrap_or((time, time));
        self.span = Some((start.min(time), end.max(time)));
    }

    pub fn messages(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// rosbag2's metadata, if this is the record that holds it.
pub fn rosbag2(body: &[u8]) -> Result<Option<String>, McapFault> {
    let mut fields = Fields::new(op::METADATA, body);
    if fields.string("name")? != "rosbag2" {
        return Ok(None);
    }
    let mut map = fields.texts("metadata")?;
    Ok(map.remove("serialized_metadata"))
}
