//! The index at the end of an MCAP file. Opening by it touches neither chunk nor message.

use super::index::{rosbag2, Chunk, Index};
use super::records::{op, Fields, Record, Walk, FOOTER, MAGIC, PREFIX};
use crate::McapFault;

/// Reads the summary. `Err` is why there is none that could be trusted.
pub fn read(file: &[u8]) -> Result<Index, String> {
    let (start, records) = section(file)?;
    let mut index = Index::default();
    let mut statistics = None;
    for record in Walk::new(records, 0) {
        let record = record.map_err(said)?;
        match record.opcode {
            op::CHUNK_INDEX => index.chunks.push(chunk(&record, start).map_err(said)?),
            op::STATISTICS => statistics = Some(Statistics::read(&record).map_err(said)?),
            op::METADATA_INDEX => {
                if let Ok(Some(metadata)) = metadata(&record, file) {
                    index.metadata = Some(metadata);
                }
            }
            _ => index.describe(&record).map_err(said)?,
        }
    }
    let statistics = statistics.ok_or("it has no statistics")?;
    if statistics.channels > index.channels.len() as u64 {
        return Err(format!(
            "it describes {} of {} channels",
            index.channels.len(),
            statistics.channels
        ));
    }
    if statistics.chunks > index.chunks.len() as u64 {
        return Err(format!(
            "it lists {} of {} chunks",
            index.chunks.len(),
            statistics.chunks
        ));
    }
    if statistics.messages > 0 {
        index.span = Some((statistics.start, statistics.end));
    }
    index.counts = statistics.counts;
    Ok(index)
}

/// Where the summary begins, and its records.
fn section(file: &[u8]) -> Result<(usize, &[u8]), String> {
    let footer_at = file
        .len()
        .checked_sub(FOOTER)
        .filter(|_| file.ends_with(MAGIC));
    let footer_at = footer_at.ok_or("the file does not end as an MCAP file does")?;
    let footer = Walk::new(file, footer_at).next();
    let footer = footer.and_then(Result::ok);
    let footer = footer.filter(|record| record.opcode == op::FOOTER && record.body.len() == 20);
    let footer = footer.ok_or("the file has no footer")?;
    let mut fields = Fields::new(op::FOOTER, footer.body);
    let start = fields.u64("summary start").map_err(said)?;
    let _offsets = fields.u64("summary offset start").map_err(said)?;
    let saved = fields.u32("summary CRC").map_err(said)?;
    if start == 0 {
        return Err("it was written without one".into());
    }
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let records = file.get(start..footer_at);
    let records = records.ok_or("the footer points outside of the file")?;
    // The CRC is of all that stands before it in the footer, too.
    let calculated = file
        .get(start..footer_at + PREFIX + 16)
        .map(crc32fast::hash);
    match calculated {
        Some(calculated) if saved != 0 && saved != calculated => {
            Err(said(McapFault::Crc { saved, calculated }))
        }
        _ => Ok((start, records)),
    }
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

/// rosbag2's metadata, if this points to it.
fn metadata(record: &Record, file: &[u8]) -> Result<Option<String>, McapFault> {
    let mut fields = Fields::new(op::METADATA_INDEX, record.body);
    let at = fields.u64("offset")?;
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    match Walk::new(file, at).next() {
        Some(Ok(record)) if record.opcode == op::METADATA => rosbag2(record.body),
        _ => Ok(None),
    }
}

struct Statistics {
    messages: u64,
    channels: u64,
    chunks: u64,
    start: u64,
    end: u64,
    counts: std::collections::BTreeMap<u16, u64>,
}

impl Statistics {
    fn read(record: &Record) -> Result<Self, McapFault> {
        let mut fields = Fields::new(op::STATISTICS, record.body);
        let messages = fields.u64("message count")?;
        let _schemas = fields.u16("schema count")?;
        let channels = fields.u32("channel count")?;
        let _attachments = fields.u32("attachment count")?;
        let _metadata = fields.u32("metadata count")?;
        let chunks = fields.u32("chunk count")?;
        Ok(Self {
            messages,
            channels: channels.into(),
            chunks: chunks.into(),
            start: fields.u64("start time")?,
            end: fields.u64("end time")?,
            counts: fields.map("channel message counts", |entry| {
                let channel = entry.u16("channel message counts")?;
                Ok((channel, entry.u64("channel message counts")?))
            })?,
        })
    }
}

fn said(fault: McapFault) -> String {
    fault.to_string()
}
