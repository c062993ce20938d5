//! A bag, opened: its topics, its messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::merge::Messages;
use super::messages::Message;
use super::metadata::Metadata;
use super::options::StorageKind;
use super::payload::RawMessage;
use super::select::{MessageFilter, Selection};
use super::storage::StorageFile;
use super::topic::Topic;
use super::{BagError, Note};

/// A bag, opened for reading.
///
/// Opening reads the metadata and the indexes of the files. Messages are read only where a file has no usable index. What was
/// wrong and did not keep the bag from being read is
/// in [`Bag::notes`].
pub struct Bag {
    pub(super) path: PathBuf,
    pub(super) files: Vec<BagFile>,
    pub(super) topics: Arc<[Topic]>,
    pub(super) metadata: Option<Metadata>,
    pub(super) notes: Vec<Note>,
}

/// One file of a bag.
pub(super) struct BagFile {
    pub path: PathBuf,
    pub kind: StorageKind,
    pub bytes: u64,
    pub storage: StorageFile,
    /// The bag's topic of each of the file's numbers.
    pub keys: BTreeMap<i64, usize>,
}

/// One file of a bag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its path.
    pub path: PathBuf,
    /// How it is stored.
    pub storage: StorageKind,
    /// Its size on the disk.
    pub bytes: u64,
    /// Log times of its first and last message, nanoseconds; `None` if that is not known or there is no message.
    pub span: Option<(u64, u64)>,
    /// The compression of an MCAP file's first chunk (`zstd`, `lz4`); `None` if it is not compressed.
    pub chunk_compression: Option<String>,
}

impl Bag {
    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its topics, also those without messages.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The topic of that name.
    ///
    /// # Errors
    /// [`BagError::Topic`], which lists the topics of the bag.
    pub fn topic(&self, name: &str) -> Result<&Topic, BagError> {
        let found = self.topics.iter().find(|topic| topic.name == name);
        found.ok_or_else(|| self.no_topic(name))
    }

    /// The number of messages of all topics.
    pub fn message_count(&self) -> u64 {
        self.topics
            .iter()
            .fold(0, |sum, topic| sum.saturating_add(topic.messages))
    }

    /// Log times of the first and the last message, nanoseconds.
    pub fn span(&self) -> Option<(u64, u64)> {
        let spans = || self.files.iter().filter_map(|file| file.storage.span());
        let first = spans().map(|(first, _)| first).min()?;
        Some((first, spans().map(|(_, last)| last).max()?))
    }

    /// Its files, in the order they were recorded.
    pub fn files(&self) -> Vec<FileInfo> {
        let info = |file: &BagFile| FileInfo {
            path: file.path.clone(),
            storage: file.kind,
            bytes: file.bytes,
            span: file.storage.span(),
            chunk_compression: file.storage.chunk_compression(),
        };
        self.files.iter().map(info).collect()
    }

    /// rosbag2's metadata: that of `metadata.yaml`, or else that which one of the files holds.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// What was wrong with the bag and did not keep it from being read.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The messages that are wanted, in log-time order over all files. Those of the same moment come as they were recorded.
    ///
    /// A message or chunk that cannot be read gives an error in its place, and the messages after it follow.
    ///
    /// # Errors
    /// [`BagError::Topic`], for a topic the bag does not have. While iterating: [`BagError`], for what cannot be read.
    pub fn messages(&self, selection: &Selection) -> Result<Messages, BagError> {
        for name in selection.topics.iter().flatten() {
            self.topic(name)?;
        }
        let wanted = |topic: usize| match (&selection.topics, self.topics.get(topic)) {
            (Some(names), Some(topic)) => names.contains(&topic.name),
            _ => true,
        };
        let parts = self.files.iter().map(|file| {
            let keys = file.keys.iter().map(|(&key, &topic)| (key, topic));
            let filter = MessageFilter {
                topics: keys.filter(|&(_, topic)| wanted(topic)).collect(),
                from: selection.from,
                until: selection.until,
            };
            (file.storage.clone(), filter)
        });
        Ok(Messages::new(parts, self.topics.clone()))
    }

    /// Reads the bytes of a message as a message type.
    ///
    /// # Errors
    /// [`BagError::Type`] for a topic of another type, [`BagError::Serialization`] for one that is not CDR,
    /// [`BagError::Message`] for bytes that are not of the type, and [`BagError::OtherFields`] where that is because the type had
    /// other fields when it was recorded.
    pub fn decode<'m, T: Message<'m>>(&self, message: &'m RawMessage) -> Result<T, BagError> {
        let topic = self.topics.get(message.topic);
        let topic = topic.ok_or_else(|| self.no_topic(&format!("number {}", message.topic)))?;
        if topic.ros_type != T::ROS_TYPE {
            return Err(BagError::Type {
                topic: topic.name.clone(),
                ros_type: topic.ros_type.clone(),
                asked: T::ROS_TYPE,
            });
        }
        if topic.serialization_format != "cdr" {
            return Err(BagError::Serialization {
                topic: topic.name.clone(),
                format: topic.serialization_format.clone(),
            });
        }
        T::from_cdr(&message.data).map_err(|source| {
            let name = topic.name.clone();
            if topic.has_other_fields_than(T::DEFINITION) {
                BagError::OtherFields {
                    topic: name,
                    time: message.log_time,
                    recorded: topic.rihs01().map(str::to_owned),
                    known: T::DEFINITION,
                    source,
                }
            } else {
                BagError::Message {
                    topic: name,
                    time: message.log_time,
                    ros_type: topic.ros_type.clone(),
                    source,
                }
            }
        })
    }

    fn no_topic(&self, name: &str) -> BagError {
        BagError::Topic {
            topic: name.to_owned(),
            known: self.topics.iter().map(|topic| topic.name.clone()).collect(),
        }
    }
}
