//! An instruction on its way to its result.

use std::time::Instant;

use super::goals::GoalId;
use super::instruction::InstructionText;
use super::result::{Refusal, ResultStatus};
use super::settings::MAX_NEW_TOKENS;
use crate::frames::Stamp;

/// Numbers the questions of a node, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// Where a question came from, and with it which frame it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An instruction without a stamp: about the newest frame.
    Newest,
    /// An instruction about the frame nearest this stamp.
    Stamped(Stamp),
    /// Mode `continuous` asks the last instruction again.
    Repeat,
    /// A goal of the action: about its own picture, where it brought one, or else the newest frame.
    Goal(GoalId),
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    pub id: QuestionId,
    pub origin: Origin,
    /// The asker's own, or the question's number where the asker gave none.
    pub instruction_id: String,
    /// Empty: a question on its own.
    pub conversation_id: String,
    pub text: InstructionText,
    /// A goal's own bound on the answer's length; `None`: the parameter's.
    pub max_new_tokens: Option<usize>,
    pub received: Instant,
}

impl Question {
    /// Why it cannot be asked, whatever the frame.
    pub(super) fn fault(&self) -> Option<Refusal> {
        if let Some(fault) = &self.text.fault {
            return Some(Refusal::new(ResultStatus::Error, fault.to_string()));
        }
        let too_many = self.max_new_tokens.filter(|n| *n > MAX_NEW_TOKENS)?;
        let why = format!(
            "max_new_tokens is {too_many}; accepted: 1 to {MAX_NEW_TOKENS}, or 0 for the node's parameter"
        );
        Some(Refusal::new(ResultStatus::Error, why))
    }

    /// The seed of its sampling.
    pub fn seed(&self) -> u64 {
        self.id.0
    }

    /// The conversation that it belongs to; `None`: a question on its own.
    pub fn conversation(&self) -> Option<String> {
        Some(self.conversation_id.clone()).filter(|id| !id.is_empty())
    }

    /// The goal that it came from, where it came from one.
    pub fn goal(&self) -> Option<GoalId> {
        match self.origin {
            Origin::Goal(id) => Some(id),
            _ => None,
        }
    }
}
