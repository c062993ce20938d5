//! [`ModelDir`]: opens a model directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use lisa_files::lfs;

use super::tensor_file::TensorFile;
use super::{Fingerprint, LisaConfig, Weights, WeightsError};
use crate::text::LisaTokenizer;

/// The files of a model directory.
pub(crate) const MODEL_FILES: [&str; 3] = ["lisa.json", "model.safetensors", "tokenizer.json"];

const ACCEPTED: &str = "a model directory holds lisa.json, model.safetensors and tokenizer.json; `lisa convert` makes one";

/// An opened model directory. Configuration and tokenizer have been read; the tensors are read when they are asked for.
pub struct ModelDir {
    path: PathBuf,
    /// Number of parameters: the elements of all tensors together.
    pub parameters: u64,
    /// Content of `lisa.json`.
    pub config: LisaConfig,
    /// Content of `tokenizer.json`.
    pub tokenizer: LisaTokenizer,
}

impl ModelDir {
    /// Reads everything but the tensors, and checks that the file of the tensors is as long as its header says.
    ///
    /// # Errors
    /// A [`WeightsError`] that names the file that is missing, truncated, of another version or inconsistent.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref().to_owned();
        let missing = |what, path: PathBuf| WeightsError::Missing {
            what,
            path,
            accepted: ACCEPTED,
        };
        if !path.is_dir() {
            if let Some(name) = hub_name(&path) {
                return Err(WeightsError::NotPulled { name });
            }
            return Err(missing("model directory", path));
        }
        for name in MODEL_FILES {
            let file = path.join(name);
            // Anything but a folder will do, so that a named pipe can stand in for a file.
            if !file.metadata().is_ok_and(|m| !m.is_dir()) {
                return Err(missing("model file", file));
            }
            if lfs::file_is_pointer(&file) {
                return Err(WeightsError::Pointer { path: file });
            }
        }
        let config = LisaConfig::read(&path.join("lisa.json"))?;
        let tokenizer = LisaTokenizer::from_file(&path.join("tokenizer.json"))?;
        for (name, id) in [
            ("tokens.seg", Some(config.tokens.seg)),
            ("tokens.im_start", config.tokens.im_start),
        ] {
            if id.is_some_and(|id| id as usize >= config.llama.vocab_size) {
                return Err(WeightsError::Invalid {
                    path: path.join("lisa.json"),
                    reason: format!(
                        "{name} is {}, and llama.vocab_size is {}",
                        id.unwrap_or_default(),
                        config.llama.vocab_size
                    ),
                });
            }
        }
        let file = path.join("model.safetensors");
        check_header(&file)?;
        let sizes = TensorFile::open(&file)?;
        let sizes = sizes.shapes().map(|(_, shape)| {
            let sides = shape.iter().map(|side| *side as u64);
            sides.fold(1u64, u64::saturating_mul)
        });
        let parameters = sizes.fold(0, u64::saturating_add);
        Ok(Self {
            path,
            parameters,
            config,
            tokenizer,
        })
    }

    /// The tensors; each is read when it is asked for, and comes out as `dtype` on `device`.
    ///
    /// # Errors
    /// [`WeightsError::Io`] and [`WeightsError::Invalid`] where the file cannot be read.
    pub fn weights(&self, dtype: DType, device: &Device) -> Result<Weights, WeightsError> {
        Ok(Weights::from_file(self.tensors()?, dtype, device))
    }

    /// The fingerprint of the tensors whose names `chosen` accepts.
    ///
    /// # Errors
    /// [`WeightsError::Io`] and [`WeightsError::Invalid`] where the file cannot be read.
    pub fn fingerprint(&self, chosen: impl Fn(&str) -> bool) -> Result<Fingerprint, WeightsError> {
        Fingerprint::of(&self.tensors()?, chosen)
    }

    fn tensors(&self) -> Result<TensorFile, WeightsError> {
        TensorFile::open(&self.path.join("model.safetensors"))
    }

    /// The directory, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The name that a path has in common with a model on the hub: OWNER/NAME, where no folder OWNER is.
fn hub_name(path: &Path) -> Option<String> {
    let name = path.to_str()?;
    let (owner, _) = name.split_once('/')?;
    let named = name.parse::<model_hub::Repo>().is_ok();
    (named && !Path::new(owner).exists()).then(|| name.to_owned())
}

/// Compares the length of a safetensors file with what its header describes, so that a half-copied file is refused in one
/// sentence before anything is computed.
pub(crate) fn check_header(path: &Path) -> Result<(), WeightsError> {
    let io = |source| WeightsError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?.len();
    let truncated = |expected| WeightsError::Truncated {
        path: path.to_owned(),
        expected,
        found,
    };
    let mut prefix = [0u8; 8];
    if found < 8 {
        return Err(truncated(8));
    }
    file.read_exact(&mut prefix).map_err(io)?;
    let header_len = u64::from_le_bytes(prefix);
    if let Some(reason) = foreign(&prefix) {
        return Err(WeightsError::Invalid {
            path: path.to_owned(),
            reason: reason.to_owned(),
        });
    }
    if header_len > found - 8 {
        return Err(truncated(header_len.saturating_add(8)));
    }
    let mut header = vec![0u8; header_len as usize];
    file.read_exact(&mut header).map_err(io)?;
    let header: BTreeMap<String, Header> =
        serde_json::from_slice(&header).map_err(|e| WeightsError::Invalid {
            path: path.to_owned(),
            reason: format!("its safetensors header cannot be read: {e}"),
        })?;
    let end = header
        .values()
        .filter_map(|t| t.data_offsets)
        .map(|o| o[1])
        .max()
        .unwrap_or(0);
    let expected = end.saturating_add(8 + header_len);
    if found < expected {
        return Err(truncated(expected));
    }
    Ok(())
}

/// Says what a file is that does not begin as a safetensors file does; `None` for one that does. The first eight bytes of such
/// a file are the length of its header, little-endian.
fn foreign(prefix: &[u8; 8]) -> Option<&'static str> {
    /// The longest header that the safetensors library accepts, in bytes.
    const LONGEST: u64 = 100_000_000;
    let page = prefix.trim_ascii_start().starts_with(b"<");
    match (page, u64::from_le_bytes(*prefix) > LONGEST) {
        (_, false) => None,
        (true, _) => Some("it is a web page, perhaps the error message of a download; download it again"),
        (false, _) => Some("it does not begin as a safetensors file does; download it again, or convert the checkpoint again"),
    }
}

/// An entry of a safetensors header. Those of tensors have the field; `__metadata__`, which is no tensor, does not.
#[derive(serde::Deserialize)]
struct Header {
    data_offsets: Option<[u64; 2]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_hub_is_answered_with_how_it_is_had() {
        let error = |name: &str| ModelDir::open(name).err().map(|error| error.to_string());
        let pull = error("xinlai/LISA-7B-v1").unwrap();
        assert!(
            pull.contains("`lisa pull xinlai/LISA-7B-v1 --out DIR`"),
            "{pull}"
        );
        // In the checkout there is a folder models/, and the others are paths.
        for name in [
            "models/none",
            "/xinlai/LISA-7B-v1",
            "./xinlai/LISA",
            "no-such-model",
            "a/b/c",
        ] {
            let error = error(name).unwrap();
            assert!(
                error.contains("lisa convert") && !error.contains("pull"),
                "{error}"
            );
        }
    }
}
