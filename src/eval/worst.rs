//! The worst cases of a run with their pictures. Those of parts give those of the whole, whoever measured which part.

use std::cmp::Ordering;
use std::sync::Arc;

use ::image::RgbImage;
use serde::{Deserialize, Serialize};

use super::case_image::{draw, CaseImage, CaseImages};
use super::gallery::ShownCase;
use super::{Case, EvalError, Overlap, Verdict};
use crate::data::Turn;

/// Cases that the page of a run in parts shows.
pub const WORST: usize = 20;

/// Keeps the cases of the lowest IoU. Of equal ones the earlier counts as worse, by the order of inputs and of questions in
/// them, so that it does not matter in which order they came.
#[derive(Clone, Debug)]
pub struct WorstCases {
    most: usize,
    /// From the worst up.
    cases: Vec<WorstCase>,
}

/// A case as a part of a run keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorstCase {
    /// The place of its input among the run's inputs, from 0.
    pub input: usize,
    /// Its place among the questions of that input, from 0.
    pub nth: usize,
    name: String,
    kind: String,
    history: Vec<(String, String)>,
    instruction: String,
    answer: String,
    target: bool,
    emitted: Option<usize>,
    intersection: u64,
    union: u64,
    names_right: Option<bool>,
    latency_ms: f64,
    attended: Option<f64>,
    picture: Picture,
    attention: Option<Picture>,
}

/// A JPEG file in base64, and its size in pixels.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Picture {
    jpeg: String,
    width: u32,
    height: u32,
}

impl WorstCases {
    /// Of all cases the worst so many.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            cases: Vec::new(),
        }
    }

    /// Looks at question `nth` of an input, and draws it if it is among the worst so far. Its name on the page is that of the
    /// case, behind `input_name` where there is one.
    ///
    /// # Shapes
    /// `image` has the size of the case's masks.
    ///
    /// # Errors
    /// [`EvalError::ImageSize`], [`EvalError::CaseImage`].
    pub fn offer(
        &mut self,
        (input, nth): (usize, usize),
        input_name: &str,
        case: &Case<'_>,
        verdict: &Verdict,
        image: &RgbImage,
    ) -> Result<(), EvalError> {
        let rank = (verdict.iou, input, nth);
        let full = self.cases.len() >= self.most;
        let last = self.cases.last();
        if full && last.is_none_or(|last| order(rank, last.rank()) != Ordering::Less) {
            return Ok(());
        }
        let images = draw(case, image)?;
        let separator = if input_name.is_empty() { "" } else { " " };
        let history = case.history.iter();
        self.put(WorstCase {
            input,
            nth,
            name: format!("{input_name}{separator}{}", case.name),
            kind: case.kind.to_owned(),
            history: history
                .map(|turn| (turn.question.clone(), turn.answer.clone()))
                .collect(),
            instruction: case.instruction.to_owned(),
            answer: case.answer.to_owned(),
            target: case.truth.is_some(),
            emitted: case.emitted,
            intersection: verdict.overlap.intersection,
            union: verdict.overlap.union,
            names_right: case.names_right,
            latency_ms: case.latency.total.as_secs_f64() * 1e3,
            attended: case.attended(),
            picture: Picture::of(&images.masks),
            attention: images.attention.as_ref().map(Picture::of),
        });
        Ok(())
    }

    /// Takes in a case that a part has kept.
    pub fn put(&mut self, case: WorstCase) {
        let worse = |kept: &WorstCase| order(kept.rank(), case.rank()) == Ordering::Less;
        let at = self.cases.partition_point(worse);
        self.cases.insert(at, case);
        self.cases.truncate(self.most);
    }

    /// From the worst up.
    pub fn into_cases(self) -> Vec<WorstCase> {
        self.cases
    }

    /// From the worst up, as a page shows them. A picture that is none is left out with its case.
    pub(super) fn shown(&self) -> Vec<Arc<ShownCase>> {
        let cases = self.cases.iter();
        cases.filter_map(WorstCase::shown).map(Arc::new).collect()
    }
}

impl WorstCase {
    fn verdict(&self) -> Verdict {
        let overlap = Overlap {
            intersection: self.intersection,
            union: self.union,
        };
        Verdict::of(self.target, self.emitted, overlap)
    }

    fn rank(&self) -> (f64, usize, usize) {
        (self.verdict().iou, self.input, self.nth)
    }

    fn shown(&self) -> Option<ShownCase> {
        let turns = self.history.iter();
        Some(ShownCase {
            name: self.name.clone(),
            kind: self.kind.clone(),
            history: turns
                .map(|(question, answer)| Turn::new(question.clone(), answer.clone()))
                .collect(),
            instruction: self.instruction.clone(),
            answer: self.answer.clone(),
            absent: !self.target,
            emitted: self.emitted,
            verdict: self.verdict(),
            names_right: self.names_right,
            latency_ms: self.latency_ms,
            attended: self.attended,
            images: CaseImages {
                masks: self.picture.image()?,
                attention: match &self.attention {
                    Some(attention) => Some(attention.image()?),
                    None => None,
                },
            },
        })
    }
}

impl Picture {
    fn of(image: &CaseImage) -> Self {
        Self {
            jpeg: base64::encode(&image.jpeg),
            width: image.width,
            height: image.height,
        }
    }

    fn image(&self) -> Option<CaseImage> {
        Some(CaseImage {
            jpeg: base64::decode(&self.jpeg).ok()?,
            width: self.width,
            height: self.height,
        })
    }
}

fn order(a: (f64, usize, usize), b: (f64, usize, usize)) -> Ordering {
    a.0.total_cmp(&b.0)
        .then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{case, mask, truth};
    use super::*;

    /// The worst of 60 cases of 6 inputs, many of them equal, which come in the order that is given.
    fn worst(order: impl Iterator<Item = usize>, most: usize) -> WorstCases {
        let there = truth(4, 1, &[1; 4]);
        let masks = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]].map(|mask_of| mask(4, 1, &mask_of));
        let mut worst = WorstCases::new(most);
        for k in order {
            let mut mug = case("a", "short");
            (mug.truth, mug.predicted, mug.emitted) = (Some(&there), masks.get(k % 4), Some(1));
            let verdict = mug.verdict().unwrap();
            let image = RgbImage::new(4, 1);
            worst
                .offer((k / 10, k % 10), "bag", &mug, &verdict, &image)
                .unwrap();
        }
        worst
    }

    fn places(worst: &WorstCases) -> Vec<(usize, usize)> {
        worst.cases.iter().map(|c| (c.input, c.nth)).collect()
    }

    #[test]
    fn the_worst_of_parts_are_the_worst_of_the_whole_whatever_the_order() {
        let whole = places(&worst(0..60, 20));
        assert_eq!(whole.len(), 20);
        // Those without a mask come first, as they were asked: every fourth has none.
        assert_eq!(whole[..4], [(0, 3), (0, 7), (1, 1), (1, 5)]);
        assert_eq!(places(&worst((0..60).rev(), 20)), whole);
        let mut merged = WorstCases::new(20);
        for part in [2, 0, 1] {
            let own = worst((0..60).filter(|k| k / 10 % 3 == part), 20);
            let text = serde_json::to_string(&own.into_cases()).unwrap();
            let read: Vec<WorstCase> = serde_json::from_str(&text).unwrap();
            read.into_iter().for_each(|case| merged.put(case));
        }
        assert_eq!(places(&merged), whole);
        assert_eq!(merged.shown()[0].name, "bag a");
        assert!(worst(0..60, 0).into_cases().is_empty());
    }
}
