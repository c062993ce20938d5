//! Our reading of records beside that of the crate `mcap`: equal on whole records, and what is kept of the others.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use mcap::records::{MessageHeader, Record};

use super::index::{Chunk, Index};
use super::records::{message_header, op, ChunkHeader, Walk, MAGIC, MESSAGE_HEADER};
use crate::payload::{Backing, FileBytes};

/// A file of two channels and a few chunks, packed or not at all.
fn file(compression: Option<mcap::Compression>) -> Vec<u8> {
    let options = mcap::WriteOptions::new().compression(compression);
    let options = options.chunk_size(Some(500)).profile("ros2");
    let mut writer = options.create(Cursor::new(Vec::new())).unwrap();
    let schema = writer.add_schema("std_msgs/msg/String", "ros2msg", b"string data\n");
    let metadata = BTreeMap::from([("a".to_owned(), "b".to_owned()), Default::default()]);
    let channels = ["/left", "/right"].map(|topic| {
        let schema = *schema.as_ref().unwrap();
        writer.add_channel(schema, topic, "cdr", &metadata).unwrap()
    });
    for sequence in 0..40 {
        let header = MessageHeader {
            channel_id: channels[sequence as usize % 2],
            sequence,
            log_time: u64::from(sequence) << 33,
            publish_time: u64::MAX - u64::from(sequence),
        };
        let data = vec![sequence as u8; sequence as usize];
        writer.write_to_known_channel(&header, &data).unwrap();
    }
    let name = "rosbag2".to_owned();
    let metadata = BTreeMap::from([("serialized_metadata".to_owned(), "text".to_owned())]);
    let record = mcap::records::Metadata { name, metadata };
    writer.write_metadata(&record).unwrap();
    writer.finish().unwrap();
    writer.into_inner().into_inner()
}

/// Compares both readings of each record, also of those in chunks that are not packed; gives how many were compared.
fn compare(bytes: &[u8], at: usize) -> BTreeMap<u8, usize> {
    let mut compared = BTreeMap::new();
    for record in Walk::new(bytes, at) {
        let record = record.unwrap();
        let mut index = Index::default();
        index.describe(&record).unwrap();
        match mcap::parse_record(record.opcode, record.body).unwrap() {
            Record::Schema { header, data } => {
                let ours = &index.schemas[&header.id];
                assert_eq!(
                    (&ours.name, &ours.encoding),
                    (&header.name, &header.encoding)
                );
                assert_eq!(ours.text.as_bytes(), &data[..]);
            }
            Record::Channel(theirs) => assert_eq!(index.channels[&theirs.id], theirs),
            Record::Message { header, data } => {
                assert_eq!(message_header(record.body).unwrap(), header);
                assert_eq!(record.body[MESSAGE_HEADER..], data[..]);
            }
            Record::Chunk { header, data } => {
                let ours = ChunkHeader::read(record.body).unwrap();
                assert_eq!(
                    (ours.start, ours.end),
                    (header.message_start_time, header.message_end_time)
                );
                assert_eq!(
                    (ours.size, ours.crc),
                    (header.uncompressed_size, header.uncompressed_crc)
                );
                assert_eq!(
                    (&ours.compression, ours.records),
                    (&header.compression, &data[..])
                );
                assert!(!ours.cut);
                if ours.compression.is_empty() {
                    for (opcode, number) in compare(&data, 0) {
                        *compared.entry(opcode).or_default() += number;
                    }
                }
            }
            Record::Metadata(theirs) => {
                assert_eq!(
                    index.metadata.as_ref(),
                    theirs.metadata.get("serialized_metadata")
                );
            }
            _ => continue,
        }
        *compared.entry(record.opcode).or_default() += 1;
    }
    compared
}

#[test]
fn whole_records_are_read_as_the_crate_that_writes_them_reads_them() {
    for compression in [
        None,
        Some(mcap::Compression::Zstd),
        Some(mcap::Compression::Lz4),
    ] {
        let bytes = file(compression);
        let compared = compare(&bytes[..bytes.len() - MAGIC.len()], MAGIC.len());
        // Schemas and channels stand in the summary once more.
        assert!(
            compared[&op::CHUNK] > 1 && compared[&op::CHANNEL] >= 2 && compared[&op::SCHEMA] >= 1
        );
        assert_eq!(compared[&op::METADATA], 1);
        if compression.is_none() {
            assert_eq!(compared[&op::MESSAGE], 40);
        }
        let held = FileBytes::Here(Arc::new(Backing::Unpacked(bytes.clone())));
        let index = super::summary::read(&held).unwrap();
        let theirs = mcap::Summary::read(&bytes).unwrap().unwrap();
        assert_eq!(index.chunks.len(), theirs.chunk_indexes.len());
        for (ours, theirs) in index.chunks.iter().zip(&theirs.chunk_indexes) {
            let Chunk {
                at,
                start,
                end,
                channels,
                indexes,
                ..
            } = ours.clone();
            assert_eq!(
                (at as u64, indexes as u64),
                (theirs.chunk_start_offset, theirs.message_index_length)
            );
            assert_eq!(
                (start, end),
                (theirs.message_start_time, theirs.message_end_time)
            );
            let listed: Vec<u16> = theirs.message_index_offsets.keys().copied().collect();
            assert_eq!(channels.unwrap(), listed);
        }
        assert_eq!(index.counts, theirs.stats.unwrap().channel_message_counts);
    }
}

fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text].concat()
}

fn channel(topic: &[u8], entries: &[&[u8]]) -> Vec<u8> {
    let map: Vec<u8> = entries.iter().flat_map(|entry| text(entry)).collect();
    [vec![1, 0, 1, 0], text(topic), text(b"cdr"), text(&map)].concat()
}

fn described(body: &[u8]) -> mcap::records::Channel {
    let mut index = Index::default();
    let record = super::records::Record {
        opcode: op::CHANNEL,
        at: 0,
        body,
    };
    index.describe(&record).unwrap();
    index.channels.remove(&1).unwrap()
}

#[test]
fn a_channel_that_the_crate_refuses_keeps_its_messages() {
    let whole = channel(b"/a", &[b"key", b"first"]);
    assert!(mcap::parse_record(op::CHANNEL, &whole).is_ok());
    assert_eq!(described(&whole).topic, "/a");
    let not_text = channel(b"/\xff", &[]);
    assert!(mcap::parse_record(op::CHANNEL, &not_text).is_err());
    assert_eq!(described(&not_text).topic, "/\u{fffd}");
    let twice = channel(b"/a", &[b"key", b"first", b"key", b"second"]);
    assert!(mcap::parse_record(op::CHANNEL, &twice).is_err());
    assert_eq!(described(&twice).metadata["key"], "second");
}

#[test]
fn a_chunk_that_the_file_ends_in_keeps_its_header_and_what_is_left() {
    let bytes = file(None);
    let mut walk = Walk::new(&bytes, MAGIC.len());
    let chunk = walk.find_map(|record| record.ok().filter(|record| record.opcode == op::CHUNK));
    let body = chunk.unwrap().body;
    let cut = &body[..body.len() - 10];
    assert!(mcap::parse_record(op::CHUNK, cut).is_err());
    let ours = ChunkHeader::read(cut).unwrap();
    assert!(ours.cut);
    assert_eq!(
        ours.records.len() + 10,
        ChunkHeader::read(body).unwrap().records.len()
    );
}
