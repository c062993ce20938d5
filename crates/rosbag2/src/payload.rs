//! A message as it stands in a bag. Its bytes are shared with what they stand in: a mapped file or an unpacked chunk.

use std::fmt;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use super::remote::RemoteFile;
use super::BagError;

/// The bytes that payloads are parts of.
pub(super) enum Backing {
    Mapped(Mmap),
    Unpacked(Vec<u8>),
}

impl Backing {
    /// Maps a file.
    pub fn map(path: &Path) -> Result<Self, BagError> {
        let file = File::open(path).map_err(BagError::io(path))?;
        let len = file.metadata().map_err(BagError::io(path))?.len();
        // The system refuses to map nothing.
        if len == 0 {
            return Ok(Self::Unpacked(Vec::new()));
        }
        // SAFETY: the mapping is private and read-only. What remains is that another process may shorten the file while it
        // is mapped, and reading behind the new end then ends this process; a recorder appends and never shortens, and
        // every reader of mapped recordings accepts the same.
        #[allow(unsafe_code)]
        let mapped = unsafe { Mmap::map(&file) };
        mapped.map(Self::Mapped).map_err(BagError::io(path))
    }
}

impl Deref for Backing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Unpacked(bytes) => bytes,
        }
    }
}

/// The bytes of a file, wherever it is.
#[derive(Clone)]
pub(super) enum FileBytes {
    /// Mapped, or read into memory.
    Here(Arc<Backing>),
    /// Read a range at a time.
    Elsewhere(Arc<RemoteFile>),
}

impl FileBytes {
    /// Its length.
    pub fn len(&self) -> usize {
        match self {
            Self::Here(bytes) => bytes.len(),
            Self::Elsewhere(file) => usize::try_from(file.size()).unwrap_or(usize::MAX),
        }
    }

    /// The bytes of a range, without copying them where the file is here. A range outside of what there is gives no bytes.
    ///
    /// # Errors
    /// [`BagError::Url`], where the file is elsewhere.
    pub fn read(&self, range: Range<usize>) -> Result<Payload, BagError> {
        match self {
            Self::Here(bytes) => Ok(Payload::new(Arc::clone(bytes), range)),
            Self::Elsewhere(file) if range.end <= self.len() => {
                Ok(file.read(range.start as u64..range.end as u64)?.into())
            }
            Self::Elsewhere(_) => Ok(Vec::new().into()),
        }
    }
}

/// The bytes of one message. A clone copies no bytes. The mapped file or unpacked chunk that holds them is kept as long as a
/// payload needs it.
#[derive(Clone)]
pub struct Payload {
    backing: Arc<Backing>,
    range: Range<usize>,
}

impl Payload {
    /// A range outside of what there is gives no bytes.
    pub(super) fn new(backing: Arc<Backing>, range: Range<usize>) -> Self {
        Self { backing, range }
    }

    /// What it is a part of, and which.
    pub(super) fn parts(&self) -> (&Arc<Backing>, Range<usize>) {
        (&self.backing, self.range.clone())
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self::new(Arc::new(Backing::Unpacked(bytes)), range)
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.backing.get(self.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}

/// A message as it stands in a bag.
#[derive(Clone, Debug)]
pub struct RawMessage {
    /// Its topic, as a place in [`Bag::topics`](super::Bag::topics).
    pub topic: usize,
    /// When it was recorded, nanoseconds.
    pub log_time: u64,
    /// When it was published, nanoseconds; the log time if the bag does not say it.
    pub publish_time: u64,
    /// The number that the publisher or the recorder gave it.
    pub sequence: u32,
    /// Its serialized form.
    pub data: Payload,
}
