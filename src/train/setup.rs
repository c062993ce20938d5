//! From a configuration to everything a run consists of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device};

use super::checkpoint::read_checkpoint;
use super::config::{ObjectiveKind, TrainConfig};
use super::guide::check_guided_head;
use super::init::{new_model, open_tokenizer};
use super::objective::{
    Example, FeatureFolder, Features, Keep, Objective, PhraseEncoder, Preparation, Reasoning,
    Vision, VisionDims,
};
use super::parameters::AUXILIARY;
use super::{LoraSpec, Parameters, TrainError};
use crate::data::{GroupSpec, Mixture, MixtureOptions};
use crate::text::LisaTokenizer;
use crate::weights::{Fingerprint, LisaConfig, ModelDir, Weights};

/// Folder of a run for the features of frozen encoders.
const FEATURES: &str = "features";
/// Samples whose texts a new model's tokenizer is trained on.
const TOKENIZER_SAMPLES: u64 = 4000;

/// Everything a run consists of, before its first step.
pub struct Setup {
    /// The model directory that is trained.
    pub model: PathBuf,
    /// The network's tensors, frozen and trained.
    pub parameters: Parameters,
    /// What is minimised.
    pub objective: Box<dyn Objective>,
    /// What is learned from.
    pub data: Mixture,
    /// How samples become examples.
    pub preparation: Preparation,
    /// The held-out images. They are prepared once, so that every validation measures the same ones.
    pub validation: Vec<Example>,
    /// Fingerprint of the model's tensors that are not trained, by which a checkpoint knows the model again.
    pub frozen: Fingerprint,
}

impl Setup {
    /// Opens data and model and prepares the held-out images.
    ///
    /// # Errors
    /// Whatever is missing or broken, by name.
    pub fn new(config: &TrainConfig) -> Result<Self, TrainError> {
        Self::of_rank(config, 0)
    }

    /// [`new`](Self::new) for one of several processes that train together, each of which keeps features of its own.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn of_rank(config: &TrainConfig, rank: usize) -> Result<Self, TrainError> {
        check_guided_head(config)?;
        // The device is opened before the data, which takes a while to read.
        let (device, dtype) = (config.run.device.open()?, config.model.dtype);
        dtype.check_for_training(&device)?;
        let data = open_data(config)?;
        let path = model_path(config, &data)?;
        let model = ModelDir::open(&path)?;
        let dtype = dtype.resolve_for_training(model.config.dtype.into(), &device);
        let mut parameters = Parameters::open(&model, dtype, &device)?;
        let mut unreached = Vec::new();
        if config.objective.iou == 0.0 {
            unreached.push("iou_prediction_head");
        }
        parameters.train(&config.trainable.full, &unreached)?;
        if let Some(lora) = &config.trainable.lora {
            let spec = LoraSpec {
                rank: lora.rank,
                alpha: lora.alpha,
                dropout: lora.dropout,
            };
            parameters.add_lora(&lora.targets, spec, config.run.seed)?;
        }
        let tokenizer = open_tokenizer(&path)?;
        let features = open_features(config, rank, &model, &parameters)?;
        let objective = open_objective(
            config,
            &model.config,
            &data,
            &tokenizer,
            features,
            &mut parameters,
        )?;
        parameters.load_frozen_encoders(&model)?;
        let preparation = |augment| -> Result<Preparation, TrainError> {
            let (tokenizer, longest) = (tokenizer.clone(), config.data.max_tokens);
            let mut preparation = Preparation::new(&model.config, tokenizer, longest, augment)?;
            preparation.attend_share = config.objective.attend_share();
            Ok(preparation)
        };
        let trained = parameters.trained();
        Ok(Self {
            frozen: model.fingerprint(|name| !trained.contains_key(name))?,
            validation: open_validation(config, &preparation(false)?)?,
            preparation: preparation(config.data.augment)?,
            model: path,
            parameters,
            objective,
            data,
        })
    }
}

/// Opens the datasets that a configuration learns from.
///
/// # Errors
/// A name that is no dataset, or a file that is missing or broken.
pub fn open_data(config: &TrainConfig) -> Result<Mixture, TrainError> {
    mixture(config, &config.data.groups, config.run.seed)
}

fn mixture(
    config: &TrainConfig,
    groups: &[super::config::GroupConfig],
    seed: u64,
) -> Result<Mixture, TrainError> {
    let groups: Vec<GroupSpec> = groups
        .iter()
        .map(|group| GroupSpec {
            datasets: group.datasets.clone(),
            rate: group.rate,
        })
        .collect();
    let options = MixtureOptions {
        samples_per_image: config.data.samples_per_image,
        explanatory: config.data.explanatory,
    };
    Ok(Mixture::open(&config.data.root, &groups, options, seed)?)
}

fn open_validation(
    config: &TrainConfig,
    preparation: &Preparation,
) -> Result<Vec<Example>, TrainError> {
    if config.data.validation.is_empty() {
        return Ok(Vec::new());
    }
    let data = mixture(config, &config.data.validation, config.run.seed)?;
    (0..config.run.validation_images as u64)
        .map(|index| preparation.prepare(data.sample(index)?, &mut data.rng(index)))
        .collect()
}

/// The model directory to train: the one that the configuration names, or a new one in `run.out`.
fn model_path(config: &TrainConfig, data: &Mixture) -> Result<PathBuf, TrainError> {
    let Some(init) = &config.model.init else {
        return config.model.dir.clone().ok_or_else(|| {
            TrainError::Unusable(
                "no model: give --model DIR, model.dir, or model.init for a new one".to_owned(),
            )
        });
    };
    let path = config.run.out.join("init");
    if !path.join("lisa.json").is_file() {
        let mut texts = texts_of(data)?;
        for name in &config.model.texts {
            let mut config = config.clone();
            let (name, root) = name.split_once('@').unwrap_or((name, ""));
            if !root.is_empty() {
                config.data.root = root.into();
            }
            let group = super::config::GroupConfig {
                datasets: name.to_owned(),
                rate: 1.0,
            };
            texts.extend(texts_of(&mixture(&config, &[group], config.run.seed)?)?);
        }
        new_model(
            &LisaConfig::read(init)?,
            texts.iter().map(String::as_str),
            config.model.vocab_size,
            config.run.seed,
            &path,
        )?;
    }
    Ok(path)
}

/// Questions and answers of the first samples.
fn texts_of(data: &Mixture) -> Result<Vec<String>, TrainError> {
    let mut texts = Vec::new();
    for index in 0..TOKENIZER_SAMPLES.min(data.len() as u64) {
        for conversation in data.sample(index)?.conversations {
            for turn in conversation.turns {
                texts.extend([turn.question, turn.answer.replace("[SEG]", "")]);
            }
        }
    }
    Ok(texts)
}

/// What frozen encoders compute is kept as `run` of the configuration says.
fn open_features(
    config: &TrainConfig,
    rank: usize,
    model: &ModelDir,
    parameters: &Parameters,
) -> Result<Features, TrainError> {
    let bytes = (config.run.cached_gb * 1e9) as u64;
    // One process at a time may use a folder of features.
    let path = config.run.out.join(match rank {
        0 => FEATURES.to_owned(),
        _ => format!("{FEATURES}-{rank}"),
    });
    let folder = (bytes > 0).then(|| Arc::new(FeatureFolder::open(&path, bytes)));
    let keep = Keep {
        images: config.run.cached_images,
        folder,
    };
    Features::of_model(model, parameters, &keep)
}

fn open_objective(
    config: &TrainConfig,
    model: &LisaConfig,
    data: &Mixture,
    tokenizer: &LisaTokenizer,
    features: Features,
    parameters: &mut Parameters,
) -> Result<Box<dyn Objective>, TrainError> {
    let weights = config.objective.weights();
    Ok(match config.objective.kind {
        ObjectiveKind::Reasoning => {
            let mut objective = Reasoning::new(model, weights, features);
            objective.checkpoint_activations = config.run.checkpoint_activations;
            objective.guided_head = config.objective.guided_head(model)?;
            if weights.ground > 0.0 {
                let words = data.classes().iter().map(|name| name.to_lowercase());
                objective.grounding = words.map(|name| tokenizer.encode_text(&name)).collect();
            }
            if let Some(path) = &config.objective.teacher {
                objective.teacher = Some(open_teacher(path, model, parameters.device())?);
            }
            Box::new(objective)
        }
        ObjectiveKind::Vision => {
            let dims = VisionDims {
                vocab: model.llama.vocab_size,
                classes: data.classes().len(),
                attributes: data.attributes().len(),
            };
            let seed = config.run.seed;
            let objective = Vision::new(model, weights, dims, features, parameters, seed)?;
            if let Some(path) = &config.objective.teacher {
                go_on_from(path, parameters)?;
            }
            Box::new(objective)
        }
    })
}

/// Starts the [`AUXILIARY`] tensors from those of an earlier vision run.
fn go_on_from(path: &Path, parameters: &Parameters) -> Result<(), TrainError> {
    let (_, tensors) = read_checkpoint(path)?;
    for name in parameters
        .trained()
        .keys()
        .filter(|n| n.starts_with(AUXILIARY))
    {
        let tensor = tensors.get(name).ok_or_else(|| {
            TrainError::Unusable(format!(
                "objective.teacher: {}: it lacks {name}; accepted: a checkpoint of a vision run",
                path.display()
            ))
        })?;
        parameters.set(name, tensor)?;
    }
    Ok(())
}

/// The phrase encoder of an earlier vision run over the same vocabulary.
fn open_teacher(
    path: &Path,
    model: &LisaConfig,
    device: &Device,
) -> Result<PhraseEncoder, TrainError> {
    let (_, tensors) = read_checkpoint(path)?;
    let weights = Weights::from_tensors(tensors, DType::F32, device).pp("aux.phrase");
    PhraseEncoder::load(&weights, model.llama.vocab_size, model.sam.prompt_dim)
        .map_err(|e| TrainError::Unusable(format!("objective.teacher: {}: {e}", path.display())))
}

/// The text of a model directory's `tokenizer.json`.
pub fn tokenizer_json(model: &Path) -> Result<String, TrainError> {
    let path = model.join("tokenizer.json");
    std::fs::read_to_string(&path).map_err(TrainError::io(path))
}
