//! Conversations: what was asked and answered before, within bounds.

use crate::text::Instruction;

/// One turn of a conversation: the instruction, and the answer's tokens without the end-of-turn token.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub instruction: Instruction,
    pub answer: Vec<u32>,
}

/// Conversations by id, the one longest unused first.
pub(super) struct Sessions {
    sessions: Vec<(String, Vec<Exchange>)>,
    max_conversations: usize,
    max_turns: usize,
}

impl Sessions {
    pub fn new(max_conversations: usize, max_turns: usize) -> Self {
        Self {
            sessions: Vec::new(),
            max_conversations: max_conversations.max(1),
            max_turns: max_turns.max(1),
        }
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// The conversation's turns, oldest first; none if it is new or forgotten.
    pub fn turns(&self, id: &str) -> &[Exchange] {
        self.sessions
            .iter()
            .find(|(known, _)| known == id)
            .map_or(&[], |(_, turns)| turns)
    }

    /// Adds a turn after removing the `dropped` oldest ones, and makes the conversation the most recently used one.
    ///
    /// Returns how many turns were removed because of `max_turns`, and the conversation that was forgotten because of
    /// `max_conversations`, if one was.
    pub fn push(&mut self, id: &str, turn: Exchange, dropped: usize) -> (usize, Option<String>) {
        let mut turns = match self.sessions.iter().position(|(known, _)| known == id) {
            Some(at) => self.sessions.remove(at).1,
            None => Vec::new(),
        };
        turns.drain(..dropped.min(turns.len()));
        turns.push(turn);
        let surplus = turns.len().saturating_sub(self.max_turns);
        turns.drain(..surplus);
        let forgotten =
            (self.sessions.len() >= self.max_conversations).then(|| self.sessions.remove(0).0);
        self.sessions.push((id.to_owned(), turns));
        (surplus, forgotten)
    }

    /// Forgets one conversation, or all of them where `id` is `None`.
    pub fn reset(&mut self, id: Option<&str>) {
        match id {
            Some(id) => self.sessions.retain(|(known, _)| known != id),
            None => self.sessions.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(text: &str) -> Exchange {
        Exchange {
            instruction: Instruction::parse(text).unwrap(),
            answer: vec![],
        }
    }

    #[test]
    fn bounds_hold_and_the_oldest_leave_first() {
        let mut sessions = Sessions::new(2, 3);
        for i in 0..3 {
            assert_eq!(sessions.push("a", turn(&i.to_string()), 0).0, 0);
        }
        assert_eq!(sessions.push("a", turn("3"), 0).0, 1);
        let texts: Vec<&str> = sessions
            .turns("a")
            .iter()
            .map(|t| t.instruction.as_str())
            .collect();
        assert_eq!(texts, ["1", "2", "3"]);
        sessions.push("b", turn("x"), 0);
        sessions.push("a", turn("4"), 0); // a is now the later one
        assert_eq!(sessions.push("c", turn("y"), 0).1.as_deref(), Some("b"));
        assert_eq!(sessions.len(), 2);
        assert!(sessions.turns("b").is_empty());
        sessions.reset(Some("a"));
        assert!(sessions.turns("a").is_empty() && sessions.len() == 1);
    }
}
