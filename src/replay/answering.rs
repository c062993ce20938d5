//! Asking the engine a question of a recording.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::GrayImage;
use rosbag2::Bag;

use super::timeline::ResolvedQuestion;
use crate::engine::{Answer, Engine, Frame};
use crate::node::{CameraFrame, Question, QuestionResult, Refusal};

/// A question of the recording, and how it ended: with an answer or without.
pub struct AnsweredQuestion {
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
pub fn ask(bag: &Bag, engine: &Engine, resolved: ResolvedQuestion) -> AnsweredQuestion {
    let ResolvedQuestion {
        question,
        log_time,
        request,
    } = resolved;
    let request = match request {
        Ok(request) => request,
        Err(refused) => {
            return AnsweredQuestion {
                result: QuestionResult::clone(&refused),
                log_time,
                frame_time: log_time,
                frame: None,
                total: Duration::ZERO,
            }
        }
    };
    let recorded = Arc::clone(&request.frame);
    let (frame, outcome, total) = match recorded.frame(bag) {
        Ok(frame) => {
            let started = Instant::now();
            let ticket = engine.submit(request.with_frame(frame.clone()));
            let answer = ticket.and_then(|ticket| ticket.wait());
            let total = started.elapsed();
            let outcome = answer.map(Arc::new).map_err(|error| (&error).into());
            (Some(frame), outcome, total)
        }
        Err(why) => (None, Err(Refusal::bad_frame(&why)), Duration::ZERO),
    };
    AnsweredQuestion {
        result: QuestionResult::ended(question, recorded.header(), outcome),
        log_time,
        frame_time: recorded.log_time(),
        frame,
        total,
    }
}

impl AnsweredQuestion {
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
        answer.union_mask(frame.width(), frame.height())
    }
}
