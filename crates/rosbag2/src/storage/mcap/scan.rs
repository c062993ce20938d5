//! Reading an MCAP file without its index, from its beginning as far as it goes: one that was never closed, was cut, or
//! whose summary is damaged.

use std::sync::Arc;

use super::chunk::{self, Entry};
use super::index::{Chunk, Index};
use super::records::{op, Record, Walk, MAGIC, PREFIX};
use crate::payload::{Backing, Payload};
use crate::McapFault;

/// What a scan found.
pub struct Scan {
    pub index: Index,
    /// Messages outside of chunks.
    pub loose: Vec<Entry>,
    /// Parts that cannot be read: where, and why. What follows was read.
    pub damaged: Vec<(usize, McapFault)>,
    /// Where reading ended, if not at the end of the data.
    pub stopped: Option<(usize, McapFault)>,
    /// Where another file begins behind the end of this one.
    pub appended: Option<usize>,
}

/// Reads a file from its beginning.
///
/// # Errors
/// [`McapFault::Magic`], for another kind of file.
pub fn scan(file: &Arc<Backing>) -> Result<Scan, McapFault> {
    if !file.starts_with(MAGIC) {
        return Err(McapFault::Magic);
    }
    let mut scan = Scan {
        index: Index::default(),
        loose: Vec::new(),
        damaged: Vec::new(),
        stopped: None,
        appended: None,
    };
    let mut walk = Walk::new(file, MAGIC.len());
    while let Some(record) = walk.next() {
        match record {
            Ok(record) if record.opcode == op::DATA_END || record.opcode == op::FOOTER => {
                scan.appended = appended(file, record.at);
                return Ok(scan);
            }
            Ok(record) => {
                if let Err(fault) = scan.record(file, &record) {
                    scan.damaged.push((record.at, fault));
                }
            }
            Err(cut) => {
                let at = walk.at();
                scan.last_chunk(file, at, &cut);
                scan.stopped = Some((at, cut));
                return Ok(scan);
            }
        }
    }
    // Every record was whole, and the one that says that no more follow is not there.
    let cut = McapFault::Cut {
        opcode: op::DATA_END,
        len: 4,
        left: 0,
    };
    scan.stopped = Some((file.len(), cut));
    Ok(scan)
}

/// Where another file begins behind the end of this one, whose data end at the record at `at`.
fn appended(file: &[u8], at: usize) -> Option<usize> {
    let mut walk = Walk::new(file, at);
    // What cannot be read here is the summary, which nobody needs any more.
    walk.find(|record| !matches!(record, Ok(record) if record.opcode != op::FOOTER))?
        .ok()?;
    let next = walk.at() + MAGIC.len();
    file.get(next..)?.starts_with(MAGIC).then_some(next)
}

impl Scan {
    fn record(&mut self, file: &Arc<Backing>, record: &Record) -> Result<(), McapFault> {
        match record.opcode {
            op::CHUNK => self.chunk(file, Chunk::of(record)?),
            op::MESSAGE => {
                let entry = Entry::of(record, 0)?;
                self.index.count(entry.channel, entry.log_time);
                self.loose.push(entry);
                Ok(())
            }
            _ => self.index.describe(record),
        }
    }

    /// A chunk is unpacked once to learn of its channels and to count its messages.
    fn chunk(&mut self, file: &Arc<Backing>, mut chunk: Chunk) -> Result<(), McapFault> {
        let records = chunk::open(&Payload::new(Arc::clone(file), chunk.record()))?;
        let mut fault = None;
        for record in Walk::new(records.bytes(), 0) {
            match record {
                Ok(record) if record.opcode != op::MESSAGE => self.index.describe(&record)?,
                Ok(_) => {}
                Err(cut) => fault = Some(cut),
            }
        }
        let (entries, listed) = chunk::list(&records, |_, _| true);
        let mut channels: Vec<u16> = entries.iter().map(|entry| entry.channel).collect();
        channels.sort_unstable();
        channels.dedup();
        for entry in &entries {
            self.index.count(entry.channel, entry.log_time);
        }
        // What the header says may be wrong, or of more than is left.
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            (chunk.start, chunk.end) = (first.log_time, last.log_time);
            chunk.channels = Some(channels);
            self.index.chunks.push(chunk);
        }
        listed.or(fault).map_or(Ok(()), Err)
    }

    /// The chunk that the file ends in.
    fn last_chunk(&mut self, file: &Arc<Backing>, at: usize, cut: &McapFault) {
        let McapFault::Cut {
            opcode: op::CHUNK, ..
        } = cut
        else {
            return;
        };
        let Some(body) = file.get(at + PREFIX..) else {
            return;
        };
        let record = Record {
            opcode: op::CHUNK,
            at,
            body,
        };
        if let Ok(chunk) = Chunk::of(&record) {
            // That it is not whole is what the scan says already.
            let _ = self.chunk(file, chunk);
        }
    }
}
