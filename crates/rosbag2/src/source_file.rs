//! Where a file of a bag is: where it stands, or unpacked beside the system's temporary files.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::remote::RemoteFile;
use super::{BagError, Note};

/// How a file compressed as a whole ends.
pub(super) const PACKED: &str = "zstd";

/// A file of a bag as it is read: the file itself, or its unpacked copy.
pub struct SourceFile {
    /// Where it is read.
    pub real: PathBuf,
    /// Where it came from: the path or URL that errors and notes name.
    pub shown: PathBuf,
    /// The file elsewhere, where ranges of it are read; `real` is then none.
    pub elsewhere: Option<Arc<RemoteFile>>,
    _unpacked: Option<Temporary>,
}

impl SourceFile {
    /// Unpacks a file that is compressed as a whole. One that ends early is unpacked as far as it goes.
    ///
    /// # Errors
    /// [`BagError::Io`], [`BagError::Unpack`].
    pub fn of(path: &Path, notes: &mut Vec<Note>) -> Result<Self, BagError> {
        if path.extension().is_none_or(|end| end != PACKED) {
            return Ok(Self {
                real: path.to_owned(),
                shown: path.to_owned(),
                elsewhere: None,
                _unpacked: None,
            });
        }
        let packed = File::open(path).map_err(BagError::io(path))?;
        Self::unpacked(packed, path, notes)
    }

    /// A file elsewhere of which ranges are read.
    pub fn ranges(file: RemoteFile, shown: PathBuf) -> Self {
        Self {
            real: PathBuf::new(),
            shown,
            elsewhere: Some(Arc::new(file)),
            _unpacked: None,
        }
    }

    /// A copy of a file elsewhere, unpacked where it is compressed as a whole.
    ///
    /// # Errors
    /// [`BagError::Url`], [`BagError::Io`], [`BagError::Unpack`].
    pub fn copied(
        file: &RemoteFile,
        shown: &Path,
        notes: &mut Vec<Note>,
    ) -> Result<Self, BagError> {
        let (temporary, mut copy) = Temporary::new()?;
        file.copy_to(&mut copy, temporary.path())?;
        if shown.extension().is_some_and(|end| end == PACKED) {
            let packed = File::open(temporary.path()).map_err(BagError::io(temporary.path()))?;
            return Self::unpacked(packed, shown, notes);
        }
        Ok(Self {
            real: temporary.0.clone(),
            shown: shown.to_owned(),
            elsewhere: None,
            _unpacked: Some(temporary),
        })
    }

    fn unpacked(packed: File, path: &Path, notes: &mut Vec<Note>) -> Result<Self, BagError> {
        let (temporary, mut file) = Temporary::new()?;
        let unpack = |file: &mut File| -> io::Result<u64> {
            let mut decoder = zstd::stream::read::Decoder::new(BufReader::new(packed))?;
            io::copy(&mut decoder, file)
        };
        if let Err(error) = unpack(&mut file) {
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            let path = path.to_owned();
            let reason = match error.kind() {
                io::ErrorKind::UnexpectedEof => format!("it is cut short ({error})"),
                _ => error.to_string(),
            };
            if bytes == 0 {
                return Err(BagError::Unpack { path, reason });
            }
            notes.push(Note::Unpacked {
                path,
                bytes,
                reason,
            });
        }
        Ok(Self {
            real: temporary.0.clone(),
            shown: path.to_owned(),
            elsewhere: None,
            _unpacked: Some(temporary),
        })
    }
}

/// A file that goes when it is no longer used.
pub struct Temporary(PathBuf);

impl Temporary {
    /// A new one beside the system's temporary files, open for writing.
    ///
    /// # Errors
    /// [`BagError::Io`].
    pub fn new() -> Result<(Self, File), BagError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("lisa-bag-{}-{number}", std::process::id());
            match Self::at(std::env::temp_dir().join(name)) {
                // Left behind by a process that had our number.
                Err(BagError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
    }

    /// The same at a path where nothing is.
    ///
    /// # Errors
    /// [`BagError::Io`].
    pub fn at(path: PathBuf) -> Result<(Self, File), BagError> {
        let file = File::create_new(&path).map_err(BagError::io(&path))?;
        Ok((Self(path), file))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing can be done about one that stays.
        let _ = fs::remove_file(&self.0);
    }
}
