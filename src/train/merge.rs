//! `lisa merge`: a run's trained tensors, adapters folded, become a model directory.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::checkpoint::{read_checkpoint, CheckpointState};
use super::config::TrainConfig;
use super::parameters::AUXILIARY;
use super::setup::tokenizer_json;
use super::TrainError;
use crate::weights::{
    write_model_dir, Loaded, ModelDir, QuantizationChange, Staging, TensorSource, Weights,
    WeightsError,
};

/// What to merge.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// A checkpoint of a run.
    pub checkpoint: PathBuf,
    /// The model directory that was trained, if it is no longer at the path that the checkpoint names.
    pub model: Option<PathBuf>,
    /// Another model of the same shapes, whose tensors are replaced by the trained ones. Only for runs without adapters, since
    /// an adapter is a difference to the layer that it was trained beside.
    pub onto: Option<PathBuf>,
    /// The model directory to write.
    pub out: PathBuf,
    /// Number format in which the result stores its tensors; by default that of the trained model.
    pub dtype: Option<crate::weights::DType>,
    /// Which weights of the result are quantized, and how, other than in the trained model. Weights in blocks that nothing was
    /// trained of stay as they are, bit by bit.
    pub quantization: QuantizationChange,
    /// Name of the result; by default that of the trained model.
    pub name: Option<String>,
    /// Setting it from another thread ends the merge at the next tensor with [`WeightsError::Interrupted`].
    ///
    /// [`WeightsError::Interrupted`]: crate::weights::WeightsError::Interrupted
    pub stop: Arc<AtomicBool>,
}

impl MergeOptions {
    /// Merges into the model that was trained, at the path that the checkpoint names, and keeps its number format and name.
    pub fn new(checkpoint: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            checkpoint: checkpoint.into(),
            model: None,
            onto: None,
            out: out.into(),
            dtype: None,
            quantization: QuantizationChange::default(),
            name: None,
            stop: Arc::default(),
        }
    }
}

/// What [`merge`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeReport {
    /// Updates made when the checkpoint was written.
    pub step: u64,
    /// Tensors that were replaced by trained ones.
    pub replaced: usize,
    /// Adapters that were folded into their layers.
    pub adapters: usize,
    /// All tensors of the result.
    pub tensors: usize,
}

/// Writes the model directory `out`.
///
/// # Errors
/// A place that cannot be written, or that the model is read from; a checkpoint or model that cannot be read, or that do not
/// belong together.
pub fn merge(options: &MergeOptions) -> Result<MergeReport, TrainError> {
    // A place that cannot be written is found out before the long reading.
    let staging = Staging::beside(&options.out, &[])?;
    let (state, mut trained) = read_checkpoint(&options.checkpoint)?;
    let path = options.onto.as_ref().or(options.model.as_ref());
    let path = path.unwrap_or(&state.model);
    // Merging a model into itself would lose the original, and adapters could be folded into it twice.
    staging.spare(path)?;
    let model = ModelDir::open(path)?;
    // The newest checkpoint also holds the optimizer's moments, and the average where the run keeps one; the average is then
    // what was validated, so it is the result.
    let averages: Vec<String> = trained
        .keys()
        .filter_map(|name| name.strip_prefix("ema.").map(str::to_owned))
        .collect();
    for name in averages {
        if let Some(average) = trained.remove(&format!("ema.{name}")) {
            trained.insert(name, average);
        }
    }
    check_model(options, &state, &trained, &model)?;
    let merged = Merged {
        weights: model.weights(DType::F32, &Device::Cpu)?,
        path,
        trained: &trained,
        scale: state.lora_scale.unwrap_or(1.0),
    };
    let shapes: BTreeMap<String, Vec<usize>> = merged.weights.names().into_iter().collect();
    let report = merged.report(state.step, &shapes, &options.checkpoint)?;
    let mut config = model.config.clone();
    let run = TrainConfig::parse(&state.config).map_err(|reason| TrainError::Config {
        path: options.checkpoint.clone(),
        reason,
    })?;
    if let Some(head) = run.objective.guided_head(&model.config)? {
        config.guided_head = Some(head);
    }
    config.dtype = options.dtype.unwrap_or(config.dtype);
    config.quantization = options.quantization.of(config.quantization);
    if let Some(name) = &options.name {
        config.name.clone_from(name);
    }
    let tokenizer = tokenizer_json(path)?;
    let nobody = |_: u64, _: u64, _: &str| {};
    write_model_dir(
        staging,
        &config,
        &tokenizer,
        &shapes,
        &merged,
        &options.stop,
        nobody,
    )?;
    Ok(report)
}

/// The tensors of a model with what a run trained in their place. Each is computed when it is written.
struct Merged<'a> {
    weights: Weights,
    path: &'a Path,
    trained: &'a HashMap<String, Tensor>,
    /// What the product of an adapter's two matrices is multiplied with.
    scale: f64,
}

impl Merged<'_> {
    /// Checks that every trained tensor has its place, and counts them.
    fn report(
        &self,
        step: u64,
        shapes: &BTreeMap<String, Vec<usize>>,
        checkpoint: &Path,
    ) -> Result<MergeReport, TrainError> {
        let mut report = MergeReport {
            step,
            replaced: 0,
            adapters: 0,
            tensors: shapes.len(),
        };
        for (name, tensor) in self.trained {
            if let Some(layer) = name.strip_suffix(".lora_B.weight") {
                let other_half = self.trained.get(&format!("{layer}.lora_A.weight"));
                if other_half.is_none() || !shapes.contains_key(&format!("{layer}.weight")) {
                    return Err(TrainError::Unusable(format!(
                        "{}: the adapter of {layer} has no other half, or the model no such layer",
                        checkpoint.display()
                    )));
                }
                report.adapters += 1;
            } else if let Some(shape) = shapes.get(name) {
                if shape != tensor.dims() {
                    return Err(TrainError::Unusable(format!(
                        "{name} is {shape:?} in the model and {:?} in the checkpoint: they do not belong together",
                        tensor.dims()
                    )));
                }
                report.replaced += 1;
            } else if !(name.starts_with(AUXILIARY)
                || name.ends_with(".lora_A.weight")
                || name.ends_with(".m")
                || name.ends_with(".v"))
            {
                return Err(TrainError::Unusable(format!(
                    "{}: {name} is no tensor of {}",
                    checkpoint.display(),
                    self.path.display()
                )));
            }
        }
        Ok(report)
    }

    /// W + s · B A, where the layer has an adapter.
    fn with_adapter(&self, layer: &str, weight: Tensor) -> candle_core::Result<Tensor> {
        let half = |name| self.trained.get(&format!("{layer}.{name}.weight"));
        match (half("lora_A"), half("lora_B")) {
            (Some(a), Some(b)) => weight + (b.matmul(a)? * self.scale)?,
            _ => Ok(weight),
        }
    }
}

impl TensorSource for Merged<'_> {
    fn load(&self, name: &str) -> Result<Loaded, WeightsError> {
        let failed = |source| WeightsError::Tensor {
            name: name.to_owned(),
            source,
        };
        let shape = self.weights.shape(name).unwrap_or_default();
        let layer = name.strip_suffix(".weight").unwrap_or(name);
        let adapted = self.trained.contains_key(&format!("{layer}.lora_B.weight"));
        let trained = self.trained.get(name);
        if let (None, false, &[rows, columns]) = (trained, adapted, shape.as_slice()) {
            if let Some(blocks) = self.weights.get_blocks((rows, columns), name)? {
                return Ok(Loaded::Blocks(blocks));
            }
        }
        let weight = match trained {
            Some(trained) => trained.to_dtype(DType::F32).map_err(failed)?,
            None => self.weights.get(shape, name)?,
        };
        let weight = self.with_adapter(layer, weight);
        weight.map(Loaded::Numbers).map_err(failed)
    }

    fn path(&self, _: &str) -> &Path {
        self.path
    }
}

/// Checks that the frozen tensors of the model are those beside which the others were trained.
fn check_model(
    options: &MergeOptions,
    state: &CheckpointState,
    trained: &HashMap<String, Tensor>,
    model: &ModelDir,
) -> Result<(), TrainError> {
    let checkpoint = options.checkpoint.display();
    if options.onto.is_some() {
        return match trained.keys().any(|name| name.ends_with(".lora_B.weight")) {
            true => Err(TrainError::Unusable(format!(
                "{checkpoint}: its adapters belong to the layers that they were trained beside, and cannot go onto another model; accepted: the model that was trained"
            ))),
            false => Ok(()),
        };
    }
    let Some(were) = state.frozen else {
        return Ok(());
    };
    let are = model.fingerprint(|name| !trained.contains_key(name))?;
    match were.difference(&are) {
        None => Ok(()),
        Some(how) => Err(TrainError::Unusable(format!(
            "{checkpoint}: {} is not the model that was trained: its frozen tensors {how}; accepted: the model that was trained, or `--onto` for one that is to take the trained tensors all the same",
            model.path().display()
        ))),
    }
}
