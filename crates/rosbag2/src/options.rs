//! How a bag is stored and written: kinds of files, compression, splitting, versions of the metadata.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::messages::MessageDefinition;

/// The newest version of `metadata.yaml` that is known; all from 1 on are read.
pub const NEWEST_METADATA: u32 = 9;

/// How a bag's files are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum StorageKind {
    /// MCAP (mcap.dev), the default since Iron.
    #[default]
    Mcap,
    /// A SQLite database, the default before.
    Sqlite3,
}

impl StorageKind {
    /// Its name in `metadata.yaml`.
    pub fn identifier(self) -> &'static str {
        match self {
            Self::Mcap => "mcap",
            Self::Sqlite3 => "sqlite3",
        }
    }

    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mcap => "mcap",
            Self::Sqlite3 => "db3",
        }
    }

    /// The storage that a file begins like; `None` if its beginning is that of neither.
    pub(super) fn by_content(path: &Path) -> Option<Self> {
        /// The first bytes of a SQLite database (sqlite.org/fileformat2, 1.3).
        const SQLITE: &[u8] = b"SQLite format 3\0";
        let mut head = Vec::with_capacity(SQLITE.len());
        let file = File::open(path).ok()?;
        file.take(SQLITE.len() as u64).read_to_end(&mut head).ok()?;
        if head.starts_with(mcap::MAGIC) {
            return Some(Self::Mcap);
        }
        (head == SQLITE).then_some(Self::Sqlite3)
    }

    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        [Self::Mcap, Self::Sqlite3]
            .into_iter()
            .find(|kind| kind.extension() == extension)
    }
}

/// How a bag is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// No compression, as `ros2 bag record` does by default.
    #[default]
    None,
    /// The chunks of an MCAP file, so that the file keeps its index.
    Chunk(ChunkCompression),
    /// Each message by itself, with zstd.
    Message,
    /// Each file as a whole when it is full, with zstd; it is unpacked before it is read.
    File,
}

/// The compression of an MCAP file's chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ChunkCompression {
    /// No compression.
    #[default]
    None,
    /// zstd, which makes smaller files.
    Zstd,
    /// LZ4, which is faster.
    Lz4,
}

/// How a bag is written.
#[derive(Clone, Debug, PartialEq)]
pub struct WriterOptions {
    /// The kind of its files.
    pub storage: StorageKind,
    /// What is compressed, and with what.
    pub compression: Compression,
    /// How many bytes of messages a chunk of MCAP holds before the next begins; `None`: no chunks, and no index.
    pub chunk_size: Option<u64>,
    /// How many bytes a file holds before the next begins; `None`: one file holds all.
    pub split_size: Option<u64>,
    /// How much log time a file spans before the next begins; `None`: one file holds all.
    pub split_duration: Option<Duration>,
    /// The version of the metadata: 8, which every rosbag2 from Humble on reads, or 9, whose QoS policies have names.
    pub metadata_version: u32,
    /// The ROS distribution that the metadata names as the recorder's.
    pub ros_distro: String,
    /// Names and values to be noted in the metadata.
    pub custom_data: BTreeMap<String, String>,
    /// Definitions of types beside the standard ones, for topics that come without a definition.
    pub definitions: &'static [&'static MessageDefinition],
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            storage: StorageKind::Mcap,
            compression: Compression::None,
            // rosbag2's own.
            chunk_size: Some(768 << 10),
            split_size: None,
            split_duration: None,
            metadata_version: 8,
            ros_distro: "unknown".to_owned(),
            custom_data: BTreeMap::new(),
            definitions: &[],
        }
    }
}

impl WriterOptions {
    /// Whether the options go together.
    ///
    /// # Errors
    /// What is wrong, and what is accepted.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let chunked = matches!(self.compression, Compression::Chunk(compression) if compression != ChunkCompression::None);
        let reason = if ![8, 9].contains(&self.metadata_version) {
            "metadata is written in version 8 or 9"
        } else if chunked && self.storage != StorageKind::Mcap {
            "only mcap has chunks to compress; a sqlite3 bag is compressed by message or by file"
        } else if chunked && self.chunk_size.is_none() {
            "compressed chunks need a chunk size"
        } else {
            return Ok(());
        };
        Err(reason)
    }
}
