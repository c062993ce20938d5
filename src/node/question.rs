//! A question: an instruction on its way to its result.

use std::time::Instant;

use super::ids::{GoalId, QuestionId};
use super::instruction::InstructionText;
use crate::frames::Stamp;

/// Where a question came from, which decides which frame it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An instruction without a stamp: about the newest frame.
    Newest,
    /// An instruction about the frame nearest this stamp.
    Stamped(Stamp),
    /// The last instruction again, in mode `continuous`: about the newest frame.
    Repeat,
    /// A goal of the action: about the image that it brought along, or else the newest frame.
    Goal(GoalId),
}

/// A question to the model.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its number.
    pub id: QuestionId,
    /// Where it came from.
    pub origin: Origin,
    /// The id that its sender gave it, or its number if the sender gave none.
    pub instruction_id: String,
    /// The conversation that it belongs to; empty if it belongs to none.
    pub conversation_id: String,
    /// What is asked.
    pub text: InstructionText,
    /// A goal's own bound on the answer's length in tokens; `None` leaves that to the node's parameter.
    pub max_new_tokens: Option<usize>,
    /// When the node received it.
    pub received: Instant,
}

impl Question {
    /// The seed for sampling its answer, so that a replay samples as the node does.
    pub fn seed(&self) -> u64 {
        self.id.0
    }

    /// The conversation that it belongs to, if any.
    pub fn conversation(&self) -> Option<String> {
        Some(self.conversation_id.clone()).filter(|id| !id.is_empty())
    }

    /// The action goal that it came from, if any.
    pub fn goal(&self) -> Option<GoalId> {
        match self.origin {
            Origin::Goal(id) => Some(id),
            _ => None,
        }
    }
}
