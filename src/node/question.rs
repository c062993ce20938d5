//! An instruction on its way to its result.

use std::time::Instant;

use super::instruction::InstructionText;
use crate::frames::Stamp;

/// Numbers the questions of a node, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// A goal's UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoalId(pub [u8; 16]);

impl GoalId {
    /// In a cancel request: all goals.
    pub(super) const ALL: GoalId = GoalId([0; 16]);

    /// Other lengths than 16 cannot occur on the wire; they are cut or filled with zeros.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(id)
    }
}

impl std::fmt::Display for GoalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

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
