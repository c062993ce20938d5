//! Reading an instruction from a message of a topic or of a recording.
//!
//! Instructions are read from serialized bytes and not through r2r's types, because those turn a string that is not UTF-8 into an
//! empty one, and the error message should say which of the two it was.

use super::ids::QuestionId;
use super::publishing::ros_text;
use crate::frames::Stamp;
use crate::text::{Instruction, InstructionError};
use rosbag2::cdr::{CdrError, Decoder};

/// An instruction's words, and what is wrong with them if something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstructionText {
    /// The words as they were received, with U+FFFD for bytes that are not UTF-8.
    pub words: String,
    /// Why it cannot be asked; `None` if it can.
    pub fault: Option<InstructionFault>,
}

/// Why an instruction cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstructionFault {
    /// The words are no instruction: empty, too long, or not text.
    #[error(transparent)]
    Instruction(#[from] InstructionError),
    /// The message is no serialized message of its type.
    #[error("the message on {topic} cannot be read: {error}")]
    Malformed {
        /// The topic that it came on.
        topic: String,
        /// Where reading it failed.
        error: CdrError,
    },
}

impl InstructionText {
    /// Checks words as they were received.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            words: String::from_utf8_lossy(bytes).into_owned(),
            fault: Instruction::parse_bytes(bytes)
                .err()
                .map(InstructionFault::from),
        }
    }

    /// Words that were found in order before.
    pub(super) fn checked(words: String) -> Self {
        Self { words, fault: None }
    }
}

/// An instruction from a topic, and the time that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampedInstruction {
    /// The stamp of the frame that it is about; `None` means the newest frame.
    pub stamp: Option<Stamp>,
    /// The id that its sender gave it; empty if the sender gave none.
    pub id: String,
    /// The conversation that it continues; empty asks outside of any.
    pub conversation_id: String,
    /// What is asked.
    pub text: InstructionText,
}

impl StampedInstruction {
    /// Reads a serialized `std_msgs/String` of `topic`, which is about the newest frame. Never fails: a message that cannot be
    /// read is returned with its fault, because it has to get a result, too.
    pub(super) fn from_string(topic: &str, bytes: &[u8]) -> Self {
        let read = || -> Result<Self, CdrError> {
            let text = InstructionText::new(Decoder::new(bytes)?.string_bytes()?);
            Ok(Self::on_its_own(text))
        };
        read().unwrap_or_else(|error| Self::unreadable(topic, error))
    }

    /// Reads a serialized `lisa_ros/Instruction` of `topic`; a zero stamp means the newest frame. Like
    /// [`from_string`](Self::from_string) it never fails.
    pub(super) fn from_instruction(topic: &str, bytes: &[u8]) -> Self {
        let read = || -> Result<Self, CdrError> {
            let mut cdr = Decoder::new(bytes)?;
            let stamp = Stamp::new(cdr.i32()?, cdr.u32()?);
            let _frame_id = cdr.string_bytes()?;
            let id = String::from_utf8_lossy(cdr.string_bytes()?).into_owned();
            let conversation_id = String::from_utf8_lossy(cdr.string_bytes()?).into_owned();
            let text = InstructionText::new(cdr.string_bytes()?);
            Ok(Self {
                stamp: Some(stamp).filter(|stamp| *stamp != Stamp::default()),
                id,
                conversation_id,
                text,
            })
        };
        read().unwrap_or_else(|error| Self::unreadable(topic, error))
    }

    /// The id that its result carries: the one that its sender gave it, as a message can carry it, or else its number.
    pub fn id_or_number(&self, number: QuestionId) -> String {
        match self.id.is_empty() {
            true => number.0.to_string(),
            false => ros_text(&self.id),
        }
    }

    fn on_its_own(text: InstructionText) -> Self {
        Self {
            stamp: None,
            id: String::new(),
            conversation_id: String::new(),
            text,
        }
    }

    fn unreadable(topic: &str, error: CdrError) -> Self {
        let topic = topic.to_owned();
        Self::on_its_own(InstructionText {
            words: String::new(),
            fault: Some(InstructionFault::Malformed { topic, error }),
        })
    }
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

    fn stamped(sec: i32, nanosec: u32, fields: [&[u8]; 4]) -> StampedInstruction {
        let mut out = vec![0, 1, 0, 0];
        out.extend(sec.to_le_bytes());
        out.extend(nanosec.to_le_bytes());
        fields.iter().for_each(|s| string(&mut out, s));
        StampedInstruction::from_instruction("instruction_stamped", &out)
    }

    fn unstamped(words: &[u8]) -> StampedInstruction {
        let mut bytes = vec![0, 1, 0, 0];
        string(&mut bytes, words);
        StampedInstruction::from_string("instruction", &bytes)
    }

    #[test]
    fn stamped_instructions_keep_their_fields() {
        let cup = "找到杯子";
        let s = stamped(12, 500_000_000, [b"camera", b"q7", b"talk", cup.as_bytes()]);
        assert_eq!(s.stamp, Some(Stamp(12_500_000_000)));
        assert_eq!((s.id.as_str(), s.conversation_id.as_str()), ("q7", "talk"));
        assert_eq!(s.text, InstructionText::checked(cup.to_owned()));
        assert_eq!(stamped(0, 0, [b"", b"", b"", b"x"]).stamp, None);
    }

    #[test]
    fn an_id_is_the_sender_s_own_or_else_the_number() {
        let id = |id: &[u8]| stamped(1, 0, [b"", id, b"", b"x"]).id_or_number(QuestionId(7));
        assert_eq!(id(b"q7"), "q7");
        assert_eq!(id(b""), "7");
        assert_eq!(id(b"a\0\xff"), "a\u{fffd}\u{fffd}");
        assert_eq!(unstamped(b"x").id_or_number(QuestionId(8)), "8");
        let unreadable = StampedInstruction::from_instruction("ask", b"no message");
        assert_eq!(unreadable.id_or_number(QuestionId(9)), "9");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named() {
        let s = unstamped(b"find \xff it");
        assert_eq!(s.text.words, "find \u{fffd} it");
        assert_eq!(
            s.text.fault,
            Some(InstructionError::NotUtf8 { at: 5 }.into())
        );
    }

    proptest! {
        #[test]
        fn any_words_survive(words in any::<String>(), id in any::<String>()) {
            let text = InstructionText::new(words.as_bytes());
            prop_assert_eq!(&unstamped(words.as_bytes()).text, &text);
            let s = stamped(1, 2, [b"f", id.as_bytes(), b"", words.as_bytes()]);
            prop_assert_eq!((s.id, s.text), (id, text));
        }

        #[test]
        fn any_bytes_are_an_instruction_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            StampedInstruction::from_string("a", &bytes);
            StampedInstruction::from_instruction("b", &bytes);
        }
    }
}
