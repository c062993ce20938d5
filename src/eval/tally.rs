//! Adds cases up to scores.

use std::collections::BTreeMap;
use std::time::Duration;

use super::image_reliance::ImageRelianceTally;
use super::numbers::latency;
use super::{
    Case, CaseRecord, EvalError, Quality, Report, Run, Scores, Timing, Verdict, DEFINITIONS,
    HISTOGRAM_BINS, IMAGE_RELIANCE_DEFINITIONS,
};

/// Why a score is not known where the answer was given to the model.
const GIVEN: &str = "the answer was given to the model, which wrote none";
/// Why a score is not known where questions could not be asked.
const NOT_ASKED: &str =
    "questions about absent objects were not asked, as there is no answer with [SEG] to give";

/// Scores cases as they come. It keeps a few numbers of each case and no pixels.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    overall: Bucket,
    kinds: BTreeMap<String, Bucket>,
}

/// What scores are computed from.
#[derive(Clone, Debug, Default)]
struct Bucket {
    targets: usize,
    absent: usize,
    refused: usize,
    falsely_refused: usize,
    seg_due: usize,
    seg_written: usize,
    explanations: usize,
    explanations_right: usize,
    image_reliance: ImageRelianceTally,
    /// Answers about present objects that were given to the model, and how many of them are explanations.
    given: usize,
    explanations_given: usize,
    /// Questions about absent objects that could not be asked, and how many of them are near misses.
    not_asked: usize,
    near_not_asked: usize,
    /// Kept one by one, since a sum of rounded numbers depends on their order.
    ious: Vec<f64>,
    at_least_half: usize,
    intersection: u64,
    union: u64,
    totals: Vec<Duration>,
    stages: BTreeMap<String, Vec<Duration>>,
}

impl Tally {
    /// Scores one more case and returns the verdict. After an error the tally is as it was before.
    ///
    /// # Errors
    /// Those of [`Case::verdict`] and [`Case::singled_out`].
    pub fn add(&mut self, case: &Case<'_>) -> Result<Verdict, EvalError> {
        Ok(self.add_record(&CaseRecord::of(case)?))
    }

    /// [`add`](Self::add) of what was kept of a case.
    pub fn add_record(&mut self, case: &CaseRecord) -> Verdict {
        let verdict = case.verdict();
        self.overall.add(case, case.target, &verdict);
        let kind = self.kinds.entry(case.kind.clone()).or_default();
        kind.add(case, true, &verdict);
        for bucket in [&mut self.overall, kind] {
            bucket.image_reliance.add(case, &verdict);
        }
        verdict
    }

    /// Counts a question about an absent object that could not be asked, since there is no answer with `[SEG]` to give to the
    /// model. It counts in no score. `near_miss` says whether something close to what it asks for is there.
    pub fn pass_over(&mut self, kind: &str, near_miss: bool) {
        let kind = self.kinds.entry(kind.to_owned()).or_default();
        for bucket in [&mut self.overall, kind] {
            bucket.absent += 1;
            bucket.not_asked += 1;
            bucket.near_not_asked += usize::from(near_miss);
        }
    }

    /// Questions so far.
    pub fn count(&self) -> usize {
        self.overall.targets + self.overall.absent
    }

    /// The scores of all cases so far, without those of each kind.
    pub fn scores(&self) -> Scores {
        self.overall.scores()
    }

    /// The scores of all cases so far, and of each kind.
    pub fn report(&self, run: Run) -> Report {
        let kinds = self.kinds.iter();
        let kinds = kinds.map(|(kind, bucket)| (kind.clone(), bucket.scores()));
        Report {
            overall: self.overall.scores(),
            kinds: kinds.collect(),
            run,
            delivery: None,
            places: None,
            definitions: DEFINITIONS
                .into_iter()
                .chain(IMAGE_RELIANCE_DEFINITIONS)
                .collect(),
        }
    }
}

impl Bucket {
    /// `counts` says whether the case counts in gIoU and precision.
    fn add(&mut self, case: &CaseRecord, counts: bool, verdict: &Verdict) {
        if case.target {
            self.targets += 1;
            self.intersection += verdict.overlap.intersection;
            self.union += verdict.overlap.union;
        } else {
            self.absent += 1;
        }
        if counts {
            self.ious.push(verdict.iou);
            self.at_least_half += usize::from(verdict.at_least_half);
        }
        match case.emitted {
            Some(emitted) => self.add_written(case, emitted),
            None if case.target => {
                self.given += 1;
                self.explanations_given += usize::from(case.names_right.is_some());
            }
            None => self.not_asked += 1,
        }
    }

    /// Counts what is only known about an answer that the model wrote itself.
    fn add_written(&mut self, case: &CaseRecord, emitted: usize) {
        let silent = usize::from(emitted == 0);
        if case.target {
            let due = case.expected.max(1);
            self.falsely_refused += silent;
            self.seg_due += due;
            self.seg_written += emitted.min(due);
        } else {
            self.refused += silent;
        }
        if let Some(right) = case.names_right {
            self.explanations += 1;
            self.explanations_right += usize::from(right);
        }
        self.totals.push(case.latency.total());
        let mut stages = BTreeMap::<&str, Duration>::new();
        for (stage, time) in case.latency.stages() {
            *stages.entry(stage).or_default() += time;
        }
        for (stage, time) in stages {
            match self.stages.get_mut(stage) {
                Some(times) => times.push(time),
                None => drop(self.stages.insert(stage.to_owned(), vec![time])),
            }
        }
    }

    fn scores(&self) -> Scores {
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        let mut ious = self.ious.clone();
        ious.sort_by(f64::total_cmp);
        let mut iou_histogram = [0; HISTOGRAM_BINS];
        for iou in &ious {
            let bin = (iou * HISTOGRAM_BINS as f64) as usize;
            iou_histogram[bin.min(HISTOGRAM_BINS - 1)] += 1;
        }
        let giou = ious.iter().sum::<f64>() / ious.len() as f64;
        let stages = self.stages.iter();
        let stages = stages.filter_map(|(stage, times)| Some((stage.clone(), latency(times)?)));
        let mut scores = Scores {
            quality: Quality {
                giou: (!ious.is_empty()).then_some(giou),
                ciou: (self.union > 0)
                    .then(|| self.intersection as f64 / (self.union as f64 + 1e-10)),
                precision_at_50: share(self.at_least_half, ious.len()),
                seg_rate: share(self.seg_written, self.seg_due),
                refusal_rate: share(self.refused, self.absent - self.not_asked),
                false_refusal_rate: share(self.falsely_refused, self.targets - self.given),
                explanation_rate: share(self.explanations_right, self.explanations),
                count: self.targets + self.absent,
                targets: self.targets,
                absent: self.absent,
                iou_histogram,
                image_reliance: self.image_reliance.scores(),
            },
            timing: Timing {
                latency_ms: latency(&self.totals),
                stages_ms: stages.collect(),
            },
            not_measured: BTreeMap::new(),
        };
        scores.not_measured = self.not_measured(&scores);
        scores
    }

    /// The scores that have no value but would have one if the model had answered by itself, each with the reason.
    fn not_measured(&self, scores: &Scores) -> BTreeMap<&'static str, &'static str> {
        let Scores {
            quality, timing, ..
        } = scores;
        let (given, not_asked) = (self.given > 0, self.not_asked > 0);
        let only_not_asked = not_asked && self.not_asked == self.targets + self.absent;
        let explained = self.explanations_given > 0;
        let reliance = &quality.image_reliance;
        let all = [
            (
                "presence_accuracy",
                reliance.presence_accuracy.is_none() && given && self.absent > 0,
                GIVEN,
            ),
            (
                "near_miss_refusal_rate",
                reliance.near_miss_refusal_rate.is_none() && self.near_not_asked > 0,
                NOT_ASKED,
            ),
            ("giou", quality.giou.is_none() && only_not_asked, NOT_ASKED),
            ("ciou", quality.ciou.is_none() && only_not_asked, NOT_ASKED),
            (
                "precision_at_50",
                quality.precision_at_50.is_none() && only_not_asked,
                NOT_ASKED,
            ),
            ("seg_rate", quality.seg_rate.is_none() && given, GIVEN),
            (
                "refusal_rate",
                quality.refusal_rate.is_none() && not_asked,
                NOT_ASKED,
            ),
            (
                "false_refusal_rate",
                quality.false_refusal_rate.is_none() && given,
                GIVEN,
            ),
            (
                "explanation_rate",
                quality.explanation_rate.is_none() && explained,
                GIVEN,
            ),
            (
                "latency_ms",
                timing.latency_ms.is_none() && (given || not_asked),
                if given { GIVEN } else { NOT_ASKED },
            ),
        ];
        let missing = all.into_iter().filter(|(_, missing, _)| *missing);
        missing.map(|(name, _, why)| (name, why)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{case, golden, golden_items, golden_scores, mask, run, truth};
    use super::*;

    #[test]
    fn golden_giou_and_ciou() {
        let mut tally = Tally::default();
        for (name, _) in golden_items() {
            let (predicted, truth) = golden(&name);
            let mut case = case(&name, "short");
            (case.truth, case.predicted) = (Some(&truth), Some(&predicted));
            (case.emitted, case.expected) = (Some(1), 1);
            tally.add(&case).unwrap();
        }
        let expected = golden_scores();
        let quality = tally.report(run()).overall.quality;
        for (name, found) in [("giou", quality.giou), ("ciou", quality.ciou)] {
            let expected = expected[name].as_f64().unwrap();
            // The numbers are from two runs of the reference, see the golden test of `metrics`.
            let error = (found.unwrap() - expected).abs();
            assert!(error < 1e-4, "{name} {found:?}, reference {expected}");
        }
    }

    /// Cases of two kinds and one about an absent object, in the given order.
    fn tally(order: impl Iterator<Item = usize>) -> Tally {
        let truth = truth(10, 1, &[1; 10]);
        let predicted: Vec<_> = (0..10u8)
            .map(|n| {
                mask(
                    10,
                    1,
                    &std::array::from_fn::<u8, 10, _>(|i| u8::from(i as u8 <= n)),
                )
            })
            .collect();
        let names: Vec<String> = (0..30).map(|i| i.to_string()).collect();
        let mut tally = Tally::default();
        for i in order {
            let mut case = case(&names[i], ["short", "long", "absent"][i % 3]);
            if i % 3 < 2 {
                (case.truth, case.predicted) = (Some(&truth), Some(&predicted[i * 7 % 10]));
                (case.emitted, case.expected) = (Some(1), 1);
            }
            case.latency.total = Duration::from_millis(i as u64);
            tally.add(&case).unwrap();
        }
        tally
    }

    #[test]
    fn quality_does_not_depend_on_the_order() {
        let (forth, back) = (
            tally(0..30).report(run()),
            tally((0..30).rev()).report(run()),
        );
        assert_eq!(forth.quality(), back.quality());
        let shuffled = tally((0..30).map(|i| i * 11 % 30)).report(run());
        assert_eq!(forth.quality(), shuffled.quality());
        let fewer = tally(0..29).report(run());
        assert_ne!(forth.quality(), fewer.quality());
    }

    #[test]
    fn quality_does_not_depend_on_latency() {
        let fast = case("a", "short");
        let mut slow = fast;
        slow.latency.total = Duration::from_secs(9);
        let report = |case| {
            let mut tally = Tally::default();
            tally.add(case).unwrap();
            tally.report(run())
        };
        let (fast, slow) = (report(&fast), report(&slow));
        assert_eq!(fast.quality(), slow.quality());
        assert_ne!(fast, slow);
    }

    #[test]
    fn a_missing_mask_is_an_empty_one_and_a_refusal() {
        let truth = truth(2, 2, &[1, 1, 0, 255]);
        let exact = mask(2, 2, &[255, 255, 0, 255]);
        let mut tally = Tally::default();
        let mut missing = case("a", "short");
        (missing.truth, missing.expected) = (Some(&truth), 2);
        assert_eq!(tally.add(&missing).unwrap().iou, 0.0);
        let mut one_of_two = missing;
        (one_of_two.predicted, one_of_two.emitted) = (Some(&exact), Some(1));
        tally.add(&one_of_two).unwrap();
        let quality = tally.report(run()).overall.quality;
        assert!((quality.giou.unwrap() - 0.5).abs() < 1e-5);
        assert_eq!(quality.precision_at_50, Some(0.5));
        assert_eq!(quality.ciou.map(|c| (c * 1e6).round()), Some(500_000.0));
        assert_eq!(quality.seg_rate, Some(0.25));
        assert_eq!(quality.false_refusal_rate, Some(0.5));
        assert_eq!(quality.refusal_rate, None);
        assert_eq!((quality.iou_histogram[0], quality.iou_histogram[9]), (1, 1));
    }

    #[test]
    fn absent_objects_count_in_their_kind_only() {
        let somewhere = mask(2, 1, &[255, 255]);
        let nowhere = mask(2, 1, &[0, 0]);
        let mut tally = Tally::default();
        tally.add(&case("a", "absent")).unwrap();
        let mut wrong = case("b", "absent");
        (wrong.emitted, wrong.predicted) = (Some(1), Some(&somewhere));
        assert_eq!(tally.add(&wrong).unwrap().iou, 0.0);
        wrong.predicted = Some(&nowhere);
        assert_eq!(tally.add(&wrong).unwrap().iou, 0.0);
        let report = tally.report(run());
        let all = &report.overall.quality;
        assert_eq!(
            (all.giou, all.ciou, all.precision_at_50),
            (None, None, None)
        );
        assert_eq!((all.count, all.absent), (3, 3));
        assert_eq!(all.refusal_rate, Some(1.0 / 3.0));
        let kind = &report.kinds["absent"].quality;
        assert_eq!(kind.giou, Some(1.0 / 3.0));
        assert_eq!(kind.precision_at_50, Some(1.0 / 3.0));
        assert_eq!(kind.ciou, None);
    }

    /// Two answers that were given, one of them an explanation, and two questions that could not be asked.
    fn given() -> Report {
        let truth = truth(2, 1, &[1, 1]);
        let half = mask(2, 1, &[255, 0]);
        let mut tally = Tally::default();
        let mut short = case("a", "short");
        (short.truth, short.predicted) = (Some(&truth), Some(&half));
        (short.emitted, short.expected) = (None, 2);
        tally.add(&short).unwrap();
        let mut why = case("b", "why");
        (why.truth, why.predicted, why.emitted) = (Some(&truth), Some(&half), None);
        why.names_right = Some(false);
        tally.add(&why).unwrap();
        tally.pass_over("absent", false);
        tally.pass_over("absent", true);
        assert_eq!(tally.count(), 4);
        tally.report(run())
    }

    #[test]
    fn an_answer_that_was_given_earns_its_mask_s_scores_and_no_others() {
        let report = given();
        let all = &report.overall;
        let quality = &all.quality;
        assert_eq!((quality.count, quality.targets, quality.absent), (4, 2, 2));
        assert!((quality.giou.unwrap() - 0.5).abs() < 1e-5);
        assert!((quality.ciou.unwrap() - 0.5).abs() < 1e-5);
        assert_eq!(quality.precision_at_50, Some(1.0));
        assert_eq!(quality.iou_histogram.iter().sum::<usize>(), 2);
        // The model could neither write nor omit anything, so these scores have no value.
        assert_eq!((quality.seg_rate, quality.refusal_rate), (None, None));
        assert_eq!(
            (quality.false_refusal_rate, quality.explanation_rate),
            (None, None)
        );
        assert_eq!(all.timing.latency_ms, None);
        assert!(all.timing.stages_ms.is_empty());
        let reasons = [
            ("explanation_rate", GIVEN),
            ("false_refusal_rate", GIVEN),
            ("latency_ms", GIVEN),
            ("near_miss_refusal_rate", NOT_ASKED),
            ("presence_accuracy", GIVEN),
            ("refusal_rate", NOT_ASKED),
            ("seg_rate", GIVEN),
        ];
        assert_eq!(all.not_measured, BTreeMap::from(reasons));
    }

    #[test]
    fn a_kind_that_could_not_be_asked_has_no_score_at_all() {
        let report = given();
        let absent = &report.kinds["absent"];
        let quality = &absent.quality;
        assert_eq!((quality.count, quality.absent), (2, 2));
        assert_eq!(
            (quality.giou, quality.ciou, quality.precision_at_50),
            (None, None, None)
        );
        assert_eq!(quality.refusal_rate, None);
        assert_eq!(quality.iou_histogram, [0; HISTOGRAM_BINS]);
        let names = [
            "ciou",
            "giou",
            "latency_ms",
            "near_miss_refusal_rate",
            "precision_at_50",
            "refusal_rate",
        ];
        let reasons = names.map(|name| (name, NOT_ASKED));
        assert_eq!(absent.not_measured, BTreeMap::from(reasons));
        // A kind without absent objects and without explanations does not list their scores as not measured.
        let short: Vec<_> = report.kinds["short"].not_measured.keys().copied().collect();
        assert_eq!(short, ["false_refusal_rate", "latency_ms", "seg_rate"]);
    }

    #[test]
    fn an_answer_the_model_wrote_lacks_nothing() {
        let mut tally = Tally::default();
        tally.add(&case("a", "absent")).unwrap();
        let report = tally.report(run());
        assert!(report.overall.not_measured.is_empty());
        assert!(report.kinds["absent"].not_measured.is_empty());
    }

    #[test]
    fn a_refused_case_leaves_no_trace() {
        let truth = truth(2, 1, &[1, 3]);
        let mut case = case("a", "short");
        case.truth = Some(&truth);
        let mut tally = Tally::default();
        tally.add(&case).unwrap_err();
        assert_eq!(tally.count(), 0);
        assert!(tally.report(run()).kinds.is_empty());
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let ms: Vec<_> = (1..=10).rev().map(Duration::from_millis).collect();
        let latency = latency(&ms).unwrap();
        assert_eq!((latency.p50, latency.p90, latency.p99), (5.0, 9.0, 10.0));
        assert!((latency.mean - 5.5).abs() < 1e-9);
        assert_eq!(super::latency(&[]), None);
    }

    #[test]
    fn a_stage_named_twice_is_added_up_and_one_left_out_is_not_zero() {
        let ms = Duration::from_millis;
        let stages = [("decode", ms(2)), ("prefill", ms(5)), ("decode", ms(4))];
        let mut first = case("a", "short");
        first.latency.stages = &stages;
        let mut tally = Tally::default();
        tally.add(&first).unwrap();
        tally.add(&case("b", "short")).unwrap();
        let timing = tally.report(run()).overall.timing;
        assert_eq!(timing.stages_ms["decode"].p99, 6.0);
        assert_eq!(timing.stages_ms["prefill"].mean, 5.0);
    }
}
