//! What is minimised: computes losses and gradients for an image and what is said about it.
//!
//! [`Reasoning`] is the paper's: the language model answers, the hidden state behind `[SEG]` becomes a mask.
//! [`Vision`] is what a small model needs before it, since it has no published SAM to start from.

mod attention;
mod cut_off;
mod example;
mod feature_folder;
mod features;
mod grounding;
mod patches;
mod phrase;
mod probe;
mod reasoning;
mod vision;

pub use attention::{attention_losses, GuidanceScore, GuidedAnswer, TokenGrid};
pub use example::{Example, Preparation};
pub use feature_folder::FeatureFolder;
pub use features::{Features, Keep, PictureKey};
pub use patches::patch_labels;
pub use phrase::PhraseEncoder;
pub use probe::Probed;
pub use reasoning::Reasoning;
pub use vision::{Vision, VisionDims};

use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Gradients, Parameters, TrainError};

/// How much each loss counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossWeights {
    /// Cross-entropy of the answer's words, a mean over the labelled tokens; 1 in the reference.
    pub ce: f64,
    /// Binary cross-entropy of the masks' pixels; 2 in the reference.
    pub bce: f64,
    /// DICE loss of the masks; 0.5 in the reference.
    pub dice: f64,
    /// Cross-entropy of every patch's class and attribute ([`Vision`]).
    pub patch: f64,
    /// Squared error of the mask decoder's own estimate of its IoU; 0 in the reference, which never trains it.
    pub iou: f64,
    /// Squared distance of the `[SEG]` embedding to the teacher's, relative to the teacher's square; 0 in the reference.
    pub align: f64,
    /// Cross-entropy of every patch's class, told from the projected feature by the language model's own word vectors;
    /// 0 in the reference, whose projector has learned that before.
    pub ground: f64,
    /// −log of the guided head's attention on what is asked for; 0 in the reference, which lets attention find its own
    /// way.
    pub attend: f64,
}

impl LossWeights {
    /// Whether anything is learned from masks; if not, none has to be predicted.
    pub fn masks(&self) -> bool {
        [self.bce, self.dice, self.iou, self.align]
            .iter()
            .any(|weight| *weight > 0.0)
    }
}

/// What the losses of one image are divided by: the totals of the batch it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Tokens with a label.
    pub tokens: usize,
    /// True masks.
    pub masks: usize,
    /// Patches with a label; of [`Vision`] the pictures that have such patches, each of which counts the same.
    pub patches: usize,
    /// Answers whose attention is guided.
    pub guided: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.masks += other.masks;
        self.patches += other.patches;
        self.guided += other.guided;
    }
}

/// The losses by name, weighted, each a share of the batch's: `ce`, `bce`, `dice`, …
pub type Losses = BTreeMap<Cow<'static, str>, f64>;

/// The results of one image.
#[derive(Debug, Default)]
pub struct ImageLosses {
    /// The weighted losses by name.
    pub losses: Losses,
    /// Gradients of their sum; empty where the image was only measured.
    pub gradients: Gradients,
    /// Intersection and union of every mask, in pixels.
    pub overlaps: Vec<(f64, f64)>,
    /// One for each guided answer, where attention is guided.
    pub guidance: Vec<GuidanceScore>,
    /// How often the heads of [`Vision`] were right.
    pub probed: Vec<Probed>,
}

/// How an objective is to be computed for one image.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// The totals of the batch.
    pub totals: Counts,
    /// A factor for all losses: 1 / the number of accumulated batches.
    pub factor: f64,
    /// Seed of the dropout; asks for gradients. With `None` the image is only measured.
    pub learn: Option<u64>,
}

/// An objective. It is prepared once and then called from several threads.
pub trait Objective: Send + Sync {
    /// By how much the example increases each of the batch's totals.
    fn counts(&self, example: &Example) -> Counts;

    /// Computes the losses of one image, and their gradients if `pass.learn` asks for them.
    ///
    /// # Errors
    /// A network that cannot be built from the tensors, or an operation that failed, e.g. for memory.
    fn run(
        &self,
        parameters: &Parameters,
        example: &Example,
        pass: Pass,
    ) -> Result<ImageLosses, TrainError>;
}

/// The weighted losses of one image: their sum, from which gradients are computed, and the value of each.
struct Terms {
    sum: Option<Tensor>,
    losses: Losses,
}

impl Terms {
    fn new() -> Self {
        Self {
            sum: None,
            losses: Losses::new(),
        }
    }

    /// Adds `factor · loss`, where `loss` is a scalar; does nothing if the factor is 0.
    fn add(&mut self, name: &'static str, loss: &Tensor, factor: f64) -> candle_core::Result<()> {
        if factor == 0.0 {
            return Ok(());
        }
        let term = (loss * factor)?;
        let value = f64::from(term.to_scalar::<f32>()?);
        *self.losses.entry(name.into()).or_default() += value;
        self.sum = Some(match self.sum.take() {
            Some(sum) => (sum + term)?,
            None => term,
        });
        Ok(())
    }
}

/// Intersection and union of each predicted mask and the true one in pixels, without those that the truth ignores. A pixel is
/// predicted if its logit is above 0.
///
/// # Shapes
/// `logits` `(masks, height, width)`.
fn overlaps(
    logits: &Tensor,
    masks: &[crate::data::TruthMask],
) -> candle_core::Result<Vec<(f64, f64)>> {
    use crate::data::TruthMask;
    let rows = logits.detach().flatten_from(1)?.to_vec2::<f32>()?;
    Ok(rows
        .iter()
        .zip(masks)
        .map(|(logits, truth)| {
            let (mut both, mut either) = (0u32, 0u32);
            for (z, t) in logits.iter().zip(&truth.pixels) {
                let valid = *t != TruthMask::IGNORED;
                let (a, b) = (*z > 0.0 && valid, *t == 1);
                both += u32::from(a && b);
                either += u32::from(a || b);
            }
            (f64::from(both), f64::from(either))
        })
        .collect())
}
