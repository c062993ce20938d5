//! LISA's objective: cross-entropy of the answer, BCE and DICE of the masks that its `[SEG]` ask for.

use candle_core::{DType, Tensor};

use super::grounding::grounding_loss;
use super::{
    overlaps, Counts, Example, FeatureCache, LossWeights, Objective, Outcome, Pass, PhraseEncoder,
    Terms,
};
use crate::model::{sam, Lisa, Sequence};
use crate::train::loss::{cross_entropy_sum, mask_losses, MaskTargets, MASK_COUNT_EPS};
use crate::train::packing::Piece;
use crate::train::{recompute, Gradients, Parameters, TrainError};
use crate::weights::{LisaConfig, VISION_TOWER_PREFIX};

/// The paper's objective.
pub struct Reasoning {
    config: LisaConfig,
    weights: LossWeights,
    /// Keep only the layers' inputs, and compute each layer again on the way back.
    pub checkpoint_activations: bool,
    /// Knows the prompt of a phrase from an earlier [`Vision`](super::Vision) run: what a `[SEG]` that names a phrase
    /// should become.
    pub teacher: Option<PhraseEncoder>,
    /// Ids of each class's name, where patches are to learn them.
    pub grounding: Vec<Vec<u32>>,
    sam_features: FeatureCache,
    tower_features: FeatureCache,
}

impl Reasoning {
    /// `cached_images` bounds the features of frozen encoders that are kept.
    pub fn new(config: &LisaConfig, weights: LossWeights, cached_images: usize) -> Self {
        Self {
            config: config.clone(),
            weights,
            checkpoint_activations: false,
            teacher: None,
            grounding: Vec::new(),
            sam_features: FeatureCache::new(cached_images),
            tower_features: FeatureCache::new(cached_images),
        }
    }

    fn image_embedding(
        &self,
        lisa: &Lisa,
        parameters: &Parameters,
        example: &Example,
    ) -> Result<Tensor, TrainError> {
        let compute = || {
            let pixels = parameters.input(&example.sam_pixels)?;
            Ok(lisa.image_encoder.forward(&pixels, &|| false)?)
        };
        if parameters.trains("model.visual_model.image_encoder.") {
            compute()
        } else {
            self.sam_features.get_or(&example.image, compute)
        }
    }

    fn image_tokens(
        &self,
        lisa: &Lisa,
        parameters: &Parameters,
        example: &Example,
    ) -> Result<Tensor, TrainError> {
        let compute = || {
            let pixels = parameters.input(&example.clip_pixels)?;
            Ok(lisa.vision_tower.forward(&pixels, &|| false)?)
        };
        let features = if parameters.trains(VISION_TOWER_PREFIX) {
            compute()?
        } else {
            self.tower_features.get_or(&example.image, compute)?
        };
        Ok(lisa.mm_projector.forward(&features)?.squeeze(0)?)
    }

    /// The sequence's embeddings, `(1, rows, hidden)`.
    fn embeddings(
        &self,
        lisa: &Lisa,
        example: &Example,
        image_tokens: &Tensor,
    ) -> Result<Tensor, TrainError> {
        let mut parts = Vec::with_capacity(example.sequence.pieces.len());
        for piece in &example.sequence.pieces {
            parts.push(match piece {
                Piece::Text(ids) => lisa.llama.embed(ids, image_tokens.device())?,
                Piece::Image => image_tokens.clone(),
            });
        }
        Ok(Tensor::cat(&parts, 0)?.unsqueeze(0)?)
    }

    /// Loss of everything after the layers of the language model.
    fn head(
        &self,
        lisa: &Lisa,
        output: &Tensor,
        image_embedding: Option<&Tensor>,
        example: &Example,
        pass: Pass,
    ) -> Result<(Terms, Vec<(f64, f64)>), TrainError> {
        let hidden = lisa.llama.final_norm(output)?.squeeze(0)?;
        let rows = |rows: &[u32]| -> candle_core::Result<Tensor> {
            hidden.index_select(&Tensor::from_slice(rows, rows.len(), hidden.device())?, 0)
        };
        let mut terms = Terms::new();
        let (predicting, ids): (Vec<u32>, Vec<u32>) =
            example.sequence.targets.iter().copied().unzip();
        if !ids.is_empty() {
            let logits = lisa.llama.logits(&rows(&predicting)?)?;
            let factor = self.weights.ce * pass.factor / pass.totals.tokens.max(1) as f64;
            terms.add("ce", &cross_entropy_sum(&logits, &ids)?, factor)?;
        }
        let mut found = Vec::new();
        if let Some(embedding) = image_embedding {
            let segs = rows(&example.sequence.seg_rows)?;
            let prompts = lisa.text_hidden_fcs.forward(&segs)?;
            self.add_align_term(&mut terms, &prompts, example, pass)?;
            let decoded = lisa
                .mask_decoder
                .forward(embedding, &lisa.prompt_encoder, &prompts)?;
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
        Ok((terms, found))
    }

    fn add_ground_term(
        &self,
        terms: &mut Terms,
        lisa: &Lisa,
        image_tokens: &Tensor,
        example: &Example,
        pass: Pass,
    ) -> Result<(), TrainError> {
        let Some(patches) = &example.patches else {
            return Ok(());
        };
        if self.grounding.is_empty() {
            return Ok(());
        }
        let loss = grounding_loss(&lisa.llama, image_tokens, &patches.tower, &self.grounding)?;
        let share = pass.factor / pass.totals.patches.max(1) as f64;
        terms.add("ground", &loss, self.weights.ground * share)?;
        Ok(())
    }

    fn add_align_term(
        &self,
        terms: &mut Terms,
        prompts: &Tensor,
        example: &Example,
        pass: Pass,
    ) -> Result<(), TrainError> {
        let Some(teacher) = &self.teacher else {
            return Ok(());
        };
        if !example.named || self.weights.align == 0.0 {
            return Ok(());
        }
        let target = teacher.forward(&example.phrases)?.detach();
        let error = (prompts.to_dtype(DType::F32)? - &target)?.sqr()?.sum(1)?;
        let relative = (error / target.sqr()?.sum(1)?)?.sum_all()?;
        let share = pass.factor / pass.totals.masks.max(1) as f64;
        terms.add("align", &relative, self.weights.align * share)?;
        Ok(())
    }
}

pub(super) fn add_mask_terms(
    terms: &mut Terms,
    weights: &LossWeights,
    logits: &Tensor,
    targets: &MaskTargets,
    pass: Pass,
) -> candle_core::Result<()> {
    let losses = mask_losses(logits, targets)?.sum(0)?;
    let share = pass.factor / (pass.totals.masks as f64 + MASK_COUNT_EPS);
    terms.add("bce", &losses.get(0)?, weights.bce * share)?;
    terms.add("dice", &losses.get(1)?, weights.dice * share)
}

pub(super) fn add_iou_term(
    terms: &mut Terms,
    weights: &LossWeights,
    predicted: &Tensor,
    overlaps: &[(f64, f64)],
    pass: Pass,
) -> candle_core::Result<()> {
    if weights.iou == 0.0 {
        return Ok(());
    }
    let truth: Vec<f32> = overlaps
        .iter()
        .map(|(both, either)| (both / either.max(1.0)) as f32)
        .collect();
    let truth = Tensor::from_vec(truth, overlaps.len(), predicted.device())?;
    let error = (predicted.to_dtype(DType::F32)? - truth)?;
    let share = pass.factor / pass.totals.masks.max(1) as f64;
    terms.add("iou", &error.sqr()?.sum_all()?, weights.iou * share)
}

impl Objective for Reasoning {
    fn counts(&self, example: &Example) -> Counts {
        Counts {
            tokens: example.sequence.targets.len(),
            masks: example.masks.len(),
            patches: match &example.patches {
                Some(patches) if !self.grounding.is_empty() => patches.tower.len(),
                _ => 0,
            },
        }
    }

    fn run(
        &self,
        parameters: &Parameters,
        example: &Example,
        pass: Pass,
    ) -> Result<Outcome, TrainError> {
        let lisa = Lisa::load(&parameters.weights(pass.learn), &self.config)?;
        let image_embedding = match example.masks.is_empty() {
            true => None,
            false => Some(self.image_embedding(&lisa, parameters, example)?),
        };
        let image_tokens = self.image_tokens(&lisa, parameters, example)?;
        let embeddings = self.embeddings(&lisa, example, &image_tokens)?;
        let mask = example
            .sequence
            .mask(embeddings.dtype(), embeddings.device())?;
        let sequence = lisa.llama.sequence(&example.sequence.positions, mask)?;
        if pass.learn.is_some() && self.checkpoint_activations {
            return self.run_recomputing(
                parameters,
                &lisa,
                (embeddings, &image_tokens, &sequence),
                image_embedding.as_ref(),
                example,
                pass,
            );
        }
        let mut x = embeddings;
        for layer in 0..lisa.llama.num_layers() {
            x = lisa.llama.layer(layer, &x, &sequence)?;
        }
        let (mut terms, overlaps) =
            self.head(&lisa, &x, image_embedding.as_ref(), example, pass)?;
        self.add_ground_term(&mut terms, &lisa, &image_tokens, example, pass)?;
        let gradients = match (pass.learn, &terms.sum) {
            (Some(_), Some(sum)) => Gradients::take(&mut sum.backward()?, parameters.trained())?,
            _ => Gradients::default(),
        };
        Ok(Outcome {
            losses: terms.losses,
            gradients,
            overlaps,
        })
    }
}

impl Reasoning {
    fn run_recomputing(
        &self,
        parameters: &Parameters,
        lisa: &Lisa,
        (embeddings, image_tokens, sequence): (Tensor, &Tensor, &Sequence),
        image_embedding: Option<&Tensor>,
        example: &Example,
        pass: Pass,
    ) -> Result<Outcome, TrainError> {
        let inputs = recompute::forward(&lisa.llama, &embeddings, sequence)?;
        let (mut terms, overlaps) = self.head(
            lisa,
            inputs.output.as_tensor(),
            image_embedding,
            example,
            pass,
        )?;
        self.add_ground_term(&mut terms, lisa, image_tokens, example, pass)?;
        let mut gradients = Gradients::default();
        if let Some(sum) = &terms.sum {
            let mut store = sum.backward()?;
            let grad = store.remove(&inputs.output);
            gradients.add(Gradients::take(&mut store, parameters.trained())?)?;
            if let Some(grad) = grad {
                let variables = parameters.trained();
                let grad = recompute::backward(
                    &lisa.llama,
                    inputs,
                    grad,
                    sequence,
                    variables,
                    &mut gradients,
                )?;
                if embeddings.track_op() {
                    let mut store = (embeddings * grad.detach())?.sum_all()?.backward()?;
                    gradients.add(Gradients::take(&mut store, variables)?)?;
                }
            }
        }
        Ok(Outcome {
            losses: terms.losses,
            gradients,
            overlaps,
        })
    }
}
