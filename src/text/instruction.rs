//! [`Instruction`]: a person's words, checked once where they enter the program.

use std::fmt;

/// A person's words: 1 to [`Instruction::MAX_BYTES`] bytes of UTF-8 without white space at the ends, and without control
/// characters except tabs and line breaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instruction(String);

impl Instruction {
    /// Longest instruction, in bytes of UTF-8 after trimming.
    pub const MAX_BYTES: usize = 4096;

    /// Trims white space at both ends and checks the rest.
    ///
    /// # Errors
    /// [`InstructionError::Empty`], [`TooLong`](InstructionError::TooLong) or
    /// [`ControlCharacter`](InstructionError::ControlCharacter).
    pub fn parse(text: &str) -> Result<Self, InstructionError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(InstructionError::Empty);
        }
        if trimmed.len() > Self::MAX_BYTES {
            return Err(InstructionError::TooLong {
                bytes: trimmed.len(),
                max: Self::MAX_BYTES,
            });
        }
        let start = text.len() - text.trim_start().len();
        let control = trimmed
            .char_indices()
            .find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\n' | '\r'));
        if let Some((at, c)) = control {
            return Err(InstructionError::ControlCharacter {
                code: c.into(),
                at: start + at,
            });
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// [`Instruction::parse`] of bytes that may not be UTF-8.
    ///
    /// # Errors
    /// As [`Instruction::parse`], and [`InstructionError::NotUtf8`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, InstructionError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(e) => Err(InstructionError::NotUtf8 {
                at: e.valid_up_to(),
            }),
        }
    }

    /// The words, trimmed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An instruction that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstructionError {
    /// There are no words, or nothing but white space.
    #[error(
        "the instruction is empty; accepted: 1 to {} bytes of text",
        Instruction::MAX_BYTES
    )]
    Empty,
    /// The words are longer than [`Instruction::MAX_BYTES`].
    #[error("the instruction is {bytes} bytes long; accepted: 1 to {max} bytes")]
    TooLong {
        /// Their length after trimming, in bytes of UTF-8.
        bytes: usize,
        /// The longest length that is accepted.
        max: usize,
    },
    /// The words contain a control character other than tab, line feed and carriage return.
    #[error("the instruction has control character U+{code:04X} at byte {at}; accepted: printable text, tabs and line breaks")]
    ControlCharacter {
        /// Its Unicode code point.
        code: u32,
        /// Its byte offset in the text as it was given.
        at: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the instruction is not UTF-8 at byte {at}; accepted: UTF-8 text")]
    NotUtf8 {
        /// Offset of the first byte that is not UTF-8.
        at: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trims_and_keeps_the_rest() {
        let parsed = Instruction::parse(" \n find\tthe  mug ☃\r\nplease \t").unwrap();
        assert_eq!(parsed.as_str(), "find\tthe  mug ☃\r\nplease");
        assert_eq!(parsed.to_string(), parsed.as_str());
    }

    #[test]
    fn refuses_emptiness() {
        for text in ["", " ", "\n\t\r\n", "\u{3000}"] {
            assert_eq!(Instruction::parse(text), Err(InstructionError::Empty));
        }
    }

    #[test]
    fn the_bound_is_4096_bytes_after_trimming() {
        let longest = "é".repeat(2048);
        assert!(Instruction::parse(&format!("  {longest}  ")).is_ok());
        assert_eq!(
            Instruction::parse(&format!("{longest}!")),
            Err(InstructionError::TooLong {
                bytes: 4097,
                max: 4096
            })
        );
        assert_eq!(
            Instruction::parse(&"x".repeat(1 << 20)),
            Err(InstructionError::TooLong {
                bytes: 1 << 20,
                max: 4096
            })
        );
    }

    #[test]
    fn names_the_control_character_and_where_it_is() {
        assert_eq!(
            Instruction::parse("  a\u{0}b"),
            Err(InstructionError::ControlCharacter { code: 0, at: 3 })
        );
        assert_eq!(
            Instruction::parse("é\u{9f}x"),
            Err(InstructionError::ControlCharacter { code: 0x9f, at: 2 })
        );
        let message = Instruction::parse("a\u{7}").unwrap_err().to_string();
        assert!(
            message.contains("U+0007") && message.contains("accepted"),
            "{message}"
        );
    }

    #[test]
    fn names_the_first_byte_that_is_not_utf8() {
        assert_eq!(
            Instruction::parse_bytes(b"ab\xffc"),
            Err(InstructionError::NotUtf8 { at: 2 })
        );
        assert_eq!(Instruction::parse_bytes(b" ok ").unwrap().as_str(), "ok");
    }

    proptest! {
        #[test]
        fn never_panics_and_parsing_again_changes_nothing(bytes: Vec<u8>) {
            if let Ok(once) = Instruction::parse_bytes(&bytes) {
                prop_assert_eq!(Instruction::parse(once.as_str()), Ok(once));
            }
        }
    }
}
