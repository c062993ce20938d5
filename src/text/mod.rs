//! Words to token ids and back: tokenizer, conversation templates, prompts, streaming decoder.
//!
//! What a person says is data. It reaches the model through [`LisaTokenizer::encode_text`], which knows no special tokens, and
//! through [`PromptBuilder`], which puts the markup around it. So `[SEG]`, `</s>` or `USER:` in an instruction are ordinary
//! words.

mod checkpoint;
mod error;
mod instruction;
mod prompt;
mod reference;
mod sentencepiece;
mod stream;
mod template;
mod tokenizer;
mod tokenizer_json;
mod trained;
mod vocabulary;

#[cfg(test)]
mod golden;

pub(crate) use checkpoint::tokenizer_json_from_checkpoint;
pub use error::TextError;
pub use instruction::{Instruction, InstructionError};
pub use prompt::{PromptBuilder, PromptToken};
pub use reference::IMAGE_TOKEN_INDEX;

pub use stream::TokenStream;
pub use template::Template;
pub use tokenizer::LisaTokenizer;
pub(crate) use trained::train_tokenizer;
