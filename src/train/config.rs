//! `lisa train --config FILE`: every setting of a training run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::objective::LossWeights;
use super::schedule::{Decay, Schedule};
use super::settings::SETTINGS;
use super::TrainError;
use crate::compute::{DTypeSpec, DeviceSpec};

/// A training run, as its TOML file says it. [`SETTINGS`] has every value's range and meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    #[serde(default)]
    pub model: ModelConfig,
    pub data: DataConfig,
    #[serde(default)]
    pub objective: ObjectiveConfig,
    pub trainable: TrainableConfig,
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    #[serde(default)]
    pub run: RunConfig,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Model directory to start from; `--model` wins.
    pub dir: Option<PathBuf>,
    /// Or a new model of this `lisa.json`'s dimensions, with random weights and a tokenizer trained on the data.
    pub init: Option<PathBuf>,
    /// Datasets whose texts a new model's tokenizer is trained on besides those of `data.groups`; `NAME@FOLDER` where
    /// one lies below another folder than `data.root`.
    pub texts: Vec<String>,
    /// Entries of a new model's vocabulary, added tokens included.
    pub vocab_size: usize,
    /// What the parameters and activations are computed in; `auto` is f32 on the CPU, and bf16 on a GPU unless the model is
    /// stored as f32.
    pub dtype: DTypeSpec,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            dir: None,
            init: None,
            texts: Vec::new(),
            vocab_size: 1024,
            dtype: DTypeSpec::Auto,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Folder that holds the datasets in the reference's layout.
    pub root: PathBuf,
    /// Datasets, several joined by `||`, and how often each group is drawn.
    pub groups: Vec<GroupConfig>,
    /// Held-out data in the same form, measured every `run.validate_every` steps.
    #[serde(default)]
    pub validation: Vec<GroupConfig>,
    #[serde(default = "three")]
    pub samples_per_image: usize,
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    #[serde(default)]
    pub augment: bool,
    /// Share of explained images that are answered in text only.
    #[serde(default = "tenth")]
    pub explanatory: f64,
    /// Broken files that are left out; one more ends the run.
    #[serde(default)]
    pub skip_broken: usize,
}

fn three() -> usize {
    3
}

fn max_tokens() -> usize {
    512
}

fn tenth() -> f64 {
    0.1
}

/// Datasets that are drawn from together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// E.g. `ade20k||cocostuff`, `refcoco`, `llava_instruct_150k`, `ReasonSeg|train`.
    pub datasets: String,
    #[serde(default = "one")]
    pub rate: f64,
}

fn one() -> f64 {
    1.0
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveKind {
    /// The paper's.
    Reasoning,
    /// Encoders and mask decoder alone.
    Vision,
}

/// Share of an image token that a mask covers where it is to be looked at, unless a configuration says otherwise.
pub const ATTEND_SHARE: f64 = 0.3;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    pub kind: ObjectiveKind,
    pub ce: f64,
    pub bce: f64,
    pub dice: f64,
    pub patch: f64,
    pub iou: f64,
    pub align: f64,
    pub ground: f64,
    pub attend: f64,
    /// The head that is guided, where the model's `lisa.json` does not say it.
    pub attend_layer: Option<usize>,
    pub attend_head: Option<usize>,
    /// Share of an image token that a mask covers where it is to be looked at.
    pub attend_share: f64,
    /// Checkpoint of a vision run, for `align`.
    pub teacher: Option<PathBuf>,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            kind: ObjectiveKind::Reasoning,
            ce: 1.0,
            bce: 2.0,
            dice: 0.5,
            patch: 1.0,
            iou: 0.0,
            align: 0.0,
            ground: 0.0,
            attend: 0.0,
            attend_layer: None,
            attend_head: None,
            attend_share: ATTEND_SHARE,
            teacher: None,
        }
    }
}

impl ObjectiveConfig {
    pub fn weights(&self) -> LossWeights {
        LossWeights {
            ce: self.ce,
            bce: self.bce,
            dice: self.dice,
            patch: self.patch,
            iou: self.iou,
            align: self.align,
            ground: self.ground,
            attend: self.attend,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainableConfig {
    /// Tensors whose name contains one of these are trained whole.
    #[serde(default)]
    pub full: Vec<String>,
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            dropout: 0.05,
            targets: vec!["q_proj".to_owned(), "v_proj".to_owned()],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub clip_norm: f64,
    pub warmup: u64,
    pub decay: Decay,
    /// Decay of the moving average of the weights; 0 for none.
    pub ema: f64,
    /// The first group whose `match` a tensor's name contains is the tensor's.
    pub groups: Vec<OptimizerGroup>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            lr: 3e-4,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            warmup: 100,
            decay: Decay::Linear,
            ema: 0.0,
            groups: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerGroup {
    #[serde(rename = "match")]
    pub pattern: String,
    #[serde(default = "one")]
    pub lr_scale: f64,
    pub weight_decay: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    pub out: PathBuf,
    pub steps: u64,
    /// Images whose losses are averaged together.
    pub batch_size: usize,
    /// Batches whose gradients are averaged before a step.
    pub accumulation: usize,
    /// Images computed at a time, one thread each (CPU); does not change the result.
    pub workers: usize,
    /// Threads that read and prepare images; does not change the result.
    pub loaders: usize,
    pub seed: u64,
    pub validate_every: u64,
    pub validation_images: usize,
    pub save_every: u64,
    pub device: DeviceSpec,
    pub checkpoint_activations: bool,
    /// Images whose frozen features are kept in memory.
    pub cached_images: usize,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            out: PathBuf::from("runs/lisa"),
            steps: 5000,
            batch_size: 2,
            accumulation: 10,
            workers: 2,
            loaders: 2,
            seed: 0,
            validate_every: 500,
            validation_images: 100,
            save_every: 100,
            device: DeviceSpec::Auto,
            checkpoint_activations: false,
            cached_images: 0,
        }
    }
}

impl TrainConfig {
    /// Reads and checks a configuration. Relative paths are the working directory's.
    ///
    /// # Errors
    /// A key that is unknown or missing, a value of another type or out of range, by name and with what is accepted.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        Self::parse(&text).map_err(|reason| TrainError::Config {
            path: path.to_owned(),
            reason,
        })
    }

    /// The same from text.
    ///
    /// # Errors
    /// What is wrong, in one line where TOML's own message is not several.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self =
            toml::from_str(text).map_err(|e| format!("{}", e).trim_end().to_owned())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let value = toml::Value::try_from(self).map_err(|e| e.to_string())?;
        for setting in SETTINGS {
            setting.check(&value)?;
        }
        if self.model.dir.is_some() && self.model.init.is_some() {
            return Err(
                "model.dir and model.init: only one of them says where the model comes from".into(),
            );
        }
        if self.objective.align > 0.0 && self.objective.teacher.is_none() {
            return Err("objective.align is set, and objective.teacher is not; accepted: a checkpoint of a vision run".into());
        }
        let objective = &self.objective;
        if objective.attend > 0.0 && objective.kind == ObjectiveKind::Vision {
            return Err("objective.attend is set, and objective.kind is vision, which asks no language model; accepted: kind reasoning, or attend 0".into());
        }
        if objective.attend_layer.is_some() != objective.attend_head.is_some() {
            return Err("objective.attend_layer and objective.attend_head: one is set without the other; accepted: both or neither".into());
        }
        if self.data.groups.is_empty() {
            return Err(
                "data.groups is empty; accepted: at least one [[data.groups]] with `datasets`"
                    .into(),
            );
        }
        if self.trainable.full.is_empty() && self.trainable.lora.is_none() {
            return Err("trainable: nothing is trained; give `full`, a list of parts of names, or [trainable.lora]".into());
        }
        for group in self.data.groups.iter().chain(&self.data.validation) {
            if !(group.rate > 0.0 && group.rate.is_finite()) {
                return Err(format!(
                    "the rate of '{}' is {}; accepted: more than 0",
                    group.datasets, group.rate
                ));
            }
        }
        for group in &self.optimizer.groups {
            if !(0.0..=1000.0).contains(&group.lr_scale) {
                return Err(format!(
                    "optimizer.groups: lr_scale of '{}' is {}; accepted: 0 to 1000",
                    group.pattern, group.lr_scale
                ));
            }
        }
        Ok(())
    }

    pub fn schedule(&self) -> Schedule {
        Schedule {
            lr: self.optimizer.lr,
            warmup: self.optimizer.warmup,
            steps: self.run.steps,
            decay: self.optimizer.decay,
        }
    }

    /// Images of one step.
    pub fn images_per_step(&self) -> usize {
        self.run.batch_size * self.run.accumulation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
        [model]
        dir = 'm'
        [data]
        root = 'd'
        groups = [{ datasets = 'refcoco', rate = 3 }]
        [trainable]
        full = ['mask_decoder']
    ";

    #[test]
    fn a_small_file_gets_the_reference_s_values() {
        let config = TrainConfig::parse(SMALL).unwrap();
        assert_eq!(config.optimizer.lr, 3e-4);
        assert_eq!((config.objective.bce, config.objective.dice), (2.0, 0.5));
        assert_eq!(config.images_per_step(), 20);
        assert_eq!(config.data.samples_per_image, 3);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_accepted() {
        for (extra, words) in [
            (
                "[optimizer]\nlr = -1.0",
                vec!["optimizer.lr", "-1", "accepted"],
            ),
            (
                "[run]\nbatch_size = 0",
                vec!["run.batch_size", "0", "accepted"],
            ),
            ("[run]\nbatchsize = 2", vec!["batchsize", "batch_size"]),
            (
                "[optimizer]\ndecay = 'step'",
                vec!["step", "constant", "cosine"],
            ),
            (
                "[objective]\nattend = 1.0\nkind = 'vision'",
                vec!["objective.attend", "vision", "accepted"],
            ),
            (
                "[objective]\nattend_head = 1",
                vec!["attend_layer", "attend_head", "accepted"],
            ),
            (
                "[objective]\nattend_share = 1.5",
                vec!["objective.attend_share", "1.5", "0.01 to 1"],
            ),
            (
                "[trainable.lora]\ndropout = 1.0",
                vec!["trainable.lora.dropout", "accepted"],
            ),
        ] {
            let error = TrainConfig::parse(&format!("{SMALL}{extra}")).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{error}");
            }
        }
    }
}
