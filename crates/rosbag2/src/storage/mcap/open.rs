//! An MCAP file, opened: its topics, its times, and the messages outside of chunks.

use std::sync::Arc;

use mcap::records::Channel;

use super::chunk::Entry;
use super::index::Index;
use super::records::{op, ChunkHeader, Walk, MAGIC, PREFIX};
use super::{scan, summary};
use crate::payload::Backing;
use crate::source_file::SourceFile;
use crate::topic::{full_type, Definition, StoredTopic, Topic};
use crate::{qos, BagError, McapFault, Note};

/// An MCAP file, opened.
pub struct McapFile {
    source: SourceFile,
    pub(super) file: Arc<Backing>,
    pub(super) index: Index,
    /// Messages outside of chunks, where a scan has found them already.
    loose: Option<Vec<Entry>>,
}

impl McapFile {
    /// Opens by the summary at the end, or else by a scan.
    ///
    /// # Errors
    /// [`BagError::Io`]; [`BagError::Mcap`] for another kind of file.
    pub fn open(source: SourceFile, notes: &mut Vec<Note>) -> Result<Self, BagError> {
        let file = Arc::new(Backing::map(&source.real)?);
        let damaged = |at: usize, fault: McapFault| BagError::Mcap {
            path: source.shown.clone(),
            at: at as u64,
            fault,
        };
        if !file.starts_with(MAGIC) {
            return Err(damaged(0, McapFault::Magic));
        }
        let reason = match summary::read(&file) {
            Ok(index) => {
                return Ok(Self {
                    source,
                    file,
                    index,
                    loose: None,
                })
            }
            Err(reason) => reason,
        };
        let scan = scan::scan(&file).map_err(|fault| damaged(0, fault))?;
        if let Some(at) = scan.appended {
            notes.push(Note::Appended {
                path: source.shown.clone(),
                at: at as u64,
            });
        }
        for (at, fault) in scan.damaged {
            notes.push(Note::Damaged {
                reason: damaged(at, fault).to_string(),
            });
        }
        notes.push(match scan.stopped {
            Some((at, fault)) => Note::Truncated {
                path: source.shown.clone(),
                read: at as u64,
                bytes: file.len() as u64,
                messages: scan.index.messages(),
                reason: fault.to_string(),
            },
            None => Note::Unindexed {
                path: source.shown.clone(),
                reason,
            },
        });
        Ok(Self {
            source,
            file,
            index: scan.index,
            loose: Some(scan.loose),
        })
    }

    pub fn topics(&self) -> Vec<StoredTopic> {
        let topic = |(&id, channel): (&u16, &Channel)| {
            let schema = self.index.schemas.get(&channel.schema_id).cloned();
            let schema = schema.unwrap_or_default();
            let profiles = channel.metadata.get("offered_qos_profiles");
            let definition = Definition {
                encoding: schema.encoding,
                text: schema.text,
            };
            let topic = Topic {
                name: channel.topic.clone(),
                ros_type: full_type(&schema.name),
                serialization_format: channel.message_encoding.clone(),
                qos: profiles.map(|text| qos::parse(text)).unwrap_or_default(),
                definition: (!definition.text.is_empty()).then_some(definition),
                type_hash: channel.metadata.get("topic_type_hash").cloned(),
                messages: self.index.counts.get(&id).copied().unwrap_or_default(),
            };
            StoredTopic {
                key: id.into(),
                topic,
            }
        };
        self.index.channels.iter().map(topic).collect()
    }

    pub fn span(&self) -> Option<(u64, u64)> {
        self.index.span
    }

    pub fn metadata(&self) -> Option<&str> {
        self.index.metadata.as_deref()
    }

    /// With what its first chunk is compressed.
    pub fn chunk_compression(&self) -> Option<String> {
        let chunk = self.index.chunks.first()?;
        let body = self.file.get(chunk.at.checked_add(PREFIX)?..)?;
        let header = ChunkHeader::read(body.get(..chunk.len)?).ok()?;
        (!header.compression.is_empty()).then_some(header.compression)
    }

    /// Messages outside of chunks, and where looking for them had to stop.
    ///
    /// An index speaks of chunks only. What lies between them is walked: nothing but message indexes in a file with chunks,
    /// everything in one without.
    pub(super) fn loose(&self) -> (Vec<Entry>, Vec<BagError>) {
        if let Some(loose) = &self.loose {
            return (loose.clone(), Vec::new());
        }
        let mut chunks: Vec<_> = self.index.chunks.iter().collect();
        chunks.sort_by_key(|chunk| chunk.at);
        let starts = std::iter::once(MAGIC.len()).chain(chunks.iter().map(|chunk| chunk.after()));
        let ends = chunks
            .iter()
            .map(|chunk| chunk.at)
            .chain([self.file.len() - MAGIC.len()]);
        let (mut entries, mut errors) = (Vec::new(), Vec::new());
        for (start, end) in starts.zip(ends) {
            let mut walk = Walk::new(self.file.get(..end).unwrap_or_default(), start);
            while let Some(record) = walk.next() {
                match record {
                    Ok(record) if record.opcode == op::MESSAGE => match Entry::of(&record, 0) {
                        Ok(entry) => entries.push(entry),
                        Err(fault) => errors.push(self.damaged(record.at, fault)),
                    },
                    Ok(record) if record.opcode == op::DATA_END => break,
                    Ok(_) => {}
                    Err(fault) => errors.push(self.damaged(walk.at(), fault)),
                }
            }
        }
        (entries, errors)
    }

    pub(super) fn damaged(&self, at: usize, fault: McapFault) -> BagError {
        BagError::Mcap {
            path: self.source.shown.clone(),
            at: at as u64,
            fault,
        }
    }
}
