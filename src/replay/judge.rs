//! Scoring the answers to a recording's instructions against the truth, whether the engine computes them or a node has published
//! them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use image::GrayImage;
use lisa_messages::ResultStatus;
use rosbag2::Bag;
use serde::Serialize;

use super::ground_truth::{GroundTruth, Truth};
use super::instructions::{kind, kinds};
use super::judged_places::{places, AnswerPlaces, JudgedPlaces};
use super::recorded::{RecordedPlace, RecordedResult};
use super::timeline::{RecordedFrame, RecordedScene, ResolvedQuestion};
use super::true_boxes::TrueBoxes;
use super::{AnsweredQuestion, ReplayError};
use crate::engine::AttentionMap;
use crate::eval::{
    latency, Case, Delivery, Gallery, Latency, Report, Run, Tally, Timing, DEFINITIONS,
    IMAGE_RELIANCE_DEFINITIONS,
};
use crate::frames::Stamp;
use crate::node::Question;

/// A report about a recording: the scores over all instructions, and a row for each of them.
#[derive(Clone, Debug, Serialize)]
pub struct BagReport {
    /// The scores over all instructions.
    #[serde(flatten)]
    pub report: Report,
    /// One row for each instruction, in the order in which they were judged.
    pub instructions: Vec<InstructionRow>,
}

/// How one instruction ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstructionRow {
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
}

/// Scores one answer after the other, and makes a report of them.
pub struct Judge<'b> {
    bag: &'b Bag,
    /// The kinds of questions that the bag's metadata lists.
    kinds: Vec<String>,
    ground_truth: Option<GroundTruth<'b>>,
    places: JudgedPlaces<'b>,
    gallery: Gallery,
    shows: bool,
    tally: Tally,
    delivery: Delivery,
    rows: Vec<InstructionRow>,
    /// Latencies of all answers, scored or not.
    times: Vec<Duration>,
    /// Times of their stages, by name.
    stages: BTreeMap<String, Vec<Duration>>,
    /// How many instructions so far were about the frame of a stamp.
    about: HashMap<Stamp, usize>,
}

/// Why no answer has a score.
const NO_TRUTH: &str =
    "nothing says what is true; name the topic with the true masks (sensor_msgs/Image, mono8) with --truth-topic";

/// What is judged of an answer, whether it was computed or recorded.
struct JudgedAnswer<'a> {
    status: Option<ResultStatus>,
    error: &'a str,
    answer: &'a str,
    mask: Option<GrayImage>,
    attention: Option<&'a AttentionMap>,
    places: &'a [Option<RecordedPlace>],
    scene: Option<&'a RecordedScene>,
    latency: Latency<'a>,
}

impl<'b> Judge<'b> {
    /// `gallery` keeps the pictures of the cases. Without `ground_truth` answers are counted and timed but not scored.
    pub fn new(bag: &'b Bag, ground_truth: Option<GroundTruth<'b>>, gallery: Gallery) -> Self {
        Self {
            bag,
            kinds: kinds(bag),
            ground_truth,
            places: JudgedPlaces::default(),
            shows: gallery.draws(),
            gallery,
            tally: Tally::default(),
            delivery: Delivery::default(),
            rows: Vec::new(),
            times: Vec::new(),
            stages: BTreeMap::new(),
            about: HashMap::new(),
        }
    }

    /// Compares the places of objects with these boxes. Without them they are only counted.
    #[must_use]
    pub fn with_true_boxes(mut self, boxes: TrueBoxes<'b>) -> Self {
        self.places = JudgedPlaces::new(Some(boxes));
        self
    }

    /// Judges an answer of the engine about `frame`.
    ///
    /// # Errors
    /// The true mask cannot be read, or has another size than its frame.
    pub fn computed(
        &mut self,
        frame: Option<&RecordedFrame>,
        answered: &AnsweredQuestion,
    ) -> Result<&InstructionRow, ReplayError> {
        let timings = answered.answer().map(|answer| answer.timings.stages());
        let stages = timings.into_iter().flatten();
        let stages: Vec<(&str, Duration)> = stages.map(|(s, t)| (s.name(), t)).collect();
        let latency = Latency {
            total: answered.total,
            stages: &stages,
        };
        let status = Some(answered.result.status());
        let places = places(&answered.result.objects);
        let judged = match &answered.result.outcome {
            Ok(answer) => JudgedAnswer {
                status,
                error: "",
                answer: &answer.text,
                mask: answered.mask(),
                attention: answer.attention.as_ref(),
                places: &places,
                scene: answered.scene.as_ref(),
                latency,
            },
            Err(refusal) => JudgedAnswer {
                status,
                error: &refusal.why,
                answer: "",
                mask: None,
                attention: None,
                places: &[],
                scene: None,
                latency,
            },
        };
        self.add(answered.question(), frame, judged)
    }

    /// Judges the recorded result of a question, or counts it as dropped if there is none.
    ///
    /// # Errors
    /// As [`Judge::computed`].
    pub fn recorded(
        &mut self,
        resolved: &ResolvedQuestion,
        recorded: Option<&RecordedResult>,
    ) -> Result<&InstructionRow, ReplayError> {
        let frame = resolved.frame().map(|frame| &**frame);
        let Some(recorded) = recorded else {
            self.delivery.asked += 1;
            self.delivery.dropped += 1;
            self.count(frame.map_or(Stamp::default(), RecordedFrame::stamp));
            return Ok(self.row(
                &resolved.question,
                frame,
                InstructionRow::DROPPED,
                "",
                "no result was recorded",
            ));
        };
        if let Some(age) = recorded.frame_age {
            self.delivery.add_age(age);
        }
        let stages: Vec<(&str, Duration)> = recorded
            .stages
            .iter()
            .map(|(s, t)| (s.as_str(), *t))
            .collect();
        let frame_stamp = frame.map(RecordedFrame::stamp);
        let same_frame = recorded.stamp == Stamp::default() || Some(recorded.stamp) == frame_stamp;
        if !same_frame {
            self.delivery.asked += 1;
            self.delivery.other_frame += 1;
            self.count(frame_stamp.unwrap_or_default());
            return Ok(self.row(
                &resolved.question,
                frame,
                InstructionRow::OTHER_FRAME,
                &recorded.answer,
                "answered about another frame",
            ));
        }
        let size = match frame {
            Some(frame) if !recorded.objects.is_empty() => {
                let frame = frame.judged(self.bag)?;
                (frame.width(), frame.height())
            }
            _ => (0, 0),
        };
        let judged = JudgedAnswer {
            status: recorded.status,
            error: &recorded.error,
            answer: &recorded.answer,
            mask: recorded
                .mask(size.0, size.1)
                .filter(|_| !recorded.objects.is_empty()),
            attention: None, // a result does not carry it
            places: &recorded.places,
            scene: None,
            latency: Latency {
                total: recorded.latency,
                stages: &stages,
            },
        };
        self.add(&resolved.question, frame, judged)
    }

    /// Counts an instruction about the frame of that stamp, and tells which of them it is, from 0.
    fn count(&mut self, stamp: Stamp) -> usize {
        let about = self.about.entry(stamp).or_default();
        *about += 1;
        *about - 1
    }

    fn add(
        &mut self,
        question: &Question,
        frame: Option<&RecordedFrame>,
        judged: JudgedAnswer<'_>,
    ) -> Result<&InstructionRow, ReplayError> {
        let stamp = frame.map_or(Stamp::default(), RecordedFrame::stamp);
        let nth = self.count(stamp);
        let delivery = &mut self.delivery;
        delivery.asked += 1;
        let status = judged.status.unwrap_or(ResultStatus::Error);
        match status {
            _ if status.is_answer() => delivery.answered += 1,
            ResultStatus::NoImage => delivery.no_image += 1,
            ResultStatus::Overloaded => delivery.overloaded += 1,
            ResultStatus::Cancelled => delivery.cancelled += 1,
            _ => delivery.failed += 1,
        }
        let (answered, status) = (status.is_answer(), status.name());
        if !answered {
            return Ok(self.row(question, frame, status, "", judged.error));
        }
        self.times.push(judged.latency.total);
        for (stage, time) in judged.latency.stages {
            let times = self.stages.entry((*stage).to_owned()).or_default();
            times.push(*time);
        }
        let truth = match (&self.ground_truth, frame) {
            (Some(ground_truth), Some(_)) => ground_truth.about(stamp, nth)?,
            _ => None,
        };
        let mut iou = None;
        match &truth {
            None => self.delivery.without_truth += usize::from(self.ground_truth.is_some()),
            Some(truth) => {
                let kind = kind(question, &self.kinds);
                let truth = match truth {
                    Truth::There(mask) => Some(mask),
                    Truth::Absent => None,
                };
                let case = Case {
                    name: &question.instruction_id,
                    kind: &kind,
                    history: &[],
                    instruction: &question.text.words,
                    answer: judged.answer,
                    truth,
                    predicted: judged.mask.as_ref(),
                    emitted: Some(judged.answer.matches("[SEG]").count()),
                    expected: usize::from(truth.is_some()),
                    names_right: None,
                    distractors: Default::default(),
                    attention: judged.attention,
                    latency: judged.latency,
                };
                let verdict = self.tally.add(&case)?;
                iou = Some(verdict.iou);
                if let Some(frame) = frame.filter(|_| self.shows) {
                    let frame = frame.judged(self.bag)?;
                    self.gallery.offer(&case, &verdict, frame.pixels())?;
                }
            }
        }
        let centre = match frame {
            Some(frame) => self.places.add(&AnswerPlaces {
                places: judged.places,
                scene: judged.scene,
                log_time: frame.log_time(),
                stamp,
                nth,
                truth: truth.as_ref(),
                iou,
            })?,
            None => None,
        };
        let latency = judged.latency.total.as_secs_f64() * 1e3;
        let row = self.row(question, frame, status, judged.answer, "");
        (row.iou, row.centre_mm, row.latency_ms) = (iou, centre, Some(latency));
        Ok(row)
    }

    fn row(
        &mut self,
        question: &Question,
        frame: Option<&RecordedFrame>,
        status: &'static str,
        answer: &str,
        error: &str,
    ) -> &mut InstructionRow {
        let at = self.rows.len();
        self.rows.push(InstructionRow {
            id: question.instruction_id.clone(),
            instruction: question.text.words.clone(),
            stamp: frame.map_or(0, |frame| frame.stamp().0),
            status,
            answer: answer.to_owned(),
            error: error.to_owned(),
            iou: None,
            centre_mm: None,
            latency_ms: None,
        });
        &mut self.rows[at]
    }

    /// Says how many results belong to no instruction of the recording.
    pub fn unasked(&mut self, count: usize) {
        self.delivery.unasked = count;
    }

    /// The report, and the cases that its page shows.
    pub fn finish(self, run: Run) -> (BagReport, Gallery) {
        let mut report = self.tally.report(run);
        if self.ground_truth.is_none() {
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
        let report = BagReport {
            report,
            instructions: self.rows,
        };
        (report, self.gallery)
    }
}

/// Completes the report of answers without any truth: how many there are, how long they took, and why nothing else was measured.
fn unscored(report: &mut Report, answers: usize, timing: Timing) {
    report.overall.quality.count = answers;
    report.overall.timing = timing;
    let known = ["latency_ms", "not_measured"];
    let scores = DEFINITIONS.into_iter().chain(IMAGE_RELIANCE_DEFINITIONS);
    let scores = scores.filter(|(score, _)| !known.contains(score));
    report.overall.not_measured = scores.map(|(score, _)| (score, NO_TRUTH)).collect();
}
