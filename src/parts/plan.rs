//! What a run is: its inputs, its settings, and its model by its content.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PartError;
use crate::eval::Protocol;

/// All that decides what a run finds out, apart from the machine. Two processes with equal plans do the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The program's version.
    pub version: String,
    /// What is measured.
    pub work: Work,
    /// The model that is asked.
    pub model: ModelIdentity,
    /// Who writes the answers.
    pub protocol: Protocol,
    /// Everything else by name.
    pub settings: BTreeMap<String, serde_json::Value>,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Recordings, by the paths or URLs by which they were named, in that order.
    Bags(Vec<String>),
    /// Questions of a dataset or of rendered scenes.
    Questions {
        /// Name of the dataset.
        dataset: String,
        /// Name of its split.
        split: String,
        /// Seed of the first scene, where there are scenes.
        seed: Option<u64>,
        /// Width and height of the scenes' pictures, pixels.
        size: Option<(u32, u32)>,
    },
}

/// A model by its content: a copy elsewhere is the same model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// The name by which it was asked for; not compared.
    pub name: String,
    /// Of its folder's files by [`ModelIdentity::of`], in hexadecimal; empty where no model is asked.
    pub sha256: String,
}

impl PartialEq for ModelIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

/// What is hashed at a time, by several threads.
const BLOCK: u64 = 64 << 20;

impl ModelIdentity {
    /// The identity of the model in a folder: SHA-256 over the SHA-256 of each file's name, of its length, and of each 64 MiB of
    /// it, in the order of the names. Files are read whole, at the speed of the disk.
    ///
    /// # Errors
    /// [`PartError::Model`].
    pub fn of(folder: &Path) -> Result<Self, PartError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PartError::Model { path, source }
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            if path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        let mut all = Sha256::new();
        for path in files {
            let length = fs::metadata(&path).map_err(failed(&path))?.len();
            let name = path.file_name().unwrap_or_default();
            all.update(Sha256::digest(name.as_encoded_bytes()));
            all.update(length.to_le_bytes());
            let blocks = (0..length.div_ceil(BLOCK)).into_par_iter();
            let hashes: io::Result<Vec<_>> = blocks.map(|at| block(&path, at * BLOCK)).collect();
            for hash in hashes.map_err(failed(&path))? {
                all.update(hash);
            }
        }
        let sha256 = all.finalize();
        Ok(Self {
            name: folder.display().to_string(),
            sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

/// The hash of a file's block that begins at `from`.
fn block(path: &Path, from: u64) -> io::Result<[u8; 32]> {
    use io::Seek;
    let mut file = File::open(path)?;
    file.seek(io::SeekFrom::Start(from))?;
    let (mut left, mut hash) = (file.take(BLOCK), Sha256::new());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match left.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

impl Plan {
    /// Which parts of two plans differ, in words; `None` where they are of one run, or of two runs whose records may stand in
    /// one report: other recordings, or another model on recordings.
    pub fn differs(&self, other: &Self) -> Option<String> {
        let mut all = Vec::new();
        let mut differ = |what: &str, a: String, b: String| {
            if a != b {
                all.push(format!("{what}: {a} and {b}"));
            }
        };
        differ("version", self.version.clone(), other.version.clone());
        differ(
            "answers",
            self.protocol.to_string(),
            other.protocol.to_string(),
        );
        let names = self.settings.keys().chain(other.settings.keys());
        let names: std::collections::BTreeSet<&String> = names.collect();
        for name in names {
            let text = |plan: &Self| match plan.settings.get(name) {
                Some(value) => value.to_string(),
                None => "nothing".to_owned(),
            };
            differ(name, text(self), text(other));
        }
        match (&self.work, &other.work) {
            (Work::Bags(_), Work::Bags(_)) => {}
            (one, two) => {
                differ("what is measured", one.name(), two.name());
                let model = |plan: &Self| plan.model.sha256.clone();
                differ("model", model(self), model(other));
            }
        }
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl Work {
    /// How many inputs it has, where that is known.
    pub fn inputs(&self) -> Option<usize> {
        match self {
            Self::Bags(bags) => Some(bags.len()),
            Self::Questions { .. } => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Bags(_) => "recordings".to_owned(),
            Self::Questions {
                dataset,
                split,
                seed,
                size,
            } => {
                let seed = seed.map_or(String::new(), |seed| format!(" from seed {seed}"));
                let size = size.map_or(String::new(), |(w, h)| format!(" at {w}x{h}"));
                format!("{dataset} {split}{seed}{size}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_its_content_and_not_by_its_place() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&one, &two] {
            fs::write(folder.path().join("lisa.json"), "{}").unwrap();
            fs::write(folder.path().join("model.safetensors"), vec![7; 100_000]).unwrap();
        }
        let of = |folder: &tempfile::TempDir| ModelIdentity::of(folder.path()).unwrap();
        assert_eq!(of(&one), of(&two));
        assert_eq!(of(&one).sha256.len(), 64);
        let mut changed = vec![7; 100_000];
        changed[99_999] = 8;
        fs::write(two.path().join("model.safetensors"), changed).unwrap();
        assert_ne!(of(&one), of(&two));
        let renamed = two.path().join("model-2.safetensors");
        fs::rename(two.path().join("model.safetensors"), renamed).unwrap();
        fs::write(two.path().join("model-2.safetensors"), vec![7; 100_000]).unwrap();
        assert_ne!(of(&one), of(&two));
    }
}
