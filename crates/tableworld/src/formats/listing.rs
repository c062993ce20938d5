//! Files that list every item of a dataset: what scenes on many threads say about themselves, put in order, and
//! added to what the file says already.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::Serialize;

use super::files::write;
use super::WriteError;

/// Entries by the number of their scene.
pub(super) struct Gathered<T>(Mutex<BTreeMap<u64, Vec<T>>>);

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Gathered<T> {
    pub fn put(&self, number: u64, entries: Vec<T>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(number, entries);
    }

    /// All entries in the order of their scenes; none are left.
    pub fn take(&self) -> Vec<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all).into_values().flatten().collect()
    }
}

/// What a JSON file holds, or the default where there is none.
pub(super) fn read_json<T: DeserializeOwned + Default>(path: &Path) -> Result<T, WriteError> {
    let Some(bytes) = read(path)? else {
        return Ok(T::default());
    };
    serde_json::from_slice(&bytes).map_err(|error| existing(path, error))
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), WriteError> {
    let bytes = serde_json::to_vec(value).map_err(WriteError::encode(path))?;
    write(path, &bytes)
}

/// Indented, for files that people read.
pub(super) fn write_json_pretty(path: &Path, value: &impl Serialize) -> Result<(), WriteError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(WriteError::encode(path))?;
    write(path, &bytes)
}

/// As [`read_json`], for Python's pickles.
pub(super) fn read_pickle<T: DeserializeOwned + Default>(path: &Path) -> Result<T, WriteError> {
    let Some(bytes) = read(path)? else {
        return Ok(T::default());
    };
    serde_pickle::from_slice(&bytes, serde_pickle::DeOptions::new())
        .map_err(|error| existing(path, error))
}

/// Protocol 2, which every Python reads.
pub(super) fn write_pickle(path: &Path, value: &impl Serialize) -> Result<(), WriteError> {
    let bytes = serde_pickle::to_vec(value, serde_pickle::SerOptions::new().proto_v2())
        .map_err(WriteError::encode(path))?;
    write(path, &bytes)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, WriteError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(existing(path, error)),
    }
}

fn existing(path: &Path, error: impl std::fmt::Display) -> WriteError {
    WriteError::Existing {
        path: path.into(),
        reason: error.to_string(),
    }
}
