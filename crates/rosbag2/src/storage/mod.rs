//! The two ways rosbag2 stores a file, behind one face.

pub mod mcap;
pub mod sqlite;

use std::path::Path;
use std::sync::Arc;

use self::mcap::{McapFile, McapWriter};
use self::sqlite::{SqliteFile, SqliteWriter};
use super::metadata::Metadata;
use super::options::{ChunkCompression, Compression, StorageKind, WriterOptions};
use super::payload::RawMessage;
use super::select::MessageFilter;
use super::source_file::SourceFile;
use super::topic::{StoredTopic, Topic};
use super::{BagError, Note};

pub type Stored = Box<dyn Iterator<Item = Result<RawMessage, BagError>> + Send>;

/// One file of a bag.
#[derive(Clone)]
pub enum StorageFile {
    Mcap(Arc<McapFile>),
    Sqlite(Arc<SqliteFile>),
}

impl StorageFile {
    /// Opens a file.
    pub fn open(
        kind: StorageKind,
        source: SourceFile,
        notes: &mut Vec<Note>,
    ) -> Result<Self, BagError> {
        Ok(match kind {
            StorageKind::Mcap => Self::Mcap(Arc::new(McapFile::open(source, notes)?)),
            StorageKind::Sqlite3 => Self::Sqlite(Arc::new(SqliteFile::open(source, notes)?)),
        })
    }

    /// Its topics, also those without messages. How many messages they have is known of MCAP only.
    pub fn topics(&self) -> Vec<StoredTopic> {
        match self {
            Self::Mcap(file) => file.topics(),
            Self::Sqlite(file) => file.topics(),
        }
    }

    /// Log times of the first and the last message.
    pub fn span(&self) -> Option<(u64, u64)> {
        match self {
            Self::Mcap(file) => file.span(),
            Self::Sqlite(file) => file.span(),
        }
    }

    /// rosbag2's metadata, as the file holds it.
    pub fn metadata(&self) -> Option<&str> {
        match self {
            Self::Mcap(file) => file.metadata(),
            Self::Sqlite(file) => file.metadata(),
        }
    }

    /// With what the chunks of an MCAP file are compressed, by its first one.
    pub fn chunk_compression(&self) -> Option<String> {
        match self {
            Self::Mcap(file) => file.chunk_compression(),
            Self::Sqlite(_) => None,
        }
    }

    /// The messages that are wanted, in log-time order.
    pub fn messages(&self, filter: MessageFilter) -> Result<Stored, BagError> {
        Ok(match self {
            Self::Mcap(file) => Box::new(mcap::Messages::new(file.clone(), filter)),
            Self::Sqlite(file) => Box::new(sqlite::Messages::new(file.clone(), filter)?),
        })
    }
}

const OTHER_BAG: BagError = BagError::Options {
    reason: "the message is of a topic that another writer has given out",
};

/// A file being written. Topics are named by their place among those added.
pub enum StorageWriter {
    Mcap(Box<McapWriter>, Vec<u16>),
    Sqlite(SqliteWriter, Vec<i64>),
}

impl StorageWriter {
    pub fn create(path: &Path, options: &WriterOptions) -> Result<Self, BagError> {
        Ok(match options.storage {
            StorageKind::Mcap => {
                let compression = match options.compression {
                    Compression::Chunk(compression) => compression,
                    _ => ChunkCompression::None,
                };
                let writer = McapWriter::create(path, options.chunk_size, compression)?;
                Self::Mcap(Box::new(writer), Vec::new())
            }
            StorageKind::Sqlite3 => {
                let writer = SqliteWriter::create(path, &options.ros_distro)?;
                Self::Sqlite(writer, Vec::new())
            }
        })
    }

    pub fn add_topic(&mut self, topic: &Topic, version: u32) -> Result<(), BagError> {
        match self {
            Self::Mcap(file, keys) => keys.push(file.add_topic(topic, version)?),
            Self::Sqlite(file, keys) => keys.push(file.add_topic(topic, version)?),
        }
        Ok(())
    }

    /// `times`: when it was recorded, and published.
    pub fn write(
        &mut self,
        topic: usize,
        sequence: u32,
        (log_time, publish_time): (u64, u64),
        data: &[u8],
    ) -> Result<(), BagError> {
        match self {
            Self::Mcap(file, keys) => {
                let channel_id = *keys.get(topic).ok_or(OTHER_BAG)?;
                let header = ::mcap::records::MessageHeader {
                    channel_id,
                    sequence,
                    log_time,
                    publish_time,
                };
                file.write(&header, data)
            }
            Self::Sqlite(file, keys) => {
                let key = *keys.get(topic).ok_or(OTHER_BAG)?;
                file.write(key, log_time, data)
            }
        }
    }

    /// Bytes in the file so far, as near as it can be known.
    pub fn size(&self) -> u64 {
        match self {
            Self::Mcap(file, _) => file.size(),
            Self::Sqlite(file, _) => file.size(),
        }
    }

    /// Ends the file, with what rosbag2 says about it.
    pub fn finish(self, metadata: &Metadata) -> Result<(), BagError> {
        let text = metadata.to_storage_yaml();
        match self {
            Self::Mcap(file, _) => file.finish(text),
            Self::Sqlite(file, _) => file.finish(metadata.version, &text),
        }
    }
}
