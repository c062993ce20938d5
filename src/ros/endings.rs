//! How questions end: the result, what goes with it, the goal, the log line, the books.

use std::time::Instant;

use r2r::std_msgs::msg::Header;

use super::action::ActionServer;
use super::convert::{self, Refusal, Status};
use super::health::Health;
use super::instructions::{Ask, Origin};
use super::params::NodeParams;
use super::publish::Outputs;
use crate::engine::{Answer, Frame};

/// Everything that has to hear of an end.
pub struct Endings {
    pub outputs: Outputs,
    pub action: ActionServer,
    pub health: Health,
}

impl Endings {
    /// An answer. `number` is the camera frame's, 0 for a picture of the asker's own.
    pub fn answered(
        &mut self,
        ask: &Ask,
        header: &Header,
        frame: &Frame,
        number: u64,
        answer: &Answer,
        params: &NodeParams,
    ) {
        let (now, status) = (Instant::now(), Status::from(answer.status));
        self.outputs.delta(ask, header, "", answer.tokens, true);
        self.outputs.answer(ask, header, frame, answer, params);
        let result = convert::answered(ask, header, answer);
        self.outputs.result(&result);
        if let Origin::Goal(id) = ask.origin {
            self.action.finish(id, status, &result, now);
        }
        self.health.answered(status, number, &answer.timings);
        let seconds = now.duration_since(ask.received).as_secs_f64();
        let what = match answer.objects.len() {
            1 => "1 object".to_owned(),
            n => format!("{n} objects"),
        };
        tracing::info!(
            "{} in {seconds:.2} s, {what}: {:?}",
            status.name(),
            answer.text
        );
        for note in &answer.notes {
            tracing::info!("instruction {}: {note}", ask.id);
        }
    }

    /// An end without an answer. `begun` has the tokens so far where the engine had the question.
    pub fn refused(&mut self, ask: &Ask, header: &Header, begun: Option<usize>, refusal: &Refusal) {
        let now = Instant::now();
        if let Some(tokens) = begun {
            self.outputs.delta(ask, header, "", tokens, true);
        }
        let result = convert::refused(ask, header, refusal);
        self.outputs.result(&result);
        if let Origin::Goal(id) = ask.origin {
            self.action.finish(id, refusal.status, &result, now);
        }
        let line = format!(
            "instruction {} {}: {}",
            ask.id,
            refusal.status.name(),
            refusal.why
        );
        match refusal.status {
            // A camera that is broken for good would say so with every frame.
            _ if ask.origin == Origin::Repeat && self.health.is_last(refusal) => {
                tracing::debug!("{line}");
            }
            Status::Cancelled => tracing::info!("{line}"),
            _ => tracing::warn!("{line}"),
        }
        self.health.refused(refusal, now);
    }
}
