//! `lisa merge`: a run's trained tensors, adapters folded, become a model directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use super::checkpoint::read_checkpoint;
use super::config::TrainConfig;
use super::parameters::AUXILIARY;
use super::setup::tokenizer_json;
use super::TrainError;
use crate::weights::{write_model_dir, ModelDir, Staging};

/// What to merge.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// A checkpoint of a run.
    pub checkpoint: PathBuf,
    /// The model directory that was trained, where it is not any more where it was.
    pub model: Option<PathBuf>,
    pub out: PathBuf,
    /// How the result stores its tensors; as the trained model by default.
    pub dtype: Option<crate::weights::DType>,
    /// What the result is called; as the trained model by default.
    pub name: Option<String>,
}

/// What [`merge`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeReport {
    /// Updates the checkpoint had seen.
    pub step: u64,
    pub replaced: usize,
    pub adapters: usize,
    pub tensors: usize,
}

/// Writes the model directory `out`.
///
/// # Errors
/// A place that cannot be written; a checkpoint or model that cannot be read, or that do not belong together.
pub fn merge(options: &MergeOptions) -> Result<MergeReport, TrainError> {
    // First of all: what cannot be written is known before anything is read.
    let staging = Staging::beside(&options.out, &[])?;
    let (state, mut trained) = read_checkpoint(&options.checkpoint)?;
    let path = options.model.as_ref().unwrap_or(&state.model);
    let model = ModelDir::open(path)?;
    let weights = model.weights(DType::F32, &Device::Cpu)?;
    let mut tensors = BTreeMap::new();
    for (name, shape) in weights.names() {
        tensors.insert(name.clone(), weights.get(shape, &name)?);
    }
    // A last checkpoint holds the optimizer too; where the run keeps an average, the average is the result.
    let averages: Vec<String> = trained
        .keys()
        .filter_map(|name| name.strip_prefix("ema.").map(str::to_owned))
        .collect();
    for name in averages {
        if let Some(average) = trained.remove(&format!("ema.{name}")) {
            trained.insert(name, average);
        }
    }
    let mut report = MergeReport {
        step: state.step,
        replaced: 0,
        adapters: 0,
        tensors: tensors.len(),
    };
    for (name, tensor) in &trained {
        if let Some(layer) = name.strip_suffix(".lora_B.weight") {
            let scale = state.lora_scale.unwrap_or(1.0);
            fold(
                &mut tensors,
                layer,
                &trained,
                tensor,
                scale,
                &options.checkpoint,
            )?;
            report.adapters += 1;
        } else if let Some(slot) = tensors.get_mut(name) {
            if slot.dims() != tensor.dims() {
                return Err(TrainError::Unusable(format!(
                    "{name} is {:?} in the model and {:?} in the checkpoint: they do not belong together",
                    slot.dims(),
                    tensor.dims()
                )));
            }
            *slot = tensor.to_dtype(DType::F32)?;
            report.replaced += 1;
        } else if !(name.starts_with(AUXILIARY)
            || name.ends_with(".lora_A.weight")
            || name.ends_with(".m")
            || name.ends_with(".v"))
        {
            return Err(TrainError::Unusable(format!(
                "{}: {name} is no tensor of {}",
                options.checkpoint.display(),
                path.display()
            )));
        }
    }
    let mut config = model.config.clone();
    let run = TrainConfig::parse(&state.config).map_err(|reason| TrainError::Config {
        path: options.checkpoint.clone(),
        reason,
    })?;
    if let Some(head) = run.objective.guided_head(&model.config)? {
        config.guided_head = Some(head);
    }
    config.dtype = options.dtype.unwrap_or(config.dtype);
    if let Some(name) = &options.name {
        config.name.clone_from(name);
    }
    write_model_dir(staging, &config, &tokenizer_json(path)?, &tensors)?;
    Ok(report)
}

/// W ← W + s · B A.
fn fold(
    tensors: &mut BTreeMap<String, Tensor>,
    layer: &str,
    trained: &std::collections::HashMap<String, Tensor>,
    b: &Tensor,
    scale: f64,
    checkpoint: &Path,
) -> Result<(), TrainError> {
    let (a, weight) = (
        trained.get(&format!("{layer}.lora_A.weight")),
        tensors.get_mut(&format!("{layer}.weight")),
    );
    let (Some(a), Some(weight)) = (a, weight) else {
        return Err(TrainError::Unusable(format!(
            "{}: the adapter of {layer} has no other half, or the model no such layer",
            checkpoint.display()
        )));
    };
    *weight = (&*weight + (b.matmul(a)? * scale)?)?;
    Ok(())
}
