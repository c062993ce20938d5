//! `lisa train --config FILE`: every setting of a training run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::objective::LossWeights;
use super::schedule::{Decay, Schedule};
use super::settings::SETTINGS;
use super::threads::Threads;
use super::TrainError;
use crate::compute::{self, DTypeSpec, DeviceSpec};

/// A training run, as its TOML file says it.
///
/// Each field is one table of the file. [`SETTINGS`] has the range, the default and the meaning of every value in the words
/// that `lisa train --help` prints; values outside of their range are refused when the file is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// `[model]`: what the training starts from.
    #[serde(default)]
    pub model: ModelConfig,
    /// `[data]`: what is learned from.
    pub data: DataConfig,
    /// `[objective]`: what is minimised.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// `[trainable]`: which tensors change; all others stay as they are.
    pub trainable: TrainableConfig,
    /// `[optimizer]`: how they change.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// `[run]`: how long the training goes on, on which machine, and where its results go.
    #[serde(default)]
    pub run: RunConfig,
}

/// `[model]`: what the training starts from. One of [`dir`](Self::dir), the option `--model` and [`init`](Self::init) has to
/// be given; `dir` and `init` exclude each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Model directory to start from. The option `--model` takes precedence.
    pub dir: Option<PathBuf>,
    /// A file like `lisa.json` with the dimensions of a new model, which gets random weights and a tokenizer trained on the
    /// data.
    pub init: Option<PathBuf>,
    /// Datasets whose texts a new model's tokenizer is trained on besides those of `data.groups`; `NAME@FOLDER` where
    /// one lies below another folder than `data.root`.
    pub texts: Vec<String>,
    /// Entries of a new model's vocabulary, added tokens included: 300 to 200 000, 1024 by default.
    pub vocab_size: usize,
    /// Number format of activations and frozen tensors; `auto` (the default) is f32 on the CPU, and bf16 on a GPU unless the
    /// model is stored as f32. Tensors that are trained are held in f32 whatever this says.
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

/// `[data]`: what is learned from, and what the result is measured on meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Folder that holds the datasets in the reference's layout.
    pub root: PathBuf,
    /// Groups of datasets and how often each group is drawn; at least one.
    pub groups: Vec<GroupConfig>,
    /// Held-out data in the same form, measured every `run.validate_every` steps; none by default.
    #[serde(default)]
    pub validation: Vec<GroupConfig>,
    /// Classes, expressions or questions about an image, at most: 1 to 64, 3 by default (`num_classes_per_sample` of the
    /// reference).
    #[serde(default = "three")]
    pub samples_per_image: usize,
    /// Longest sequence in tokens, the image's features included: 16 to 8192, 512 by default (`model_max_length` of the
    /// reference). Longer text is cut.
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    /// Whether images are mirrored and brightened at random; none is mirrored about which a phrase says left or right.
    /// `false` by default.
    #[serde(default)]
    pub augment: bool,
    /// Share of the ReasonSeg images with an explanation that are answered in text only: 0 to 1, 0.1 by default
    /// (`explanatory` of the reference).
    #[serde(default = "tenth")]
    pub explanatory: f64,
    /// How many broken files are left out, each named in a warning; one more ends the run, which saves first. 0 by default.
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
    /// Names of datasets joined by `||`, of which each is drawn equally often: `ade20k||cocostuff`, `refcoco`,
    /// `llava_instruct_150k`, `ReasonSeg|train`.
    pub datasets: String,
    /// How often the group is drawn, relative to the other groups' rates: more than 0, 1 by default (`sample_rates` of the
    /// reference).
    #[serde(default = "one")]
    pub rate: f64,
}

fn one() -> f64 {
    1.0
}

/// Which objective is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveKind {
    /// The paper's: the language model answers, and its `[SEG]` tokens become masks.
    Reasoning,
    /// The image encoders and the mask decoder alone, without the language model: for a model that has no published CLIP and
    /// SAM to start from.
    Vision,
}

/// The default of [`ObjectiveConfig::attend_share`].
pub const ATTEND_SHARE: f64 = 0.3;

/// `[objective]`: which losses are added up, and how much each counts.
///
/// Weights are 0 to 10 000; a loss whose weight is 0 is not computed. [`LossWeights`] says what each loss is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// The objective; [`Reasoning`](ObjectiveKind::Reasoning) by default.
    pub kind: ObjectiveKind,
    /// Weight of the answer's cross-entropy; 1 by default, as `ce_loss_weight` of the reference.
    pub ce: f64,
    /// Weight of the masks' binary cross-entropy; 2 by default, as `bce_loss_weight` of the reference.
    pub bce: f64,
    /// Weight of the masks' DICE loss; 0.5 by default, as `dice_loss_weight` of the reference.
    pub dice: f64,
    /// Vision only: weight of the cross-entropy of the classes and attributes that patches show; 1 by default.
    pub patch: f64,
    /// Weight of the squared error of the mask decoder's IoU estimate; 0 by default, as the reference never trains it.
    pub iou: f64,
    /// Reasoning only: weight of the distance between a named object's `[SEG]` embedding and the teacher's; 0 by default.
    /// Needs [`teacher`](Self::teacher).
    pub align: f64,
    /// Reasoning only: weight of the cross-entropy of patches' classes, told from projected features by word vectors; 0 by
    /// default.
    pub ground: f64,
    /// Reasoning only: weight of attention guidance, −log of the guided head's attention on what is asked for; 0 by default.
    pub attend: f64,
    /// Layer of the guided head, from 0, where the model's `lisa.json` does not name it. Given together with
    /// [`attend_head`](Self::attend_head) or not at all.
    pub attend_layer: Option<usize>,
    /// Which of that layer's query heads is guided, from 0.
    pub attend_head: Option<usize>,
    /// Share of an image token that a mask has to cover for the token to be looked at: 0.01 to 1, [`ATTEND_SHARE`] by
    /// default. A mask that covers no token that far has the one that it covers best.
    pub attend_share: f64,
    /// Checkpoint of a vision run, whose phrase encoder is the teacher for [`align`](Self::align); a further vision run goes
    /// on with it.
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
    /// The weights of the losses, as the objectives take them.
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

/// `[trainable]`: which tensors are trained. At least one of the fields has to be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainableConfig {
    /// Parts of names: tensors whose name contains one of these are trained whole.
    #[serde(default)]
    pub full: Vec<String>,
    /// Low-rank adapters in the language model; none without this table.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

/// `[trainable.lora]`: low-rank adapters (Hu et al., arXiv 2106.09685), with the reference's defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank r of an adapter: 1 to 1024, 8 by default.
    pub rank: usize,
    /// α, more than 0 and 16 by default: what an adapter adds is scaled by α / r.
    pub alpha: f64,
    /// Share of an adapter's inputs that are zeroed while it is trained: 0 to below 1, 0.05 by default.
    pub dropout: f64,
    /// Ends of the names of the linear layers that get an adapter: `q_proj` and `v_proj` by default.
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

/// `[optimizer]`: AdamW and its learning rate. The defaults are the reference's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate after the warm-up: 1e-12 to 10, 3e-4 by default.
    pub lr: f64,
    /// Decay of the first moment for each step: 0 to below 1, 0.9 by default.
    pub beta1: f64,
    /// Decay of the second moment for each step: 0 to below 1, 0.95 by default.
    pub beta2: f64,
    /// Added to the root of the second moment: 1e-16 to 1, 1e-8 by default.
    pub eps: f64,
    /// Decoupled weight decay, which the learning rate multiplies: 0 to 10, 0 by default.
    pub weight_decay: f64,
    /// Largest L2 norm of all gradients together; longer ones are scaled down to it. 1e-6 to 1e9, 1 by default.
    pub clip_norm: f64,
    /// Steps over which the learning rate rises from 0: 100 by default.
    pub warmup: u64,
    /// How the learning rate falls after the warm-up; [`Decay::Linear`] by default.
    pub decay: Decay,
    /// Step before which it does not fall: 0 by default, which is the end of the warm-up. A run that was long enough at one learning
    /// rate is brought to its end by this and [`RunConfig::steps`], resumed.
    pub decay_from: u64,
    /// Decay of a moving average of the trained tensors for each step, which is then what is validated and kept: 0 to below
    /// 1; 0, the default, keeps none.
    pub ema: f64,
    /// Other settings for some of the tensors. The first group whose `match` a tensor's name contains is the tensor's.
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
            decay_from: 0,
            ema: 0.0,
            groups: Vec::new(),
        }
    }
}

/// An entry of `optimizer.groups`: other settings for the tensors whose name contains a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerGroup {
    /// `match` in the file: the part of a name.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Multiplies the learning rate: 0 to 1000, 1 by default.
    #[serde(default = "one")]
    pub lr_scale: f64,
    /// Takes the place of [`OptimizerConfig::weight_decay`]; the same as there by default.
    pub weight_decay: Option<f64>,
}

/// `[run]`: how long the training goes on, on which machine, and where its results go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Folder of the checkpoints, `metrics.jsonl` and `loss.png`; `runs/lisa` by default.
    pub out: PathBuf,
    /// Updates until the run is finished: 5000 by default.
    pub steps: u64,
    /// Images whose losses are averaged together: 1 to 4096, 2 by default.
    pub batch_size: usize,
    /// Batches whose gradients are averaged before an update: 1 to 4096, 10 by default.
    pub accumulation: usize,
    /// Images computed at a time on the CPU, each of which takes memory: 1 to 256, 2 by default. Does not change the result.
    pub workers: usize,
    /// Threads that compute on the CPU, shared out among the images that are computed at a time: 0 to 1024; 0, the default, for what
    /// `RAYON_NUM_THREADS` says, or one for each core. Does not change the result.
    pub threads: usize,
    /// Threads that read and prepare images: 1 to 256, 2 by default. Does not change the result.
    pub loaders: usize,
    /// Seed of the samples, of dropout and of new weights; 0 by default.
    pub seed: u64,
    /// Steps between two validations: 500 by default.
    pub validate_every: u64,
    /// Images of a validation, the same each time: 100 by default.
    pub validation_images: usize,
    /// Steps between two checkpoints: 100 by default.
    pub save_every: u64,
    /// Where the network computes; `auto`, the default, is the GPU where the build and the machine have one.
    pub device: DeviceSpec,
    /// Whether the language model's layers are computed again in the backward pass instead of being kept: less memory for a
    /// third more time. `false` by default.
    pub checkpoint_activations: bool,
    /// Pictures whose features of frozen encoders are kept in memory: 400 by default, which are 2 GB at most with SAM at 1024
    /// pixels in f32. None are kept of pictures that [`augment`](DataConfig::augment) changes.
    pub cached_images: usize,
    /// Gigabytes of such features, of these and further pictures, that are kept in the folder `features` of `out` and found again
    /// when the run is resumed: 0 to 100 000, 2 by default.
    pub cached_gb: f64,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            out: PathBuf::from("runs/lisa"),
            steps: 5000,
            batch_size: 2,
            accumulation: 10,
            workers: 2,
            threads: 0,
            loaders: 2,
            seed: 0,
            validate_every: 500,
            validation_images: 100,
            save_every: 100,
            device: DeviceSpec::Auto,
            checkpoint_activations: false,
            cached_images: 400,
            cached_gb: 2.0,
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

    /// Reads and checks a configuration that is already in memory.
    ///
    /// # Errors
    /// What is wrong, in words: one line, unless TOML's own message has several.
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
        let optimizer = &self.optimizer;
        if optimizer.decay != Decay::Constant && optimizer.decay_from >= self.run.steps {
            return Err(format!(
                "optimizer.decay_from is {}, and the run has {} steps; accepted: less than run.steps",
                optimizer.decay_from, self.run.steps
            ));
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

    /// The learning rate over the steps of this run.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            lr: self.optimizer.lr,
            warmup: self.optimizer.warmup,
            steps: self.run.steps,
            decay: self.optimizer.decay,
            decay_from: self.optimizer.decay_from,
        }
    }

    /// How the threads of this machine are shared out among the images of a step.
    pub fn threads(&self) -> Threads {
        let threads = match self.run.threads {
            0 => compute::threads(),
            threads => threads,
        };
        Threads {
            images: self.run.workers,
            threads,
        }
    }

    /// Images that one update learns from.
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
                "[optimizer]\ndecay_from = 5000",
                vec!["optimizer.decay_from", "5000 steps", "accepted"],
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
                "[run]\ncached_gb = -1.0",
                vec!["run.cached_gb", "-1", "0 to 100000"],
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
