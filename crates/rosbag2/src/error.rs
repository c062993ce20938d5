//! What can be wrong with a bag.

use std::io;
use std::path::{Path, PathBuf};

use super::cdr::CdrError;
use super::messages::MessageDefinition;
use super::name::{listed, shown, NameError};
use super::options::{StorageKind, NEWEST_METADATA};
use super::remote::UrlFault;

/// Why a bag, or a part of it, cannot be read or written. The text of each error is one line.
#[derive(Debug, thiserror::Error)]
pub enum BagError {
    /// The operating system refused to read or write a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A bag that lies elsewhere cannot be read.
    #[error("{}: {fault}", url.display())]
    Url {
        /// Its URL, without what signs it.
        url: PathBuf,
        /// Why not.
        fault: UrlFault,
    },
    /// The path leads to something that is not a bag.
    #[error(
        "{} is not a bag; accepted: a folder with metadata.yaml or with bag files, a .mcap file, a .db3 file, \
         each file also compressed as .zstd",
        path.display()
    )]
    NotABag {
        /// The path that was given.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{} is empty (0 bytes): nothing was recorded into it, or its recorder was ended before it wrote anything", path.display())]
    EmptyFile {
        /// The empty file.
        path: PathBuf,
    },
    /// A Git LFS pointer, which stands for a file that has not been fetched.
    #[error(
        "{} is a Git LFS pointer, which stands for the file itself; {}",
        path.display(),
        lisa_files::lfs::WAY_OUT
    )]
    Pointer {
        /// The file that should be fetched.
        path: PathBuf,
    },
    /// An MCAP file that has the name of a SQLite database, or the other way around.
    #[error(
        "{} is stored as {} by its content, and as {} by its name; accepted: a name that ends in .{}",
        path.display(), found.identifier(), named.identifier(), found.extension()
    )]
    OtherStorage {
        /// The file.
        path: PathBuf,
        /// The storage that its content shows.
        found: StorageKind,
        /// The storage that its name says.
        named: StorageKind,
    },
    /// None of the files that the metadata names is there.
    #[error("{}: metadata.yaml names files that are not there: {}", path.display(), listed(names))]
    NoFiles {
        /// The folder of the bag.
        path: PathBuf,
        /// The names in the metadata.
        names: Vec<String>,
    },
    /// `metadata.yaml` is not the metadata of a bag.
    #[error("{}: not the metadata of a bag: {reason}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The metadata is of a version that is not known here.
    #[error("{}: metadata version {version}; accepted: 1 to {}", path.display(), NEWEST_METADATA)]
    MetadataVersion {
        /// The file.
        path: PathBuf,
        /// The version it says.
        version: u64,
    },
    /// The files are compressed with something else than zstd.
    #[error("{}: compression {:?}; accepted: zstd", path.display(), shown(format))]
    Compression {
        /// The file that names the compression.
        path: PathBuf,
        /// The name of the compression.
        format: String,
    },
    /// A compressed file does not unpack.
    #[error("{}: does not unpack: {reason}", path.display())]
    Unpack {
        /// The file.
        path: PathBuf,
        /// The error of the decoder.
        reason: String,
    },
    /// An MCAP file is damaged.
    #[error("{}: at byte {at}: {fault}", path.display())]
    Mcap {
        /// The file.
        path: PathBuf,
        /// Where the damaged record begins, in bytes from the beginning of the file.
        at: u64,
        /// What is wrong with the record.
        fault: McapFault,
    },
    /// SQLite refused to read or write a database.
    #[error("{}: {}", path.display(), one_line(source))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// A SQLite database that is not a bag.
    #[error("{}: a database without the table {table:?}, so not a bag", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The table that is missing.
        table: &'static str,
    },
    /// The bytes of a message do not fit its type.
    #[error("{} at {time} ns: not a {}: {source}", shown(topic), shown(ros_type))]
    Message {
        /// The topic of the message.
        topic: String,
        /// The log time of the message, nanoseconds.
        time: u64,
        /// The type of the topic.
        ros_type: String,
        /// What is wrong.
        source: CdrError,
    },
    /// The bytes of a message do not fit its type, which had other fields when the bag was recorded.
    #[error(
        "{} at {time} ns: recorded with other fields of {} than this version has ({}here {}): {source}",
        shown(topic), known.ros_type, recorded_hash(recorded), known.hash
    )]
    OtherFields {
        /// The topic of the message.
        topic: String,
        /// The log time of the message, nanoseconds.
        time: u64,
        /// The hash of the type in the bag (REP 2011), if the bag has it.
        recorded: Option<String>,
        /// The type as this version has it.
        known: &'static MessageDefinition,
        /// What is wrong with the bytes.
        source: CdrError,
    },
    /// A message does not unpack.
    #[error("{} at {time} ns: does not unpack: {reason}", shown(topic))]
    UnpackMessage {
        /// The topic of the message.
        topic: String,
        /// The log time of the message, nanoseconds.
        time: u64,
        /// The error of the decoder.
        reason: String,
    },
    /// A message of another type was asked for.
    #[error("{} is of type {}, not {asked}", shown(topic), shown(ros_type))]
    Type {
        /// The topic.
        topic: String,
        /// The type of the topic.
        ros_type: String,
        /// The type that was asked for.
        asked: &'static str,
    },
    /// The bytes of a topic are not CDR.
    #[error("{} is serialized as {:?}; accepted: cdr", shown(topic), shown(format))]
    Serialization {
        /// The topic.
        topic: String,
        /// The name of the serialization.
        format: String,
    },
    /// The bag has no such topic.
    #[error("no topic {} in the bag; it has: {}", shown(topic), listed(known))]
    Topic {
        /// The topic that was asked for.
        topic: String,
        /// The topics of the bag.
        known: Vec<String>,
    },
    /// The bag cannot be written where something is already.
    #[error("{} exists; a bag is written to a new folder", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// Options that contradict each other.
    #[error("{reason}")]
    Options {
        /// Which options contradict each other, and what is accepted.
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
        /// The type it was added with first.
        ros_type: String,
        /// The type it was added with the second time.
        asked: String,
    },
    /// The definition of a type is neither known nor given.
    #[error(
        "no definition of {} is known; accepted: one of this package's types, or a topic with its definition",
        shown(ros_type)
    )]
    Definition {
        /// The type without a definition.
        ros_type: String,
    },
    /// A name that ROS 2 does not accept.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A time that a SQLite database cannot hold.
    #[error("{}: a message logged at {time} ns; accepted in a database: 0 to {}", path.display(), i64::MAX)]
    LogTime {
        /// The file.
        path: PathBuf,
        /// The log time of the message, nanoseconds.
        time: u64,
    },
    /// An MCAP file could not be written.
    #[error("{}: {source}", path.display())]
    WriteMcap {
        /// The file.
        path: PathBuf,
        /// The error of the encoder.
        source: mcap::McapError,
    },
}

/// The hash in a bag, with the comma that follows it in a sentence; nothing where the bag has none.
fn recorded_hash(hash: &Option<String>) -> String {
    let hash = hash.as_deref();
    hash.map_or_else(String::new, |hash| format!("there {}, ", shown(hash)))
}

/// What is wrong with a record of an MCAP file (mcap.dev/spec).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum McapFault {
    /// The file is not an MCAP file.
    #[error("not an MCAP file: it does not begin with the magic bytes")]
    Magic,
    /// A record is longer than what is left.
    #[error("the file ends inside a record: type {opcode:#04x} of {len} bytes, {left} are left")]
    Cut {
        /// The type of the record.
        opcode: u8,
        /// The length that the record claims, bytes.
        len: u64,
        /// The bytes that are left in the file.
        left: u64,
    },
    /// The fields of a record do not fit in it.
    #[error("a record of type {opcode:#04x} does not hold its {field}")]
    Field {
        /// The type of the record.
        opcode: u8,
        /// The field that is missing or incomplete.
        field: &'static str,
    },
    /// A record stands where another should.
    #[error("a record of type {found:#04x} stands where one of type {expected:#04x} should")]
    Opcode {
        /// The type of the record that is there.
        found: u8,
        /// The type of the record that should be there.
        expected: u8,
    },
    /// The bytes are not those that were written.
    #[error("CRC {calculated:#010x}, {saved:#010x} was written")]
    Crc {
        /// The CRC that was written.
        saved: u32,
        /// The CRC of the bytes that are there.
        calculated: u32,
    },
    /// The chunk is compressed with something else than zstd and LZ4.
    #[error("compression {:?}; accepted: none, zstd, lz4", shown(name))]
    Compression {
        /// The name of the compression.
        name: String,
    },
    /// A chunk does not unpack.
    #[error("a chunk of {declared} bytes unpacks to {found}: {reason}")]
    Unpack {
        /// The number of bytes that the chunk declares.
        declared: u64,
        /// The number of bytes that were unpacked.
        found: u64,
        /// The error of the decoder.
        reason: String,
    },
    /// A message belongs to a channel that the file does not describe.
    #[error("a message of channel {channel}, which no record describes")]
    Channel {
        /// The number of the channel.
        channel: u16,
    },
}

impl BagError {
    /// Whether the same may succeed at another time: a disk or a network did not answer as it should. What is damaged, missing or
    /// forbidden stays so.
    pub fn may_pass(&self) -> bool {
        use io::ErrorKind;
        match self {
            Self::Io { source, .. } => !matches!(
                source.kind(),
                ErrorKind::NotFound
                    | ErrorKind::PermissionDenied
                    | ErrorKind::NotADirectory
                    | ErrorKind::IsADirectory
                    | ErrorKind::InvalidInput
            ),
            Self::Url { fault, .. } => fault.may_pass(),
            _ => false,
        }
    }

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
