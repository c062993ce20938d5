//! Asking the engine a question of a recording.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::GrayImage;
use rosbag2::{Bag, Header};

use super::timeline::ResolvedQuestion;
use crate::engine::{Answer, AnswerOptions, Engine, Frame, Request};
use crate::image::union_masks;
use crate::node::{Question, QuestionResult, Refusal, ResultStatus};

/// How a question of the recording ended.
pub struct Outcome {
    /// The result, as the node would publish it.
    pub result: QuestionResult,
    /// When its instruction was recorded, nanoseconds.
    pub log_time: u64,
    /// When the frame was recorded, nanoseconds; the instruction's time if there was no frame.
    pub frame_time: u64,
    /// The frame that was asked about; `None` if there was none or it could not be decoded.
    pub frame: Option<Frame>,
    /// From the submission to the engine until the end of the answer; zero if the engine was not asked.
    pub total: Duration,
}

/// Asks the engine and waits for the answer. A question that cannot be asked ends in a refusal, as in the node.
pub fn ask(
    bag: &Bag,
    engine: &Engine,
    options: &AnswerOptions,
    resolved: ResolvedQuestion,
) -> Outcome {
    let ResolvedQuestion {
        question,
        log_time,
        frame,
    } = resolved;
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
    /// What was asked.
    pub fn question(&self) -> &Question {
        &self.result.question
    }

    /// The answer, if there is one.
    pub fn answer(&self) -> Option<&Answer> {
        self.result.outcome.as_deref().ok()
    }

    /// The union of the answer's masks, at the frame's size, 0 or 255; `None` if it names no object.
    pub fn mask(&self) -> Option<GrayImage> {
        let (answer, frame) = (self.answer()?, self.frame.as_ref()?);
        if !answer.names_objects() {
            return None;
        }
        let masks = answer.objects.iter().map(|o| (o.roi, &*o.mask));
        Some(union_masks(frame.width(), frame.height(), masks))
    }
}
