//! Conversations: what was asked and answered before, within bounds.

use super::Source;
use crate::text::Instruction;

/// One turn of a conversation: the instruction, and the answer's tokens without the end-of-turn token.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub instruction: Instruction,
    pub answer: Vec<u32>,
}

/// Which conversation it is: those of two sources are two, although they may have the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionKey {
    pub source: Source,
    pub id: String,
}

/// Conversations, the one longest unused first.
pub(super) struct Sessions {
    sessions: Vec<(SessionKey, Vec<Exchange>)>,
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
    pub fn turns(&self, key: &SessionKey) -> &[Exchange] {
        self.sessions
            .iter()
            .find(|(known, _)| known == key)
            .map_or(&[], |(_, turns)| turns)
    }

    /// Adds a turn after removing the `dropped` oldest ones, and makes the conversation the most recently used one.
    ///
    /// Returns how many turns were removed because of `max_turns`, and the conversation that was forgotten because of
    /// `max_conversations`, if one was.
    pub fn push(
        &mut self,
        key: &SessionKey,
        turn: Exchange,
        dropped: usize,
    ) -> (usize, Option<SessionKey>) {
        let mut turns = match self.sessions.iter().position(|(known, _)| known == key) {
            Some(at) => self.sessions.remove(at).1,
            None => Vec::new(),
        };
        turns.drain(..dropped.min(turns.len()));
        turns.push(turn);
        let surplus = turns.len().saturating_sub(self.max_turns);
        turns.drain(..surplus);
        let forgotten =
            (self.sessions.len() >= self.max_conversations).then(|| self.sessions.remove(0).0);
        self.sessions.push((key.clone(), turns));
        (surplus, forgotten)
    }

    /// Forgets one conversation of a source, or all of that source where `id` is `None`.
    pub fn reset(&mut self, source: Source, id: Option<&str>) {
        let is_meant =
            |known: &SessionKey| known.source == source && id.is_none_or(|id| known.id == id);
        self.sessions.retain(|(known, _)| !is_meant(known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: u16, id: &str) -> SessionKey {
        SessionKey {
            source: Source(source),
            id: id.to_owned(),
        }
    }

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
            assert_eq!(sessions.push(&key(0, "a"), turn(&i.to_string()), 0).0, 0);
        }
        assert_eq!(sessions.push(&key(0, "a"), turn("3"), 0).0, 1);
        let texts: Vec<&str> = sessions
            .turns(&key(0, "a"))
            .iter()
            .map(|t| t.instruction.as_str())
            .collect();
        assert_eq!(texts, ["1", "2", "3"]);
        sessions.push(&key(0, "b"), turn("x"), 0);
        sessions.push(&key(0, "a"), turn("4"), 0); // a is now the later one
        assert_eq!(
            sessions.push(&key(0, "c"), turn("y"), 0).1,
            Some(key(0, "b"))
        );
        assert_eq!(sessions.len(), 2);
        assert!(sessions.turns(&key(0, "b")).is_empty());
        sessions.reset(Source(0), Some("a"));
        assert!(sessions.turns(&key(0, "a")).is_empty() && sessions.len() == 1);
    }

    #[test]
    fn two_sources_talk_about_different_things_under_the_same_name() {
        let mut sessions = Sessions::new(9, 3);
        for source in [0, 1] {
            sessions.push(&key(source, "a"), turn(&source.to_string()), 0);
            sessions.push(&key(source, "b"), turn("b"), 0);
        }
        assert_eq!(sessions.turns(&key(1, "a"))[0].instruction.as_str(), "1");
        sessions.reset(Source(1), Some("a"));
        assert!(sessions.turns(&key(1, "a")).is_empty());
        assert_eq!(sessions.turns(&key(0, "a")).len(), 1);
        sessions.reset(Source(0), None);
        assert_eq!(sessions.len(), 1, "the other keeps its own");
    }
}
