//! What is wrong with a bag that can be read all the same.

use std::fmt;
use std::path::PathBuf;

use super::name::shown;

/// Something that is wrong with a bag and did not keep it from being read. Its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// There is no `metadata.yaml`. Topics and times were taken from the files themselves.
    NoMetadata {
        /// The folder of the bag.
        path: PathBuf,
    },
    /// `metadata.yaml` cannot be read. Topics and times were taken from the files themselves.
    BadMetadata {
        /// What is wrong, with the file's path.
        reason: String,
    },
    /// The metadata names a file that is not there; the others were read.
    MissingFile {
        /// The missing file.
        path: PathBuf,
    },
    /// A file cannot be read at all. The others were read.
    BadFile {
        /// What is wrong, with the file's path.
        reason: String,
    },
    /// The metadata names no file at all.
    NoFiles {
        /// The folder of the bag.
        path: PathBuf,
    },
    /// A compressed file ends early or is damaged. It was unpacked as far as that.
    Unpacked {
        /// The file.
        path: PathBuf,
        /// The number of bytes that were unpacked.
        bytes: u64,
        /// The error of the decoder.
        reason: String,
    },
    /// A file has no usable index. It was read from the beginning to the end.
    Unindexed {
        /// The file.
        path: PathBuf,
        /// Why its index could not be used.
        reason: String,
    },
    /// A file ends too early, or is damaged where reading had to stop.
    Truncated {
        /// The file.
        path: PathBuf,
        /// The number of its bytes that were read.
        read: u64,
        /// The number of bytes it has or should have.
        bytes: u64,
        /// The number of messages that were found.
        messages: u64,
        /// What is wrong where reading ended.
        reason: String,
    },
    /// A part of a file cannot be read. What follows it was read.
    Damaged {
        /// What is wrong, with the file's path and place.
        reason: String,
    },
    /// The metadata promises another number of messages than the files hold.
    Count {
        /// The topic.
        topic: String,
        /// The number of messages in the metadata.
        promised: u64,
        /// The number of messages in the files.
        found: u64,
    },
    /// A database was not closed when it was recorded. What is in its journal was read with it.
    Journal {
        /// The database.
        path: PathBuf,
    },
    /// The journal of a database could not be read with it, and what it holds is missing.
    JournalUnread {
        /// The database.
        path: PathBuf,
        /// Why the journal could not be read.
        reason: String,
    },
    /// A database holds messages with negative log times, which count as logged at 0.
    BeforeZero {
        /// The database.
        path: PathBuf,
        /// The number of such messages.
        messages: u64,
    },
    /// A database holds messages of topics that it does not describe. They cannot be read.
    NoTopic {
        /// The database.
        path: PathBuf,
        /// The numbers of the topics in the database.
        topics: Vec<i64>,
        /// The number of such messages.
        messages: u64,
    },
    /// A file is there both compressed and not. Only the uncompressed one was read.
    Twice {
        /// The compressed file.
        path: PathBuf,
    },
    /// Another MCAP file begins behind the end of one. It was not read.
    Appended {
        /// The file.
        path: PathBuf,
        /// Where the second file begins, in bytes from the beginning of the first.
        at: u64,
    },
    /// A file that the metadata does not name was not read.
    Unnamed {
        /// The file that was not read.
        path: PathBuf,
    },
    /// The bag holds no messages.
    Empty {
        /// The path of the bag.
        path: PathBuf,
    },
}

impl Note {
    /// Whether messages that were recorded are missing, as far as that can be told.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::MissingFile { .. }
            | Self::BadFile { .. }
            | Self::Unpacked { .. }
            | Self::Truncated { .. }
            | Self::JournalUnread { .. }
            | Self::NoTopic { .. }
            | Self::Appended { .. }
            | Self::Damaged { .. } => true,
            Self::Count {
                promised, found, ..
            } => promised > found,
            Self::NoMetadata { .. }
            | Self::BadMetadata { .. }
            | Self::NoFiles { .. }
            | Self::Unindexed { .. }
            | Self::Journal { .. }
            | Self::BeforeZero { .. }
            | Self::Twice { .. }
            | Self::Unnamed { .. }
            | Self::Empty { .. } => false,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMetadata { path } => write!(
                f,
                "{}: no metadata.yaml; topics and times are from the files themselves",
                path.display()
            ),
            Self::BadMetadata { reason } => write!(
                f,
                "{reason}; topics and times are from the files themselves"
            ),
            Self::MissingFile { path } => write!(
                f,
                "{}: named in metadata.yaml and not there; the other files were read",
                path.display()
            ),
            Self::BadFile { reason } => write!(f, "{reason}; the other files were read"),
            Self::Unindexed { path, reason } => write!(
                f,
                "{}: no usable index ({reason}); read from beginning to end",
                path.display()
            ),
            Self::NoFiles { path } => {
                write!(f, "{}: metadata.yaml names no files", path.display())
            }
            Self::Unpacked {
                path,
                bytes,
                reason,
            } => write!(
                f,
                "{}: unpacked as far as its first {bytes} bytes: {reason}",
                path.display()
            ),
            Self::Truncated {
                path,
                read,
                bytes,
                messages,
                reason,
            } => write!(
                f,
                "{}: read as far as byte {read} of {bytes}, {messages} messages: {reason}",
                path.display()
            ),
            Self::Damaged { reason } => write!(f, "{reason}; skipped"),
            Self::Count {
                topic,
                promised,
                found,
            } => write!(
                f,
                "{}: metadata.yaml promises {promised} messages, the files hold {found}",
                shown(topic)
            ),
            Self::Journal { path } => write!(
                f,
                "{}: was not closed when recorded; its journal was read with it",
                path.display()
            ),
            Self::JournalUnread { path, reason } => write!(
                f,
                "{}: its journal could not be read with it, and what that holds is missing: {reason}",
                path.display()
            ),
            Self::BeforeZero { path, messages } => write!(
                f,
                "{}: {messages} messages have negative log times; they count as logged at 0",
                path.display()
            ),
            Self::NoTopic {
                path,
                topics,
                messages,
            } => {
                const SHOWN: usize = 5;
                let numbers = topics.iter().take(SHOWN).map(i64::to_string);
                let more = if topics.len() > SHOWN { ", \u{2026}" } else { "" };
                write!(
                    f,
                    "{}: {messages} messages are of topics that its table of topics lacks (number {}{more}) and cannot be read",
                    path.display(),
                    numbers.collect::<Vec<_>>().join(", ")
                )
            }
            Self::Twice { path } => write!(
                f,
                "{}: the same file is there uncompressed, which was read instead",
                path.display()
            ),
            Self::Appended { path, at } => write!(
                f,
                "{}: another MCAP file begins at byte {at}, behind the end of the first, and was not read; `tail -c +{}` gives it \
                 as a file of its own",
                path.display(),
                at + 1
            ),
            Self::Unnamed { path } => write!(
                f,
                "{}: not named in metadata.yaml, so it was not read; read it by its own path",
                path.display()
            ),
            Self::Empty { path } => write!(f, "{}: holds no messages", path.display()),
        }
    }
}
