//! Asking the engine a question of a recording, and measuring where the objects of its answer are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::GrayImage;
use rosbag2::Bag;

use super::timeline::{RecordedScene, ResolvedQuestion};
use crate::engine::{Answer, Engine, Frame, ObjectMask};
use crate::node::{CameraFrame, FoundObject, Place, Question, QuestionResult, Refusal};
use crate::spatial::Locator;

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
    /// What the frame's objects are measured with; `None` where nothing about space is taken from the recording.
    pub scene: Option<RecordedScene>,
    /// From the submission to the engine until the end of the answer; zero if the engine was not asked.
    pub total: Duration,
}

/// Asks an engine the questions of a recording.
pub struct Asker<'r> {
    bag: &'r Bag,
    engine: &'r Engine,
    locator: Locator,
}

impl<'r> Asker<'r> {
    /// For the questions of this recording.
    pub fn new(bag: &'r Bag, engine: &'r Engine) -> Self {
        Self {
            bag,
            engine,
            locator: Locator::default(),
        }
    }

    /// Asks the engine and waits for the answer. A question that cannot be asked ends in a refusal, as in the node.
    pub fn ask(&mut self, resolved: ResolvedQuestion) -> AnsweredQuestion {
        let ResolvedQuestion {
            question,
            log_time,
            request,
            scene,
        } = resolved;
        let request = match request {
            Ok(request) => request,
            Err(refused) => {
                return AnsweredQuestion {
                    result: QuestionResult::clone(&refused),
                    log_time,
                    frame_time: log_time,
                    frame: None,
                    scene: None,
                    total: Duration::ZERO,
                }
            }
        };
        let recorded = Arc::clone(&request.frame);
        let (frame, outcome, total) = match recorded.frame(self.bag) {
            Ok(frame) => {
                let started = Instant::now();
                let ticket = self.engine.submit(request.with_frame(frame.clone()));
                let answer = ticket.and_then(|ticket| ticket.wait());
                let total = started.elapsed();
                let outcome = answer.map(Arc::new).map_err(|error| (&error).into());
                (Some(frame), outcome, total)
            }
            Err(why) => (None, Err(Refusal::bad_frame(&why)), Duration::ZERO),
        };
        let mut result = QuestionResult::ended(question, recorded.header(), outcome);
        if let (Ok(answer), Some(frame)) = (&result.outcome, &frame) {
            let size = (frame.width(), frame.height());
            let objects = answer.objects.iter().map(|mask| FoundObject {
                place: place(&mut self.locator, scene.as_ref(), size, mask),
                mask: Arc::new(mask.clone()),
            });
            result.objects = objects.collect();
        }
        AnsweredQuestion {
            result,
            log_time,
            frame_time: recorded.log_time(),
            frame,
            scene,
            total,
        }
    }
}

/// Where an object of a frame of that size is; `None` where nobody looks for places.
pub(super) fn place(
    locator: &mut Locator,
    scene: Option<&RecordedScene>,
    size: (u32, u32),
    mask: &ObjectMask,
) -> Option<Place> {
    Some(match scene? {
        Ok(scene) => scene.locate(locator, size, mask),
        Err(why) => Err(Arc::clone(why)),
    })
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
