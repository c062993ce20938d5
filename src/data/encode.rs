//! A conversation as ids and labels.

use std::sync::Arc;

use super::{Conversation, DataError};
use crate::text::{Instruction, LisaTokenizer, PromptBuilder, PromptToken, Template};
use crate::weights::LisaConfig;

/// Stands among the ids where the image's features go.
pub use crate::text::IMAGE_TOKEN_INDEX as IMAGE_TOKEN;

/// A label that no loss is taken of.
pub const IGNORED_LABEL: i64 = -100;

/// How the end of an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndOfTurn {
    /// As the token `</s>`.
    #[default]
    Token,
    /// As the letters, which is what a tokenizer does that does not know `</s>` as markup; some published data has it.
    Text,
}

/// A conversation, ready to be learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// [`IMAGE_TOKEN`] where the image goes.
    pub ids: Vec<i64>,
    /// The ids again where the model has to say them (the answers and their ends), else [`IGNORED_LABEL`].
    pub labels: Vec<i64>,
    /// Ids before the first question: the same for all conversations about an image.
    pub prefix_len: usize,
    /// `[SEG]` among the labels; masks beyond it belong to an answer that was cut off.
    pub masks: usize,
}

/// Encodes conversations for one model.
pub struct Encoder {
    tokenizer: Arc<LisaTokenizer>,
    template: Template,
    brackets: bool,
    seg: i64,
    /// Ids kept, the image as one.
    longest: usize,
    /// See [`EndOfTurn`].
    pub end_of_turn: EndOfTurn,
}

impl Encoder {
    /// `max_tokens` bounds a sequence, the image's features included.
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
        // Checked here, so that encoding cannot fail for it.
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

    pub fn tokenizer(&self) -> &LisaTokenizer {
        &self.tokenizer
    }

    /// # Errors
    /// A question that is empty or no text, by its words.
    pub fn encode(&self, conversation: &Conversation) -> Result<Encoded, DataError> {
        let builder = PromptBuilder::new(&self.tokenizer, self.template, self.brackets)?;
        let mut encoded = Encoded::default();
        for (i, turn) in conversation.turns.iter().enumerate() {
            let question = Instruction::parse(&turn.question)
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
            encoded.ids.extend(prompt.into_iter().map(|token| match token {
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
                EndOfTurn::Text => self.tokenizer.encode_answer(&format!("{}</s>", turn.answer)),
            };
            encoded.ids.extend(&answer);
            encoded.labels.extend(&answer);
        }
        encoded.ids.truncate(self.longest);
        encoded.labels.truncate(self.longest);
        encoded.prefix_len = encoded.prefix_len.min(encoded.ids.len());
        encoded.masks = encoded.labels.iter().filter(|l| **l == self.seg).count();
        Ok(encoded)
    }
}
