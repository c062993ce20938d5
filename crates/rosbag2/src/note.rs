//! What a reader should know about a bag that could be opened.

use std::fmt;
use std::path::PathBuf;

use super::name::shown;

/// Something that was not as it should be and did not keep the bag from being read. Each is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// No `metadata.yaml`: the files themselves were asked.
    NoMetadata {
        /// The folder.
        path: PathBuf,
    },
    /// A `metadata.yaml` that cannot be read: the files themselves were asked.
    BadMetadata {
        /// What is wrong, with the file's path.
        reason: String,
    },
    /// The metadata names a file that is not there; the others were read.
    MissingFile {
        /// Which.
        path: PathBuf,
    },
    /// A file that cannot be read at all; the others were.
    BadFile {
        /// What is wrong, with the file's path.
        reason: String,
    },
    /// The metadata names no file at all.
    NoFiles {
        /// The bag.
        path: PathBuf,
    },
    /// A compressed file that ends early or is damaged.
    Unpacked {
        /// Which.
        path: PathBuf,
        /// How many bytes came out.
        bytes: u64,
        /// What the decoder said then.
        reason: String,
    },
    /// A file without an index: it was read from the beginning to the end.
    Unindexed {
        /// Which.
        path: PathBuf,
        /// Why its index could not be used.
        reason: String,
    },
    /// A file that ends too early, or is damaged where reading had to stop.
    Truncated {
        /// Which.
        path: PathBuf,
        /// How many bytes of it were read.
        read: u64,
        /// How many it has, or should have.
        bytes: u64,
        /// How many messages were found.
        messages: u64,
        /// What stands at the end.
        reason: String,
    },
    /// A part of a file that cannot be read; what follows was.
    Damaged {
        /// What is wrong, with the file's path and place.
        reason: String,
    },
    /// The metadata promises other messages than the files hold.
    Count {
        /// Of which topic.
        topic: String,
        /// How many the metadata promises.
        promised: u64,
        /// How many there are.
        found: u64,
    },
    /// A database that was not closed: what is in its journal was read with it.
    Journal {
        /// Which.
        path: PathBuf,
    },
    /// A database whose journal could not be read with it.
    JournalUnread {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Messages of a database with negative log times.
    BeforeZero {
        /// Which.
        path: PathBuf,
        /// How many.
        messages: u64,
    },
    /// Messages of a database whose topic it does not describe: they cannot be read.
    NoTopic {
        /// Which.
        path: PathBuf,
        /// The topics' numbers.
        topics: Vec<i64>,
        /// How many messages.
        messages: u64,
    },
    /// A file that is there both compressed and not: only the latter was read.
    Twice {
        /// The compressed one.
        path: PathBuf,
    },
    /// Another MCAP file behind the end of one: it was not read.
    Appended {
        /// Which.
        path: PathBuf,
        /// Where it begins.
        at: u64,
    },
    /// A file beside those that the metadata names: it was not read.
    Unnamed {
        /// Which.
        path: PathBuf,
    },
    /// No messages at all.
    Empty {
        /// The bag.
        path: PathBuf,
    },
}

impl Note {
    /// Whether messages are missing that were there once, as far as that can be told.
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
