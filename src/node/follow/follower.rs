//! One goal: what it asks of the engine next, and when its objects are lost.

use std::time::{Duration, Instant};

use super::super::ids::{GoalId, QuestionId};
use super::super::settings::FollowSettings;
use super::report::{FollowResult, FollowState, FollowStatus};
use super::tracks::{Sighting, Tracks};
use crate::engine::Answer;
use crate::frames::Stamp;

/// The language model is asked again at most so often, and no more than a fifth of the time goes into it: where an answer takes
/// long, the pause after it is four times as long. In between the mask decoder goes on looking.
const ASK_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_PER_ANSWER: u32 = 4;

/// What a follower asks of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The goal's instruction: a whole answer of the language model.
    Model,
    /// Its objects again: the image encoder and the mask decoder.
    Decoder,
}

/// A goal that has not ended.
#[derive(Clone, Debug)]
pub struct Follower {
    /// Its number among the followers.
    pub number: QuestionId,
    pub goal: GoalId,
    /// The instruction with which the model is asked.
    pub words: String,
    /// The least time between two frames that are looked at.
    pub period: Duration,
    /// For how long it is followed; `None` until the goal is cancelled.
    pub duration: Option<Duration>,
    /// Until when the goal waits for the node's first frame.
    pub frame_deadline: Option<Instant>,
    pub tracks: Tracks,
    pub state: FollowState,
    /// When the duration is over; `None` before the first frame was looked at, or if there is no duration.
    pub until: Option<Instant>,
    /// The number of the last frame that was given to the engine; 0 before the first.
    pub frame: u64,
    /// When the engine had its last turn for this goal, counted over all goals.
    pub turn: u64,
    next_frame: Instant,
    /// Whether a frame waits to be looked at.
    frame_waits: bool,
    missing_since: Option<Instant>,
    next_question: Instant,
    frames: u32,
    pub dropped: u32,
    times_lost: u32,
    times_asked: u32,
}

impl Follower {
    /// A goal that begins now. Without `tracks` the model is asked for its objects first.
    pub fn new(
        number: QuestionId,
        goal: GoalId,
        words: String,
        tracks: Tracks,
        now: Instant,
    ) -> Self {
        Self {
            number,
            goal,
            words,
            period: Duration::ZERO,
            duration: None,
            frame_deadline: None,
            tracks,
            state: FollowState::Following,
            until: None,
            frame: 0,
            turn: 0,
            next_frame: now,
            frame_waits: false,
            missing_since: None,
            next_question: now,
            frames: 0,
            dropped: 0,
            times_lost: 0,
            times_asked: 0,
        }
    }

    /// A new frame is the newest. If the one before it still waits, it is passed over.
    pub fn frame_arrived(&mut self, now: Instant) {
        if now < self.next_frame {
            return;
        }
        self.dropped += u32::from(self.frame_waits);
        self.frame_waits = true;
    }

    /// Whether it was looked for in some frame.
    pub fn has_looked(&self) -> bool {
        self.frames > 0
    }

    /// When the frame of the number `newest` may be looked at; `None` if that was done.
    pub fn due(&self, newest: u64) -> Option<Instant> {
        (newest > self.frame).then_some(self.next_frame)
    }

    /// What the engine is asked about the next frame: the language model for the first answer, and while an object is missing.
    pub fn next_ask(&self, now: Instant) -> Ask {
        let missing = self.tracks.any_missing() && self.next_question <= now;
        match self.tracks.is_empty() || missing {
            true => Ask::Model,
            false => Ask::Decoder,
        }
    }

    /// The engine is asked about the frame of this number now.
    pub fn asked(&mut self, ask: Ask, frame: u64, now: Instant) {
        self.frame = frame;
        self.frame_waits = false;
        self.frame_deadline = None;
        self.next_frame = now.checked_add(self.period).unwrap_or(now);
        self.times_asked += u32::from(ask == Ask::Model);
    }

    /// The engine's answer about a frame. Returns the objects that are believed.
    pub fn answered(
        &mut self,
        ask: Ask,
        answer: Answer,
        stamp: Stamp,
        took: Duration,
        settings: &FollowSettings,
        now: Instant,
    ) -> Vec<Sighting> {
        let seen = match ask {
            Ask::Model => {
                // What is out of sight soon after the first answer is asked for at once.
                if self.has_looked() {
                    let pause = ASK_PAUSE.max(took.saturating_mul(PAUSE_PER_ANSWER));
                    self.next_question = now.checked_add(pause).unwrap_or(now);
                }
                self.tracks.named(answer.objects, stamp)
            }
            Ask::Decoder => self.tracks.found(answer.objects, stamp, settings),
        };
        self.frames += 1;
        if self.until.is_none() {
            self.until = self.duration.and_then(|length| now.checked_add(length));
        }
        if !seen.is_empty() {
            self.missing_since = None;
            self.state = FollowState::Following;
            return seen;
        }
        let since = *self.missing_since.get_or_insert(now);
        let patience = Duration::try_from_secs_f64(settings.patience_s).unwrap_or_default();
        if self.state == FollowState::Following && now.saturating_duration_since(since) >= patience
        {
            self.state = FollowState::Lost;
            self.times_lost += 1;
        }
        seen
    }

    /// How sure it is that these are the goal's objects.
    pub fn confidence(&self, seen: &[Sighting]) -> f32 {
        match seen.is_empty() || self.tracks.any_missing() {
            true => 0.0,
            false => seen.iter().map(|s| s.confidence).fold(1.0, f32::min),
        }
    }

    /// The result with which the goal ends.
    pub fn result(&self, status: FollowStatus, error: String) -> FollowResult {
        FollowResult {
            status,
            error,
            frames: self.frames,
            frames_dropped: self.dropped,
            times_lost: self.times_lost,
            times_asked: self.times_asked,
        }
    }
}
