//! The scores of a run, what they mean, and how they are written as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::metres::Places;
use super::{write_whole, Delivery, EvalError, ImageReliance, LatencyMs};

/// Bins of [`Quality::iou_histogram`], each 0.1 wide; 1.0 belongs to the last.
pub const HISTOGRAM_BINS: usize = 10;

/// The name of each score in a report and what it is, in the words that every report carries.
pub const DEFINITIONS: [(&str, &str); 10] = [
    (
        "giou",
        "mean over questions of I / (U + 1e-5), 1 where the union is empty; pixels labelled 255 are left out; a missing mask counts as an empty one. Overall: questions with a target only. Per kind: a question about an absent object counts 1 if answered without [SEG], else 0",
    ),
    (
        "ciou",
        "sum of intersections / sum of unions over questions with a target, overall and per kind; null where no union has a pixel",
    ),
    (
        "precision_at_50",
        "share of the questions of giou with an intersection over union of 0.5 or more; about an absent object: answered without [SEG]",
    ),
    (
        "seg_rate",
        "share of the [SEG] due that were written",
    ),
    (
        "refusal_rate",
        "share of questions about an absent object answered without [SEG]",
    ),
    (
        "false_refusal_rate",
        "share of questions with a target answered without [SEG]",
    ),
    (
        "explanation_rate",
        "share of the explanations asked for that name the right object",
    ),
    (
        "iou_histogram",
        "the questions of giou by their IoU, in ten bins of 0.1; 1.0 is in the last",
    ),
    (
        "latency_ms",
        "from the question to the end of the answer, in milliseconds; percentiles by nearest rank",
    ),
    (
        "not_measured",
        "the scores that are null because this way of asking cannot tell them, each with its reason; a null that is not listed is a share of nothing",
    ),
];

/// Who writes the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The model is given the true answer and decodes its `[SEG]`, as in the reference's evaluation.
    TeacherForced,
    /// The model writes its own answer.
    Generated,
    /// The node's answers, as they were recorded while it ran.
    Recorded,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protocol::TeacherForced => "teacher-forced",
            Protocol::Generated => "generated",
            Protocol::Recorded => "recorded",
        })
    }
}

/// What was evaluated, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Name of the model.
    pub model: String,
    /// Who wrote the answers.
    pub protocol: Protocol,
    /// Name of the dataset or recording.
    pub dataset: String,
    /// Name of the dataset's split.
    pub split: String,
    /// Seed of the first question, where questions are drawn or made at random.
    pub seed: Option<u64>,
    /// Whatever else it takes to repeat the run: precision, device, threshold, count.
    pub settings: BTreeMap<String, serde_json::Value>,
}

/// Scores that depend on the answers alone, not on the machine nor on the order of the cases. All are shares or means in
/// 0..=1. `None` (JSON `null`) means that there was no question to measure the score by, or that it could not be measured,
/// in which case [`Scores::not_measured`] has the reason. [`DEFINITIONS`] defines them exactly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Mean IoU of the questions.
    pub giou: Option<f64>,
    /// Sum of the intersections over the sum of the unions.
    pub ciou: Option<f64>,
    /// Share of the questions with an IoU of at least 0.5.
    pub precision_at_50: Option<f64>,
    /// Share of the due `[SEG]` that were written.
    pub seg_rate: Option<f64>,
    /// Share of the questions about an absent object that were answered without `[SEG]`.
    pub refusal_rate: Option<f64>,
    /// Share of the questions about a present object that were answered without `[SEG]`.
    pub false_refusal_rate: Option<f64>,
    /// Share of the explanations that name the right object.
    pub explanation_rate: Option<f64>,
    /// All questions.
    pub count: usize,
    /// Questions about an object that is there.
    pub targets: usize,
    /// Questions about an absent object.
    pub absent: usize,
    /// Questions by their IoU, in ten bins of 0.1 from 0 up.
    pub iou_histogram: [usize; HISTOGRAM_BINS],
    /// Scores that tell whether the model looks at the picture.
    #[serde(flatten)]
    pub image_reliance: ImageReliance,
}

/// How long the answers took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Time of a whole answer; `None` where the model wrote none by itself.
    pub latency_ms: Option<LatencyMs>,
    /// Time of each stage by its name, over the questions that had the stage.
    pub stages_ms: BTreeMap<String, LatencyMs>,
}

/// Scores of all questions, or of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// How good the answers are.
    #[serde(flatten)]
    pub quality: Quality,
    /// How long they took.
    #[serde(flatten)]
    pub timing: Timing,
    /// Scores that have no value because the protocol cannot measure them, by their names in JSON, with the reason.
    pub not_measured: BTreeMap<&'static str, &'static str>,
}

/// The result of a run. In JSON the overall scores and the run's fields stand at the top; [`Display`](fmt::Display)
/// gives a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Scores of all questions.
    #[serde(flatten)]
    pub overall: Scores,
    /// Scores of each kind of question.
    pub kinds: BTreeMap<String, Scores>,
    /// What was evaluated, and how.
    #[serde(flatten)]
    pub run: Run,
    /// What became of the instructions of a recording; `None` where a dataset was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Where the objects of the answers are, and how far off that is; `None` where nobody looked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<Places>,
    /// What each score is: [`DEFINITIONS`] and [`IMAGE_RELIANCE_DEFINITIONS`](super::IMAGE_RELIANCE_DEFINITIONS).
    pub definitions: BTreeMap<&'static str, &'static str>,
}

impl Report {
    /// The quality of all questions and of each kind: equal for two runs that gave the same answers.
    pub fn quality(&self) -> (&Quality, BTreeMap<&str, &Quality>) {
        let kinds = self.kinds.iter();
        let kinds = kinds.map(|(kind, scores)| (kind.as_str(), &scores.quality));
        (&self.overall.quality, kinds.collect())
    }

    /// Indented JSON, with a line break at the end.
    ///
    /// # Errors
    /// [`EvalError::Json`].
    pub fn to_json(&self) -> Result<String, EvalError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Writes [`to_json`](Self::to_json) to a file, replacing what is there.
    ///
    /// # Errors
    /// [`EvalError::Json`], [`EvalError::Write`].
    pub fn write_json(&self, path: &Path) -> Result<(), EvalError> {
        let write = write_whole(path, self.to_json()?.as_bytes());
        write.map_err(|source| EvalError::Write {
            path: path.to_owned(),
            source,
        })
    }

    /// If some questions are about absent objects: a sentence on which of them count in the scores of all questions.
    pub(super) fn without_absent(&self) -> Option<String> {
        let Quality {
            targets, absent, ..
        } = self.overall.quality;
        (absent > 0).then(|| {
            format!(
                "gIoU, cIoU and P@0.5 of all are over the {targets} questions with a target, not the {absent} about \
                 an absent object"
            )
        })
    }

    /// The scores of all questions under the name `all`, then those of each kind.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &Scores)> {
        let kinds = self.kinds.iter();
        let kinds = kinds.map(|(kind, scores)| (kind.as_str(), scores));
        std::iter::once(("all", &self.overall)).chain(kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{given, report};
    use super::*;

    #[test]
    fn json_has_the_scores_at_the_top_and_per_kind() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
        assert!((json["giou"].as_f64().unwrap() - 0.5).abs() < 1e-5);
        assert_eq!(json["ciou"], json["kinds"]["short"]["ciou"]);
        assert_eq!(json["kinds"]["absent"]["giou"], 1.0);
        assert!(json["kinds"]["absent"]["ciou"].is_null());
        assert_eq!(json["refusal_rate"], 1.0);
        assert_eq!(json["explanation_rate"], 1.0);
        assert_eq!(json["latency_ms"]["p50"], 100.0);
        assert_eq!(json["protocol"], "generated");
        assert_eq!(json["seed"], 7);
        let defined = json["definitions"].as_object().unwrap();
        assert!(defined.keys().all(|name| json.get(name).is_some()));
        assert!(defined["giou"]
            .as_str()
            .unwrap()
            .contains("with a target only"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = report()
            .write_json(Path::new("/nowhere/at/all.json"))
            .unwrap_err();
        assert!(error
            .to_string()
            .starts_with("cannot write /nowhere/at/all.json: "));
    }

    #[test]
    fn what_was_not_measured_is_null_with_its_reason_in_json() {
        let json: serde_json::Value = serde_json::from_str(&given().to_json().unwrap()).unwrap();
        assert!((json["giou"].as_f64().unwrap() - 0.5).abs() < 1e-5);
        for name in [
            "seg_rate",
            "refusal_rate",
            "false_refusal_rate",
            "latency_ms",
        ] {
            assert!(json[name].is_null(), "{name}");
            assert!(json["not_measured"][name].is_string(), "{name}");
        }
        // No explanation was asked for, so its rate is null without a reason.
        assert!(json["explanation_rate"].is_null());
        assert!(json["not_measured"].get("explanation_rate").is_none());
        let absent = &json["kinds"]["absent"];
        for name in ["giou", "precision_at_50", "refusal_rate"] {
            assert!(absent[name].is_null(), "{name}");
            let reason = absent["not_measured"][name].as_str().unwrap();
            assert!(reason.contains("not asked"), "{reason}");
        }
        assert_eq!(absent["count"], 1);
    }
}
