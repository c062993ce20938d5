//! Writing a model directory, whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType as TensorType, Tensor};

use super::{LisaConfig, WeightsError};

/// Writes `lisa.json`, `tokenizer.json` and `model.safetensors` beside `out` and puts them in its place when they are
/// complete. Floating-point tensors are stored in the configuration's `dtype`.
///
/// # Errors
/// A place that cannot be written, or that holds something else than a model directory.
pub fn save_model_dir(
    out: &Path,
    config: &LisaConfig,
    tokenizer_json: &str,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(), WeightsError> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).map_err(|e| cannot_write(parent, e))?;
    }
    let staging = staging_folder(out)?;
    let dtype: TensorType = config.dtype.into();
    let write = || -> Result<(), WeightsError> {
        write_texts(&staging, config, tokenizer_json)?;
        let path = staging.join("model.safetensors");
        let mut stored = BTreeMap::new();
        for (name, tensor) in tensors {
            let tensor = tensor
                .to_device(&candle_core::Device::Cpu)
                .and_then(|tensor| tensor.to_dtype(dtype)?.contiguous())
                .map_err(|source| WeightsError::Tensor {
                    name: name.clone(),
                    source,
                })?;
            stored.insert(name.as_str(), tensor);
        }
        safetensors::serialize_to_file(stored.iter().map(|(n, t)| (*n, t)), None, &path)
            .map_err(|e| cannot_write(&path, e))?;
        // That writes for the owner's eyes alone; an installed model is everybody's, as the files beside it are.
        std::fs::metadata(staging.join("lisa.json"))
            .and_then(|beside| std::fs::set_permissions(&path, beside.permissions()))
            .map_err(|e| cannot_write(&path, e))
    };
    let result = write().and_then(|()| replace(&staging, out));
    if result.is_err() {
        // The error that matters is the first; a staging folder that stays is only untidy.
        let _ = std::fs::remove_dir_all(&staging);
    }
    result
}

pub(super) fn write_texts(
    folder: &Path,
    config: &LisaConfig,
    tokenizer_json: &str,
) -> Result<(), WeightsError> {
    let json = serde_json::to_string_pretty(config).map_err(|e| cannot_write(folder, e))?;
    for (name, text) in [
        ("lisa.json", json.as_str()),
        ("tokenizer.json", tokenizer_json),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|e| cannot_write(&path, e))?;
    }
    Ok(())
}

pub(super) fn staging_folder(out: &Path) -> Result<PathBuf, WeightsError> {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    let staging = out.with_file_name(name);
    std::fs::create_dir_all(&staging).map_err(|e| cannot_write(&staging, e))?;
    Ok(staging)
}

pub(super) fn cannot_write(path: &Path, reason: impl std::fmt::Display) -> WeightsError {
    WeightsError::Write {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Puts the finished folder in its place. A model directory that stood there goes; anything else stays.
pub(super) fn replace(staging: &Path, out: &Path) -> Result<(), WeightsError> {
    if out.exists() {
        if !out.join("lisa.json").is_file()
            && std::fs::read_dir(out).is_ok_and(|mut d| d.next().is_some())
        {
            return Err(cannot_write(
                out,
                "it exists and is no model directory; name a new folder",
            ));
        }
        std::fs::remove_dir_all(out).map_err(|e| cannot_write(out, e))?;
    }
    std::fs::rename(staging, out).map_err(|e| cannot_write(out, e))
}
