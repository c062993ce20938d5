//! Checks that `config.json`, the tensors and the CLIP folder agree. Where two of them differ about the same thing, one of the
//! two belongs to another model, and nobody can tell which.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::check::Shapes;
use crate::weights::{LisaConfig, ProjectorKind, WeightsError};

/// Fields of `config.json` that are only compared: the network takes these numbers from elsewhere.
#[derive(Debug, Deserialize)]
pub(super) struct RedundantConfig {
    out_dim: Option<usize>,
    mm_hidden_size: Option<usize>,
    mm_projector_type: Option<String>,
    mm_vision_select_layer: Option<i64>,
    sliding_window: Option<u64>,
    use_sliding_window: Option<bool>,
}

impl RedundantConfig {
    /// Reads the fields from a whole `config.json`.
    ///
    /// # Errors
    /// A field of another type.
    pub fn read(config: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(config)
    }

    /// The kind of the projector. The tensors decide it, because older configurations do not name it and the reference ignores
    /// the name.
    ///
    /// # Errors
    /// A projector that is unknown or missing, or that `config.json` names otherwise.
    pub fn projector(&self, path: &Path, shapes: &Shapes) -> Result<ProjectorKind, WeightsError> {
        let has = |name: &str| shapes.contains_key(&format!("model.mm_projector.{name}"));
        let (kind, is) = if has("weight") {
            (ProjectorKind::Linear, "linear")
        } else if has("2.weight") && !has("4.weight") {
            (ProjectorKind::Mlp2xGelu, "mlp2x_gelu")
        } else if let Some(kind) = &self.mm_projector_type {
            return Err(WeightsError::Unsupported {
                path: path.to_owned(),
                name: "mm_projector_type",
                found: kind.clone(),
                accepted: "linear, mlp2x_gelu",
            });
        } else {
            return Err(WeightsError::MissingTensor {
                name: "model.mm_projector.weight".into(),
            });
        };
        match self.mm_projector_type.as_deref() {
            Some(named) if named != is => Err(invalid(
                path,
                format!(
                    "mm_projector_type is {named}, and the tensors of the projector are of {is}"
                ),
            )),
            _ => Ok(kind),
        }
    }

    /// Checks that the network that was found is the one that `config.json` describes.
    ///
    /// # Errors
    /// The field that differs, with both values.
    pub fn check(&self, path: &Path, config: &LisaConfig) -> Result<(), WeightsError> {
        for (name, said, what, is) in [
            (
                "out_dim",
                self.out_dim,
                "the prompts of the mask decoder",
                config.out_dim,
            ),
            (
                "mm_hidden_size",
                self.mm_hidden_size,
                "the features of the CLIP folder",
                config.clip.hidden_size,
            ),
        ] {
            if let Some(said) = said.filter(|said| *said != is) {
                let reason = format!("{name} is {said}, and {what} are {is} wide");
                return Err(invalid(path, reason));
            }
        }
        let (layers, states) = (config.clip.num_hidden_layers, config.clip.hidden_states());
        if let Some(layer) = self.mm_vision_select_layer.filter(|l| !states.contains(l)) {
            let reason = format!(
                "mm_vision_select_layer is {layer}, and the CLIP folder's tower has {layers} layers; accepted: {} to {}",
                states.start(),
                states.end()
            );
            return Err(WeightsError::Invalid {
                path: path.to_owned(),
                reason,
            });
        }
        // A configuration may name a window and say that it is not used.
        let context = config.llama.max_position_embeddings;
        let window = self
            .sliding_window
            .filter(|_| self.use_sliding_window != Some(false));
        match window.filter(|window| *window < context as u64) {
            None => Ok(()),
            Some(window) => Err(WeightsError::Invalid {
                path: path.to_owned(),
                reason: format!(
                    "sliding_window is {window}, and max_position_embeddings is {context}; accepted: attention to all that stands before, so null or a window as long as that"
                ),
            }),
        }
    }
}

fn invalid(path: &Path, contradiction: String) -> WeightsError {
    WeightsError::Invalid {
        path: path.to_owned(),
        reason: format!("{contradiction}; accepted: the files of one checkpoint"),
    }
}
