//! An opened checkpoint: the tensors of all its files by name, whether the files are pickles or safetensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{Device, Tensor};
use lisa_files::lfs;

use super::element::Element;
use super::folder::Candidate;
use super::torch::TorchFile;
use crate::weights::{check_header, WeightsError};

/// A checkpoint, whose tensors are read when they are asked for.
pub(super) struct Checkpoint {
    /// The path that errors name: the index, or the only file.
    pub path: PathBuf,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Entry>,
}

struct Entry {
    shard: usize,
    /// The name in the file, with the prefixes of [`WRAPPERS`].
    stored_name: String,
    element: Element,
    shape: Vec<usize>,
}

enum Shard {
    Torch(TorchFile),
    Safetensors(MmapedSafetensors),
}

/// Prefixes that training frameworks put before the names of all tensors of a model: DataParallel, PEFT and `torch.compile`.
const WRAPPERS: [&str; 3] = ["module.", "base_model.model.", "_orig_mod."];

impl Checkpoint {
    /// Opens every file and lists its tensors.
    ///
    /// # Errors
    /// A file that is missing, damaged or refused; a tensor that two files have; a tensor that is not in the file that the index
    /// names.
    pub fn open(candidate: &Candidate) -> Result<Self, WeightsError> {
        let mut shards = Vec::new();
        let mut tensors: BTreeMap<String, Entry> = BTreeMap::new();
        let folder = candidate.files[0].parent().unwrap_or(Path::new(""));
        for path in &candidate.files {
            let (shard, listed) = Shard::open(path)?;
            for (name, element, shape) in listed {
                let entry = Entry {
                    shard: shards.len(),
                    stored_name: name.clone(),
                    element,
                    shape,
                };
                if let Some(first) = tensors.insert(name.clone(), entry) {
                    let file = |path: &Path| {
                        path.file_name()
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into_owned()
                    };
                    let first = file(&candidate.files[first.shard]);
                    return Err(WeightsError::Invalid {
                        path: folder.join(&candidate.name),
                        reason: format!(
                            "the tensor {name} lies in both {} and {}; accepted: each tensor in one file. Download the checkpoint again, whole",
                            first,
                            file(path)
                        ),
                    });
                }
            }
            shards.push(shard);
        }
        for (name, file) in candidate.index.iter().flatten() {
            let lies = tensors.get(name).map(|entry| &candidate.files[entry.shard]);
            if lies.is_none_or(|lies| !lies.ends_with(file)) {
                return Err(WeightsError::Invalid {
                    path: folder.join(&candidate.name),
                    reason: format!(
                        "it says that {file} holds the tensor {name}, which is not in it; download the checkpoint again, whole"
                    ),
                });
            }
        }
        Ok(Self {
            path: folder.join(&candidate.name),
            shards,
            tensors: unwrapped(tensors),
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|e| e.shape.as_slice())
    }

    pub fn element(&self, name: &str) -> Option<&Element> {
        self.tensors.get(name).map(|e| &e.element)
    }

    /// Reads one tensor of floating-point numbers, on the CPU.
    pub fn load(&self, name: &str) -> Result<Tensor, WeightsError> {
        let missing = || WeightsError::MissingTensor {
            name: name.to_owned(),
        };
        let entry = self.tensors.get(name).ok_or_else(missing)?;
        match &self.shards[entry.shard] {
            Shard::Torch(file) => file.load(&entry.stored_name)?.ok_or_else(missing),
            Shard::Safetensors(mapped) => {
                mapped
                    .load(&entry.stored_name, &Device::Cpu)
                    .map_err(|source| WeightsError::Tensor {
                        name: name.to_owned(),
                        source,
                    })
            }
        }
    }
}

/// Removes the prefixes of [`WRAPPERS`] that stand before all names.
fn unwrapped(mut tensors: BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
    while let Some(wrapper) = WRAPPERS
        .iter()
        .find(|w| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(**w)))
    {
        tensors = tensors
            .into_iter()
            .map(|(name, entry)| (name[wrapper.len()..].to_owned(), entry))
            .collect();
    }
    tensors
}

type Listed = Vec<(String, Element, Vec<usize>)>;

impl Shard {
    /// Opens a file as what its content is, whatever its extension.
    fn open(path: &Path) -> Result<(Self, Listed), WeightsError> {
        if !path.is_file() {
            return Err(WeightsError::Missing {
                what: "shard named by the index",
                path: path.to_owned(),
                accepted: "download the checkpoint again, whole",
            });
        }
        if lfs::file_is_pointer(path) {
            return Err(WeightsError::Pointer {
                path: path.to_owned(),
            });
        }
        match is_safetensors(path)? {
            true => Self::safetensors(path),
            false => {
                let file = TorchFile::open(path)?;
                let listed = file.tensors().iter();
                let listed = listed
                    .map(|(name, t)| (name.clone(), t.element.clone(), t.shape().to_vec()))
                    .collect();
                Ok((Self::Torch(file), listed))
            }
        }
    }

    fn safetensors(path: &Path) -> Result<(Self, Listed), WeightsError> {
        check_header(path)?;
        // SAFETY: the mapping is read-only. It would be invalid if the file were truncated while it is converted, which no part
        // of this program does and a person is not expected to do.
        #[allow(unsafe_code)]
        let mapped = unsafe { MmapedSafetensors::new(path) };
        let mapped = mapped.map_err(|e| WeightsError::Invalid {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        let views = mapped.tensors().into_iter();
        let listed = views
            .map(|(name, view)| (name, Element::from(view.dtype()), view.shape().to_vec()))
            .collect();
        Ok((Self::Safetensors(mapped), listed))
    }
}

/// Whether a file is to be read as safetensors. Such a file begins with the length of its header in 8 bytes, and the header
/// begins with a brace. A file that is named so and begins otherwise is taken for a damaged safetensors file, unless it is an
/// archive or a pickle.
fn is_safetensors(path: &Path) -> Result<bool, WeightsError> {
    use std::io::Read;
    let mut begin = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(9).read_to_end(&mut begin))
        .map_err(|source| WeightsError::Io {
            path: path.to_owned(),
            source,
        })?;
    let named = path.extension().is_some_and(|e| e == "safetensors");
    let pickled = begin.starts_with(b"PK\x03\x04") || begin.starts_with(&[0x80, 2, 0x8a]);
    Ok(begin.get(8) == Some(&b'{') || (named && !pickled))
}
