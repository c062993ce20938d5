//! What the node counts for its diagnostics.

use std::collections::BTreeMap;
use std::time::Instant;

use super::result::{Refusal, ResultStatus};
use super::space::Place;
use crate::engine::Timings;

/// Counts of results, and the latest error.
#[derive(Debug, Default)]
pub struct Health {
    /// How many results there were, by status; repeats of mode `continuous` are included.
    pub results: BTreeMap<ResultStatus, u64>,
    /// How many frames an answer was computed from.
    pub frames_used: u64,
    last_frame: u64,
    /// How long the stages of the last answer took.
    pub timings: Option<Timings>,
    /// Why the last question that got no answer got none, and when; cancelled ones do not count.
    pub last_error: Option<(Refusal, Instant)>,
    /// The status of the last result.
    pub last_status: Option<ResultStatus>,
    /// How many objects were measured in space.
    pub placed: u64,
    /// How many could not be, by reason.
    pub not_placed: BTreeMap<&'static str, u64>,
    /// Why the last answer's objects could not be measured; `None` if they could.
    pub last_not_placed: Option<String>,
}

impl Health {
    /// Counts an answer. `frame` is the number of the camera's frame, 0 for an image that a goal brought along.
    pub fn answered(&mut self, status: ResultStatus, frame: u64, timings: &Timings) {
        self.count(status);
        self.looked_at(frame);
        self.timings = Some(timings.clone());
    }

    /// Counts a frame that the engine was asked about.
    pub fn looked_at(&mut self, frame: u64) {
        // Two questions about the same frame count it once. A stamped instruction may go back to an older frame,
        // which is then counted again.
        self.frames_used += u64::from(frame != 0 && frame != self.last_frame);
        self.last_frame = frame;
    }

    /// Counts which objects of an answer, or of a followed frame, were measured in space.
    pub fn placed<'p>(&mut self, places: impl Iterator<Item = &'p Place>) {
        for place in places {
            self.last_not_placed = match place {
                Ok(_) => {
                    self.placed += 1;
                    None
                }
                Err(why) => {
                    let code = why.code().name();
                    *self.not_placed.entry(code).or_default() += 1;
                    Some(format!("{code}: {why}"))
                }
            };
        }
    }

    /// Counts a result without an answer.
    pub fn refused(&mut self, refusal: &Refusal, now: Instant) {
        self.count(refusal.status);
        if refusal.status != ResultStatus::Cancelled {
            self.last_error = Some((refusal.clone(), now));
        }
    }

    /// Whether the last question ended with this same refusal.
    pub fn is_last(&self, refusal: &Refusal) -> bool {
        self.last_status == Some(refusal.status)
            && self
                .last_error
                .as_ref()
                .is_some_and(|(r, _)| r.why == refusal.why)
    }

    fn count(&mut self, status: ResultStatus) {
        *self.results.entry(status).or_default() += 1;
        self.last_status = Some(status);
    }
}
