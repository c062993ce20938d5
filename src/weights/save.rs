//! Writes a model directory, whole or not at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};
use safetensors::tensor::View;

use super::error::cannot_write;
use super::staging::Staging;
use super::write::{write_tensors, Loaded, Storage, TensorSource};
use super::{LisaConfig, WeightsError};

/// Writes `lisa.json`, `tokenizer.json` and `model.safetensors` to a folder beside `out`, which takes the place of `out` when it
/// is complete. The tensors are stored as the configuration says, in its `dtype` or quantized.
///
/// # Errors
/// [`WeightsError::Write`] where the place cannot be written or holds something else than a model directory;
/// [`WeightsError::Tensor`] where a tensor cannot be converted.
pub fn save_model_dir(
    out: &Path,
    config: &LisaConfig,
    tokenizer_json: &str,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(), WeightsError> {
    let (staging, never) = (Staging::beside(out, &[])?, AtomicBool::new(false));
    let shapes = tensors
        .iter()
        .map(|(name, t)| (name.clone(), t.dims().to_vec()));
    let source = InMemory { out, tensors };
    let nobody = |_: u64, _: u64, _: &str| {};
    write_model_dir(
        staging,
        config,
        tokenizer_json,
        &shapes.collect(),
        &source,
        &never,
        nobody,
    )?;
    Ok(())
}

/// The tensors that are to be saved.
struct InMemory<'a> {
    out: &'a Path,
    tensors: &'a BTreeMap<String, Tensor>,
}

impl TensorSource for InMemory<'_> {
    fn load(&self, name: &str) -> Result<Loaded, WeightsError> {
        let tensor = self.tensors.get(name).map(|t| t.to_device(&Device::Cpu));
        match tensor {
            Some(Ok(tensor)) => Ok(Loaded::Numbers(tensor)),
            Some(Err(source)) => Err(WeightsError::Tensor {
                name: name.to_owned(),
                source,
            }),
            None => Err(WeightsError::MissingTensor {
                name: name.to_owned(),
            }),
        }
    }

    fn path(&self, _: &str) -> &Path {
        self.out
    }
}

/// [`save_model_dir`] into a folder that was made before the tensors were computed, with tensors that are computed when their turn
/// comes. Returns the size of `model.safetensors` in bytes.
///
/// # Errors
/// As [`write_tensors`] and [`save_model_dir`]. After an error nothing is left behind.
pub(crate) fn write_model_dir(
    staging: Staging,
    config: &LisaConfig,
    tokenizer_json: &str,
    shapes: &BTreeMap<String, Vec<usize>>,
    source: &dyn TensorSource,
    stop: &AtomicBool,
    progress: impl FnMut(u64, u64, &str),
) -> Result<u64, WeightsError> {
    let storage = Storage {
        dtype: config.dtype,
        quantization: config.quantization.unwrap_or_default(),
    };
    let path = staging.path().join("model.safetensors");
    let bytes = write_texts(staging.path(), config, tokenizer_json)
        .and_then(|()| write_tensors(&path, shapes, storage, source, stop, progress))
        .map_err(|error| staging.named(error))?;
    staging.replace()?;
    Ok(bytes)
}

/// Writes tensors to a safetensors file, whose mode is that of the file that stood there, or what the user's umask gives. Returns
/// its size in bytes.
///
/// # Errors
/// [`WeightsError::Write`]. A file that stood there stays as it was.
pub fn write_safetensors<'n, V: View>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'n str, V)>,
) -> Result<u64, WeightsError> {
    // The library writes a temporary file that only its owner can read and renames it. The mode that the file has to get is taken
    // from a file that is opened here.
    let new = !path.exists();
    let mut options = std::fs::OpenOptions::new();
    let mode = options
        .append(true)
        .create(true)
        .open(path)
        .and_then(|file| file.metadata())
        .map_err(|e| cannot_write(path, e))?
        .permissions();
    let written = safetensors::serialize_to_file(tensors, None, path)
        .map_err(|e| cannot_write(path, e))
        .and_then(|()| {
            std::fs::set_permissions(path, mode)
                .and_then(|()| path.metadata())
                .map_err(|e| cannot_write(path, e))
        });
    if written.is_err() && new {
        // An error of the clean-up is not reported: the first error matters more.
        let _ = std::fs::remove_file(path);
    }
    written.map(|metadata| metadata.len())
}

/// Writes `lisa.json` and `tokenizer.json` into a folder.
pub(crate) fn write_texts(
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
