//! The conversation templates that LISA models were trained with: how turns are written as text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::TextError;

/// A conversation template. Its `Display`, `FromStr` and serde forms are its name in the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Template {
    /// `USER: … ASSISTANT: …</s>`, the template of all published models, 13B ones included.
    #[default]
    #[serde(rename = "llava_v1")]
    LlavaV1,
    /// `[INST] … [/INST] … </s>`, Llama 2's.
    #[serde(rename = "llava_llama_2")]
    LlavaLlama2,
}

/// The text around the image and the first question: the image stands after `before`, and the question between it and `after`.
pub(super) struct FirstTurn {
    pub before: &'static str,
    pub after: &'static str,
}

const V1_BEFORE: &str = "A chat between a curious human and an artificial intelligence assistant. \
    The assistant gives helpful, detailed, and polite answers to the human's questions. USER: ";
const LLAMA_2_BEFORE: &str = "[INST] <<SYS>>\nYou are a helpful language and vision assistant. \
    You are able to understand the visual content that the user provides, \
    and assist the user with a variety of tasks using natural language.\n<</SYS>>\n\n";

/// The words that mark a turn in either template, and each with a space inside, which marks nothing.
const MARKERS: [(&str, &str); 6] = [
    ("USER:", "USER :"),
    ("ASSISTANT:", "ASSISTANT :"),
    ("[INST]", "[INST ]"),
    ("[/INST]", "[/INST ]"),
    ("<<SYS>>", "<<SYS >>"),
    ("<</SYS>>", "<</SYS >>"),
];

impl Template {
    /// Every template.
    pub const ALL: [Template; 2] = [Template::LlavaV1, Template::LlavaLlama2];

    /// The name of the template in the reference and in `lisa.json`.
    pub fn name(self) -> &'static str {
        match self {
            Template::LlavaV1 => "llava_v1",
            Template::LlavaLlama2 => "llava_llama_2",
        }
    }

    /// The text around the first question: the reference's system prompt, and what ends the question.
    pub(super) fn first(self) -> FirstTurn {
        match self {
            Template::LlavaV1 => FirstTurn {
                before: V1_BEFORE,
                after: " ASSISTANT:",
            },
            Template::LlavaLlama2 => FirstTurn {
                before: LLAMA_2_BEFORE,
                after: " [/INST]",
            },
        }
    }

    /// The text of a later question, which follows the end-of-turn token.
    pub(super) fn next(self, question: &str) -> String {
        match self {
            Template::LlavaV1 => format!("USER: {question} ASSISTANT:"),
            Template::LlavaLlama2 => format!("[INST] {question} [/INST]"),
        }
    }

    /// Whether every turn begins with `<s>`, and not only the first one.
    pub(super) fn begins_each_turn(self) -> bool {
        self == Template::LlavaLlama2
    }
}

/// A person's words with a space inside every marker of a turn ("USER :"), so that they cannot pretend to be a turn. Only the
/// exact spelling of the templates is changed. The markers of both templates are, because the language model may have been
/// trained with the other one before it became LISA.
pub(super) fn neutralise(words: &str) -> String {
    MARKERS
        .iter()
        .fold(words.to_owned(), |words, (marker, harmless)| {
            words.replace(marker, harmless)
        })
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Template {
    type Err = TextError;

    fn from_str(name: &str) -> Result<Self, TextError> {
        let unknown = || TextError::UnknownTemplate {
            name: name.to_owned(),
        };
        Self::ALL
            .into_iter()
            .find(|t| t.name() == name)
            .ok_or_else(unknown)
    }
}
