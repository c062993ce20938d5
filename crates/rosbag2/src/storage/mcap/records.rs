//! The records of an MCAP file (mcap.dev/spec): a type, a length, a body.
//!
//! The crate `mcap` (0.26) writes our files and reads what consists of numbers only, the footer and the statistics. The
//! other records are read here, because its `parse_record` and `LinearReader` cannot do what a damaged file asks for:
//!
//! - A chunk that the file ends in is an error without its header. Here the header and the bytes that are left are given,
//!   and the messages before the cut are read.
//! - A name that is not UTF-8, or a key that stands twice in a map, makes a record unreadable, and with it every message of
//!   a channel. Here the name is shown with replacement characters, and the last of two keys counts.
//! - A string's memory is reserved by the 32-bit length it claims, up to 4 GiB, before the bytes are looked for. A map may
//!   take bytes from behind its own end.
//! - An error does not name the field that is missing, and a reader does not say at which byte a record begins. Both are part
//!   of our errors and notes.
//! - `LinearReader` copies every record into a buffer of its own. Here a message stays where it is mapped.
//!
//! `tests.rs` compares both readings on whole records and shows these differences.

use std::collections::BTreeMap;

use crate::McapFault;

pub use mcap::records::{op, MessageHeader};

/// A file begins and ends with these.
pub use mcap::MAGIC;

/// A record's type and length.
pub const PREFIX: usize = 9;
/// The footer with its prefix and the magic after it.
pub const FOOTER: usize = PREFIX + 20 + MAGIC.len();
/// A message's fields before its bytes.
pub const MESSAGE_HEADER: usize = 22;

/// A record where it stands.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub opcode: u8,
    /// Where it begins in the bytes that are walked.
    pub at: usize,
    pub body: &'a [u8],
}

/// Goes from record to record.
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// The first record begins at `at`.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where the next record begins.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Record<'a>, McapFault>;

    /// After an error, [`Walk::at`] is where the record that is not whole begins, and the walk is over.
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let (&opcode, left) = self.bytes.get(at..)?.split_first()?;
        let record = prefix(left).and_then(|(len, left)| {
            let body = usize::try_from(len).ok().and_then(|len| left.get(..len));
            body.ok_or(McapFault::Cut {
                opcode,
                len,
                left: left.len() as u64,
            })
        });
        match record {
            Ok(body) => {
                self.at = at + PREFIX + body.len();
                Some(Ok(Record { opcode, at, body }))
            }
            Err(McapFault::Cut { len, left, .. }) => {
                self.bytes = &[];
                Some(Err(McapFault::Cut { opcode, len, left }))
            }
            Err(fault) => Some(Err(fault)),
        }
    }
}

fn prefix(bytes: &[u8]) -> Result<(u64, &[u8]), McapFault> {
    let cut = McapFault::Cut {
        opcode: 0,
        len: 0,
        left: bytes.len() as u64,
    };
    let (len, left) = bytes.split_first_chunk().ok_or(cut)?;
    Ok((u64::from_le_bytes(*len), left))
}

/// Takes fields off the front of a record. MCAP's numbers are little endian and not aligned.
pub struct Fields<'a> {
    opcode: u8,
    left: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(opcode: u8, body: &'a [u8]) -> Self {
        Self { opcode, left: body }
    }

    pub fn u16(&mut self, field: &'static str) -> Result<u16, McapFault> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub fn u32(&mut self, field: &'static str) -> Result<u32, McapFault> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, field: &'static str) -> Result<u64, McapFault> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A 32-bit length and as many bytes.
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], McapFault> {
        let len = self.u32(field)?;
        self.take(u64::from(len), field)
    }

    pub fn string(&mut self, field: &'static str) -> Result<String, McapFault> {
        let bytes = self.bytes(field)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    pub fn take(&mut self, len: u64, field: &'static str) -> Result<&'a [u8], McapFault> {
        let len = usize::try_from(len).ok();
        let taken = len.and_then(|len| self.left.split_at_checked(len));
        let (taken, left) = taken.ok_or_else(|| self.missing(field))?;
        self.left = left;
        Ok(taken)
    }

    /// A map, whose length counts bytes.
    pub fn map<K: Ord, V>(
        &mut self,
        field: &'static str,
        mut entry: impl FnMut(&mut Self) -> Result<(K, V), McapFault>,
    ) -> Result<BTreeMap<K, V>, McapFault> {
        let mut inside = Fields::new(self.opcode, self.bytes(field)?);
        let mut map = BTreeMap::new();
        while !inside.left.is_empty() {
            let (key, value) = entry(&mut inside)?;
            map.insert(key, value);
        }
        Ok(map)
    }

    /// A map of strings.
    pub fn texts(&mut self, field: &'static str) -> Result<BTreeMap<String, String>, McapFault> {
        self.map(field, |entry| {
            Ok((entry.string(field)?, entry.string(field)?))
        })
    }

    pub fn rest(self) -> &'a [u8] {
        self.left
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], McapFault> {
        let split = self.left.split_first_chunk();
        let (taken, left) = split.ok_or_else(|| self.missing(field))?;
        self.left = left;
        Ok(*taken)
    }

    fn missing(&self, field: &'static str) -> McapFault {
        McapFault::Field {
            opcode: self.opcode,
            field,
        }
    }
}

/// A message's fields before its bytes.
pub fn message_header(body: &[u8]) -> Result<MessageHeader, McapFault> {
    let mut fields = Fields::new(op::MESSAGE, body);
    Ok(MessageHeader {
        channel_id: fields.u16("channel")?,
        sequence: fields.u32("sequence")?,
        log_time: fields.u64("log time")?,
        publish_time: fields.u64("publish time")?,
    })
}

/// A chunk's fields before its records.
pub struct ChunkHeader<'a> {
    pub start: u64,
    pub end: u64,
    pub size: u64,
    /// The CRC of the unpacked records; 0 means that there is none.
    pub crc: u32,
    pub compression: String,
    /// The chunk's records as they stand in the file.
    pub records: &'a [u8],
    /// Whether the file ends inside the records.
    pub cut: bool,
}

impl<'a> ChunkHeader<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, McapFault> {
        let mut fields = Fields::new(op::CHUNK, body);
        let (start, end) = (fields.u64("start time")?, fields.u64("end time")?);
        let (size, crc) = (fields.u64("size")?, fields.u32("CRC")?);
        let compression = fields.string("compression")?;
        let packed = fields.u64("packed size")?;
        let rest = fields.rest();
        let len = usize::try_from(packed).unwrap_or(usize::MAX);
        Ok(Self {
            start,
            end,
            size,
            crc,
            compression,
            records: rest.get(..len).unwrap_or(rest),
            cut: rest.len() < len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_ends_at_a_record_that_is_not_whole() {
        let mut bytes = vec![op::DATA_END, 1, 0, 0, 0, 0, 0, 0, 0, 42];
        bytes.extend([op::MESSAGE, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        let mut walk = Walk::new(&bytes, 0);
        let first = walk.next().unwrap().unwrap();
        assert_eq!((first.opcode, first.body), (op::DATA_END, &[42][..]));
        let cut = McapFault::Cut {
            opcode: op::MESSAGE,
            len: u64::MAX,
            left: 1,
        };
        assert_eq!(walk.next().unwrap().err(), Some(cut));
        assert_eq!(walk.at(), 10);
        assert!(walk.next().is_none());
    }

    #[test]
    fn a_field_that_is_not_there_is_named() {
        let mut fields = Fields::new(op::CHANNEL, &[255, 255, 255, 255, b'a']);
        let missing = McapFault::Field {
            opcode: op::CHANNEL,
            field: "topic",
        };
        assert_eq!(fields.string("topic").err(), Some(missing));
    }
}
