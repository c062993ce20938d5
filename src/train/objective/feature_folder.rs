//! Features on disk: one file for each encoder and picture, which is whole and unchanged or is computed again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

/// How the names of whole files end.
const WHOLE: &str = ".safetensors";
/// How the names of files end that are being written. One that is there before a run was left by one that was killed.
const PART: &str = ".part";
/// The tensor of a file.
const TENSOR: &str = "features";
/// What the checksum is called among a file's metadata.
const CHECKSUM: &str = "crc32";

/// A folder of features, up to a number of bytes. One process at a time may use it.
///
/// Features are only kept to save time, so nothing that goes wrong here ends a run: a file that cannot be read, has another size
/// or another checksum is named in a warning and removed, and when one cannot be written, no further one is.
#[derive(Debug)]
pub struct FeatureFolder {
    path: PathBuf,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Bytes of all whole files.
    used: u64,
    /// Whether writing failed, and is not tried any more.
    failed: bool,
}

impl FeatureFolder {
    /// A folder of up to `limit` bytes, which is made when the first file is written. Removes what was left half-written.
    pub fn open(path: &Path, limit: u64) -> Self {
        let folder = Self {
            path: path.to_owned(),
            limit,
            state: Mutex::new(State {
                used: 0,
                failed: false,
            }),
        };
        for (name, bytes) in folder.files() {
            if name.ends_with(WHOLE) {
                folder.lock().used += bytes;
            } else if name.ends_with(PART) {
                folder.remove_file(&name);
            }
        }
        folder
    }

    /// Removes the files of all encoders but these, by the beginnings of their names.
    pub fn keep_only(&self, encoders: &[&str]) {
        for (name, bytes) in self.files() {
            let kept = encoders.iter().any(|encoder| name.starts_with(encoder));
            if name.ends_with(WHOLE) && !kept && self.remove_file(&name) {
                let mut state = self.lock();
                state.used = state.used.saturating_sub(bytes);
            }
        }
    }

    /// The features of that name; `None` where there are none, or none that are whole.
    pub fn read(&self, name: &str) -> Option<Tensor> {
        let file = format!("{name}{WHOLE}");
        let bytes = match std::fs::read(self.path.join(&file)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(
                    "{}: {error}; computed again",
                    self.path.join(&file).display()
                );
                return None;
            }
        };
        match decode(name, &bytes) {
            Ok(features) => Some(features),
            Err(reason) => {
                tracing::warn!(
                    "{}: {reason}; computed again",
                    self.path.join(&file).display()
                );
                let mut state = self.lock();
                if self.remove_file(&file) {
                    state.used = state.used.saturating_sub(bytes.len() as u64);
                }
                None
            }
        }
    }

    /// Writes features under a name, if there is room and nothing stands there yet.
    pub fn write(&self, name: &str, features: &Tensor) {
        // Under the lock one file is written at a time, so that two threads with the same picture do not meet.
        let mut state = self.lock();
        let path = self.path.join(format!("{name}{WHOLE}"));
        if state.failed || path.exists() {
            return;
        }
        let written = encode(name, features)
            .map_err(std::io::Error::other)
            .and_then(|bytes| match state.used + bytes.len() as u64 {
                used if used > self.limit => Ok(state.used),
                used => self.write_whole(&path, &bytes).map(|()| used),
            });
        match written {
            Ok(used) => state.used = used,
            Err(error) => {
                state.failed = true;
                tracing::warn!(
                    "{}: {error}; no more features are kept there",
                    path.display()
                );
            }
        }
    }

    fn write_whole(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.path)?;
        let part = path.with_extension(&PART[1..]);
        let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
        if written.is_err() {
            // If the disk is full, its room is needed. That removing it may fail as well does not matter.
            let _ = std::fs::remove_file(&part);
        }
        written
    }

    /// Names and sizes of the folder's files; none where there is no folder.
    fn files(&self) -> Vec<(String, u64)> {
        let entries = std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| {
                let bytes = entry.metadata().ok().filter(|data| data.is_file())?.len();
                Some((entry.file_name().into_string().ok()?, bytes))
            })
            .collect()
    }

    fn remove_file(&self, name: &str) -> bool {
        std::fs::remove_file(self.path.join(name)).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in another thread leaves a count that is off by one file at most.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn encode(name: &str, features: &Tensor) -> Result<Vec<u8>, String> {
    let features = features.contiguous().map_err(|e| e.to_string())?;
    let plain = safetensors::serialize([(TENSOR, &features)], None).map_err(|e| e.to_string())?;
    let checksum = checksum(name, &plain)?;
    let metadata = HashMap::from([(CHECKSUM.to_owned(), checksum)]);
    safetensors::serialize([(TENSOR, &features)], Some(metadata)).map_err(|e| e.to_string())
}

fn decode(name: &str, bytes: &[u8]) -> Result<Tensor, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let said = header.metadata().as_ref().and_then(|m| m.get(CHECKSUM));
    if said != Some(&checksum(name, bytes)?) {
        return Err("its checksum is another".to_owned());
    }
    let mut tensors =
        candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map_err(|e| e.to_string())?;
    tensors
        .remove(TENSOR)
        .ok_or_else(|| "it holds no features".to_owned())
}

/// CRC-32 of a file's name and of its tensor: its type, its shape and its bytes.
fn checksum(name: &str, bytes: &[u8]) -> Result<String, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let tensor = tensors.tensor(TENSOR).map_err(|e| e.to_string())?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(format!("{name} {:?} {:?}\n", tensor.dtype(), tensor.shape()).as_bytes());
    crc.update(tensor.data());
    Ok(format!("{:08x}", crc.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::random;

    fn numbers(features: &Tensor) -> Vec<f32> {
        features.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn what_was_written_is_read_and_what_was_changed_is_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = FeatureFolder::open(place.path(), 1 << 20);
        let features = random((1, 3, 4, 5));
        let file = place.path().join("a.safetensors");
        let write = || {
            folder.write("a", &features);
            assert!(file.is_file(), "it can be written again");
            std::fs::read(&file).unwrap()
        };
        let whole = write();
        let read = folder.read("a").unwrap();
        assert_eq!(read.dims(), features.dims());
        assert_eq!(numbers(&read), numbers(&features));
        assert!(folder.read("b").is_none());

        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let longer = [&whole[..], &[0]].concat();
        let shorter = &whole[..whole.len() - 1];
        let mut other_shape = whole.clone();
        let at = whole.windows(9).position(|w| w == b"[1,3,4,5]").unwrap();
        other_shape[at..at + 9].copy_from_slice(b"[1,4,3,5]");
        for broken in [&flipped[..], &longer, shorter, &other_shape, b"", b"no"] {
            std::fs::write(&file, broken).unwrap();
            assert!(folder.read("a").is_none());
            assert!(!file.exists(), "it is out of the way");
            assert_eq!(write(), whole);
        }
        // Under another name they are another picture's.
        std::fs::rename(&file, place.path().join("b.safetensors")).unwrap();
        assert!(folder.read("b").is_none());
    }

    #[test]
    fn the_folder_stays_within_its_limit_and_counts_what_it_finds() {
        let place = tempfile::tempdir().unwrap();
        let one = encode("a", &random(100)).unwrap().len() as u64;
        let names = |folder: &FeatureFolder| {
            let mut names: Vec<String> = folder.files().into_iter().map(|(n, _)| n).collect();
            names.sort();
            names
        };
        let folder = FeatureFolder::open(place.path(), 2 * one);
        assert_eq!(names(&folder), [""; 0]);
        for name in ["a", "b", "c"] {
            folder.write(name, &random(100));
        }
        assert_eq!(names(&folder), ["a.safetensors", "b.safetensors"]);
        std::fs::write(place.path().join("d.part"), "half").unwrap();
        let again = FeatureFolder::open(place.path(), 2 * one);
        again.write("c", &random(100));
        assert_eq!(names(&again), ["a.safetensors", "b.safetensors"]);
        again.keep_only(&["b"]);
        again.write("c", &random(100));
        assert_eq!(names(&again), ["b.safetensors", "c.safetensors"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        let folder = FeatureFolder::open(&file.join("features"), 1 << 20);
        folder.write("a", &random(5));
        assert!(folder.read("a").is_none());
        assert!(folder.lock().failed);
    }
}
