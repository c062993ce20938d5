//! Asking the engine about a moment of a recording, as the node would.

use std::time::{Duration, Instant};

use image::GrayImage;

use super::masks::mono8;
use super::timeline::Moment;
use super::Ask;
use crate::bag::{
    Bag, Header, ReasoningResult, RegionOfInterest, SegmentedObject, StageTime, Status,
};
use crate::engine::{Answer, AnswerOptions, AnswerStatus, Engine, Frame, Request, RequestError};
use crate::image::union_masks;
use crate::text::Instruction;

/// What became of an instruction.
pub struct Outcome {
    pub ask: Ask,
    /// The frame's own; empty where there was none.
    pub header: Header,
    /// When the frame was recorded, nanoseconds; the instruction's time where there was none.
    pub frame_time: u64,
    pub frame: Option<Frame>,
    pub answer: Result<Answer, Refusal>,
    /// From the question to the end of the answer.
    pub total: Duration,
}

/// No answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: Status,
    pub why: String,
}

impl Refusal {
    fn new(status: Status, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }
}

/// Asks about a moment and waits for the answer.
pub fn ask(bag: &Bag, engine: &Engine, options: &AnswerOptions, moment: Moment) -> Outcome {
    let Moment { ask, shot } = moment;
    let mut outcome = Outcome {
        header: Header::default(),
        frame_time: ask.log_time,
        frame: None,
        answer: Err(Refusal::new(Status::NoImage, "")),
        total: Duration::ZERO,
        ask,
    };
    // In the node's order: words that cannot be asked come before the question of a frame.
    if let Err(fault) = Instruction::parse_bytes(outcome.ask.text.as_bytes()) {
        outcome.answer = Err(Refusal::new(Status::Error, fault.to_string()));
        return outcome;
    }
    let shot = match shot {
        Ok(shot) => shot,
        Err(why) => {
            outcome.answer = Err(Refusal::new(Status::NoImage, why));
            return outcome;
        }
    };
    outcome.header = shot.header.clone();
    outcome.frame_time = shot.log_time();
    let frame = match shot.frame(bag) {
        Ok(frame) => frame,
        Err(why) => {
            let why = format!("the image cannot be used: {why}");
            outcome.answer = Err(Refusal::new(Status::Error, why));
            return outcome;
        }
    };
    let ask = &outcome.ask;
    let request = Request {
        instruction: ask.text.clone(),
        frame: frame.clone(),
        conversation_id: Some(ask.conversation_id.clone()).filter(|id| !id.is_empty()),
        options: AnswerOptions {
            seed: ask.number,
            ..options.clone()
        },
    };
    let started = Instant::now();
    let answer = engine.submit(request).and_then(|ticket| ticket.wait());
    outcome.total = started.elapsed();
    outcome.answer = answer.map_err(|error| {
        let status = match &error {
            RequestError::Cancelled { .. } | RequestError::ShuttingDown => Status::Cancelled,
            RequestError::Overloaded { .. } => Status::Overloaded,
            _ => Status::Error,
        };
        Refusal::new(status, error.to_string())
    });
    outcome.frame = Some(frame);
    outcome
}

impl Outcome {
    /// As the node publishes it on `~/result`.
    pub fn result(&self) -> ReasoningResult<'_> {
        let blank = ReasoningResult {
            header: self.header.clone(),
            instruction_id: self.ask.id.clone(),
            conversation_id: self.ask.conversation_id.clone(),
            instruction: self.ask.text.clone(),
            ..ReasoningResult::default()
        };
        let answer = match &self.answer {
            Ok(answer) => answer,
            Err(refusal) => {
                return ReasoningResult {
                    status: refusal.status as u8,
                    error: refusal.why.clone(),
                    ..blank
                }
            }
        };
        let timings = &answer.timings;
        let stage = |stage: &str, time: Duration| StageTime {
            stage: stage.to_owned(),
            seconds: time.as_secs_f32(),
        };
        let stages = timings.stages().map(|(s, time)| stage(s.name(), time));
        ReasoningResult {
            answer: answer.text.clone(),
            status: match answer.status {
                AnswerStatus::Segmented => Status::Segmented,
                AnswerStatus::TextOnly => Status::TextOnly,
                AnswerStatus::EmptyMask => Status::EmptyMask,
            } as u8,
            notes: answer.notes.clone(),
            objects: answer
                .objects
                .iter()
                .map(|object| SegmentedObject {
                    id: object.index as u32,
                    label: object.label.clone(),
                    score: object.score,
                    roi: RegionOfInterest {
                        x_offset: object.roi.x,
                        y_offset: object.roi.y,
                        width: object.roi.width,
                        height: object.roi.height,
                        do_rectify: false,
                    },
                    mask: mono8(&self.header, &object.mask),
                })
                .collect(),
            timings: stages.chain([stage("total", timings.total)]).collect(),
            token_seconds: timings.tokens.iter().map(|t| t.as_secs_f32()).collect(),
            ..blank
        }
    }

    /// The union of the answer's masks, full frame, 0 or 255; `None` where it names no object.
    pub fn mask(&self) -> Option<GrayImage> {
        let (answer, frame) = (self.answer.as_ref().ok()?, self.frame.as_ref()?);
        if answer.status == AnswerStatus::TextOnly {
            return None;
        }
        let masks = answer.objects.iter().map(|o| (o.roi, &o.mask));
        Some(union_masks(frame.width(), frame.height(), masks))
    }
}
