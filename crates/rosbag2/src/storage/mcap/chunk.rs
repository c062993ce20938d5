//! Messages inside a chunk: unpacked, checked, listed.

use std::ops::Range;
use std::sync::Arc;

use super::records::{message_header, op, ChunkHeader, Record, Walk, MESSAGE_HEADER, PREFIX};
use crate::payload::{Backing, Payload};
use crate::unpack::{self, Unpacked};
use crate::McapFault;

/// The records of a chunk, in the file itself or unpacked.
pub struct Records {
    pub backing: Arc<Backing>,
    pub range: Range<usize>,
    /// Why some of the records are missing.
    pub fault: Option<McapFault>,
}

impl Records {
    pub fn bytes(&self) -> &[u8] {
        self.backing.get(self.range.clone()).unwrap_or_default()
    }
}

/// Where a message is.
#[derive(Clone, Debug)]
pub struct Entry {
    pub log_time: u64,
    pub publish_time: u64,
    pub sequence: u32,
    pub channel: u16,
    /// Where the bytes of the message are.
    pub data: Range<usize>,
}

impl Entry {
    /// The message of a record; `base` is where the walk that met it began.
    pub fn of(record: &Record, base: usize) -> Result<Self, McapFault> {
        let header = message_header(record.body)?;
        let body = base + record.at + PREFIX;
        Ok(Self {
            log_time: header.log_time,
            publish_time: header.publish_time,
            sequence: header.sequence,
            channel: header.channel_id,
            data: body + MESSAGE_HEADER..body + record.body.len(),
        })
    }
}

/// The records of a chunk, whose own record is given from its beginning, as far as it goes.
///
/// A chunk that is all there and does not unpack, or whose CRC is wrong, gives none: any of its messages may be the one that
/// is damaged. Of one that the file ends in, what comes before is as it was written.
///
/// # Errors
/// [`McapFault`], where nothing can be read.
pub fn open(record: &Payload) -> Result<Records, McapFault> {
    let body = record.get(PREFIX..).unwrap_or_default();
    let found = record.first().copied().unwrap_or_default();
    if found != op::CHUNK {
        return Err(McapFault::Opcode {
            found,
            expected: op::CHUNK,
        });
    }
    let header = ChunkHeader::read(body)?;
    let unpacked = match header.compression.as_str() {
        "" => {
            let (backing, place) = record.parts();
            let before = header.records.as_ptr() as usize - record.as_ptr() as usize;
            let at = place.start + before;
            let found = header.records.len() as u64;
            let fault = (found < header.size).then(|| short(header.size, found));
            let range = at..at + header.records.len();
            return checked(Arc::clone(backing), range, fault, header.crc);
        }
        "zstd" => unpack::zstd(header.records, Some(header.size)),
        "lz4" => unpack::lz4(header.records, Some(header.size)),
        name => {
            return Err(McapFault::Compression {
                name: name.to_owned(),
            })
        }
    };
    let Unpacked { bytes, fault } = unpacked;
    let found = bytes.len() as u64;
    let fault = fault.map(|reason| McapFault::Unpack {
        declared: header.size,
        found,
        reason,
    });
    if let Some(fault) = fault.clone().filter(|_| !header.cut) {
        return Err(fault);
    }
    let range = 0..bytes.len();
    checked(Arc::new(Backing::Unpacked(bytes)), range, fault, header.crc)
}

fn short(declared: u64, found: u64) -> McapFault {
    McapFault::Unpack {
        declared,
        found,
        reason: "it ends early".into(),
    }
}

/// The CRC tells about whole chunks only.
fn checked(
    backing: Arc<Backing>,
    range: Range<usize>,
    fault: Option<McapFault>,
    saved: u32,
) -> Result<Records, McapFault> {
    let records = Records {
        backing,
        range,
        fault,
    };
    if saved != 0 && records.fault.is_none() {
        let calculated = crc32fast::hash(records.bytes());
        if calculated != saved {
            return Err(McapFault::Crc { saved, calculated });
        }
    }
    Ok(records)
}

/// The messages of a chunk that are wanted, in log-time order, and why they are not all.
pub fn list(
    records: &Records,
    wanted: impl Fn(u16, u64) -> bool,
) -> (Vec<Entry>, Option<McapFault>) {
    let mut entries = Vec::new();
    let mut fault = None;
    for record in Walk::new(records.bytes(), 0) {
        let entry = match record {
            Ok(record) if record.opcode == op::MESSAGE => Entry::of(&record, records.range.start),
            Ok(_) => continue,
            Err(cut) => Err(cut),
        };
        match entry {
            Ok(entry) if wanted(entry.channel, entry.log_time) => entries.push(entry),
            Ok(_) => {}
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    // Where both end early, the packing is the reason and the record only its consequence.
    let fault = records.fault.clone().or(fault);
    // Stable: messages of the same moment stay as they were recorded.
    entries.sort_by_key(|entry| entry.log_time);
    (entries, fault)
}
