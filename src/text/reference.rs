//! Encodes and decodes whole strings as the reference implementation does, including its quirks.
//!
//! The reference joins markup and words in one string and lets the slow Llama tokenizer of transformers 4.31 take it apart. Here
//! this serves training, whose answers contain `[SEG]`, and comparisons with the golden data. Prompts are made by
//! [`PromptBuilder`](super::PromptBuilder).

use super::tokenizer::LisaTokenizer;
use super::vocabulary::{Piece, SPACE};

/// The number that stands in a list of ids in the place of the image's features, as in the reference.
pub const IMAGE_TOKEN_INDEX: i64 = -200;

/// The word that stands in a string in the place of the image's features.
const IMAGE: &str = "<image>";

impl LisaTokenizer {
    /// Ids of a whole prompt, as the reference's `tokenizer_image_token` gives them: `<s>` first, [`IMAGE_TOKEN_INDEX`] for
    /// `<image>`, and added tokens parsed, with the white space around them removed.
    ///
    /// `<s>`, `</s>` and `<unk>` in the string are text, because the golden data's tokenizer takes them so.
    pub fn encode_reference(&self, prompt: &str) -> Vec<i64> {
        let mut ids = vec![i64::from(self.bos_id())];
        for (i, chunk) in prompt.split(IMAGE).enumerate() {
            if i > 0 {
                ids.push(IMAGE_TOKEN_INDEX);
            }
            self.encode_parsed(chunk, &mut ids);
        }
        ids
    }

    /// Ids of an answer that is to be learned. `[SEG]` and other added tokens are parsed, as in the reference's training; no
    /// `<s>` stands before them.
    pub fn encode_answer(&self, answer: &str) -> Vec<i64> {
        let mut ids = Vec::new();
        self.encode_parsed(answer, &mut ids);
        ids
    }

    fn encode_parsed(&self, chunk: &str, ids: &mut Vec<i64>) {
        let mut rest = chunk;
        loop {
            let found = self.find_added(rest);
            let mut segment = found.map_or(rest, |(at, ..)| &rest[..at]);
            if found.is_some() {
                segment = segment.trim_end_matches(is_python_space);
            }
            ids.extend(self.encode_text(segment).into_iter().map(i64::from));
            let Some((at, length, id)) = found else { break };
            ids.push(i64::from(id));
            rest = rest[at + length..].trim_start_matches(is_python_space);
        }
    }

    /// The leftmost added token, and the longest of those that begin there: `(offset, length, id)`, in bytes.
    fn find_added(&self, text: &str) -> Option<(usize, usize, u32)> {
        let hits = self.vocabulary.added.iter().filter_map(|(token, id)| {
            let at = text.find(token.as_str())?;
            Some((at, token.len(), *id))
        });
        hits.min_by_key(|(at, length, _)| (*at, std::cmp::Reverse(*length)))
    }

    /// The text that the reference's `chat.py` prints for a whole output, prompt included: what `decode` of the slow tokenizer
    /// gives with special tokens kept, then without line breaks and with every two spaces made one. `ids` must not contain
    /// [`IMAGE_TOKEN_INDEX`].
    pub fn decode_reference(&self, ids: &[u32]) -> String {
        let mut parts = Vec::new();
        let mut run = Vec::new();
        for id in ids {
            match self.vocabulary.get(*id) {
                Some(Piece::Added(token)) => {
                    if !run.is_empty() {
                        parts.push(self.decode_run(&std::mem::take(&mut run)));
                    }
                    parts.push(token.clone());
                }
                _ => run.push(*id),
            }
        }
        if !run.is_empty() {
            parts.push(self.decode_run(&run));
        }
        parts.join(" ").replace('\n', "").replace("  ", " ")
    }

    /// Decodes tokens that contain no added one. A special token ends a SentencePiece segment; the reference means to put a space
    /// before that token, and in fact puts it before the whole segment.
    fn decode_run(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        let mut segment = Vec::new();
        let mut after_special = false;
        for (i, id) in ids.iter().enumerate() {
            if [self.bos_id(), self.eos_id(), self.unk_id()].contains(id) {
                if !after_special && i > 0 {
                    text.push(' ');
                }
                text += &self.decode_segment(&std::mem::take(&mut segment));
                text += self.token_text(*id).unwrap_or_default();
                after_special = true;
            } else {
                segment.push(*id);
                after_special = false;
            }
        }
        text + &self.decode_segment(&segment)
    }

    /// Decodes a segment as SentencePiece does: the dummy prefix is dropped, bytes are joined to characters, and U+FFFD stands
    /// for each byte that is not UTF-8.
    pub(super) fn decode_segment(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        let mut bytes = Vec::new();
        let mut start = self.whitespace.dummy_prefix || self.whitespace.squeezed;
        for id in ids {
            let piece = match self.vocabulary.get(*id) {
                Some(Piece::Byte(byte, _)) => {
                    bytes.push(*byte);
                    continue;
                }
                Some(Piece::Text(piece)) => piece.as_str(),
                Some(Piece::Control(_)) => "",
                _ => "\u{FFFD}",
            };
            push_bytes(&mut text, &std::mem::take(&mut bytes));
            start &= text.is_empty();
            let stripped = piece.strip_prefix(SPACE).filter(|_| start);
            text += &stripped.unwrap_or(piece).replace(SPACE, " ");
            start &= stripped.is_none() || self.whitespace.squeezed;
        }
        push_bytes(&mut text, &bytes);
        text
    }
}

fn push_bytes(text: &mut String, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let valid = match std::str::from_utf8(bytes) {
            Ok(whole) => whole.len(),
            Err(e) => e.valid_up_to(),
        };
        text.push_str(&String::from_utf8_lossy(&bytes[..valid]));
        bytes = &bytes[valid..];
        if !bytes.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            bytes = &bytes[1..];
        }
    }
}

/// Python's `str.isspace`: Unicode white space, and the four separators U+001C to U+001F that only Python counts.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::super::golden;

    #[test]
    fn strings_get_the_golden_ids() {
        let tokenizer = golden::tokenizer();
        let expected = golden::expected();
        let samples = expected["tokenizer"].as_array().unwrap();
        assert!(!samples.is_empty());
        for sample in samples {
            let text = sample["text"].as_str().unwrap();
            let ids: Vec<i64> = serde_json::from_value(sample["ids"].clone()).unwrap();
            assert_eq!(tokenizer.encode_reference(text), ids, "{text:?}");
        }
    }

    #[test]
    fn prompts_get_the_golden_ids() {
        let tokenizer = golden::tokenizer();
        let expected = golden::expected();
        let mut ids = golden::ids("expected.safetensors");
        ids.extend(golden::ids("turns.safetensors"));
        for (i, case) in expected["cases"].as_array().unwrap().iter().enumerate() {
            let prompt = case["prompt"].as_str().unwrap();
            assert_eq!(
                tokenizer.encode_reference(prompt),
                ids[&format!("case{i}.input_ids")]
            );
        }
        for part in ["train", "turns"] {
            let prompt = expected[part]["prompt"].as_str().unwrap();
            assert_eq!(
                tokenizer.encode_reference(prompt),
                ids[&format!("{part}.input_ids")]
            );
        }
    }

    #[test]
    fn outputs_get_the_golden_text() {
        let tokenizer = golden::tokenizer();
        let ids = golden::ids("expected.safetensors");
        for (i, case) in golden::expected()["cases"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let output = ids[&format!("case{i}.output_ids")].iter();
            let output: Vec<u32> = output.filter_map(|id| u32::try_from(*id).ok()).collect();
            assert_eq!(
                tokenizer.decode_reference(&output),
                case["text"].as_str().unwrap()
            );
        }
    }

    #[test]
    fn added_tokens_eat_white_space_as_python_counts_it() {
        let tokenizer = golden::tokenizer();
        let tight = tokenizer.encode_reference("a[SEG]b");
        for space in [
            " ", "\n", "\t \r\n", "\u{1c}", "\u{1f}", "\u{85}", "\u{a0}", "\u{3000}",
        ] {
            assert_eq!(
                tokenizer.encode_reference(&format!("a{space}[SEG]{space}b")),
                tight,
                "{space:?}"
            );
        }
        assert_ne!(tokenizer.encode_reference("a\u{200b}[SEG]b"), tight);
    }
}
