//! Teaches the two encoders to see: masks from phrases without a language model, and classes of patches.
//!
//! A throw-away [`PhraseEncoder`] stands in for the language model. Throw-away linear heads tell every cell's class from SAM's embedding and from the
//! tower's features. All of it lives under [`AUXILIARY`](crate::train::AUXILIARY) and is never shipped.

use candle_core::{DType, Tensor};

use super::example::PatchTruth;
use super::phrase::PhraseEncoder;
use super::reasoning::{add_iou_term, add_mask_terms};
use super::{overlaps, Counts, Example, LossWeights, Objective, Outcome, Pass, Terms};
use crate::data::ClassMap;
use crate::model::{sam, Lisa};
use crate::nn::Linear;
use crate::train::loss::{cross_entropy_sum, MaskTargets};
use crate::train::parameters::normal;
use crate::train::{Gradients, Parameters, TrainError};
use crate::weights::{LisaConfig, Weights};

/// Sizes of the throw-away parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionDims {
    /// Entries of the vocabulary.
    pub vocab: usize,
    /// Classes of the dataset with class maps; 0 where there is none.
    pub classes: usize,
}

/// Masks from phrases, classes of patches.
pub struct Vision {
    config: LisaConfig,
    weights: LossWeights,
    dims: VisionDims,
}

impl Vision {
    /// Adds the throw-away parts to the trained tensors.
    pub fn new(
        config: &LisaConfig,
        weights: LossWeights,
        dims: VisionDims,
        parameters: &mut Parameters,
        seed: u64,
    ) -> Result<Self, TrainError> {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let dim = config.sam.prompt_dim;
        PhraseEncoder::add_new(parameters, dims.vocab, dim, &mut rng)?;
        if dims.classes > 0 {
            for (name, input) in [("sam", dim), ("tower", config.clip.hidden_size)] {
                // One class more: none of them.
                let weight = normal(&mut rng, (dims.classes + 1, input), 0.02)?;
                parameters.add(&format!("aux.patch.{name}.weight"), &weight)?;
                let bias = Tensor::zeros(dims.classes + 1, DType::F32, &candle_core::Device::Cpu)?;
                parameters.add(&format!("aux.patch.{name}.bias"), &bias)?;
            }
        }
        Ok(Self {
            config: config.clone(),
            weights,
            dims,
        })
    }

    /// Sum of the cross-entropies of the labelled cells. `features` `(cells, dim)`.
    fn patch_loss(
        &self,
        aux: &Weights,
        name: &str,
        features: &Tensor,
        labels: &[u16],
    ) -> Result<Option<Tensor>, TrainError> {
        let (rows, targets) = labelled(labels, self.dims.classes);
        if rows.is_empty() {
            return Ok(None);
        }
        let head = Linear::load(
            &aux.pp("patch").pp(name),
            features.dim(1)?,
            self.dims.classes + 1,
        )?;
        let rows = Tensor::from_slice(&rows, rows.len(), features.device())?;
        let logits = head.forward(&features.index_select(&rows, 0)?)?;
        Ok(Some(cross_entropy_sum(&logits, &targets)?))
    }

    fn patch_terms(
        &self,
        terms: &mut Terms,
        aux: &Weights,
        (sam, tower): (&Tensor, &Tensor),
        truth: &PatchTruth,
        pass: Pass,
    ) -> Result<(), TrainError> {
        let factor = self.weights.patch * pass.factor / pass.totals.patches.max(1) as f64;
        // (1, dim, grid, grid) → (cells, dim)
        let cells = sam.squeeze(0)?.flatten_from(1)?.t()?.contiguous()?;
        if let Some(loss) = self.patch_loss(aux, "sam", &cells, &truth.sam)? {
            terms.add("patch_sam", &loss, factor)?;
        }
        if let Some(loss) = self.patch_loss(aux, "tower", &tower.squeeze(0)?, &truth.tower)? {
            terms.add("patch_tower", &loss, factor)?;
        }
        Ok(())
    }
}

/// Rows with a label, and the labels; classes beyond the known ones are none of them.
fn labelled(labels: &[u16], classes: usize) -> (Vec<u32>, Vec<u32>) {
    labels
        .iter()
        .enumerate()
        .map(|(row, label)| {
            let class = match *label {
                ClassMap::IGNORED => classes,
                class => usize::from(class).min(classes),
            };
            (row as u32, class as u32)
        })
        .unzip()
}

impl Objective for Vision {
    fn counts(&self, example: &Example) -> Counts {
        Counts {
            tokens: 0,
            masks: example.masks.len(),
            patches: example.patches.as_ref().map_or(0, |p| p.sam.len()),
            guided: 0,
        }
    }

    fn run(
        &self,
        parameters: &Parameters,
        example: &Example,
        pass: Pass,
    ) -> Result<Outcome, TrainError> {
        let weights = parameters.weights(pass.learn);
        let aux = weights.pp("aux");
        let lisa = Lisa::load(&weights, &self.config)?;
        let embedding = lisa
            .image_encoder
            .forward(&parameters.input(&example.sam_pixels)?, &|| false)?;
        let mut terms = Terms::new();
        if let (Some(truth), true) = (&example.patches, self.dims.classes > 0) {
            let tower = lisa
                .vision_tower
                .forward(&parameters.input(&example.clip_pixels)?, &|| false)?;
            self.patch_terms(&mut terms, &aux, (&embedding, &tower), truth, pass)?;
        }
        let mut found = Vec::new();
        if !example.masks.is_empty() {
            let dim = self.config.sam.prompt_dim;
            let phrases = PhraseEncoder::load(&aux.pp("phrase"), self.dims.vocab, dim)?;
            let prompts = phrases.forward(&example.phrases)?;
            let decoded = lisa
                .mask_decoder
                .forward(&embedding, &lisa.prompt_encoder, &prompts)?;
            let logits = sam::mask_logits_at(
                &decoded.logits,
                self.config.sam.image_size,
                example.resized,
                example.original,
            )?;
            found = overlaps(&logits, &example.masks)?;
            let targets = MaskTargets::new(&example.masks, logits.device())?;
            add_mask_terms(&mut terms, &self.weights, &logits, &targets, pass)?;
            add_iou_term(&mut terms, &self.weights, &decoded.iou, &found, pass)?;
        }
        let gradients = match (pass.learn, &terms.sum) {
            (Some(_), Some(sum)) => Gradients::take(&mut sum.backward()?, parameters.trained())?,
            _ => Gradients::default(),
        };
        Ok(Outcome {
            losses: terms.losses,
            gradients,
            overlaps: found,
            looks: Vec::new(),
        })
    }
}
