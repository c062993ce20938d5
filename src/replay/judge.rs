//! Answers to a recording's instructions against what is true: one report, whether the engine answered or the node.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use image::GrayImage;
use lisa_messages::ResultStatus;
use rosbag2::Bag;
use serde::Serialize;

use super::instructions::{kind, kinds};
use super::recorded::RecordedResult;
use super::timeline::{Moment, RecordedFrame};
use super::truth::{Truth, Truths};
use super::{Outcome, ReplayError};
use crate::engine::Attention;
use crate::eval::{
    latency, Case, Delivery, Gallery, Latency, Report, Run, Tally, Timing, DEFINITIONS,
    LOOKING_DEFINITIONS,
};
use crate::frames::Stamp;
use crate::node::Question;

/// A report about a recording: the scores, and each instruction by itself.
#[derive(Clone, Debug, Serialize)]
pub struct BagReport {
    #[serde(flatten)]
    pub report: Report,
    pub instructions: Vec<Row>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub id: String,
    pub instruction: String,
    /// Of the frame it is about, nanoseconds; 0 where there was none.
    pub stamp: i64,
    /// `segmented`, `text_only`, …, as in `ReasoningResult`; `dropped` without a result, `other_frame` for one about
    /// another frame than the recording has.
    pub status: &'static str,
    pub answer: String,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// With the truth; `null` where none is known, or there is no answer. About an absent object: 1 without `[SEG]`.
    pub iou: Option<f64>,
    /// `null` without an answer.
    pub latency_ms: Option<f64>,
}

/// Collects verdicts.
pub struct Judge<'b> {
    bag: &'b Bag,
    /// The kinds of questions that the recording asks.
    kinds: Vec<String>,
    truths: Option<Truths<'b>>,
    gallery: Gallery,
    shows: bool,
    tally: Tally,
    delivery: Delivery,
    rows: Vec<Row>,
    /// Of the answers, scored or not, and of their stages.
    times: Vec<Duration>,
    stages: BTreeMap<String, Vec<Duration>>,
    /// Instructions so far about the frame of a stamp.
    about: HashMap<Stamp, usize>,
}

/// Why an answer has no score.
const NO_TRUTH: &str =
    "nothing says what is true; name the topic with the true masks (sensor_msgs/Image, mono8) with --truth-topic";

/// What an answer comes down to.
struct Reply<'a> {
    status: Option<ResultStatus>,
    error: &'a str,
    answer: &'a str,
    mask: Option<GrayImage>,
    attention: Option<&'a Attention>,
    latency: Latency<'a>,
}

impl<'b> Judge<'b> {
    /// `shown`: cases of the gallery, 0 for none. Without `truths` answers are counted and not scored.
    pub fn new(bag: &'b Bag, truths: Option<Truths<'b>>, shown: usize) -> Self {
        Self {
            bag,
            kinds: kinds(bag),
            truths,
            gallery: Gallery::new(shown),
            shows: shown > 0,
            tally: Tally::default(),
            delivery: Delivery::default(),
            rows: Vec::new(),
            times: Vec::new(),
            stages: BTreeMap::new(),
            about: HashMap::new(),
        }
    }

    /// Takes an answer of the engine.
    ///
    /// # Errors
    /// A truth that cannot be read or has another size than its frame.
    pub fn computed(
        &mut self,
        shot: Option<&RecordedFrame>,
        outcome: &Outcome,
    ) -> Result<&Row, ReplayError> {
        let timings = outcome.answer().map(|answer| answer.timings.stages());
        let stages = timings.into_iter().flatten();
        let stages: Vec<(&str, Duration)> = stages.map(|(s, t)| (s.name(), t)).collect();
        let latency = Latency {
            total: outcome.total,
            stages: &stages,
        };
        let status = Some(outcome.result.status());
        let reply = match &outcome.result.outcome {
            Ok(answer) => Reply {
                status,
                error: "",
                answer: &answer.text,
                mask: outcome.mask(),
                attention: answer.attention.as_ref(),
                latency,
            },
            Err(refusal) => Reply {
                status,
                error: &refusal.why,
                answer: "",
                mask: None,
                attention: None,
                latency,
            },
        };
        self.add(outcome.question(), shot, reply)
    }

    /// Takes what the node said, or that it said nothing.
    ///
    /// # Errors
    /// As of [`Judge::computed`].
    pub fn recorded(
        &mut self,
        moment: &Moment,
        said: Option<&RecordedResult>,
    ) -> Result<&Row, ReplayError> {
        let shot = moment.frame.as_deref().ok();
        let Some(said) = said else {
            self.delivery.asked += 1;
            self.delivery.dropped += 1;
            self.count(shot.map_or(Stamp::default(), RecordedFrame::stamp));
            return Ok(self.row(
                &moment.question,
                shot,
                "dropped",
                "",
                "no result was recorded",
            ));
        };
        if let Some(age) = said.frame_age {
            self.delivery.add_age(age);
        }
        let stages: Vec<(&str, Duration)> =
            said.stages.iter().map(|(s, t)| (s.as_str(), *t)).collect();
        let shot_stamp = shot.map(RecordedFrame::stamp);
        let same_frame = said.stamp == Stamp::default() || Some(said.stamp) == shot_stamp;
        if !same_frame {
            self.delivery.asked += 1;
            self.delivery.other_frame += 1;
            self.count(shot_stamp.unwrap_or_default());
            return Ok(self.row(
                &moment.question,
                shot,
                "other_frame",
                &said.answer,
                "answered about another frame",
            ));
        }
        let size = match shot {
            Some(shot) if !said.objects.is_empty() => {
                let frame = shot.frame(self.bag).map_err(ReplayError::Picture)?;
                (frame.width(), frame.height())
            }
            _ => (0, 0),
        };
        let reply = Reply {
            status: said.status,
            error: &said.error,
            answer: &said.answer,
            mask: said
                .mask(size.0, size.1)
                .filter(|_| !said.objects.is_empty()),
            attention: None, // a result does not say it
            latency: Latency {
                total: said.latency,
                stages: &stages,
            },
        };
        self.add(&moment.question, shot, reply)
    }

    /// Which instruction about that frame this is, from 0.
    fn count(&mut self, stamp: Stamp) -> usize {
        let about = self.about.entry(stamp).or_default();
        *about += 1;
        *about - 1
    }

    fn add(
        &mut self,
        question: &Question,
        shot: Option<&RecordedFrame>,
        reply: Reply<'_>,
    ) -> Result<&Row, ReplayError> {
        let stamp = shot.map_or(Stamp::default(), RecordedFrame::stamp);
        let nth = self.count(stamp);
        let delivery = &mut self.delivery;
        delivery.asked += 1;
        let status = reply.status.unwrap_or(ResultStatus::Error);
        match status {
            _ if status.is_answer() => delivery.answered += 1,
            ResultStatus::NoImage => delivery.no_image += 1,
            ResultStatus::Overloaded => delivery.overloaded += 1,
            ResultStatus::Cancelled => delivery.cancelled += 1,
            _ => delivery.failed += 1,
        }
        let (answered, status) = (status.is_answer(), status.name());
        if !answered {
            return Ok(self.row(question, shot, status, "", reply.error));
        }
        self.times.push(reply.latency.total);
        for (stage, time) in reply.latency.stages {
            let times = self.stages.entry((*stage).to_owned()).or_default();
            times.push(*time);
        }
        let truth = match (&self.truths, shot) {
            (Some(truths), Some(_)) => truths.about(stamp, nth)?,
            _ => None,
        };
        let mut iou = None;
        match truth {
            None => self.delivery.without_truth += usize::from(self.truths.is_some()),
            Some(truth) => {
                let kind = kind(question, &self.kinds);
                let truth = match &truth {
                    Truth::There(mask) => Some(mask),
                    Truth::Absent => None,
                };
                let case = Case {
                    name: &question.instruction_id,
                    kind: &kind,
                    history: &[],
                    instruction: &question.text.words,
                    answer: reply.answer,
                    truth,
                    predicted: reply.mask.as_ref(),
                    emitted: Some(reply.answer.matches("[SEG]").count()),
                    expected: usize::from(truth.is_some()),
                    names_right: None,
                    closer: Default::default(),
                    attention: reply.attention,
                    latency: reply.latency,
                };
                let verdict = self.tally.add(&case)?;
                iou = Some(verdict.iou);
                if let Some(shot) = shot.filter(|_| self.shows) {
                    let frame = shot.frame(self.bag).map_err(ReplayError::Picture)?;
                    self.gallery.offer(&case, &verdict, frame.pixels())?;
                }
            }
        }
        let latency = reply.latency.total.as_secs_f64() * 1e3;
        let row = self.row(question, shot, status, reply.answer, "");
        (row.iou, row.latency_ms) = (iou, Some(latency));
        Ok(row)
    }

    fn row(
        &mut self,
        question: &Question,
        shot: Option<&RecordedFrame>,
        status: &'static str,
        answer: &str,
        error: &str,
    ) -> &mut Row {
        let at = self.rows.len();
        self.rows.push(Row {
            id: question.instruction_id.clone(),
            instruction: question.text.words.clone(),
            stamp: shot.map_or(0, |shot| shot.stamp().0),
            status,
            answer: answer.to_owned(),
            error: error.to_owned(),
            iou: None,
            latency_ms: None,
        });
        &mut self.rows[at]
    }

    /// Results of instructions that the recording does not have.
    pub fn unasked(&mut self, count: usize) {
        self.delivery.unasked = count;
    }

    /// The report, and its pictures.
    pub fn finish(self, run: Run) -> (BagReport, Gallery) {
        let mut report = self.tally.report(run);
        if self.truths.is_none() {
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
        let report = BagReport {
            report,
            instructions: self.rows,
        };
        (report, self.gallery)
    }
}

/// A report of answers that nothing is known to be true about: how many there are, how long they took, and what it would take
/// to know more.
fn unscored(report: &mut Report, answers: usize, timing: Timing) {
    report.overall.quality.count = answers;
    report.overall.timing = timing;
    let known = ["latency_ms", "not_measured"];
    let scores = DEFINITIONS.into_iter().chain(LOOKING_DEFINITIONS);
    let scores = scores.filter(|(score, _)| !known.contains(score));
    report.overall.not_measured = scores.map(|(score, _)| (score, NO_TRUTH)).collect();
}
