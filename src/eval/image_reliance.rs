//! Scores that tell whether a model looks at the picture or answers by the words: presence, near misses, which of
//! several, and overlap by the size of what was asked for.

use std::collections::BTreeMap;

use serde::Serialize;

use super::numbers::share;
use super::{CaseRecord, Verdict};

/// Below this share of the picture's pixels a mask is small: 3072 pixels (55²) at 640×480. COCO draws the line at 32²,
/// a third of that, below which TableWorld asks for nothing.
pub const SMALL: f64 = 0.01;
/// From this share of the picture's pixels on a mask is large: 9216 pixels at 640×480, COCO's 96².
pub const LARGE: f64 = 0.03;

/// What each number of [`ImageReliance`] is, in the words every report carries.
pub const IMAGE_RELIANCE_DEFINITIONS: [(&str, &str); 9] = [
    (
        "presence_accuracy",
        "mean of two shares: of the questions with a target, those answered with [SEG]; of those about an absent object, those answered without. 0.5 is chance, and null without questions of both sorts",
    ),
    (
        "near_miss_refusal_rate",
        "share of questions about something nearly there (the class in another colour, the colour on another class, a class that looks alike, another place) answered without [SEG]. Other absent objects are not among them",
    ),
    (
        "near_misses",
        "near_miss_refusal_rate of each sort of near miss, and how many there were",
    ),
    (
        "which_of_several",
        "share of the questions that single out one of several objects of a class whose mask has a larger IoU with that object than with any other of the class; without a mask it has not",
    ),
    (
        "which_of_several_chance",
        "what which_of_several would be if one of the class were taken blindly: mean of 1 / objects of the class",
    ),
    (
        "which_of_several_count",
        "questions that single out one of several objects of a class",
    ),
    (
        "attended",
        "mean attention of the model's guided head on its target, 0 to 1, at the row that predicts the answer's first word. The target is that of training: the image tokens that the true mask covers by 0.3, or else its best one; of an absent object <s>. Questions whose mask the vision tower does not see are not among them. null of a model without a guided head (guided_head in its lisa.json) and of answers that were given",
    ),
    ("attended_count", "questions that attended is the mean of"),
    (
        "giou_by_size",
        "giou of the questions with a target by the true mask's share of the picture: small below 0.01, large from 0.03 on, middle between (at 640x480: 3072 and 9216 pixels)",
    ),
];

/// How often one sort of near miss was refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Refusals {
    /// Questions about such near misses.
    pub count: usize,
    /// Share of them answered without `[SEG]`, in 0..=1; `None` where there were none.
    pub refusal_rate: Option<f64>,
}

/// Mean IoU of the questions whose true masks are of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SizeScore {
    /// Questions with a true mask of that size.
    pub count: usize,
    /// Mean of their IoU, in 0..=1; `None` where there were none.
    pub giou: Option<f64>,
}

/// Mean IoU by the true mask's share of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BySize {
    /// Masks below [`SMALL`].
    pub small: SizeScore,
    /// Masks from [`SMALL`] to below [`LARGE`].
    pub middle: SizeScore,
    /// Masks from [`LARGE`] on.
    pub large: SizeScore,
}

/// The scores that tell looking from answering by the words. All are shares or means in 0..=1; `None` (JSON `null`) where
/// there was no question to measure one by. [`IMAGE_RELIANCE_DEFINITIONS`] defines them exactly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageReliance {
    /// Mean of the share of present objects that were answered with `[SEG]` and the share of absent ones that were answered
    /// without; 0.5 is chance.
    pub presence_accuracy: Option<f64>,
    /// Share of the questions about something that is nearly there which were answered without `[SEG]`.
    pub near_miss_refusal_rate: Option<f64>,
    /// The same for each sort of near miss, e.g. `colour`.
    pub near_misses: BTreeMap<String, Refusals>,
    /// Share of the questions that single out one of several objects of a class whose mask overlaps that object most.
    pub which_of_several: Option<f64>,
    /// What [`which_of_several`](Self::which_of_several) would be if one of the class were taken blindly.
    pub which_of_several_chance: Option<f64>,
    /// Questions that single out one of several objects of a class.
    pub which_of_several_count: usize,
    /// Mean attention of the guided head on what was asked for.
    pub attended: Option<f64>,
    /// Questions that [`attended`](Self::attended) is the mean of.
    pub attended_count: usize,
    /// Mean IoU by the size of what was asked for.
    pub giou_by_size: BySize,
}

/// Heads of the table's columns.
pub(super) const HEADS: [&str; 8] = [
    "presence", "near", "which", "chance", "attended", "small", "middle", "large",
];

/// What they stand for.
pub(super) const LEGEND: &str = "presence: mean of present ones answered with [SEG] and absent ones answered without; \
     near: near misses answered without; which: of several of a class the right one, and chance for it; \
     attended: the guided head's attention on what was asked for, or on <s> where that is absent; \
     small, middle, large: gIoU by the true mask's share of the picture, below 1 %, to 3 %, above";

impl ImageReliance {
    /// One for each of [`HEADS`]: the score's name, and its value; "-" for a share of nothing.
    pub(super) fn cells(&self) -> [(&'static str, String); HEADS.len()] {
        let size = &self.giou_by_size;
        [
            ("presence_accuracy", self.presence_accuracy),
            ("near_miss_refusal_rate", self.near_miss_refusal_rate),
            ("which_of_several", self.which_of_several),
            ("which_of_several_chance", self.which_of_several_chance),
            ("attended", self.attended),
            ("giou_by_size", size.small.giou),
            ("giou_by_size", size.middle.giou),
            ("giou_by_size", size.large.giou),
        ]
        .map(|(score, value)| (score, share(value)))
    }

    /// "near misses answered without [SEG]: colour 0.95 of 60, place 0.71 of 55", where there are any.
    pub(super) fn near_misses(&self) -> Option<String> {
        let each = self.near_misses.iter();
        let each: Vec<_> = each
            .map(|(sort, r)| format!("{sort} {} of {}", share(r.refusal_rate), r.count))
            .collect();
        let all = each.join(", ");
        (!each.is_empty()).then(|| format!("near misses answered without [SEG]: {all}"))
    }
}

/// What [`ImageReliance`] is computed from.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageRelianceTally {
    present: RightOfAll,
    absent: RightOfAll,
    near: BTreeMap<String, RightOfAll>,
    singled_out: RightOfAll,
    /// By the number of objects of the class, how many questions singled out one of them.
    candidates: BTreeMap<usize, usize>,
    attended: Vec<f64>,
    /// IoU of small, middle and large masks. They are kept one by one since a sum of rounded numbers depends on their order.
    ious: [Vec<f64>; 3],
}

/// A count of right answers and of all answers.
#[derive(Clone, Copy, Debug, Default)]
struct RightOfAll {
    right: usize,
    all: usize,
}

impl RightOfAll {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }

    fn share(self) -> Option<f64> {
        (self.all > 0).then(|| self.right as f64 / self.all as f64)
    }
}

impl ImageRelianceTally {
    pub fn add(&mut self, case: &CaseRecord, verdict: &Verdict) {
        self.attended.extend(case.attended);
        // An answer that was given to the model says nothing about presence, but its mask is still the model's.
        let silent = case.emitted.map(|written| written == 0);
        if !case.target {
            if let Some(silent) = silent {
                self.absent.add(silent);
                if let Some(sort) = &case.near_miss {
                    self.near.entry(sort.clone()).or_default().add(silent);
                }
            }
            return;
        }
        if let Some(silent) = silent {
            self.present.add(!silent);
        }
        if let Some(right) = case.singled_out {
            self.singled_out.add(right);
            *self.candidates.entry(case.rivals + 1).or_default() += 1;
        }
        let share = case.truth_pixels as f64 / case.picture_pixels.max(1) as f64;
        let size = usize::from(share >= SMALL) + usize::from(share >= LARGE);
        self.ious[size].push(verdict.iou);
    }

    pub fn scores(&self) -> ImageReliance {
        let presence = self.present.share().zip(self.absent.share());
        let near = self
            .near
            .values()
            .fold(RightOfAll::default(), |sum, counted| RightOfAll {
                right: sum.right + counted.right,
                all: sum.all + counted.all,
            });
        let blind = |(of, count): (&usize, &usize)| *count as f64 / *of as f64;
        let chance: f64 = self.candidates.iter().map(blind).sum();
        let [small, middle, large] = &self.ious;
        ImageReliance {
            presence_accuracy: presence.map(|(found, refused)| (found + refused) / 2.0),
            near_miss_refusal_rate: near.share(),
            near_misses: self
                .near
                .iter()
                .map(|(sort, counted)| {
                    let refusals = Refusals {
                        count: counted.all,
                        refusal_rate: counted.share(),
                    };
                    (sort.clone(), refusals)
                })
                .collect(),
            which_of_several: self.singled_out.share(),
            which_of_several_chance: (self.singled_out.all > 0)
                .then(|| chance / self.singled_out.all as f64),
            which_of_several_count: self.singled_out.all,
            attended: mean(&self.attended),
            attended_count: self.attended.len(),
            giou_by_size: BySize {
                small: size_score(small),
                middle: size_score(middle),
                large: size_score(large),
            },
        }
    }
}

fn size_score(ious: &[f64]) -> SizeScore {
    SizeScore {
        count: ious.len(),
        giou: mean(ious),
    }
}

/// The mean of values, the same in whatever order they came; `None` where there are none.
fn mean(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| sorted.iter().sum::<f64>() / sorted.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::html::render_html;
    use super::super::testing::{attention, case, mask, run, truth};
    use super::super::{Gallery, Tally};
    use super::*;

    #[test]
    fn an_answer_that_was_given_says_nothing_of_presence() {
        let there = truth(2, 1, &[1, 0]);
        let mut mug = case("a", "explicit");
        (mug.truth, mug.emitted, mug.expected) = (Some(&there), None, 1);
        let mut spoon = case("b", "absent");
        spoon.emitted = None;
        let mut tally = Tally::default();
        for case in [&mug, &spoon] {
            tally.add(case).unwrap();
        }
        let reliance = tally.report(run()).overall.quality.image_reliance;
        assert_eq!(reliance.presence_accuracy, None);
        assert_eq!(reliance.giou_by_size.large.count, 1);
    }

    #[test]
    fn presence_is_half_what_is_found_and_half_what_is_refused() {
        let there = truth(2, 1, &[1, 0]);
        let mut tally = Tally::default();
        // Three objects are there, of which one is refused; then follows an absent one, which is refused too.
        for emitted in [1, 1, 0] {
            let mut mug = case("a", "explicit");
            (mug.truth, mug.emitted, mug.expected) = (Some(&there), Some(emitted), 1);
            tally.add(&mug).unwrap();
        }
        let only_there = tally.report(run()).overall.quality.image_reliance;
        assert_eq!(only_there.presence_accuracy, None);
        tally.add(&case("b", "absent")).unwrap();
        let reliance = tally.report(run()).overall.quality.image_reliance;
        let expected = (2.0 / 3.0 + 1.0) / 2.0;
        assert!((reliance.presence_accuracy.unwrap() - expected).abs() < 1e-12);
        assert_eq!(reliance.near_miss_refusal_rate, None);
    }

    #[test]
    fn near_misses_count_apart_from_what_is_plainly_absent() {
        let mut tally = Tally::default();
        tally.add(&case("plain", "absent")).unwrap();
        for (sort, emitted) in [("colour", 1), ("colour", 0), ("place", 1), ("place", 1)] {
            let mut near = case("near", "near-miss");
            (near.distractors.near_miss, near.emitted) = (Some(sort), Some(emitted));
            tally.add(&near).unwrap();
        }
        let report = tally.report(run());
        let all = &report.overall.quality;
        assert_eq!(all.refusal_rate, Some(0.4));
        assert_eq!(all.image_reliance.near_miss_refusal_rate, Some(0.25));
        let half = Refusals {
            count: 2,
            refusal_rate: Some(0.5),
        };
        assert_eq!(all.image_reliance.near_misses["colour"], half);
        assert_eq!(
            all.image_reliance.near_misses["place"].refusal_rate,
            Some(0.0)
        );
        let plain = &report.kinds["absent"].quality;
        assert_eq!(plain.refusal_rate, Some(1.0));
        assert!(plain.image_reliance.near_misses.is_empty());
    }

    #[test]
    fn which_of_several_is_the_one_that_the_mask_overlaps_most() {
        let right = truth(6, 1, &[1, 1, 0, 0, 0, 0]);
        let rivals = [
            truth(6, 1, &[0, 0, 1, 1, 0, 0]),
            truth(6, 1, &[0, 0, 0, 0, 1, 1]),
        ];
        let decided = |pixels: [u8; 6], rivals| {
            let predicted = mask(6, 1, &pixels);
            let mut mug = case("a", "explicit");
            (mug.truth, mug.predicted, mug.emitted) = (Some(&right), Some(&predicted), Some(1));
            mug.distractors.rivals = rivals;
            mug.singled_out().unwrap()
        };
        assert_eq!(decided([1, 0, 0, 0, 0, 0], &rivals), Some(true));
        assert_eq!(decided([1, 1, 1, 0, 0, 0], &rivals), Some(true));
        assert_eq!(decided([1, 0, 1, 1, 0, 0], &rivals), Some(false));
        // The last of several rivals counts as well, and a tie counts as wrong.
        assert_eq!(decided([1, 0, 0, 0, 1, 1], &rivals), Some(false));
        assert_eq!(decided([1, 1, 1, 1, 0, 0], &rivals), Some(false));
        assert_eq!(decided([0; 6], &rivals), Some(false));
        assert_eq!(decided([1, 1, 0, 0, 0, 0], &[]), None);

        let mut tally = Tally::default();
        let exact = mask(6, 1, &[1, 1, 0, 0, 0, 0]);
        for (predicted, others) in [(Some(&exact), &rivals[..]), (None, &rivals[..1])] {
            let mut mug = case("a", "explicit");
            (mug.truth, mug.predicted) = (Some(&right), predicted);
            mug.emitted = Some(usize::from(predicted.is_some()));
            mug.distractors.rivals = others;
            tally.add(&mug).unwrap();
        }
        let reliance = tally.report(run()).overall.quality.image_reliance;
        assert_eq!(reliance.which_of_several, Some(0.5));
        assert_eq!(reliance.which_of_several_count, 2);
        let chance = reliance.which_of_several_chance.unwrap();
        assert!((chance - (1.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_rival_of_another_size_is_refused_and_leaves_no_trace() {
        let (right, rivals) = (truth(2, 1, &[1, 0]), [truth(1, 1, &[1])]);
        let predicted = mask(2, 1, &[1, 0]);
        let mut mug = case("a", "explicit");
        (mug.truth, mug.predicted, mug.distractors.rivals) =
            (Some(&right), Some(&predicted), &rivals);
        let mut tally = Tally::default();
        tally.add(&mug).unwrap_err();
        assert_eq!(tally.count(), 0);
    }

    #[test]
    fn sizes_are_shares_of_the_picture() {
        let mut tally = Tally::default();
        // In a picture of 1000 pixels, masks of 9 pixels are small, of 10 and 29 middle, and of 30 large.
        for (pixels, found) in [(9, false), (10, true), (29, false), (30, true)] {
            let object: Vec<u8> = (0..1000).map(|i| u8::from(i < pixels)).collect();
            let there = truth(100, 10, &object);
            let predicted = mask(100, 10, &object);
            let mut mug = case("a", "explicit");
            (mug.truth, mug.predicted) = (Some(&there), found.then_some(&predicted));
            mug.emitted = Some(usize::from(found));
            tally.add(&mug).unwrap();
        }
        tally.add(&case("b", "absent")).unwrap();
        let size = tally
            .report(run())
            .overall
            .quality
            .image_reliance
            .giou_by_size;
        let counts = [size.small.count, size.middle.count, size.large.count];
        assert_eq!(counts, [1, 2, 1]);
        let close = |score: SizeScore, giou: f64| (score.giou.unwrap() - giou).abs() < 1e-5;
        assert!(close(size.small, 0.0) && close(size.middle, 0.5) && close(size.large, 1.0));
    }

    #[test]
    fn attention_on_the_target_is_the_mean_of_the_questions_that_have_one() {
        let there = truth(2, 2, &[1, 0, 0, 0]);
        let unseen = truth(2, 2, &[0; 4]);
        let looked = attention((2, 2), [0.5, 0.0, 0.0, 0.0], 0.25);
        let mut tally = Tally::default();
        for (truth, attention) in [
            (Some(&there), Some(&looked)),
            (None, Some(&looked)),
            (Some(&unseen), Some(&looked)),
            (Some(&there), None),
        ] {
            let mut mug = case("a", "explicit");
            (mug.truth, mug.attention) = (truth, attention);
            tally.add(&mug).unwrap();
        }
        let report = tally.report(run());
        let reliance = &report.overall.quality.image_reliance;
        assert_eq!(
            (reliance.attended, reliance.attended_count),
            (Some(0.375), 2)
        );
        let text = report.to_string();
        assert!(
            text.contains("attended") && text.contains("0.375"),
            "{text}"
        );
    }

    #[test]
    fn every_report_shows_them() {
        let there = truth(2, 1, &[1, 0]);
        let rivals = [truth(2, 1, &[0, 1])];
        let exact = mask(2, 1, &[1, 0]);
        let mut tally = Tally::default();
        let mut mug = case("a", "which-of-several");
        (mug.truth, mug.predicted, mug.emitted) = (Some(&there), Some(&exact), Some(1));
        mug.distractors.rivals = &rivals;
        tally.add(&mug).unwrap();
        let mut near = case("b", "near-miss");
        near.distractors.near_miss = Some("colour");
        tally.add(&near).unwrap();
        let report = tally.report(run());
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        for (name, _) in IMAGE_RELIANCE_DEFINITIONS {
            assert!(json["definitions"][name].is_string(), "{name}");
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(
            json["kinds"]["near-miss"]["near_misses"]["colour"]["count"],
            1
        );
        assert_eq!(
            json["kinds"]["which-of-several"]["which_of_several_chance"],
            0.5
        );
        let text = report.to_string();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        let heads = ["presence", "near", "which", "chance", "large"];
        let at = lines.iter().position(|line| *line == heads).unwrap();
        assert_eq!(
            lines[at + 1],
            ["all", "1.000", "1.000", "1.000", "0.500", "1.000"]
        );
        assert!(text.contains("near misses answered without [SEG]: colour 1.000 of 1"));
        let page = render_html(&report, &Gallery::new(3));
        assert!(page.contains("<th scope=\"col\">presence</th>"));
        assert!(page.contains("<dt>which_of_several_chance</dt>"));
        assert!(page.contains("near misses answered without [SEG]: colour 1.000 of 1"));
    }
}
