//! [`Scratch`]: a folder for what a measurement writes.

use std::path::{Path, PathBuf};

use super::BenchError;

/// A folder of this process, which is removed with all that is in it.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder below `place`.
    ///
    /// # Errors
    /// [`BenchError::Write`].
    pub fn new(place: &Path) -> Result<Self, BenchError> {
        let path = place.join(format!("lisa-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| BenchError::Write {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        Ok(Self(path))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left: the measurement is done.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
