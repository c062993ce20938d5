//! Writes a model directory, whole or not at all.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType as TensorType, Tensor};
use safetensors::tensor::View;
use safetensors::Dtype;

use super::error::cannot_write;
use super::staging::Staging;
use super::{LisaConfig, WeightsError};

/// Writes `lisa.json`, `tokenizer.json` and `model.safetensors` to a folder beside `out`, which takes the place of `out` when it
/// is complete. All tensors are stored in the `dtype` of the configuration.
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
    write_model_dir(staging, config, tokenizer_json, tensors, &never)
}

/// [`save_model_dir`] into a folder that was made before the tensors were computed. Setting `stop` ends it at the next tensor.
///
/// # Errors
/// As [`save_model_dir`], and [`WeightsError::Interrupted`]. After an error nothing is left behind.
pub(crate) fn write_model_dir(
    staging: Staging,
    config: &LisaConfig,
    tokenizer_json: &str,
    tensors: &BTreeMap<String, Tensor>,
    stop: &AtomicBool,
) -> Result<(), WeightsError> {
    write_into(staging.path(), config, tokenizer_json, tensors, stop)
        .map_err(|error| staging.named(error))?;
    staging.replace()
}

fn write_into(
    folder: &Path,
    config: &LisaConfig,
    tokenizer_json: &str,
    tensors: &BTreeMap<String, Tensor>,
    stop: &AtomicBool,
) -> Result<(), WeightsError> {
    write_texts(folder, config, tokenizer_json)?;
    let dtype: TensorType = config.dtype.into();
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        go_on(stop)?;
        let tensor = tensor
            .to_device(&candle_core::Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(dtype)?.contiguous())
            .map_err(|source| WeightsError::Tensor {
                name: name.clone(),
                source,
            })?;
        stored.insert(name.as_str(), tensor);
    }
    let path = folder.join("model.safetensors");
    let views = stored
        .iter()
        .map(|(name, tensor)| (*name, Stoppable { tensor, stop }));
    let written = write_safetensors(&path, views);
    go_on(stop)?;
    written.map(drop)
}

/// Ends work that nobody wants any more.
///
/// # Errors
/// [`WeightsError::Interrupted`] once `stop` is set.
pub(crate) fn go_on(stop: &AtomicBool) -> Result<(), WeightsError> {
    match stop.load(Ordering::Relaxed) {
        true => Err(WeightsError::Interrupted),
        false => Ok(()),
    }
}

/// A tensor that gives no bytes once `stop` is set. A large model takes minutes to write, and safetensors' writer cannot be
/// stopped otherwise.
struct Stoppable<'a> {
    tensor: &'a Tensor,
    stop: &'a AtomicBool,
}

impl View for Stoppable<'_> {
    fn dtype(&self) -> Dtype {
        View::dtype(&self.tensor)
    }

    fn shape(&self) -> &[usize] {
        self.tensor.dims()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.stop.load(Ordering::Relaxed) {
            true => Cow::Borrowed(&[]),
            false => Cow::Owned(View::data(&self.tensor).into_owned()),
        }
    }

    fn data_len(&self) -> usize {
        View::data_len(&self.tensor)
    }
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
