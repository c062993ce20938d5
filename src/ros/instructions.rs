//! What people ask: every way an instruction reaches the node becomes one [`Ask`].
//!
//! Instructions are taken as serialized bytes and not as r2r's types, because those turn a string that is not UTF-8 into an
//! empty one, and a person deserves to hear which of the two it was.

use std::time::Instant;

use super::convert::{Refusal, Status};
use super::goals::GoalId;
use super::param_table::MAX_NEW_TOKENS;
use crate::bag::cdr::{CdrError, Decoder};
use crate::frames::Stamp;
use crate::text::{Instruction, InstructionError};

/// Numbers the questions of this process, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

/// Where a question came from, and with it which frame it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `instruction`, or `instruction_stamped` with a zero stamp: the newest frame.
    Newest,
    /// `instruction_stamped`: the frame nearest this stamp.
    Stamped(Stamp),
    /// Mode `continuous` asks the last instruction again.
    Repeat,
    /// A goal of the action; its picture, where it brought one, is held beside it.
    Goal(GoalId),
}

/// One question on its way to an answer.
#[derive(Clone, Debug)]
pub struct Ask {
    pub key: Key,
    pub origin: Origin,
    /// The asker's own, or the node's number where the asker gave none.
    pub id: String,
    /// Empty: a question on its own.
    pub conversation_id: String,
    pub text: Text,
    /// A goal's own bound on the answer's length; `None`: the parameter's.
    pub max_new_tokens: Option<usize>,
    pub received: Instant,
}

impl Ask {
    /// Why it cannot be asked, whatever the picture.
    pub fn fault(&self) -> Option<Refusal> {
        if let Some(fault) = &self.text.fault {
            return Some(Refusal::new(Status::Error, fault.to_string()));
        }
        let too_many = self.max_new_tokens.filter(|n| *n > MAX_NEW_TOKENS)?;
        let why = format!(
            "max_new_tokens is {too_many}; accepted: 1 to {MAX_NEW_TOKENS}, or 0 for the node's parameter"
        );
        Some(Refusal::new(Status::Error, why))
    }
}

/// An instruction's words, and what is wrong with them where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// As they came; bytes that are not UTF-8 stand as U+FFFD.
    pub words: String,
    pub fault: Option<TextFault>,
}

/// Why an instruction cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    #[error(transparent)]
    Instruction(#[from] InstructionError),
    #[error("the message on {topic} cannot be read: {error}")]
    Malformed {
        topic: &'static str,
        error: CdrError,
    },
}

impl Text {
    /// Words as they came, checked.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            words: String::from_utf8_lossy(bytes).into_owned(),
            fault: Instruction::parse_bytes(bytes).err().map(TextFault::from),
        }
    }
}

/// An instruction as read from a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    pub origin: Origin,
    /// Empty where the asker gave none.
    pub id: String,
    pub conversation_id: String,
    pub text: Text,
}

impl Spoken {
    fn unreadable(topic: &'static str, error: CdrError) -> Self {
        let text = Text {
            words: String::new(),
            fault: Some(TextFault::Malformed { topic, error }),
        };
        Self {
            origin: Origin::Newest,
            id: String::new(),
            conversation_id: String::new(),
            text,
        }
    }
}

/// A serialized `std_msgs/String`. Never fails: what cannot be read comes back with its fault.
pub fn read_string(bytes: &[u8]) -> Spoken {
    let read = || -> Result<Spoken, CdrError> {
        let text = Text::new(Decoder::new(bytes)?.string_bytes()?);
        Ok(Spoken {
            origin: Origin::Newest,
            id: String::new(),
            conversation_id: String::new(),
            text,
        })
    };
    read().unwrap_or_else(|e| Spoken::unreadable("instruction", e))
}

/// A serialized `lisa_ros/Instruction`. Never fails: what cannot be read comes back with its fault.
pub fn read_stamped(bytes: &[u8]) -> Spoken {
    let read = || -> Result<Spoken, CdrError> {
        let mut cdr = Decoder::new(bytes)?;
        let stamp = Stamp::new(cdr.i32()?, cdr.u32()?);
        let _frame_id = cdr.string_bytes()?;
        let id = String::from_utf8_lossy(cdr.string_bytes()?).into_owned();
        let conversation_id = String::from_utf8_lossy(cdr.string_bytes()?).into_owned();
        let text = Text::new(cdr.string_bytes()?);
        let origin = if stamp == Stamp::default() {
            Origin::Newest
        } else {
            Origin::Stamped(stamp)
        };
        Ok(Spoken {
            origin,
            id,
            conversation_id,
            text,
        })
    };
    read().unwrap_or_else(|e| Spoken::unreadable("instruction_stamped", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(out: &mut Vec<u8>, s: &[u8]) {
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend((s.len() as u32 + 1).to_le_bytes());
        out.extend(s);
        out.push(0);
    }

    fn stamped(sec: i32, nanosec: u32, fields: [&[u8]; 4]) -> Vec<u8> {
        let mut out = vec![0, 1, 0, 0];
        out.extend(sec.to_le_bytes());
        out.extend(nanosec.to_le_bytes());
        fields.iter().for_each(|s| string(&mut out, s));
        out
    }

    #[test]
    fn stamped_instructions_keep_their_fields() {
        let s = read_stamped(&stamped(
            12,
            500_000_000,
            [b"camera", b"q7", b"talk", "找到杯子".as_bytes()],
        ));
        assert_eq!(s.origin, Origin::Stamped(Stamp(12_500_000_000)));
        assert_eq!((s.id.as_str(), s.conversation_id.as_str()), ("q7", "talk"));
        assert_eq!(
            s.text,
            Text {
                words: "找到杯子".to_owned(),
                fault: None
            }
        );
        assert_eq!(
            read_stamped(&stamped(0, 0, [b"", b"", b"", b"x"])).origin,
            Origin::Newest
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named() {
        let mut bytes = vec![0, 1, 0, 0];
        string(&mut bytes, b"find \xff it");
        let s = read_string(&bytes);
        assert_eq!(s.text.words, "find \u{fffd} it");
        assert_eq!(
            s.text.fault,
            Some(InstructionError::NotUtf8 { at: 5 }.into())
        );
    }

    proptest! {
        #[test]
        fn any_words_survive(words in any::<String>(), id in any::<String>()) {
            let mut bytes = vec![0, 1, 0, 0];
            string(&mut bytes, words.as_bytes());
            prop_assert_eq!(read_string(&bytes).text, Text::new(words.as_bytes()));
            let s = read_stamped(&stamped(1, 2, [b"f", id.as_bytes(), b"", words.as_bytes()]));
            prop_assert_eq!((s.id, s.text), (id, Text::new(words.as_bytes())));
        }

        #[test]
        fn any_bytes_are_an_instruction_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            read_string(&bytes);
            read_stamped(&bytes);
        }
    }
}
