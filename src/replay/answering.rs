//! Asking the engine about a moment of a recording.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::GrayImage;
use rosbag2::{Bag, Header};

use super::timeline::Moment;
use crate::engine::{Answer, AnswerOptions, Engine, Frame, Request};
use crate::image::union_masks;
use crate::node::{Question, QuestionResult, Refusal, ResultStatus};

/// What became of a question.
pub struct Outcome {
    /// As the node publishes it.
    pub result: QuestionResult,
    /// When its instruction was recorded, nanoseconds.
    pub log_time: u64,
    /// When the frame was recorded, nanoseconds; the instruction's time where there was none.
    pub frame_time: u64,
    pub frame: Option<Frame>,
    /// From the question to the end of the answer.
    pub total: Duration,
}

/// Asks about a moment and waits for the answer.
pub fn ask(bag: &Bag, engine: &Engine, options: &AnswerOptions, moment: Moment) -> Outcome {
    let Moment {
        question,
        log_time,
        frame,
    } = moment;
    let mut outcome = Outcome {
        log_time,
        frame_time: log_time,
        frame: None,
        total: Duration::ZERO,
        result: QuestionResult {
            question: Arc::clone(&question),
            header: Header::default(),
            outcome: Err(Refusal {
                status: ResultStatus::NoImage,
                why: String::new(),
            }),
        },
    };
    let recorded = match frame {
        Ok(recorded) => recorded,
        Err(refusal) => {
            outcome.result.outcome = Err(refusal);
            return outcome;
        }
    };
    outcome.result.header = recorded.header.clone();
    outcome.frame_time = recorded.log_time();
    let frame = match recorded.frame(bag) {
        Ok(frame) => frame,
        Err(why) => {
            outcome.result.outcome = Err(Refusal::bad_frame(&why));
            return outcome;
        }
    };
    let request = Request {
        instruction: question.text.words.clone(),
        frame: frame.clone(),
        conversation_id: question.conversation(),
        options: AnswerOptions {
            seed: question.seed(),
            ..options.clone()
        },
    };
    let started = Instant::now();
    let answer = engine.submit(request).and_then(|ticket| ticket.wait());
    outcome.total = started.elapsed();
    outcome.result.outcome = answer.map(Arc::new).map_err(|error| (&error).into());
    outcome.frame = Some(frame);
    outcome
}

impl Outcome {
    pub fn question(&self) -> &Question {
        &self.result.question
    }

    pub fn answer(&self) -> Option<&Answer> {
        self.result.outcome.as_deref().ok()
    }

    /// The union of the answer's masks, full frame, 0 or 255; `None` where it names no object.
    pub fn mask(&self) -> Option<GrayImage> {
        let (answer, frame) = (self.answer()?, self.frame.as_ref()?);
        if !answer.names_objects() {
            return None;
        }
        let masks = answer.objects.iter().map(|o| (o.roi, &*o.mask));
        Some(union_masks(frame.width(), frame.height(), masks))
    }
}
