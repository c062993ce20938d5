//! Which head's attention is guided. The configuration and the model's `lisa.json` may both name it, and have to agree.

use std::path::Path;

use super::config::{ObjectiveConfig, TrainConfig};
use super::TrainError;
use crate::weights::{GuidedHead, LisaConfig};

impl ObjectiveConfig {
    /// The field [`attend_share`](Self::attend_share) if attention is guided, else `None`.
    pub fn attend_share(&self) -> Option<f64> {
        (self.attend > 0.0).then_some(self.attend_share)
    }

    /// The head that this objective guides in a model; `None` if it guides none.
    ///
    /// It is named by the configuration, by the model's `lisa.json`, or by both.
    ///
    /// # Errors
    /// Attention is to be guided and no head is named, the model does not have the head, or the two name different heads.
    pub fn guided_head(&self, model: &LisaConfig) -> Result<Option<GuidedHead>, TrainError> {
        if self.attend == 0.0 {
            return Ok(None);
        }
        let named = match (self.attend_layer, self.attend_head) {
            (Some(layer), Some(head)) => Some(GuidedHead { layer, head }),
            _ => None,
        };
        if let Some(head) = named {
            head.check(&model.llama, "objective.attend_")
                .map_err(TrainError::Unusable)?;
        }
        match (named, model.guided_head) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(TrainError::Unusable(format!(
                "objective.attend_layer and attend_head are {} and {}, and the model's guided_head is layer {}, head {}; accepted: the same, or neither setting",
                ours.layer, ours.head, theirs.layer, theirs.head
            ))),
            (None, None) => Err(TrainError::Unusable(format!(
                "objective.attend is {}, and neither objective.attend_layer and attend_head nor the model's lisa.json names the head to guide; accepted: layers 0 to {}, heads 0 to {}",
                self.attend,
                model.llama.num_hidden_layers.saturating_sub(1),
                model.llama.num_attention_heads.saturating_sub(1)
            ))),
            (named, known) => Ok(named.or(known)),
        }
    }
}

/// Checks the guided head before data and weights are read, which takes long.
///
/// # Errors
/// Those of [`ObjectiveConfig::guided_head`], and a `lisa.json` that cannot be read.
pub fn check_guided_head(config: &TrainConfig) -> Result<(), TrainError> {
    if config.objective.attend == 0.0 {
        return Ok(());
    }
    let beside = |dir: &Path| dir.join("lisa.json");
    let place = match (&config.model.init, &config.model.dir) {
        (Some(init), _) => init.clone(),
        (None, Some(dir)) => beside(dir),
        // That there is no model to train is reported when the model is opened.
        (None, None) => return Ok(()),
    };
    config
        .objective
        .guided_head(&LisaConfig::read(&place)?)
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(guided: Option<GuidedHead>) -> LisaConfig {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/lisa-mini.json");
        LisaConfig {
            guided_head: guided,
            ..LisaConfig::read(Path::new(path)).unwrap()
        }
    }

    fn objective(attend: f64, named: Option<(usize, usize)>) -> ObjectiveConfig {
        ObjectiveConfig {
            attend,
            attend_layer: named.map(|n| n.0),
            attend_head: named.map(|n| n.1),
            ..ObjectiveConfig::default()
        }
    }

    #[test]
    fn the_head_is_the_configuration_s_or_the_model_s() {
        let head = |layer, head| Some(GuidedHead { layer, head });
        for (attend, named, known, want) in [
            (0.0, None, None, None),
            (0.0, Some((1, 0)), head(2, 3), None),
            (1.0, Some((2, 3)), None, head(2, 3)),
            (1.0, None, head(1, 0), head(1, 0)),
            (1.0, Some((1, 0)), head(1, 0), head(1, 0)),
        ] {
            let found = objective(attend, named).guided_head(&model(known)).unwrap();
            assert_eq!(found, want);
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_does() {
        let llama = model(None).llama;
        let (layers, heads) = (llama.num_hidden_layers, llama.num_attention_heads);
        let known = Some(GuidedHead { layer: 1, head: 0 });
        for (named, known, words) in [
            (
                Some((layers, 0)),
                None,
                ["attend_layer", &format!("0 to {}", layers - 1)],
            ),
            (
                Some((0, heads)),
                None,
                ["attend_head", &format!("0 to {}", heads - 1)],
            ),
            (Some((1, 1)), known, ["guided_head", "layer 1, head 0"]),
            (None, None, ["attend_layer", "accepted"]),
        ] {
            let objective = objective(1.0, named);
            let error = objective
                .guided_head(&model(known))
                .unwrap_err()
                .to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }
}
