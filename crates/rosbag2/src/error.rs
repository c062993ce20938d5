//! What can be wrong with a bag.

use std::io;
use std::path::{Path, PathBuf};

use super::cdr::CdrError;
use super::name::{listed, shown, NameError};
use super::options::{StorageKind, NEWEST_METADATA};

/// Why a bag, or a part of it, cannot be read or written. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum BagError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The path is nothing we read.
    #[error(
        "{} is not a bag; accepted: a folder with metadata.yaml or with bag files, a .mcap file, a .db3 file, \
         each file also compressed as .zstd",
        path.display()
    )]
    NotABag {
        /// The path.
        path: PathBuf,
    },
    /// A file without a byte.
    #[error("{} is empty (0 bytes): nothing was recorded into it, or its recorder was ended before it wrote anything", path.display())]
    EmptyFile {
        /// Which.
        path: PathBuf,
    },
    /// A text that stands for a file which has not been fetched.
    #[error(
        "{} is a Git LFS pointer, which stands for the file itself; {}",
        path.display(),
        lisa_files::lfs::WAY_OUT
    )]
    Pointer {
        /// Which.
        path: PathBuf,
    },
    /// A file in the one storage that is called as one in the other.
    #[error(
        "{} is stored as {} by its content, and as {} by its name; accepted: a name that ends in .{}",
        path.display(), found.identifier(), named.identifier(), found.extension()
    )]
    OtherStorage {
        /// Which.
        path: PathBuf,
        /// By its content.
        found: StorageKind,
        /// By its name.
        named: StorageKind,
    },
    /// None of the files that the metadata names is there.
    #[error("{}: metadata.yaml names files that are not there: {}", path.display(), listed(names))]
    NoFiles {
        /// The bag.
        path: PathBuf,
        /// Which.
        names: Vec<String>,
    },
    /// The metadata is not as it should be.
    #[error("{}: not the metadata of a bag: {reason}", path.display())]
    Metadata {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The metadata is of a version that came later.
    #[error("{}: metadata version {version}; accepted: 1 to {}", path.display(), NEWEST_METADATA)]
    MetadataVersion {
        /// Which file.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
    /// Compressed with something else.
    #[error("{}: compression {:?}; accepted: zstd", path.display(), shown(format))]
    Compression {
        /// Which file.
        path: PathBuf,
        /// What it is compressed with.
        format: String,
    },
    /// A compressed file does not unpack.
    #[error("{}: does not unpack: {reason}", path.display())]
    Unpack {
        /// Which file.
        path: PathBuf,
        /// What the decoder says.
        reason: String,
    },
    /// An MCAP file is damaged.
    #[error("{}: at byte {at}: {fault}", path.display())]
    Mcap {
        /// Which file.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
        /// What is wrong with it.
        fault: McapFault,
    },
    /// SQLite refused.
    #[error("{}: {}", path.display(), one_line(source))]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A database that is not a bag.
    #[error("{}: a database without the table {table:?}, so not a bag", path.display())]
    Table {
        /// Which file.
        path: PathBuf,
        /// Which table.
        table: &'static str,
    },
    /// A message is not what its type says.
    #[error("{} at {time} ns: not a {}: {source}", shown(topic), shown(ros_type))]
    Message {
        /// Its topic.
        topic: String,
        /// Its log time.
        time: u64,
        /// The type of the topic.
        ros_type: String,
        /// What is wrong.
        source: CdrError,
    },
    /// A message does not unpack.
    #[error("{} at {time} ns: does not unpack: {reason}", shown(topic))]
    UnpackMessage {
        /// Its topic.
        topic: String,
        /// Its log time.
        time: u64,
        /// What the decoder says.
        reason: String,
    },
    /// A message of another type was asked for.
    #[error("{} is of type {}, not {asked}", shown(topic), shown(ros_type))]
    Type {
        /// The topic.
        topic: String,
        /// Its type.
        ros_type: String,
        /// What was asked for.
        asked: &'static str,
    },
    /// The bytes of a topic are not CDR.
    #[error("{} is serialized as {:?}; accepted: cdr", shown(topic), shown(format))]
    Serialization {
        /// The topic.
        topic: String,
        /// How it is serialized.
        format: String,
    },
    /// A topic that the bag does not have.
    #[error("no topic {} in the bag; it has: {}", shown(topic), listed(known))]
    Topic {
        /// What was asked for.
        topic: String,
        /// What there is.
        known: Vec<String>,
    },
    /// There is something where the bag shall be written.
    #[error("{} exists; a bag is written to a new folder", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// Options that contradict each other.
    #[error("{reason}")]
    Options {
        /// Which, and what is accepted.
        reason: &'static str,
    },
    /// A topic was added twice, with different types.
    #[error(
        "{} is of type {} already, not {}",
        shown(topic),
        shown(ros_type),
        shown(asked)
    )]
    TopicTwice {
        /// The topic.
        topic: String,
        /// Its type.
        ros_type: String,
        /// What it was added as.
        asked: String,
    },
    /// A type whose definition nobody gave.
    #[error(
        "no definition of {} is known; accepted: one of this package's types, or a topic with its definition",
        shown(ros_type)
    )]
    Definition {
        /// The type.
        ros_type: String,
    },
    /// A name that ROS would not take.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A time that a SQLite database cannot hold.
    #[error("{}: a message logged at {time} ns; accepted in a database: 0 to {}", path.display(), i64::MAX)]
    LogTime {
        /// Which file.
        path: PathBuf,
        /// Its log time, nanoseconds.
        time: u64,
    },
    /// An MCAP file could not be written.
    #[error("{}: {source}", path.display())]
    WriteMcap {
        /// Which file.
        path: PathBuf,
        /// What the encoder said.
        source: mcap::McapError,
    },
}

/// What is wrong with a record of an MCAP file (mcap.dev/spec).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum McapFault {
    /// Another kind of file.
    #[error("not an MCAP file: it does not begin with the magic bytes")]
    Magic,
    /// A record is longer than what is left.
    #[error("the file ends inside a record: type {opcode:#04x} of {len} bytes, {left} are left")]
    Cut {
        /// Which type of record.
        opcode: u8,
        /// How long it says it is.
        len: u64,
        /// How much there is.
        left: u64,
    },
    /// The fields of a record do not fit in it.
    #[error("a record of type {opcode:#04x} does not hold its {field}")]
    Field {
        /// Which type of record.
        opcode: u8,
        /// Which field.
        field: &'static str,
    },
    /// A record stands where another should.
    #[error("a record of type {found:#04x} stands where one of type {expected:#04x} should")]
    Opcode {
        /// What there is.
        found: u8,
        /// What should be there.
        expected: u8,
    },
    /// The bytes are not those that were written.
    #[error("CRC {calculated:#010x}, {saved:#010x} was written")]
    Crc {
        /// What was written.
        saved: u32,
        /// Of what is there.
        calculated: u32,
    },
    /// Compressed with something else.
    #[error("compression {:?}; accepted: none, zstd, lz4", shown(name))]
    Compression {
        /// With what.
        name: String,
    },
    /// A chunk does not unpack.
    #[error("a chunk of {declared} bytes unpacks to {found}: {reason}")]
    Unpack {
        /// What it says.
        declared: u64,
        /// What came out.
        found: u64,
        /// What the decoder says.
        reason: String,
    },
    /// A message of a topic that the file does not speak of.
    #[error("a message of channel {channel}, which no record describes")]
    Channel {
        /// Its number.
        channel: u16,
    },
}

impl BagError {
    /// For `map_err`.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err`.
    pub(super) fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + '_ {
        move |source| Self::Sqlite {
            path: path.to_owned(),
            source,
        }
    }
}

/// SQLite's messages may quote a statement of several lines.
fn one_line(error: &rusqlite::Error) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
