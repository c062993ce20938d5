//! An MCAP file, opened: its topics, its times, and the messages outside of chunks.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use mcap::records::Channel;

use super::chunk::Entry;
use super::index::Index;
use super::records::{op, ChunkHeader, Walk, MAGIC, PREFIX};
use super::summary::NoIndex;
use super::{scan, summary};
use crate::payload::{Backing, FileBytes};
use crate::source_file::SourceFile;
use crate::topic::{full_type, Definition, StoredTopic, Topic};
use crate::{qos, BagError, McapFault, Note};

/// An MCAP file, opened.
pub struct McapFile {
    source: SourceFile,
    pub(super) bytes: FileBytes,
    pub(super) index: Index,
    /// Messages outside of chunks, once they were found.
    loose: OnceLock<Vec<LooseRun>>,
}

/// Messages outside of chunks, and what their bytes are in.
pub(super) type LooseRun = (Arc<Backing>, Vec<Entry>);

/// A file elsewhere with more than this outside of its chunks is copied, not read in pieces.
const MOST_OUTSIDE: usize = 16 << 20;

impl McapFile {
    /// Opens by the summary at the end, or else by a scan.
    ///
    /// # Errors
    /// [`BagError::Io`]; [`BagError::Mcap`] for another kind of file.
    pub fn open(source: SourceFile, notes: &mut Vec<Note>) -> Result<Self, BagError> {
        let bytes = match &source.elsewhere {
            Some(file) => FileBytes::Elsewhere(Arc::clone(file)),
            None => FileBytes::Here(Arc::new(Backing::map(&source.real)?)),
        };
        let damaged = |at: usize, fault: McapFault| BagError::Mcap {
            path: source.shown.clone(),
            at: at as u64,
            fault,
        };
        let head = bytes.read(0..MAGIC.len().min(bytes.len()))?;
        if !head.starts_with(MAGIC) {
            return Err(damaged(0, McapFault::Magic));
        }
        let reason = match summary::read(&bytes) {
            Ok(index)
                if source.elsewhere.is_some() && outside(&index, bytes.len()) > MOST_OUTSIDE =>
            {
                "it has messages outside of chunks".to_owned()
            }
            Ok(index) => {
                return Ok(Self {
                    source,
                    bytes,
                    index,
                    loose: OnceLock::new(),
                })
            }
            Err(NoIndex::Unusable(reason)) => reason,
            Err(NoIndex::Unread(error)) => return Err(error),
        };
        let file = match &bytes {
            FileBytes::Here(file) => Arc::clone(file),
            FileBytes::Elsewhere(file) => {
                let copy = SourceFile::copied(file, &source.shown, notes)?;
                return Self::open(copy, notes);
            }
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
            index: scan.index,
            loose: vec![(file, scan.loose)].into(),
            bytes,
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
        // Its fields before the records: numbers, and a name.
        const FIELDS: usize = 64;
        let chunk = self.index.chunks.first()?;
        let body = chunk.at.checked_add(PREFIX)?;
        let fields = self.bytes.read(body..body + chunk.len.min(FIELDS)).ok()?;
        let header = ChunkHeader::read(&fields).ok()?;
        (!header.compression.is_empty()).then_some(header.compression)
    }

    /// Messages outside of chunks, and where looking for them had to stop.
    ///
    /// An index speaks of chunks only. What lies between them is walked: nothing but message indexes in a file with chunks,
    /// everything in one without.
    pub(super) fn loose(&self) -> (Vec<LooseRun>, Vec<BagError>) {
        if let Some(loose) = self.loose.get() {
            return (loose.clone(), Vec::new());
        }
        let (mut runs, mut errors) = (Vec::new(), Vec::new());
        for gap in gaps(&self.index, self.bytes.len()) {
            let start = gap.start;
            let bytes = match self.bytes.read(gap) {
                Ok(bytes) => bytes,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let (backing, place) = bytes.parts();
            let mut entries = Vec::new();
            let mut walk = Walk::new(&bytes, 0);
            while let Some(record) = walk.next() {
                match record {
                    Ok(record) if record.opcode == op::MESSAGE => {
                        match Entry::of(&record, place.start) {
                            Ok(entry) => entries.push(entry),
                            Err(fault) => errors.push(self.damaged(start + record.at, fault)),
                        }
                    }
                    Ok(record) if record.opcode == op::DATA_END => break,
                    Ok(_) => {}
                    Err(fault) => errors.push(self.damaged(start + walk.at(), fault)),
                }
            }
            if !entries.is_empty() {
                runs.push((Arc::clone(backing), entries));
            }
        }
        // What could not be read is said each time, and tried again.
        if errors.is_empty() {
            let _ = self.loose.set(runs.clone());
        }
        (runs, errors)
    }

    pub(super) fn damaged(&self, at: usize, fault: McapFault) -> BagError {
        BagError::Mcap {
            path: self.source.shown.clone(),
            at: at as u64,
            fault,
        }
    }
}

/// What lies between a file's chunks with their message indexes, before the first and behind the last.
fn gaps(index: &Index, len: usize) -> Vec<Range<usize>> {
    let mut chunks: Vec<_> = index.chunks.iter().collect();
    chunks.sort_by_key(|chunk| chunk.at);
    let starts = std::iter::once(MAGIC.len()).chain(chunks.iter().map(|chunk| chunk.after()));
    let ends = chunks.iter().map(|chunk| chunk.at);
    let end = len.saturating_sub(MAGIC.len());
    let gaps = starts.zip(ends.chain([end])).map(|(start, end)| start..end);
    gaps.filter(|gap| !gap.is_empty()).collect()
}

/// How many bytes that are, less the summary, which ends the walk.
fn outside(index: &Index, len: usize) -> usize {
    let mut gaps = gaps(index, len);
    // Behind the last chunk come the end of the data and the summary.
    if !index.chunks.is_empty() {
        gaps.pop();
    }
    gaps.into_iter().map(|gap| gap.len()).sum()
}
