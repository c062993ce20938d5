//! Prompts, built from parts: markup from the template, words from the person, never parsed together.

use super::template::neutralise;
use super::{Instruction, LisaTokenizer, Template, TextError};

/// One place of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptToken {
    /// A token id.
    Text(u32),
    /// The image's features, all of them.
    Image,
}

/// Builds the prompts of a conversation about one image.
///
/// The ids are those the reference reads from its prompt strings, for instructions without markup in them.
/// Instructions are encoded as plain text, and the role markers of both templates (`USER:`, `ASSISTANT:`,
/// `[INST]`, `[/INST]`, `<<SYS>>`, `<</SYS>>`) get a space inside, so that nobody writes a turn by hand.
#[derive(Clone, Debug)]
pub struct PromptBuilder<'a> {
    tokenizer: &'a LisaTokenizer,
    template: Template,
    /// `<im_start>` and `<im_end>`, where they go around the image.
    around_image: Option<(u32, u32)>,
}

impl<'a> PromptBuilder<'a> {
    /// `mm_use_im_start_end` is the field of that name in the checkpoint's `config.json`.
    ///
    /// # Errors
    /// [`TextError::MissingToken`] where it is true and the tokenizer lacks one of the two tokens.
    pub fn new(
        tokenizer: &'a LisaTokenizer,
        template: Template,
        mm_use_im_start_end: bool,
    ) -> Result<Self, TextError> {
        let around_image = match mm_use_im_start_end {
            true => Some((tokenizer.im_start_id()?, tokenizer.im_end_id()?)),
            false => None,
        };
        Ok(Self {
            tokenizer,
            template,
            around_image,
        })
    }

    /// A conversation's begin: `<s>`, system prompt, the image and the first question, up to where the answer goes.
    pub fn first_turn(&self, instruction: &Instruction) -> Vec<PromptToken> {
        let frame = self.template.first();
        let question = format!("{}{}", neutralise(instruction.as_str()), frame.after);
        let mut prompt = vec![PromptToken::Text(self.tokenizer.bos_id())];
        match self.around_image {
            // The reference's added tokens eat the white space beside them, the line break after the image too.
            Some((im_start, im_end)) => {
                self.push(&mut prompt, frame.before.trim_end());
                prompt.extend([
                    PromptToken::Text(im_start),
                    PromptToken::Image,
                    PromptToken::Text(im_end),
                ]);
                self.push(&mut prompt, &question);
            }
            None => {
                self.push(&mut prompt, frame.before);
                prompt.push(PromptToken::Image);
                self.push(&mut prompt, &format!("\n{question}"));
            }
        }
        prompt
    }

    /// A later question: what follows the previous answer and its [`end_of_turn`](Self::end_of_turn).
    pub fn next_turn(&self, instruction: &Instruction) -> Vec<PromptToken> {
        let mut prompt = Vec::new();
        if self.template.begins_each_turn() {
            prompt.push(PromptToken::Text(self.tokenizer.bos_id()));
        }
        self.push(
            &mut prompt,
            &self.template.next(&neutralise(instruction.as_str())),
        );
        prompt
    }

    /// The token after every answer, `</s>`: the model's own, or put there where the answer was cut short.
    pub fn end_of_turn(&self) -> u32 {
        self.tokenizer.eos_id()
    }

    fn push(&self, prompt: &mut Vec<PromptToken>, text: &str) {
        prompt.extend(
            self.tokenizer
                .encode_text(text)
                .into_iter()
                .map(PromptToken::Text),
        );
    }
}
