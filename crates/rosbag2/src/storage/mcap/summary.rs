//! The index at the end of an MCAP file. Opening by it touches neither chunk nor message.

use std::ops::Range;

use mcap::records::Statistics;

use super::index::{rosbag2, Chunk, Index};
use super::records::{op, Fields, Record, Walk, FOOTER, MAGIC, PREFIX};
use crate::payload::{FileBytes, Payload};
use crate::{BagError, McapFault};

/// Why there is no index.
#[derive(Debug)]
pub enum NoIndex {
    /// The file has none that could be trusted, for this reason.
    Unusable(String),
    /// The file cannot be read.
    Unread(BagError),
}

impl From<String> for NoIndex {
    fn from(reason: String) -> Self {
        Self::Unusable(reason)
    }
}

impl From<&str> for NoIndex {
    fn from(reason: &str) -> Self {
        Self::Unusable(reason.to_owned())
    }
}

impl From<BagError> for NoIndex {
    fn from(error: BagError) -> Self {
        Self::Unread(error)
    }
}

/// Reads the summary.
///
/// # Errors
/// [`NoIndex`].
pub fn read(file: &FileBytes) -> Result<Index, NoIndex> {
    let (start, region, len) = section(file)?;
    let records = region.get(..len).unwrap_or_default();
    let mut index = Index::default();
    let mut found = None;
    for record in Walk::new(records, 0) {
        let record = record.map_err(said)?;
        match record.opcode {
            op::CHUNK_INDEX => index.chunks.push(chunk(&record, start).map_err(said)?),
            op::STATISTICS => found = Some(statistics(&record).map_err(said)?),
            op::METADATA_INDEX => {
                if let Ok(range) = metadata_range(&record, file.len()) {
                    index.metadata = metadata(&file.read(range)?).or(index.metadata);
                }
            }
            _ => index.describe(&record).map_err(said)?,
        }
    }
    let statistics = found.ok_or("it has no statistics")?;
    if u64::from(statistics.channel_count) > index.channels.len() as u64 {
        return Err(NoIndex::Unusable(format!(
            "it describes {} of {} channels",
            index.channels.len(),
            statistics.channel_count
        )));
    }
    if u64::from(statistics.chunk_count) > index.chunks.len() as u64 {
        return Err(NoIndex::Unusable(format!(
            "it lists {} of {} chunks",
            index.chunks.len(),
            statistics.chunk_count
        )));
    }
    if statistics.message_count > 0 {
        index.span = Some((statistics.message_start_time, statistics.message_end_time));
    }
    index.counts = statistics.channel_message_counts;
    Ok(index)
}

/// Where the summary begins, the bytes from there into the footer, and how many of them are its records.
fn section(file: &FileBytes) -> Result<(usize, Payload, usize), NoIndex> {
    let footer_at = file
        .len()
        .checked_sub(FOOTER)
        .ok_or("the file does not end as an MCAP file does")?;
    let end = file.read(footer_at..file.len())?;
    if !end.ends_with(MAGIC) {
        return Err("the file does not end as an MCAP file does".into());
    }
    let footer = Walk::new(&end, 0).next();
    let footer = footer.and_then(Result::ok);
    let footer = footer.filter(|record| record.opcode == op::FOOTER && record.body.len() == 20);
    let footer = footer.map(|record| mcap::parse_record(op::FOOTER, record.body));
    let Some(Ok(mcap::records::Record::Footer(footer))) = footer else {
        return Err("the file has no footer".into());
    };
    let (start, saved) = (footer.summary_start, footer.summary_crc);
    if start == 0 {
        return Err("it was written without one".into());
    }
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let len = footer_at
        .checked_sub(start)
        .ok_or("the footer points outside of the file")?;
    // The CRC also covers the footer's own fields before it.
    let region = file.read(start..footer_at + PREFIX + 16)?;
    let calculated = crc32fast::hash(&region);
    if saved != 0 && saved != calculated {
        return Err(said(McapFault::Crc { saved, calculated }).into());
    }
    Ok((start, region, len))
}

/// Where a chunk is, if it is before the summary.
fn chunk(record: &Record, before: usize) -> Result<Chunk, McapFault> {
    let mut fields = Fields::new(op::CHUNK_INDEX, record.body);
    let (start, end) = (fields.u64("start time")?, fields.u64("end time")?);
    let (at, len) = (fields.u64("chunk start")?, fields.u64("chunk length")?);
    let offsets = fields.map("message index offsets", |entry| {
        let channel = entry.u16("message index offsets")?;
        Ok((channel, entry.u64("message index offsets")?))
    })?;
    let indexes = fields.u64("message index length")?;
    let outside = McapFault::Field {
        opcode: op::CHUNK_INDEX,
        field: "place in the file",
    };
    let within = |value: u64| usize::try_from(value).ok().filter(|&value| value <= before);
    let (Some(at), Some(len), Some(indexes)) = (within(at), within(len), within(indexes)) else {
        return Err(outside);
    };
    let Some(body) = len.checked_sub(PREFIX).filter(|_| at + len <= before) else {
        return Err(outside);
    };
    Ok(Chunk {
        at,
        len: body,
        start,
        end,
        // Nothing there may as well mean that the writer left it out.
        channels: (!offsets.is_empty()).then(|| offsets.into_keys().collect()),
        indexes,
    })
}

/// Where the record is that this points to.
fn metadata_range(record: &Record, len: usize) -> Result<Range<usize>, McapFault> {
    let mut fields = Fields::new(op::METADATA_INDEX, record.body);
    let (at, size) = (fields.u64("offset")?, fields.u64("length")?);
    let place = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).min(len);
    Ok(place(at)..place(at.saturating_add(size)))
}

/// rosbag2's metadata, if that is what the record holds.
fn metadata(bytes: &[u8]) -> Option<String> {
    match Walk::new(bytes, 0).next() {
        Some(Ok(record)) if record.opcode == op::METADATA => rosbag2(record.body).ok()?,
        _ => None,
    }
}

/// The statistics, which consist of numbers only.
fn statistics(record: &Record) -> Result<Statistics, McapFault> {
    match mcap::parse_record(record.opcode, record.body) {
        Ok(mcap::records::Record::Statistics(statistics)) => Ok(statistics),
        // The counts are the last field, so that they are missing from every record that is too short.
        _ => Err(McapFault::Field {
            opcode: op::STATISTICS,
            field: "channel message counts",
        }),
    }
}

fn said(fault: McapFault) -> String {
    fault.to_string()
}
