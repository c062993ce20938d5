//! The index at the end of an MCAP file. Opening by it touches neither chunk nor message.

use mcap::records::Statistics;

use super::index::{rosbag2, Chunk, Index};
use super::records::{op, Fields, Record, Walk, FOOTER, MAGIC, PREFIX};
use crate::McapFault;

/// Reads the summary. `Err` is why there is none that could be trusted.
pub fn read(file: &[u8]) -> Result<Index, String> {
    let (start, records) = section(file)?;
    let mut index = Index::default();
    let mut found = None;
    for record in Walk::new(records, 0) {
        let record = record.map_err(said)?;
        match record.opcode {
            op::CHUNK_INDEX => index.chunks.push(chunk(&record, start).map_err(said)?),
            op::STATISTICS => found = Some(statistics(&record).map_err(said)?),
            op::METADATA_INDEX => {
                if let Ok(Some(metadata)) = metadata(&record, file) {
                    index.metadata = Some(metadata);
                }
            }
            _ => index.describe(&record).map_err(said)?,
        }
    }
    let statistics = found.ok_or("it has no statistics")?;
    if u64::from(statistics.channel_count) > index.channels.len() as u64 {
        return Err(format!(
            "it describes {} of {} channels",
            index.channels.len(),
            statistics.channel_count
        ));
    }
    if u64::from(statistics.chunk_count) > index.chunks.len() as u64 {
        return Err(format!(
            "it lists {} of {} chunks",
            index.chunks.len(),
            statistics.chunk_count
        ));
    }
    if statistics.message_count > 0 {
        index.span = Some((statistics.message_start_time, statistics.message_end_time));
    }
    index.counts = statistics.channel_message_counts;
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
    let footer = footer.map(|record| mcap::parse_record(op::FOOTER, record.body));
    let Some(Ok(mcap::records::Record::Footer(footer))) = footer else {
        return Err("the file has no footer".into());
    };
    let (start, saved) = (footer.summary_start, footer.summary_crc);
    if start == 0 {
        return Err("it was written without one".into());
    }
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let records = file.get(start..footer_at);
    let records = records.ok_or("the footer points outside of the file")?;
    // The CRC also covers the footer's own fields before it.
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
