//! One question: what was asked, what was answered, what is true, and what these say together.

use std::time::Duration;

use ::image::GrayImage;

use super::{EvalError, Overlap};
use crate::data::{TruthMask, Turn};
use crate::engine::AttentionMap;
use crate::train::objective::TokenGrid;
use crate::train::ATTEND_SHARE;

/// One question about one image, and its answer.
///
/// A question has a target where `truth` is `Some`, even if no pixel of it is object. Where it is `None`, the object
/// asked for is absent, and the right answer has no `[SEG]`.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Tells the case from all others of the run, e.g. the image's file name and the question's number. Ties in the
    /// pictures' order go by it.
    pub name: &'a str,
    /// Kind of question, e.g. `short`, `long`, `relation`. Scores are given for each.
    pub kind: &'a str,
    /// Turns before this one, oldest first.
    pub history: &'a [Turn],
    /// What was asked.
    pub instruction: &'a str,
    /// What the model answered, or the answer that it was given.
    pub answer: &'a str,
    /// Union of the objects asked for; `None` where the object is absent.
    pub truth: Option<&'a TruthMask>,
    /// Union of the answer's masks, a full frame in which every value but 0 is object; `None` where it has none.
    pub predicted: Option<&'a GrayImage>,
    /// Number of `[SEG]` the model wrote. `None` where the answer was given to it: then only the mask is the model's, and
    /// nothing else about the answer is measured.
    pub emitted: Option<usize>,
    /// Number of `[SEG]` in the true answer; with a target, 0 is read as 1.
    pub expected: usize,
    /// Whether an explanation names the right object; `None` where no explanation was asked for. It says nothing about the
    /// model if the answer was given to it.
    pub names_right: Option<bool>,
    /// What could be mistaken for what is asked for.
    pub distractors: Distractors<'a>,
    /// Where the model looked before it answered; `None` where it has no guided head, the answer was given to it, or nobody
    /// asked.
    pub attention: Option<&'a AttentionMap>,
    /// How long the answer took.
    pub latency: Latency<'a>,
}

/// What could be mistaken for what a question asks for, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Distractors<'a> {
    /// In what way an absent object is nearly there, e.g. `colour`. `None` if it is not nearly there, or nobody knows.
    pub near_miss: Option<&'a str>,
    /// If the question singles out one of several objects of a class: the masks of the others, as full frames.
    pub rivals: &'a [TruthMask],
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency<'a> {
    /// From the question to the end of the answer.
    pub total: Duration,
    /// Parts of it by name, e.g. `prefill`. A stage that did not happen is left out; one named twice is added up.
    pub stages: &'a [(&'a str, Duration)],
}

/// How a case is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Overlap with the true mask; where the object is absent, with an empty one.
    pub overlap: Overlap,
    /// See [`Overlap::iou`]; 0 for an absent object that was answered with `[SEG]`, whatever its mask.
    pub iou: f64,
    /// See [`Overlap::at_least_half`]; for an absent object: answered without `[SEG]`.
    pub at_least_half: bool,
}

impl Verdict {
    /// `target` and `emitted` as in [`Case`].
    pub(super) fn of(target: bool, emitted: Option<usize>, overlap: Overlap) -> Self {
        if target {
            return Self {
                overlap,
                iou: overlap.iou(),
                at_least_half: overlap.at_least_half(),
            };
        }
        let refused = emitted == Some(0);
        Self {
            overlap,
            iou: f64::from(u8::from(refused)),
            at_least_half: refused,
        }
    }
}

impl Case<'_> {
    /// Scores the case.
    ///
    /// # Errors
    /// Those of [`Overlap::of`].
    pub fn verdict(&self) -> Result<Verdict, EvalError> {
        let overlap = match self.truth {
            Some(truth) => Overlap::of(self.name, self.predicted, truth)?,
            None => Overlap {
                intersection: 0,
                union: self.predicted.map_or(0, |mask| {
                    mask.as_raw().iter().filter(|v| **v > 0).count() as u64
                }),
            },
        };
        Ok(Verdict::of(self.truth.is_some(), self.emitted, overlap))
    }

    /// Whether the mask overlaps the object asked for more than any other of its class; `None` if the question does not single
    /// out one of several.
    ///
    /// # Errors
    /// Those of [`Overlap::of`].
    pub fn singled_out(&self) -> Result<Option<bool>, EvalError> {
        let Some(truth) = self.truth.filter(|_| !self.distractors.rivals.is_empty()) else {
            return Ok(None);
        };
        let iou = |mask| Ok::<_, EvalError>(Overlap::of(self.name, self.predicted, mask)?.iou());
        let right = iou(truth)?;
        for rival in self.distractors.rivals {
            if iou(rival)? >= right {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    /// The guided head's attention on its target, in 0..=1. The target is the one that training guides attention to: the
    /// image tokens that the true mask covers by [`ATTEND_SHARE`], or the token that it covers best if there is none such, and
    /// `<s>` where the object is absent.
    ///
    /// `None` where it is not known where the model looked, and where the vision tower sees nothing of the mask.
    pub fn attended(&self) -> Option<f64> {
        let attention = self.attention?;
        let Some(truth) = self.truth else {
            return Some(f64::from(attention.sink));
        };
        let grid = TokenGrid {
            view: attention.view,
            side: attention.grid,
            // The weights begin with the first patch.
            first_patch: 0,
            share: ATTEND_SHARE,
        };
        let target = grid.targets(std::slice::from_ref(truth));
        let weights = target.iter().filter_map(|i| attention.weights.get(*i));
        let weights = weights.map(|weight| f64::from(*weight));
        (!target.is_empty()).then(|| weights.sum::<f64>().min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{attention, case, truth};

    #[test]
    fn attention_on_the_target_is_the_mass_on_the_tokens_under_the_mask_or_on_the_beginning() {
        let looked = attention((4, 4), [0.5, 0.25, 0.125, 0.0], 0.0625);
        let attended = |pixels: Option<[u8; 16]>| {
            let there = pixels.map(|pixels| truth(4, 4, &pixels));
            let mut mug = case("a", "explicit");
            (mug.truth, mug.attention) = (there.as_ref(), Some(&looked));
            mug.attended()
        };
        assert_eq!(attended(None), Some(0.0625));
        // Tokens are 2 × 2 pixels. The mask covers two of them and a quarter of a third, which is less than the share.
        let mut mask = [1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(attended(Some(mask)), Some(0.75));
        mask[9] = 1;
        assert_eq!(attended(Some(mask)), Some(0.875));
        // A mask that covers no token far enough has the token that it covers best.
        let mut small = [0; 16];
        small[8] = 1;
        assert_eq!(attended(Some(small)), Some(0.125));
        assert_eq!(attended(Some([0; 16])), None);
        assert_eq!(case("a", "explicit").attended(), None);
    }
}
