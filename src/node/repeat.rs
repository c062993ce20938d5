//! Mode `continuous`: the last instruction is repeated on every new frame, within a rate, and never while another question is
//! open.

use std::time::{Duration, Instant};

/// The instruction that is repeated, and when and about which frame it was asked last.
#[derive(Debug, Default)]
pub struct Repeat {
    last: Option<RepeatedInstruction>,
    frame: u64,
    at: Option<Instant>,
}

/// The instruction that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedInstruction {
    /// The id of the instruction, which its repeats share.
    pub id: String,
    /// Its words.
    pub words: String,
}

/// When to repeat the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Now,
    At(Instant),
    /// Not before a frame, an instruction or an answer comes.
    Never,
}

impl Repeat {
    /// Repeats this instruction from now on; it has just been asked about the frame of number `frame`.
    pub fn remember(&mut self, last: RepeatedInstruction, frame: u64, now: Instant) {
        self.last = Some(last);
        self.started(frame, now);
    }

    /// The instruction has just been asked about the frame of number `frame`.
    pub fn started(&mut self, frame: u64, now: Instant) {
        self.frame = frame;
        self.at = Some(now);
    }

    /// The instruction to repeat.
    pub fn last(&self) -> Option<&RepeatedInstruction> {
        self.last.as_ref()
    }

    /// When to ask about the frame of number `newest`. `idle` says that no other question is open.
    pub fn due(&self, newest: Option<u64>, idle: bool, max_rate_hz: f64, now: Instant) -> Due {
        if self.last.is_none() || !idle || newest.is_none_or(|n| n == self.frame) {
            return Due::Never;
        }
        let period = Duration::try_from_secs_f64(1.0 / max_rate_hz).unwrap_or(Duration::MAX);
        match self.at.and_then(|t| t.checked_add(period)) {
            Some(next) if next > now => Due::At(next),
            _ => Due::Now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_a_frame_within_the_rate_and_only_when_idle() {
        let t = Instant::now();
        let ms = Duration::from_millis;
        let mut repeat = Repeat::default();
        assert_eq!(
            repeat.due(Some(1), true, 2.0, t),
            Due::Never,
            "nothing to repeat yet"
        );
        let last = RepeatedInstruction {
            id: "7".to_owned(),
            words: "find the cup".to_owned(),
        };
        repeat.remember(last, 1, t);
        assert_eq!(
            repeat.due(Some(1), true, 2.0, t + ms(900)),
            Due::Never,
            "the same frame"
        );
        assert_eq!(
            repeat.due(Some(2), true, 2.0, t + ms(100)),
            Due::At(t + ms(500))
        );
        assert_eq!(
            repeat.due(Some(2), false, 2.0, t + ms(600)),
            Due::Never,
            "never two in flight"
        );
        assert_eq!(repeat.due(Some(9), true, 2.0, t + ms(500)), Due::Now);
        repeat.started(9, t + ms(500));
        assert_eq!(repeat.due(Some(9), true, 2.0, t + ms(5000)), Due::Never);
        assert_eq!(repeat.due(None, true, 2.0, t + ms(5000)), Due::Never);
    }
}
