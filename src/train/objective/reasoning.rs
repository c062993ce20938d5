//! LISA's objective: cross-entropy of the answer, BCE and DICE of the masks that its `[SEG]` ask for.

use candle_core::{DType, Tensor};

use super::attention::attention_losses;
use super::grounding::grounding_loss;
use super::{
    overlaps, Counts, Example, Features, GuidanceScore, ImageLosses, LossWeights, Objective, Pass,
    PhraseEncoder, Terms,
};
use crate::model::{sam, AttentionQuery, Lisa, Sequence};
use crate::train::loss::{cross_entropy_sum, mask_losses, MaskTargets, MASK_COUNT_EPS};
use crate::train::packing::Piece;
use crate::train::recompute::{self, OutputGradients};
use crate::train::{Gradients, Parameters, TrainError};
use crate::weights::{GuidedHead, LisaConfig};

/// The paper's objective.
pub struct Reasoning {
    config: LisaConfig,
    weights: LossWeights,
    /// Whether only the inputs of the language model's layers are kept, and each layer is computed again in the backward pass.
    pub checkpoint_activations: bool,
    /// The phrase encoder of an earlier [`Vision`](super::Vision) run, which knows the prompt that the `[SEG]` of a named
    /// object should become.
    pub teacher: Option<PhraseEncoder>,
    /// The ids of each class's name if patches are to learn the names of what they show; else empty.
    pub grounding: Vec<Vec<u32>>,
    /// The head whose attention is guided; `None` if none is.
    pub guided_head: Option<GuidedHead>,
    features: Features,
}

impl Reasoning {
    /// The paper's objective for a model, without the extensions in the public fields. What frozen encoders compute is kept in
    /// `features`.
    pub fn new(config: &LisaConfig, weights: LossWeights, features: Features) -> Self {
        Self {
            config: config.clone(),
            weights,
            checkpoint_activations: false,
            teacher: None,
            grounding: Vec::new(),
            guided_head: None,
            features,
        }
    }

    fn image_tokens(
        &self,
        lisa: &Lisa,
        parameters: &Parameters,
        example: &Example,
    ) -> Result<Tensor, TrainError> {
        let features = self.features.vision_features(lisa, parameters, example)?;
        Ok(lisa.mm_projector.forward(&features)?.squeeze(0)?)
    }

    /// The sequence's embeddings, `(1, rows, hidden)`.
    fn embeddings(
        &self,
        lisa: &Lisa,
        example: &Example,
        image_tokens: &Tensor,
    ) -> Result<Tensor, TrainError> {
        // All ids are looked up at once, because each look-up has a gradient as large as the table.
        let pieces = &example.sequence.pieces;
        let ids: Vec<u32> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Text(ids) => Some(ids),
                Piece::Image => None,
            })
            .flatten()
            .copied()
            .collect();
        let texts = lisa.llama.embed(&ids, image_tokens.device())?;
        let (mut parts, mut next) = (Vec::with_capacity(pieces.len()), 0);
        for piece in pieces {
            parts.push(match piece {
                Piece::Text(ids) => {
                    next += ids.len();
                    texts.narrow(0, next - ids.len(), ids.len())?
                }
                Piece::Image => image_tokens.clone(),
            });
        }
        Ok(Tensor::cat(&parts, 0)?.unsqueeze(0)?)
    }

    /// Computes the losses from the output of the language model's layers.
    fn head(
        &self,
        lisa: &Lisa,
        (output, attention): (&Tensor, Option<GuidedHeadScores<'_>>),
        image_embedding: Option<&Tensor>,
        example: &Example,
        pass: Pass,
    ) -> Result<(Terms, Measured), TrainError> {
        let hidden = lisa.llama.final_norm(output)?.squeeze(0)?;
        let rows = |rows: &[u32]| -> candle_core::Result<Tensor> {
            hidden.index_select(&Tensor::from_slice(rows, rows.len(), hidden.device())?, 0)
        };
        let (mut terms, mut measured) = (Terms::new(), Measured::default());
        let (predicting, ids): (Vec<u32>, Vec<u32>) =
            example.sequence.targets.iter().copied().unzip();
        if !ids.is_empty() {
            let logits = lisa.llama.logits(&rows(&predicting)?)?;
            let factor = self.weights.ce * pass.factor / pass.totals.tokens.max(1) as f64;
            terms.add("ce", &cross_entropy_sum(&logits, &ids)?, factor)?;
            if let Some(attention) = attention {
                let mass = self.add_attend_term(&mut terms, attention, example, pass)?;
                measured.guidance = guidance_scores(example, &logits, &predicting, &mass)?;
            }
        }
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
            measured.overlaps = overlaps(&logits, &example.masks)?;
            let targets = MaskTargets::new(&example.masks, logits.device())?;
            add_mask_terms(&mut terms, &self.weights, &logits, &targets, pass)?;
            let found = &measured.overlaps;
            add_iou_term(&mut terms, &self.weights, &decoded.iou, found, pass)?;
        }
        Ok((terms, measured))
    }

    /// Which attention scores are wanted of the language model: those of the guided head at the rows that predict first words.
    fn attention_query(
        &self,
        example: &Example,
        lisa: &Lisa,
    ) -> Result<Option<AttentionQuery>, TrainError> {
        let Some(head) = self.guided_head else {
            return Ok(None);
        };
        if self.weights.attend == 0.0 || example.guided.is_empty() {
            return Ok(None);
        }
        let rows: Vec<u32> = example.guided.iter().map(|guided| guided.row).collect();
        Ok(Some(lisa.llama.attention_query(head, &rows)?))
    }

    /// Adds the loss of the guided head; returns each answer's attention on its target.
    fn add_attend_term(
        &self,
        terms: &mut Terms,
        attention: GuidedHeadScores<'_>,
        example: &Example,
        pass: Pass,
    ) -> candle_core::Result<Vec<f32>> {
        let columns: Vec<&[u32]> = example.guided.iter().map(|g| &g.columns[..]).collect();
        let losses = attention_losses(attention.scores, attention.visible, &columns)?;
        let share = pass.factor / pass.totals.guided.max(1) as f64;
        terms.add("attend", &losses.sum_all()?, self.weights.attend * share)?;
        losses.detach().neg()?.exp()?.to_vec1::<f32>()
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

/// The scores of the guided head and what its rows may look at, both `(guided, rows)`.
#[derive(Clone, Copy)]
struct GuidedHeadScores<'a> {
    scores: &'a Tensor,
    visible: &'a Tensor,
}

impl<'a> GuidedHeadScores<'a> {
    fn of(scores: Option<&'a Tensor>, visible: Option<&'a Tensor>) -> Option<Self> {
        let (scores, visible) = (scores?, visible?);
        Some(Self { scores, visible })
    }
}

fn visible(
    sequence: &Sequence,
    query: Option<&AttentionQuery>,
) -> candle_core::Result<Option<Tensor>> {
    query.map(|query| sequence.visible(query)).transpose()
}

/// What is measured beside the losses.
#[derive(Default)]
struct Measured {
    overlaps: Vec<(f64, f64)>,
    guidance: Vec<GuidanceScore>,
}

/// How each guided answer came out.
///
/// # Shapes
/// `logits` `(predicting, vocab)`; one `mass` for each guided answer.
fn guidance_scores(
    example: &Example,
    logits: &Tensor,
    predicting: &[u32],
    mass: &[f32],
) -> candle_core::Result<Vec<GuidanceScore>> {
    let place = |row| {
        predicting
            .iter()
            .position(|p| *p == row)
            .unwrap_or_default() as u32
    };
    let places: Vec<u32> = example.guided.iter().map(|g| place(g.row)).collect();
    let places = Tensor::from_slice(&places, places.len(), logits.device())?;
    let said = logits.detach().index_select(&places, 0)?;
    let said = said.argmax(1)?.to_vec1::<u32>()?;
    let answers = example.guided.iter().zip(said).zip(mass);
    Ok(answers
        .map(|((guided, said), mass)| GuidanceScore {
            mass: f64::from(*mass),
            right: guided.words.contains(&said),
            absent: guided.absent,
        })
        .collect())
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
            guided: match self.guided_head {
                Some(_) if self.weights.attend > 0.0 => example.guided.len(),
                _ => 0,
            },
        }
    }

    fn run(
        &self,
        parameters: &Parameters,
        example: &Example,
        pass: Pass,
    ) -> Result<ImageLosses, TrainError> {
        let lisa = parameters.network(&self.config, pass.learn)?;
        let image_embedding = match self.weights.masks() && !example.masks.is_empty() {
            true => Some(self.features.image_embedding(&lisa, parameters, example)?),
            false => None,
        };
        let image_tokens = self.image_tokens(&lisa, parameters, example)?;
        let embeddings = self.embeddings(&lisa, example, &image_tokens)?;
        let mask = example
            .sequence
            .mask(embeddings.dtype(), embeddings.device())?;
        let sequence = lisa.llama.sequence(&example.sequence.positions, mask)?;
        let query = self.attention_query(example, &lisa)?;
        if pass.learn.is_some() && self.checkpoint_activations {
            return self.run_recomputing(
                parameters,
                &lisa,
                (embeddings, &image_tokens, &sequence, query.as_ref()),
                image_embedding.as_ref(),
                example,
                pass,
            );
        }
        let (mut x, mut scores) = (embeddings, None);
        for layer in 0..lisa.llama.num_layers() {
            let found;
            (x, found) = lisa
                .llama
                .layer_with_scores(layer, &x, &sequence, query.as_ref())?;
            scores = scores.or(found);
        }
        let visible = visible(&sequence, query.as_ref())?;
        let attention = GuidedHeadScores::of(scores.as_ref(), visible.as_ref());
        let (mut terms, measured) = self.head(
            &lisa,
            (&x, attention),
            image_embedding.as_ref(),
            example,
            pass,
        )?;
        self.add_ground_term(&mut terms, &lisa, &image_tokens, example, pass)?;
        let gradients = match (pass.learn, &terms.sum) {
            (Some(_), Some(sum)) => Gradients::take(&mut sum.backward()?, parameters.trained())?,
            _ => Gradients::default(),
        };
        Ok(ImageLosses {
            losses: terms.losses,
            gradients,
            overlaps: measured.overlaps,
            guidance: measured.guidance,
            probed: Vec::new(),
        })
    }
}

impl Reasoning {
    fn run_recomputing(
        &self,
        parameters: &Parameters,
        lisa: &Lisa,
        (embeddings, image_tokens, sequence, query): (
            Tensor,
            &Tensor,
            &Sequence,
            Option<&AttentionQuery>,
        ),
        image_embedding: Option<&Tensor>,
        example: &Example,
        pass: Pass,
    ) -> Result<ImageLosses, TrainError> {
        let inputs = recompute::forward(&lisa.llama, &embeddings, sequence, query)?;
        let visible = visible(sequence, query)?;
        let scores = inputs.scores.as_ref().map(|scores| scores.as_tensor());
        let attention = GuidedHeadScores::of(scores, visible.as_ref());
        let (mut terms, measured) = self.head(
            lisa,
            (inputs.output.as_tensor(), attention),
            image_embedding,
            example,
            pass,
        )?;
        self.add_ground_term(&mut terms, lisa, image_tokens, example, pass)?;
        let mut gradients = Gradients::default();
        if let Some(sum) = &terms.sum {
            let mut store = sum.backward()?;
            let output = store.remove(&inputs.output);
            let scores = inputs.scores.as_ref().and_then(|s| store.remove(s));
            gradients.add(Gradients::take(&mut store, parameters.trained())?)?;
            // If only attention is learned from, the loss does not depend on the output of the last layer.
            let output = match (output, &scores) {
                (None, Some(_)) => Some(inputs.output.zeros_like()?),
                (output, _) => output,
            };
            if let Some(output) = output {
                let grads = OutputGradients { output, scores };
                let variables = parameters.trained();
                let grad = recompute::backward(
                    &lisa.llama,
                    inputs,
                    grads,
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
        Ok(ImageLosses {
            losses: terms.losses,
            gradients,
            overlaps: measured.overlaps,
            guidance: measured.guidance,
            probed: Vec::new(),
        })
    }
}
