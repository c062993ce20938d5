//! Stores a model directory once more: in another number format, or quantized.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use candle_core::Device;

use super::ConvertReport;
use crate::weights::{
    write_model_dir, DType, Loaded, ModelDir, QuantizationChange, Staging, TensorSource, Weights,
    WeightsError,
};

/// What to store again, and how.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The model directory that is read.
    pub model: PathBuf,
    /// The model directory to make. One that exists is replaced, but for the one that is read.
    pub out: PathBuf,
    /// The type that floating-point tensors are stored in; `None` keeps it.
    pub dtype: Option<DType>,
    /// Which weights are stored in blocks.
    pub quantization: QuantizationChange,
    /// Setting it from another thread ends the work at the next tensor with [`WeightsError::Interrupted`].
    pub stop: Arc<AtomicBool>,
}

/// Writes the model directory. `progress(done_bytes, total_bytes, tensor)` is called after each tensor.
///
/// # Errors
/// A place that cannot be written, or that the model is read from; a model that cannot be read. After an error nothing is left
/// behind.
pub fn restore(
    options: &RestoreOptions,
    progress: impl FnMut(u64, u64, &str),
) -> Result<ConvertReport, WeightsError> {
    let staging = Staging::beside(&options.out, &[&options.model])?;
    let model = ModelDir::open(&options.model)?;
    let tokenizer = options.model.join("tokenizer.json");
    let tokenizer = std::fs::read_to_string(&tokenizer).map_err(|source| WeightsError::Io {
        path: tokenizer,
        source,
    })?;
    let mut config = model.config.clone();
    config.dtype = options.dtype.unwrap_or(config.dtype);
    config.quantization = options.quantization.of(config.quantization);
    let source = Whole {
        weights: model.weights(candle_core::DType::F32, &Device::Cpu)?,
        path: &options.model,
    };
    let shapes: BTreeMap<String, Vec<usize>> = source.weights.names().into_iter().collect();
    let stop = &options.stop;
    let bytes = write_model_dir(
        staging, &config, &tokenizer, &shapes, &source, stop, progress,
    )?;
    Ok(ConvertReport {
        config,
        tensors: shapes.len(),
        bytes,
        left_out: Vec::new(),
        notes: Vec::new(),
    })
}

/// All tensors of a model directory, as they are stored.
struct Whole<'a> {
    weights: Weights,
    path: &'a Path,
}

impl TensorSource for Whole<'_> {
    fn load(&self, name: &str) -> Result<Loaded, WeightsError> {
        let shape = self.weights.shape(name).unwrap_or_default();
        if let &[rows, columns] = shape.as_slice() {
            if let Some(blocks) = self.weights.get_blocks((rows, columns), name)? {
                return Ok(Loaded::Blocks(blocks));
            }
        }
        self.weights.get_as_stored(shape, name).map(Loaded::Numbers)
    }

    fn path(&self, _: &str) -> &Path {
        self.path
    }
}
