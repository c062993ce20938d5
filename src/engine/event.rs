//! What the engine reports about a request: a stream of events that ends in exactly one [`Event::Done`] or [`Event::Failed`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candle_core::Tensor;
use image::{GrayImage, RgbImage};

use super::{AttentionMap, RequestError, SegPrompt};
use crate::image::{draw_overlay, union_masks, Caption, OverlayObject, Roi};

/// Progress of one request, in the order it happens.
#[derive(Debug)]
pub enum Event {
    /// The request left the queue or entered this stage.
    Stage(Stage),
    /// More of the answer's text.
    TextDelta {
        /// What came since the last one.
        text: String,
        /// How many tokens the answer has so far.
        tokens: usize,
    },
    /// The model named an object and this is its mask. Empty masks are not reported.
    Mask(ObjectMask),
    /// The last event: the answer.
    Done(Box<Answer>),
    /// The last event: why there is no answer.
    Failed(RequestError),
}

/// A stage of answering a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Waiting for the model thread.
    Queue,
    /// Loading the weights again, which were given back.
    Load,
    /// Fitting the frame to the two encoders' inputs.
    Preprocess,
    /// CLIP vision tower and projector.
    Clip,
    /// The language model reads the prompt.
    Prefill,
    /// The language model writes, a token at a time.
    Generate,
    /// SAM image encoder.
    Sam,
    /// SAM mask decoder.
    Decode,
    /// Mask logits to the frame's size, threshold, region of interest.
    Postprocess,
}

impl Stage {
    /// All stages, in the order a request meets them.
    pub const ALL: [Stage; 9] = [
        Stage::Queue,
        Stage::Load,
        Stage::Preprocess,
        Stage::Clip,
        Stage::Prefill,
        Stage::Generate,
        Stage::Sam,
        Stage::Decode,
        Stage::Postprocess,
    ];

    /// Lower-case name, as it appears in results, diagnostics and tables.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Queue => "queue",
            Stage::Load => "load",
            Stage::Preprocess => "preprocess",
            Stage::Clip => "clip",
            Stage::Prefill => "prefill",
            Stage::Generate => "generate",
            Stage::Sam => "sam",
            Stage::Decode => "decode",
            Stage::Postprocess => "postprocess",
        }
    }
}

/// One object that the answer names with a `[SEG]`.
#[derive(Clone, Debug)]
pub struct ObjectMask {
    /// Which `[SEG]` of the answer it is, from 0.
    pub index: usize,
    /// What to call it: the instruction's words where the answer names nothing better.
    pub label: String,
    /// The mask decoder's own estimate of the mask's IoU, clamped to 0..=1.
    pub score: f32,
    /// Tight box around the mask, in pixels of the frame.
    pub roi: Roi,
    /// 0 or 255, cropped to `roi`.
    pub mask: Arc<GrayImage>,
    /// Pixels that are 255.
    pub area: usize,
    /// What the mask decoder was asked with, to find the object again in another frame.
    pub prompt: SegPrompt,
}

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerStatus {
    /// At least one object with a mask.
    Segmented,
    /// The model answered without naming an object. A success.
    TextOnly,
    /// The model named objects, and every mask was empty or under `min_mask_area`.
    EmptyMask,
}

impl AnswerStatus {
    /// Upper-case name, as it appears in results and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segmented => "SEGMENTED",
            Self::TextOnly => "TEXT_ONLY",
            Self::EmptyMask => "EMPTY_MASK",
        }
    }

    /// Whether the model named objects, even if every mask came out empty. Such an answer has a mask.
    pub fn names_objects(self) -> bool {
        self != Self::TextOnly
    }
}

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What kind of answer it is.
    pub status: AnswerStatus,
    /// The text that the model generated, `[SEG]` included, without the end-of-turn token.
    pub text: String,
    /// Objects with a mask, in the order of the answer.
    pub objects: Vec<ObjectMask>,
    /// Tokens generated, the end-of-turn token included.
    pub tokens: usize,
    /// Whether `max_new_tokens` ended the answer before the model did.
    pub truncated: bool,
    /// Things the person should know: "the 2 oldest turns of this conversation were dropped …".
    pub notes: Vec<String>,
    /// How long each stage took.
    pub timings: Timings,
    /// Where the model looked before its first word, where [`AnswerOptions::attention`](super::AnswerOptions::attention)
    /// asked for it and the model has a guided head.
    pub attention: Option<AttentionMap>,
    /// Intermediate tensors under the golden names, where [`AnswerOptions::trace`](super::AnswerOptions::trace) asked for them.
    pub trace: Option<BTreeMap<String, Tensor>>,
}

impl Answer {
    /// The union of the objects' masks in a frame of that size, 0 or 255; `None` if the answer names no object. It is all zero
    /// if objects were named and every mask came out empty.
    pub fn union_mask(&self, width: u32, height: u32) -> Option<GrayImage> {
        let masks = self.objects.iter().map(|o| (o.roi, &*o.mask));
        self.status
            .names_objects()
            .then(|| union_masks(width, height, masks))
    }

    /// The frame with the answer's masks, boxes, labels and words on it; `alpha` is the masks' opacity, 0 to 1.
    pub fn overlay(&self, frame: &RgbImage, instruction: &str, alpha: f32) -> RgbImage {
        let objects: Vec<OverlayObject<'_>> = self
            .objects
            .iter()
            .map(|object| OverlayObject {
                roi: object.roi,
                mask: &object.mask,
                label: &object.label,
                score: object.score,
            })
            .collect();
        let caption = Caption {
            instruction: instruction.to_owned(),
            answer: self.text.clone(),
        };
        draw_overlay(frame, &objects, Some(&caption), alpha)
    }
}

/// Wall time of every stage of one request. A stage that was served from a cache, or not needed, is absent.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    stages: BTreeMap<Stage, Duration>,
    /// Time of each generated token, in order.
    pub tokens: Vec<Duration>,
    /// From submission to the end.
    pub total: Duration,
}

impl Timings {
    /// Adds to the stage's time; a stage met twice (two objects) sums up.
    pub fn add(&mut self, stage: Stage, time: Duration) {
        *self.stages.entry(stage).or_default() += time;
    }

    /// Time spent in the stage; zero where it was not needed.
    pub fn get(&self, stage: Stage) -> Duration {
        self.stages.get(&stage).copied().unwrap_or_default()
    }

    /// Stages that took place, in order.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, Duration)> + '_ {
        self.stages.iter().map(|(s, d)| (*s, *d))
    }

    /// Seconds of each stage that took place, then `per_token` and `total`: the table of times in JSON.
    pub fn named_seconds(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        let stages = self.stages().map(|(stage, time)| (stage.name(), time));
        let rest = [("per_token", self.per_token()), ("total", self.total)];
        stages
            .chain(rest)
            .map(|(name, time)| (name, time.as_secs_f64()))
    }

    /// Mean time of a generated token.
    pub fn per_token(&self) -> Duration {
        match self.tokens.len() as u32 {
            0 => Duration::ZERO,
            n => self.tokens.iter().sum::<Duration>() / n,
        }
    }
}
