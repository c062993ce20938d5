//! A conversation as token ids and labels.

use std::ops::Range;
use std::sync::Arc;

use super::{Conversation, DataError};
use crate::text::{Instruction, LisaTokenizer, PromptBuilder, PromptToken, Template};
use crate::weights::LisaConfig;

/// Stands among the ids in the place of the image's features.
pub use crate::text::IMAGE_TOKEN_INDEX as IMAGE_TOKEN;

/// The label of an id that is not learned.
pub const IGNORED_LABEL: i64 = -100;

/// How the end of an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndOfTurn {
    /// As the token `</s>`.
    #[default]
    Token,
    /// As the letters `<`, `/`, `s` and `>`, which is what a tokenizer makes of it that does not know `</s>` as markup. Some
    /// published data has it so.
    Text,
}

/// A conversation in the form in which it is learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids, with one [`IMAGE_TOKEN`] for the image.
    pub ids: Vec<i64>,
    /// One label for each id: the id itself where the model has to say it (answers and their ends), else [`IGNORED_LABEL`].
    pub labels: Vec<i64>,
    /// Number of ids before the first question, which are the same for all conversations about an image.
    pub prefix_len: usize,
    /// Number of `[SEG]` among the labels. A conversation may have more masks, which then belong to answers that were cut off.
    pub masks: usize,
    /// The answers, other than those that were cut off whole.
    pub answers: Vec<EncodedAnswer>,
}

/// Where an answer stands in a conversation's ids, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAnswer {
    /// Place of its first id among the ids.
    pub first: usize,
    /// Which of the conversation's masks its `[SEG]` stand for, without those that were cut off.
    pub masks: Range<usize>,
    /// See [`Turn::absent`](super::Turn::absent).
    pub absent: bool,
}

/// Encodes conversations for one model.
pub struct Encoder {
    tokenizer: Arc<LisaTokenizer>,
    template: Template,
    brackets: bool,
    seg: i64,
    /// Longest sequence in ids, of which the image counts as one.
    longest: usize,
    /// See [`EndOfTurn`].
    pub end_of_turn: EndOfTurn,
}

impl Encoder {
    /// An encoder for a model. Sequences have at most `max_tokens` tokens, the image's features included.
    ///
    /// # Errors
    /// A bound that leaves no room for text, or a tokenizer without LISA's tokens.
    pub fn new(
        tokenizer: Arc<LisaTokenizer>,
        config: &LisaConfig,
        max_tokens: usize,
    ) -> Result<Self, DataError> {
        let features = config.clip.num_features();
        let longest = (max_tokens + 1).saturating_sub(features);
        if longest < 16 {
            return Err(DataError::Setting(format!(
                "max_tokens is {max_tokens}, and the image alone takes {features}; accepted: {} or more",
                features + 15
            )));
        }
        let brackets = config.tokens.im_start.is_some();
        // What the builder needs of the tokenizer is checked here, so that encoding cannot fail for lack of it.
        PromptBuilder::new(&tokenizer, config.template, brackets)?;
        Ok(Self {
            template: config.template,
            brackets,
            seg: i64::from(config.tokens.seg),
            tokenizer,
            longest,
            end_of_turn: EndOfTurn::Token,
        })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &LisaTokenizer {
        &self.tokenizer
    }

    /// Encodes a conversation and cuts it to the longest sequence.
    ///
    /// # Errors
    /// A question that is empty or not acceptable as text; the error quotes it.
    pub fn encode(&self, conversation: &Conversation) -> Result<Encoded, DataError> {
        let builder = PromptBuilder::new(&self.tokenizer, self.template, self.brackets)?;
        let mut encoded = Encoded::default();
        for (i, turn) in conversation.turns.iter().enumerate() {
            let question = Instruction::parse(&tidy(&turn.question))
                .map_err(|e| DataError::Setting(format!("a question of a dataset: {e}")))?;
            let prompt = if i == 0 {
                builder.first_turn(&question)
            } else {
                builder.next_turn(&question)
            };
            if i == 0 {
                let image = prompt.iter().position(|t| *t == PromptToken::Image);
                encoded.prefix_len = image.map_or(0, |at| at + 1 + usize::from(self.brackets));
            }
            encoded
                .ids
                .extend(prompt.into_iter().map(|token| match token {
                    PromptToken::Text(id) => i64::from(id),
                    PromptToken::Image => IMAGE_TOKEN,
                }));
            encoded.labels.resize(encoded.ids.len(), IGNORED_LABEL);
            let answer = match self.end_of_turn {
                EndOfTurn::Token => {
                    let mut ids = self.tokenizer.encode_answer(&turn.answer);
                    ids.push(i64::from(builder.end_of_turn()));
                    ids
                }
                EndOfTurn::Text => self
                    .tokenizer
                    .encode_answer(&format!("{}</s>", turn.answer)),
            };
            let segs = answer.iter().filter(|id| **id == self.seg).count();
            encoded.answers.push(EncodedAnswer {
                first: encoded.ids.len(),
                masks: encoded.masks..encoded.masks + segs,
                absent: turn.absent,
            });
            encoded.masks += segs;
            encoded.ids.extend(&answer);
            encoded.labels.extend(&answer);
        }
        encoded.ids.truncate(self.longest);
        encoded.labels.truncate(self.longest);
        encoded.prefix_len = encoded.prefix_len.min(encoded.ids.len());
        encoded.masks = encoded.labels.iter().filter(|l| **l == self.seg).count();
        let (end, masks) = (encoded.ids.len(), encoded.masks);
        encoded.answers.retain(|answer| answer.first < end);
        for answer in &mut encoded.answers {
            answer.masks = answer.masks.start.min(masks)..answer.masks.end.min(masks);
        }
        Ok(encoded)
    }
}

/// A dataset's question, changed to what an [`Instruction`] may hold. Only text beyond the longest sequence is cut here.
fn tidy(question: &str) -> String {
    let mut text: String = question
        .trim()
        .chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            _ if c.is_control() => ' ',
            _ => c,
        })
        .collect();
    let mut end = text.len().min(Instruction::MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Turn;
    use crate::testing::{child_with, golden_dir, skipped};

    fn encoder() -> Encoder {
        let checkpoint = child_with(&golden_dir(), "tokenizer.model");
        let json = crate::text::tokenizer_json_from_checkpoint(&checkpoint).unwrap();
        let tokenizer = LisaTokenizer::from_bytes(json.as_bytes()).unwrap();
        Encoder {
            template: Template::LlavaV1,
            brackets: true,
            seg: i64::from(tokenizer.seg_id().unwrap()),
            tokenizer: Arc::new(tokenizer),
            longest: 257,
            end_of_turn: EndOfTurn::Token,
        }
    }

    fn talk(turns: &[(&str, &str)]) -> Conversation {
        let turns = turns
            .iter()
            .map(|(question, answer)| Turn::new(*question, *answer));
        Conversation {
            turns: turns.collect(),
            masks: Vec::new(),
            phrases: Vec::new(),
        }
    }

    fn golden(name: &str) -> Vec<i64> {
        let path = golden_dir().join("expected.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let numbers = tensors.tensor(name).unwrap().data().chunks_exact(8);
        numbers
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn golden_training_text_gets_the_golden_ids_and_labels() {
        let path = golden_dir().join("expected.json");
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let prompt = expected["train"]["prompt"].as_str().unwrap();
        let Some((before, answer)) = prompt.split_once(" ASSISTANT: ") else {
            let test = "data::encode::golden_training_text_gets_the_golden_ids_and_labels";
            return skipped(test, "the golden training text has no answer");
        };
        let question = before.split_once("<im_end>\n").unwrap().1;
        let mut encoder = encoder();
        // The golden tokenizer was made without `</s>` as markup.
        encoder.end_of_turn = EndOfTurn::Text;
        let encoded = encoder
            .encode(&talk(&[(question, answer.trim_end_matches("</s>"))]))
            .unwrap();
        assert_eq!(encoded.ids, golden("train.input_ids"));
        assert_eq!(encoded.labels, golden("train.labels"));
        assert_eq!(encoded.masks, 1);
    }

    #[test]
    fn only_answers_and_their_ends_are_learned() {
        let encoder = encoder();
        let encoded = encoder
            .encode(&talk(&[
                ("a mug?", "[SEG]."),
                ("and the pot?", "It is [SEG]."),
            ]))
            .unwrap();
        let eos = i64::from(encoder.tokenizer().eos_id());
        let learned: Vec<i64> = encoded
            .labels
            .iter()
            .copied()
            .filter(|l| *l != IGNORED_LABEL)
            .collect();
        let mut want = encoder.tokenizer().encode_answer("[SEG].");
        want.push(eos);
        want.extend(encoder.tokenizer().encode_answer("It is [SEG]."));
        want.push(eos);
        assert_eq!(learned, want);
        assert_eq!(encoded.masks, 2);
        let other = encoder.encode(&talk(&[("something else", "No.")])).unwrap();
        let shared = encoded.prefix_len;
        assert_eq!(encoded.ids[..shared], other.ids[..other.prefix_len]);
        assert_eq!(encoded.ids[shared - 2], IMAGE_TOKEN);
        assert!(encoded.labels[..shared].iter().all(|l| *l == IGNORED_LABEL));
    }

    #[test]
    fn what_is_cut_off_takes_its_masks_along() {
        let encoder = encoder();
        let long = "word ".repeat(300);
        let cut = encoder
            .encode(&talk(&[
                ("a mug?", "[SEG]."),
                ("why?", &long),
                ("x", "[SEG]."),
            ]))
            .unwrap();
        assert_eq!((cut.ids.len(), cut.labels.len(), cut.masks), (257, 257, 1));
        let masks: Vec<Range<usize>> = cut.answers.iter().map(|a| a.masks.clone()).collect();
        assert_eq!(masks, [0..1, 1..1]);
    }

    #[test]
    fn every_answer_knows_its_first_word_its_masks_and_whether_it_refuses() {
        let encoder = encoder();
        let mut talk = talk(&[
            ("what is here?", "Mugs."),
            ("both?", "It is [SEG], and [SEG]."),
            ("a pot?", "There is none."),
            ("one mug?", "[SEG]."),
        ]);
        talk.turns[2].absent = true;
        let encoded = encoder.encode(&talk).unwrap();
        let masks: Vec<Range<usize>> = encoded.answers.iter().map(|a| a.masks.clone()).collect();
        assert_eq!(masks, [0..0, 0..2, 2..2, 2..3]);
        let absent: Vec<bool> = encoded.answers.iter().map(|a| a.absent).collect();
        assert_eq!(absent, [false, false, true, false]);
        for (answer, turn) in encoded.answers.iter().zip(&talk.turns) {
            let first = encoder.tokenizer().encode_answer(&turn.answer)[0];
            assert_eq!(encoded.labels[answer.first], first);
            assert_eq!(encoded.labels[answer.first - 1], IGNORED_LABEL);
        }
    }

    #[test]
    fn questions_that_nobody_could_type_are_read_all_the_same() {
        let encoder = encoder();
        assert_eq!(
            encoder
                .encode(&talk(&[(&"é".repeat(9000), "[SEG].")]))
                .unwrap()
                .ids
                .len(),
            257
        );
        let odd = encoder.encode(&talk(&[("a\u{8b}b", "[SEG].")])).unwrap();
        assert_eq!(odd, encoder.encode(&talk(&[("a b", "[SEG].")])).unwrap());
        let blank = encoder.encode(&talk(&[(" ", "[SEG].")])).unwrap_err();
        assert!(blank.to_string().contains("empty"), "{blank}");
    }
}
