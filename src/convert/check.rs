//! Checks that the network can be loaded from certain tensors, by loading it from their names and shapes alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Device};

use super::checkpoint::Checkpoint;
use crate::model::{ClipVisionTower, Lisa};
use crate::weights::{ClipConfig, LisaConfig, ModelDir, Weights, WeightsError};

/// The shapes of tensors by their names.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// Loads the network. Returns the names that it asked for, and the error about the first tensor that it could not have.
pub(super) fn network(
    shapes: Shapes,
    config: &LisaConfig,
) -> (BTreeSet<String>, Result<(), WeightsError>) {
    let weights = Weights::listed(shapes, &Device::Cpu);
    let loaded = Lisa::load(&weights, config).map(drop);
    (weights.asked(), loaded)
}

/// Checks that the weights of a CLIP folder are the vision tower that its configuration describes.
pub(super) fn vision_tower(
    checkpoint: &Checkpoint,
    config: &ClipConfig,
) -> Result<(), WeightsError> {
    let names = checkpoint.names();
    let shapes = names
        .map(|name| {
            (
                name.to_owned(),
                checkpoint.shape(name).unwrap_or_default().to_vec(),
            )
        })
        .collect();
    let weights = Weights::listed(shapes, &Device::Cpu);
    let loaded = ClipVisionTower::load(&weights, config).map(drop);
    floats(checkpoint, weights.asked().iter().map(String::as_str))?;
    loaded.map_err(|error| explain(error, &checkpoint.path, "is it CLIP's, and whole?"))?;
    let layers = config.num_hidden_layers;
    match checkpoint.names().find(|name| beyond(name, "vision_model.encoder.layers.", layers)) {
        None => Ok(()),
        Some(name) => Err(WeightsError::Invalid {
            path: checkpoint.path.clone(),
            reason: format!("it holds {name}, and config.json says num_hidden_layers is {layers}; they do not belong together"),
        }),
    }
}

/// Whether a name is that of a layer beyond the number of `layers` that the configuration has.
pub(super) fn beyond(name: &str, prefix: &str, layers: usize) -> bool {
    let number = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.split('.').next());
    number.is_some_and(|n| n.parse::<usize>().is_ok_and(|n| n >= layers))
}

/// Checks that these tensors are of a type that the network can be made of.
pub(super) fn floats<'n>(
    checkpoint: &Checkpoint,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), WeightsError> {
    for name in names {
        if let Some(element) = checkpoint.element(name).filter(|e| e.float().is_none()) {
            return Err(WeightsError::Element {
                path: checkpoint.path.clone(),
                name: name.to_owned(),
                found: element.to_string(),
            });
        }
    }
    Ok(())
}

/// Adds to an error of loading the file that it is about and what to do about it.
pub(super) fn explain(error: WeightsError, path: &Path, hint: &str) -> WeightsError {
    match error {
        WeightsError::MissingTensor { name } => WeightsError::Incomplete {
            path: path.to_owned(),
            name,
            hint: hint.to_owned(),
        },
        WeightsError::Shape {
            name,
            expected,
            found,
        } => WeightsError::Contradiction {
            path: path.to_owned(),
            name,
            expected,
            found,
        },
        other => other,
    }
}

/// Checks that a model directory that was just written can be opened and loaded.
pub(super) fn model_dir(path: &Path) -> Result<(), WeightsError> {
    let dir = ModelDir::open(path)?;
    let shapes = dir
        .weights(DType::F32, &Device::Cpu)?
        .names()
        .into_iter()
        .collect();
    network(shapes, &dir.config).1
}
