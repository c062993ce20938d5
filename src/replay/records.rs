//! What is kept of a judged recording, and the report of one or of many. A run in one piece and one in parts go the same way:
//! records in the order of the inputs, and the report from them.

use std::collections::BTreeMap;
use std::time::Duration;

use lisa_messages::ResultStatus;
use serde::{Deserialize, Serialize};

use super::judged_places::{AnswerPlacesRecord, PlacesTally};
use crate::eval::{
    latency, CaseRecord, Delivery, LatencyRecord, Report, Run, Tally, Timing, DEFINITIONS,
    IMAGE_RELIANCE_DEFINITIONS,
};

/// A judged recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BagRecord {
    /// The path or URL by which it was named.
    pub bag: String,
    /// Whose recording it is, see [`robot`](super::robot); `None` where nothing says that.
    pub robot: Option<String>,
    /// The day of its first message in UTC, `2026-03-01`; `None` where it is not known.
    pub day: Option<String>,
    /// What is damaged or missing in it and did not keep it from being measured, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it could not be measured. It has no instructions then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<BagFault>,
    /// Whether anything said what is true.
    pub has_truth: bool,
    /// Results of instructions that are not in the recording.
    #[serde(default)]
    pub unasked: usize,
    /// How each of its instructions ended, in the recording's order.
    pub instructions: Vec<InstructionRecord>,
}

/// Why a recording could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BagFault {
    /// What was wrong, in one line.
    pub why: String,
    /// Whether it may be otherwise next time, as where a network did not answer.
    pub may_pass: bool,
}

/// How one instruction ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstructionRecord {
    /// The instruction's id.
    pub id: String,
    /// Its words.
    pub instruction: String,
    /// The stamp of the frame it is about, nanoseconds; 0 if there was no frame.
    pub stamp: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// The answer's text; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// How old the frame was when the result came, nanoseconds; `None` where that was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ns: Option<u64>,
    /// How long the answer took; `None` without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyRecord>,
    /// What its scores are computed from; `None` without an answer or without a truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseRecord>,
    /// Where its objects are.
    #[serde(default)]
    pub places: AnswerPlacesRecord,
}

/// How an instruction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Outcome {
    /// With a result.
    Result(ResultStatus),
    /// Without any.
    Dropped,
    /// With a result about another frame than the one that the recording gives.
    OtherFrame,
}

impl Outcome {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Result(status) => status.name(),
            Self::Dropped => InstructionRow::DROPPED,
            Self::OtherFrame => InstructionRow::OTHER_FRAME,
        }
    }

    fn count(self, delivery: &mut Delivery) {
        delivery.asked += 1;
        *match self {
            Self::Dropped => &mut delivery.dropped,
            Self::OtherFrame => &mut delivery.other_frame,
            Self::Result(status) if status.is_answer() => &mut delivery.answered,
            Self::Result(ResultStatus::NoImage) => &mut delivery.no_image,
            Self::Result(ResultStatus::Overloaded) => &mut delivery.overloaded,
            Self::Result(ResultStatus::Cancelled) => &mut delivery.cancelled,
            Self::Result(_) => &mut delivery.failed,
        } += 1;
    }
}

impl From<Outcome> for &'static str {
    fn from(outcome: Outcome) -> Self {
        outcome.name()
    }
}

impl TryFrom<String> for Outcome {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let results = (0..=u8::MAX).map_while(ResultStatus::from_number);
        let mut all = results
            .map(Self::Result)
            .chain([Self::Dropped, Self::OtherFrame]);
        let found = all.find(|outcome| outcome.name() == name);
        found.ok_or_else(|| format!("{name:?} is no way in which an instruction ends"))
    }
}

/// A report about recordings: the scores over all instructions, a row for each recording and for each instruction.
#[derive(Clone, Debug, Serialize)]
pub struct BagReport {
    /// The scores over all instructions.
    #[serde(flatten)]
    pub report: Report,
    /// One row for each recording, in the order of the inputs.
    pub bags: Vec<BagRow>,
    /// One row for each instruction, recording by recording in their order.
    pub instructions: Vec<InstructionRow>,
}

/// What became of one recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BagRow {
    /// See [`BagRecord::bag`].
    pub bag: String,
    /// See [`BagRecord::robot`].
    pub robot: Option<String>,
    /// See [`BagRecord::day`].
    pub day: Option<String>,
    /// The model that was asked.
    pub model: String,
    /// Its instructions.
    pub instructions: usize,
    /// Mean IoU as in [`Quality::giou`](crate::eval::Quality::giou).
    pub giou: Option<f64>,
    /// Why it could not be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What is damaged or missing in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How one instruction ended, as reports say it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstructionRow {
    /// The place of its recording among [`BagReport::bags`], from 0.
    pub bag: usize,
    /// The instruction's id.
    pub id: String,
    /// Its words.
    pub instruction: String,
    /// The stamp of the frame it is about, nanoseconds; 0 if there was no frame.
    pub stamp: i64,
    /// `segmented`, `text_only`, …, as in `ReasoningResult`; `dropped` if there is no result, and `other_frame` if it is about
    /// another frame than the one that the recording gives.
    pub status: &'static str,
    /// The answer's text; empty if there is none.
    pub answer: String,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// IoU of the answer's mask with the true one, 0 to 1; `null` if there is no answer or no truth. For an object that is not
    /// there: 1 if the answer has no `[SEG]`, or else 0.
    pub iou: Option<f64>,
    /// Whether what is asked for is in the picture; left out where there is no answer or no truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<bool>,
    /// Pixels of the intersection and of the union with the true mask; left out likewise, and of what is not in the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<[u64; 2]>,
    /// How far the centre of the answer's box in space is from the true one's, millimetres, of several objects the largest; left
    /// out where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centre_mm: Option<f64>,
    /// From the instruction to the end of the answer, milliseconds; `null` without an answer.
    pub latency_ms: Option<f64>,
}

impl InstructionRow {
    /// The status of an instruction that has no result.
    pub const DROPPED: &'static str = "dropped";
    /// The status of an instruction whose result is about another frame than the one that the recording gives.
    pub const OTHER_FRAME: &'static str = "other_frame";

    /// The row of an instruction of the recording that is in that place of its report.
    pub fn of(record: &InstructionRecord, bag: usize) -> Self {
        let case = record.case.as_ref();
        let latency = record.latency.as_ref();
        Self {
            bag,
            id: record.id.clone(),
            instruction: record.instruction.clone(),
            stamp: record.stamp,
            status: record.outcome.name(),
            answer: record.answer.clone(),
            error: record.error.clone(),
            iou: case.map(|case| case.verdict().iou),
            target: case.map(|case| case.target),
            overlap: case
                .filter(|case| case.target)
                .map(|case| [case.intersection, case.union]),
            centre_mm: record.places.centre_mm,
            latency_ms: latency.map(|latency| latency.total().as_secs_f64() * 1e3),
        }
    }
}

/// Adds records of instructions up to a report.
#[derive(Default)]
pub struct RecordsTally {
    tally: Tally,
    delivery: Delivery,
    places: PlacesTally,
    has_truth: bool,
    /// Latencies of all answers, scored or not.
    times: Vec<Duration>,
    /// Times of their stages, by name.
    stages: BTreeMap<String, Vec<Duration>>,
}

impl RecordsTally {
    /// Takes in one more instruction of a recording.
    pub fn add(&mut self, record: &InstructionRecord, has_truth: bool) {
        self.has_truth |= has_truth;
        record.outcome.count(&mut self.delivery);
        if let Some(age) = record.age_ns {
            self.delivery.add_age(Duration::from_nanos(age));
        }
        let Some(latency) = &record.latency else {
            return;
        };
        self.times.push(latency.total());
        for (stage, time) in latency.stages() {
            self.stages.entry(stage.to_owned()).or_default().push(time);
        }
        match &record.case {
            Some(case) => drop(self.tally.add_record(case)),
            None => self.delivery.without_truth += usize::from(has_truth),
        }
        self.places.add(&record.places);
    }

    /// Takes in all instructions of a recording.
    pub fn add_bag(&mut self, bag: &BagRecord) {
        self.has_truth |= bag.has_truth;
        self.delivery.unasked += bag.unasked;
        for record in &bag.instructions {
            self.add(record, bag.has_truth);
        }
    }

    /// The report.
    pub fn report(self, run: Run) -> Report {
        let mut report = self.tally.report(run);
        if !self.has_truth {
            let stages = self.stages.iter();
            let stages = stages.filter_map(|(name, times)| Some((name.clone(), latency(times)?)));
            unscored(
                &mut report,
                self.times.len(),
                Timing {
                    latency_ms: latency(&self.times),
                    stages_ms: stages.collect(),
                },
            );
        }
        report.delivery = Some(self.delivery);
        report.places = self.places.finish();
        report
    }
}

impl BagReport {
    /// The report of recordings, each with the model that was asked about it, in the order of the inputs.
    pub fn of<'r>(bags: impl IntoIterator<Item = (&'r str, &'r BagRecord)>, run: Run) -> Self {
        let mut tally = RecordsTally::default();
        let (mut rows, mut instructions) = (Vec::new(), Vec::new());
        for (at, (model, bag)) in bags.into_iter().enumerate() {
            tally.add_bag(bag);
            let own = bag.instructions.iter();
            instructions.extend(own.map(|record| InstructionRow::of(record, at)));
            rows.push(BagRow::of(bag, model));
        }
        Self {
            report: tally.report(run),
            bags: rows,
            instructions,
        }
    }
}

impl BagRow {
    fn of(bag: &BagRecord, model: &str) -> Self {
        let mut tally = Tally::default();
        for case in bag
            .instructions
            .iter()
            .filter_map(|record| record.case.as_ref())
        {
            tally.add_record(case);
        }
        Self {
            bag: bag.bag.clone(),
            robot: bag.robot.clone(),
            day: bag.day.clone(),
            model: model.to_owned(),
            instructions: bag.instructions.len(),
            giou: tally.scores().quality.giou,
            fault: bag.fault.as_ref().map(|fault| fault.why.clone()),
            notes: bag.notes.clone(),
        }
    }
}

/// Why no answer has a score.
const NO_TRUTH: &str =
    "nothing says what is true; name the topic with the true masks (sensor_msgs/Image, mono8) with --truth-topic";

/// Completes the report of answers without any truth: how many there are, how long they took, and why nothing else was measured.
fn unscored(report: &mut Report, answers: usize, timing: Timing) {
    report.overall.quality.count = answers;
    report.overall.timing = timing;
    let known = ["latency_ms", "not_measured"];
    let scores = DEFINITIONS.into_iter().chain(IMAGE_RELIANCE_DEFINITIONS);
    let scores = scores.filter(|(score, _)| !known.contains(score));
    report.overall.not_measured = scores.map(|(score, _)| (score, NO_TRUTH)).collect();
}
