//! One question: what was asked, what was answered, what is true.

use std::time::Duration;

use ::image::GrayImage;

use super::{Closer, EvalError, Overlap};
use crate::data::{TruthMask, Turn};
use crate::engine::Attention;

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
    /// What else is known about the question.
    pub closer: Closer<'a>,
    /// Where the model looked before it answered; `None` where it has no guided head, the answer was given to it, or nobody
    /// asked.
    pub attention: Option<&'a Attention>,
    /// How long the answer took.
    pub latency: Latency<'a>,
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

impl Case<'_> {
    /// Scores the case.
    ///
    /// # Errors
    /// Those of [`Overlap::of`].
    pub fn verdict(&self) -> Result<Verdict, EvalError> {
        if let Some(truth) = self.truth {
            let overlap = Overlap::of(self.name, self.predicted, truth)?;
            return Ok(Verdict {
                overlap,
                iou: overlap.iou(),
                at_least_half: overlap.at_least_half(),
            });
        }
        let pixels = self.predicted.map_or(0, |mask| {
            mask.as_raw().iter().filter(|v| **v > 0).count() as u64
        });
        let refused = self.emitted == Some(0);
        Ok(Verdict {
            overlap: Overlap {
                intersection: 0,
                union: pixels,
            },
            iou: f64::from(u8::from(refused)),
            at_least_half: refused,
        })
    }
}
