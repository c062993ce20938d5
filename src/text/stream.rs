//! Token ids to text: [`TokenStream`] decodes an answer token by token, as the model writes it.

use super::tokenizer::LisaTokenizer;
use super::vocabulary::{Piece, SPACE};

/// The character that stands for what is not text, U+FFFD.
const BROKEN: char = char::REPLACEMENT_CHARACTER;
/// The characters that follow an added token without a space.
const CLOSING: &str = ".,;:!?)]}'%…。，、；：！？）】」";
/// The characters that an added token follows without a space.
const OPENING: &str = "([{（【「";

/// Decodes one token at a time, each in constant time.
///
/// All deltas together are [`LisaTokenizer::decode`] of all ids. A character is never split between two deltas: up to three of
/// its bytes wait until it is complete.
#[derive(Debug)]
pub struct TokenStream<'a> {
    tokenizer: &'a LisaTokenizer,
    /// The first bytes of a character whose last ones have not come yet.
    bytes: Vec<u8>,
    /// Whether a segment begins, so that the next `▁` is its dummy prefix and no space.
    segment_start: bool,
    /// Whether the last token was an added one, after which a space is written unless punctuation follows.
    after_added: bool,
    last: Option<char>,
}

impl<'a> TokenStream<'a> {
    /// A stream at the beginning of an answer.
    pub fn new(tokenizer: &'a LisaTokenizer) -> Self {
        Self {
            tokenizer,
            bytes: Vec::with_capacity(4),
            segment_start: true,
            after_added: false,
            last: None,
        }
    }

    /// Takes the next token and returns the text that is certain now; `None` where there is none.
    pub fn push(&mut self, id: u32) -> Option<String> {
        let mut delta = String::new();
        let piece = self.tokenizer.vocabulary.get(id);
        if let Some(Piece::Byte(byte, _)) = piece {
            self.bytes.push(*byte);
            self.write_bytes(&mut delta, false);
            return some(delta);
        }
        self.write_bytes(&mut delta, true);
        match piece {
            Some(Piece::Text(piece)) => self.write_piece(&mut delta, piece),
            Some(Piece::Added(token)) => self.write_added(&mut delta, token),
            Some(Piece::Control(_) | Piece::Byte(..)) => {}
            Some(Piece::Unknown(_)) | None => {
                self.write(&mut delta, BROKEN.encode_utf8(&mut [0; 4]))
            }
        }
        some(delta)
    }

    /// Ends the answer and returns U+FFFD for each byte of a character that was not finished; `None` where there is none.
    pub fn finish(mut self) -> Option<String> {
        let mut delta = String::new();
        self.write_bytes(&mut delta, true);
        some(delta)
    }

    fn write_piece(&mut self, delta: &mut String, piece: &str) {
        let mut text = piece;
        let whitespace = self.tokenizer.whitespace;
        if self.segment_start && (whitespace.dummy_prefix || whitespace.squeezed) {
            if let Some(rest) = text.strip_prefix(SPACE) {
                text = rest;
                self.segment_start = whitespace.squeezed;
            }
        }
        self.write(delta, &text.replace(SPACE, " "));
    }

    fn write_added(&mut self, delta: &mut String, token: &str) {
        self.after_added = false;
        if self
            .last
            .is_some_and(|c| !c.is_whitespace() && !OPENING.contains(c))
        {
            delta.push(' ');
        }
        self.write(delta, token);
        self.after_added = true;
        self.segment_start = true;
    }

    /// Writes the characters that are complete and U+FFFD for bytes that belong to none. Bytes of a character that may still be
    /// completed wait, unless this is the `last` chance.
    fn write_bytes(&mut self, delta: &mut String, last: bool) {
        while !self.bytes.is_empty() {
            let (length, waits) = match std::str::from_utf8(&self.bytes) {
                Ok(text) => (text.len(), false),
                Err(e) => (e.valid_up_to(), e.error_len().is_none()),
            };
            if length > 0 {
                let rest = self.bytes.split_off(length);
                let whole = std::mem::replace(&mut self.bytes, rest);
                self.write(delta, &String::from_utf8_lossy(&whole));
            } else if waits && !last {
                break;
            } else {
                self.bytes.remove(0);
                self.write(delta, BROKEN.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn write(&mut self, delta: &mut String, text: &str) {
        let Some(first) = text.chars().next() else {
            return;
        };
        if std::mem::take(&mut self.after_added)
            && !first.is_whitespace()
            && !CLOSING.contains(first)
        {
            delta.push(' ');
        }
        delta.push_str(text);
        self.last = text.chars().next_back();
        self.segment_start = false;
    }
}

fn some(delta: String) -> Option<String> {
    (!delta.is_empty()).then_some(delta)
}

impl LisaTokenizer {
    /// The text of an answer. Added tokens appear as their names, set apart by spaces except beside punctuation; `<s>` and `</s>`
    /// are left out. U+FFFD stands for every byte that is not UTF-8, for the unknown token and for ids outside the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = TokenStream::new(self);
        let mut text: String = ids.iter().filter_map(|id| stream.push(*id)).collect();
        text.extend(stream.finish());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use proptest::prelude::*;

    /// Decodes what the reference's tokenizer makes of an answer.
    fn answer(text: &str) -> String {
        let tokenizer = golden::tokenizer();
        let ids = tokenizer.encode_reference(text);
        let ids: Vec<u32> = ids
            .into_iter()
            .map(|id| u32::try_from(id).unwrap())
            .collect();
        tokenizer.decode(&ids)
    }

    #[test]
    fn answers_read_as_they_were_meant() {
        for text in [
            "Sure, it is [SEG].",
            "[SEG].",
            "The mug [SEG], and the pot ([SEG]).",
            "[SEG] and [SEG]: both [SEG]!",
            "no object at all",
            "caf\u{e9} \u{2603} [SEG] \u{1f34a}",
        ] {
            assert_eq!(answer(text), text);
        }
        assert_eq!(answer("[SEG][SEG]"), "[SEG] [SEG]");
    }

    #[test]
    fn a_character_comes_whole_or_not_at_all() {
        let tokenizer = golden::tokenizer();
        let byte = |b: u8| tokenizer.token_id(&format!("<0x{b:02X}>")).unwrap();
        let mut stream = TokenStream::new(tokenizer);
        let deltas: Vec<_> = "\u{1f34a}!".bytes().map(|b| stream.push(byte(b))).collect();
        assert_eq!(
            deltas,
            [
                None,
                None,
                None,
                Some("\u{1f34a}".to_owned()),
                Some("!".to_owned())
            ]
        );

        // Bytes that the next token shows to be no beginning of a character are given up at once, each as U+FFFD.
        let mut stream = TokenStream::new(tokenizer);
        assert_eq!(stream.push(byte(0xE4)), None);
        assert_eq!(stream.push(byte(0xBD)), None);
        assert_eq!(
            stream.push(byte(b'A')).as_deref(),
            Some("\u{FFFD}\u{FFFD}A")
        );
        assert_eq!(stream.push(byte(0x80)).as_deref(), Some("\u{FFFD}"));
        assert_eq!(stream.push(byte(0xF0)), None);
        assert_eq!(
            stream.push(tokenizer.seg_id().unwrap()).as_deref(),
            Some("\u{FFFD} [SEG]")
        );
        assert_eq!(stream.push(byte(0xC3)), None);
        assert_eq!(stream.finish().as_deref(), Some(" \u{FFFD}"));
    }

    #[test]
    fn ends_of_sequence_are_silent_and_strangers_are_marked() {
        let tokenizer = golden::tokenizer();
        let mut ids = tokenizer.encode_text("the mug");
        ids.push(tokenizer.eos_id());
        assert_eq!(tokenizer.decode(&ids), "the mug");
        assert_eq!(
            tokenizer.decode(&[tokenizer.unk_id(), u32::MAX]),
            "\u{FFFD}\u{FFFD}"
        );
    }

    proptest! {
        #[test]
        fn deltas_make_up_the_text(seeds in prop::collection::vec((any::<u32>(), 0..4u8), 0..40)) {
            let tokenizer = golden::tokenizer();
            let n = tokenizer.vocab_size() as u32;
            let byte0 = tokenizer.token_id("<0x00>").unwrap();
            let ids: Vec<u32> = seeds
                .iter()
                .map(|(r, kind)| match kind {
                    0 => byte0 + 0x80 + r % 128,
                    1 => n - 4 + r % 5,
                    _ => r % n,
                })
                .collect();
            let mut stream = TokenStream::new(tokenizer);
            let mut text = String::new();
            for id in &ids {
                if let Some(delta) = stream.push(*id) {
                    prop_assert!(!delta.is_empty());
                    text += &delta;
                }
                prop_assert!(stream.bytes.len() < 4);
            }
            text += &stream.finish().unwrap_or_default();
            prop_assert_eq!(&text, &tokenizer.decode(&ids));

            // The spaces around added tokens are our own choice. Without added tokens, SentencePiece's decoding gives the same
            // text.
            let added = |id: &u32| tokenizer.vocabulary.added.iter().any(|(_, a)| a == id);
            if !ids.iter().any(added) {
                prop_assert_eq!(text, tokenizer.decode_segment(&ids));
            }
        }
    }
}
