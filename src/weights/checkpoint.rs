//! Reading checkpoints as people publish them: pickles and safetensors, in one file or sharded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::pickle::PthTensors;
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};

use super::WeightsError;

/// A checkpoint folder: its tensors by name, each read when asked for.
pub(super) struct Checkpoint {
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Entry>,
}

struct Entry {
    shard: usize,
    dtype: DType,
    shape: Vec<usize>,
}

enum Shard {
    Pickle(PthTensors),
    Safetensors(MmapedSafetensors),
}

const ACCEPTED: &str = "a checkpoint folder holds *.safetensors or pytorch_model*.bin, with an index.json where there are several";

impl Checkpoint {
    /// Lists the tensors of every shard.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        if !folder.is_dir() {
            return Err(WeightsError::Missing {
                what: "checkpoint folder",
                path: folder.to_owned(),
                accepted: ACCEPTED,
            });
        }
        let mut shards = Vec::new();
        let mut tensors = BTreeMap::new();
        for path in shard_paths(folder)? {
            let shard = Shard::open(&path)?;
            for (name, dtype, shape) in shard.list(&path)? {
                let entry = Entry {
                    shard: shards.len(),
                    dtype,
                    shape,
                };
                tensors.insert(name, entry);
            }
            shards.push(shard);
        }
        Ok(Self { shards, tensors })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|e| e.shape.as_slice())
    }

    pub fn dtype(&self, name: &str) -> Option<DType> {
        self.tensors.get(name).map(|e| e.dtype)
    }

    /// Reads one tensor, on the CPU.
    pub fn load(&self, name: &str) -> Result<Tensor, WeightsError> {
        let missing = || WeightsError::MissingTensor {
            name: name.to_owned(),
        };
        let entry = self.tensors.get(name).ok_or_else(missing)?;
        let tensor = match &self.shards[entry.shard] {
            Shard::Pickle(pickle) => pickle.get(name),
            Shard::Safetensors(mapped) => mapped.load(name, &Device::Cpu).map(Some),
        };
        tensor
            .map_err(|source| WeightsError::Tensor {
                name: name.to_owned(),
                source,
            })?
            .ok_or_else(missing)
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, WeightsError> {
        let invalid = |e: candle_core::Error| WeightsError::Invalid {
            path: path.to_owned(),
            reason: e.to_string(),
        };
        if path.extension().is_some_and(|e| e == "safetensors") {
            // SAFETY: read-only mapping of a file that nobody is expected to change while it is converted.
            #[allow(unsafe_code)]
            let mapped = unsafe { MmapedSafetensors::new(path) };
            Ok(Self::Safetensors(mapped.map_err(invalid)?))
        } else {
            Ok(Self::Pickle(PthTensors::new(path, None).map_err(invalid)?))
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<(String, DType, Vec<usize>)>, WeightsError> {
        match self {
            Shard::Pickle(pickle) => Ok(pickle
                .tensor_infos()
                .iter()
                .map(|(name, info)| {
                    (
                        name.clone(),
                        info.dtype,
                        info.layout.shape().dims().to_vec(),
                    )
                })
                .collect()),
            Shard::Safetensors(mapped) => mapped
                .tensors()
                .into_iter()
                .map(|(name, view)| {
                    let dtype =
                        DType::try_from(view.dtype()).map_err(|e| WeightsError::Invalid {
                            path: path.to_owned(),
                            reason: format!("tensor {name}: {e}"),
                        })?;
                    Ok((name, dtype, view.shape().to_vec()))
                })
                .collect(),
        }
    }
}

/// The files that hold the tensors: from the index where there is one, else the single file.
fn shard_paths(folder: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    for stem in ["model.safetensors", "pytorch_model.bin"] {
        let index = folder.join(format!("{stem}.index.json"));
        if index.is_file() {
            return indexed(folder, &index);
        }
        if folder.join(stem).is_file() {
            return Ok(vec![folder.join(stem)]);
        }
    }
    Err(WeightsError::Missing {
        what: "weights",
        path: folder.to_owned(),
        accepted: ACCEPTED,
    })
}

fn indexed(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let parsed: Index = read_json(index)?;
    let mut files: Vec<&String> = parsed.weight_map.values().collect();
    files.sort();
    files.dedup();
    let mut paths = Vec::with_capacity(files.len());
    for file in files {
        let path = folder.join(file);
        if !path.is_file() {
            return Err(WeightsError::Missing {
                what: "shard named by the index",
                path,
                accepted: "download the checkpoint again, whole",
            });
        }
        paths.push(path);
    }
    Ok(paths)
}

/// Reads and parses a JSON file; the error names the file.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|e| WeightsError::Invalid {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}
