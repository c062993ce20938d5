//! What the node remembers about its own work, for the diagnostics.

use std::collections::BTreeMap;
use std::time::Instant;

use super::result::{Refusal, ResultStatus};
use crate::engine::Timings;

/// Counts and last words.
#[derive(Debug, Default)]
pub struct Health {
    /// Results by status, repeats of mode `continuous` included.
    pub results: BTreeMap<ResultStatus, u64>,
    /// Frames that an answer was computed from.
    pub frames_used: u64,
    last_frame: u64,
    /// Of the last answer.
    pub timings: Option<Timings>,
    /// The last instruction that got no answer.
    pub last_error: Option<(Refusal, Instant)>,
    pub last_status: Option<ResultStatus>,
}

impl Health {
    /// `frame` is the number of the camera frame, 0 for a picture of the asker's own.
    pub fn answered(&mut self, status: ResultStatus, frame: u64, timings: &Timings) {
        self.count(status);
        // Two questions about one frame use one frame; stamped instructions may go back and count an old one again.
        self.frames_used += u64::from(frame != 0 && frame != self.last_frame);
        self.last_frame = frame;
        self.timings = Some(timings.clone());
    }

    pub fn refused(&mut self, refusal: &Refusal, now: Instant) {
        self.count(refusal.status);
        if refusal.status != ResultStatus::Cancelled {
            self.last_error = Some((refusal.clone(), now));
        }
    }

    /// True where the last instruction failed for this very reason.
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
