//! Scoring the answers to a recording's instructions against the truth, whether the engine computes them or a node has published
//! them.

use std::collections::HashMap;
use std::time::Duration;

use image::GrayImage;
use lisa_messages::ResultStatus;
use rosbag2::Bag;

use super::ground_truth::{GroundTruth, Truth};
use super::instructions::{kind, kinds};
use super::judged_places::{places, AnswerPlaces, JudgedPlaces};
use super::recorded::{RecordedPlace, RecordedResult};
use super::records::{BagRecord, BagReport, InstructionRecord, InstructionRow, Outcome};
use super::timeline::{RecordedFrame, RecordedScene, ResolvedQuestion};
use super::true_boxes::TrueBoxes;
use super::{AnsweredQuestion, ReplayError};
use crate::engine::AttentionMap;
use crate::eval::{
    nanoseconds, Case, CaseRecord, Gallery, Latency, LatencyRecord, Run, WorstCases,
};
use crate::frames::Stamp;
use crate::node::Question;

/// Scores one answer after the other, and makes a report of them.
pub struct Judge<'b> {
    bag: &'b Bag,
    /// The kinds of questions that the bag's metadata lists.
    kinds: Vec<String>,
    ground_truth: Option<GroundTruth<'b>>,
    places: JudgedPlaces<'b>,
    gallery: Gallery,
    worst: Worst<'b>,
    record: BagRecord,
    rows: Vec<InstructionRow>,
    /// How many instructions so far were about the frame of a stamp.
    about: HashMap<Stamp, usize>,
}

/// Where the worst cases of several recordings are kept.
#[derive(Default)]
struct Worst<'b> {
    cases: Option<&'b mut WorstCases>,
    /// The place of the recording among the inputs.
    input: usize,
}

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
    age_ns: Option<u64>,
}

impl<'b> Judge<'b> {
    /// `gallery` keeps the pictures of the cases. Without `ground_truth` answers are counted and timed but not scored.
    pub fn new(bag: &'b Bag, ground_truth: Option<GroundTruth<'b>>, gallery: Gallery) -> Self {
        Self {
            bag,
            kinds: kinds(bag),
            places: JudgedPlaces::default(),
            gallery,
            worst: Worst::default(),
            record: BagRecord {
                bag: bag.path().display().to_string(),
                robot: super::robot(bag),
                day: super::day(bag),
                notes: bag.notes().iter().map(ToString::to_string).collect(),
                has_truth: ground_truth.is_some(),
                ..BagRecord::default()
            },
            ground_truth,
            rows: Vec::new(),
            about: HashMap::new(),
        }
    }

    /// Also keeps the worst cases of several recordings, of which this one is input number `input`, from 0.
    #[must_use]
    pub fn with_worst(mut self, cases: &'b mut WorstCases, input: usize) -> Self {
        let cases = Some(cases);
        self.worst = Worst { cases, input };
        self
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
                age_ns: None,
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
                age_ns: None,
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
            self.count(frame.map_or(Stamp::default(), RecordedFrame::stamp));
            let record = without_answer(&resolved.question, frame, Outcome::Dropped);
            return Ok(self.keep(InstructionRecord {
                error: "no result was recorded".to_owned(),
                ..record
            }));
        };
        let age_ns = recorded.frame_age.map(nanoseconds);
        let stages: Vec<(&str, Duration)> = recorded
            .stages
            .iter()
            .map(|(s, t)| (s.as_str(), *t))
            .collect();
        let frame_stamp = frame.map(RecordedFrame::stamp);
        let same_frame = recorded.stamp == Stamp::default() || Some(recorded.stamp) == frame_stamp;
        if !same_frame {
            self.count(frame_stamp.unwrap_or_default());
            let record = without_answer(&resolved.question, frame, Outcome::OtherFrame);
            return Ok(self.keep(InstructionRecord {
                answer: recorded.answer.clone(),
                error: "answered about another frame".to_owned(),
                age_ns,
                ..record
            }));
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
            age_ns,
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
        let status = judged.status.unwrap_or(ResultStatus::Error);
        let mut record = InstructionRecord {
            age_ns: judged.age_ns,
            ..without_answer(question, frame, Outcome::Result(status))
        };
        if !status.is_answer() {
            record.error = judged.error.to_owned();
            return Ok(self.keep(record));
        }
        record.answer = judged.answer.to_owned();
        record.latency = Some(LatencyRecord::of(&judged.latency));
        let truth = match (&self.ground_truth, frame) {
            (Some(ground_truth), Some(_)) => ground_truth.about(stamp, nth)?,
            _ => None,
        };
        if let Some(truth) = &truth {
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
            record.case = Some(CaseRecord::of(&case)?);
            self.show(&case, frame)?;
        }
        if let Some(frame) = frame {
            record.places = self.places.judge(&AnswerPlaces {
                places: judged.places,
                scene: judged.scene,
                log_time: frame.log_time(),
                stamp,
                nth,
                truth: truth.as_ref(),
                iou: record.case.as_ref().map(|case| case.verdict().iou),
            })?;
        }
        Ok(self.keep(record))
    }

    /// Offers the pictures of a case to whoever shows some.
    fn show(&mut self, case: &Case<'_>, frame: Option<&RecordedFrame>) -> Result<(), ReplayError> {
        let shows = self.gallery.draws() || self.worst.cases.is_some();
        let Some(frame) = frame.filter(|_| shows) else {
            return Ok(());
        };
        let frame = frame.judged(self.bag)?;
        let verdict = case.verdict()?;
        if let Some(worst) = &mut self.worst.cases {
            let place = (self.worst.input, self.record.instructions.len());
            worst.offer(place, &self.record.bag, case, &verdict, frame.pixels())?;
        }
        if self.gallery.draws() {
            self.gallery.offer(case, &verdict, frame.pixels())?;
        }
        Ok(())
    }

    fn keep(&mut self, record: InstructionRecord) -> &InstructionRow {
        let at = self.rows.len();
        self.rows.push(InstructionRow::of(&record, 0));
        self.record.instructions.push(record);
        &self.rows[at]
    }

    /// Says how many results belong to no instruction of the recording.
    pub fn unasked(&mut self, count: usize) {
        self.record.unasked = count;
    }

    /// What is kept of the recording.
    pub fn into_record(self) -> BagRecord {
        self.record
    }

    /// What is kept of the recording, and the cases that its page shows.
    pub fn into_record_and_gallery(self) -> (BagRecord, Gallery) {
        (self.record, self.gallery)
    }

    /// The report of this recording alone, and the cases that its page shows.
    pub fn finish(self, run: Run) -> (BagReport, Gallery) {
        let model = run.model.clone();
        let report = BagReport::of([(model.as_str(), &self.record)], run);
        (report, self.gallery)
    }
}

/// The record of an instruction before anything is known about its answer.
fn without_answer(
    question: &Question,
    frame: Option<&RecordedFrame>,
    outcome: Outcome,
) -> InstructionRecord {
    InstructionRecord {
        id: question.instruction_id.clone(),
        instruction: question.text.words.clone(),
        stamp: frame.map_or(0, |frame| frame.stamp().0),
        outcome,
        answer: String::new(),
        error: String::new(),
        age_ns: None,
        latency: None,
        case: None,
        places: Default::default(),
    }
}
