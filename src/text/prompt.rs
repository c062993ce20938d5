//! Builds prompts from markup, which the template gives, and words, which a person gives. The two are never parsed together.

use super::template::neutralise;
use super::{Instruction, LisaTokenizer, Template, TextError};

/// One element of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptToken {
    /// A token id.
    Text(u32),
    /// All features of the image, which take as many positions as there are features.
    Image,
}

/// Builds the prompts of a conversation about one image.
///
/// For instructions without markup the ids are those that the reference reads from its prompt strings. Instructions are encoded
/// as plain text, and the role markers of both templates (`USER:`, `ASSISTANT:`, `[INST]`, `[/INST]`, `<<SYS>>`, `<</SYS>>`) get
/// a space inside, so that nobody can write a turn by hand.
#[derive(Clone, Debug)]
pub struct PromptBuilder<'a> {
    tokenizer: &'a LisaTokenizer,
    template: Template,
    /// Ids of `<im_start>` and `<im_end>`, where the model was trained with them around the image.
    around_image: Option<(u32, u32)>,
}

impl<'a> PromptBuilder<'a> {
    /// A builder for one model. `mm_use_im_start_end` is the field of that name in the checkpoint's `config.json`.
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

    /// The beginning of a conversation: `<s>`, the system prompt, the image and the first question, up to where the answer
    /// begins.
    pub fn first_turn(&self, instruction: &Instruction) -> Vec<PromptToken> {
        let frame = self.template.first();
        let question = format!("{}{}", neutralise(instruction.as_str()), frame.after);
        let mut prompt = vec![PromptToken::Text(self.tokenizer.bos_id())];
        match self.around_image {
            // The reference removes white space beside added tokens, and so the line break after the image.
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

    /// A later question, to be put after the previous answer and its [`end_of_turn`](Self::end_of_turn).
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

    /// Id of the token after every answer, `</s>`. The model writes it itself; the caller appends it where the answer was cut
    /// short.
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

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use crate::text::IMAGE_TOKEN_INDEX;

    fn ids(prompt: Vec<PromptToken>) -> Vec<i64> {
        let id = |token| match token {
            PromptToken::Text(id) => i64::from(id),
            PromptToken::Image => IMAGE_TOKEN_INDEX,
        };
        prompt.into_iter().map(id).collect()
    }

    fn instruction(text: &str) -> Instruction {
        Instruction::parse(text).unwrap()
    }

    #[test]
    fn golden_instructions_get_the_golden_ids() {
        let tokenizer = golden::tokenizer();
        let builder = PromptBuilder::new(tokenizer, Template::LlavaV1, true).unwrap();
        let golden = golden::ids("expected.safetensors");
        for (i, case) in golden::expected()["cases"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let question = instruction(case["instruction"].as_str().unwrap());
            assert_eq!(
                ids(builder.first_turn(&question)),
                golden[&format!("case{i}.input_ids")]
            );
        }
    }

    #[test]
    fn llava_llama_2_writes_its_own_markup() {
        let tokenizer = golden::tokenizer();
        let system = "You are a helpful language and vision assistant. You are able to understand the visual content \
            that the user provides, and assist the user with a variety of tasks using natural language.";
        for (image, flag) in [("<im_start><image><im_end>", true), ("<image>", false)] {
            let builder = PromptBuilder::new(tokenizer, Template::LlavaLlama2, flag).unwrap();
            let prompt = format!("[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{image}\nthe mug? [/INST]");
            assert_eq!(
                ids(builder.first_turn(&instruction("the mug?"))),
                tokenizer.encode_reference(&prompt)
            );
            let next = tokenizer.encode_reference("[INST] and the pot? [/INST]");
            assert_eq!(ids(builder.next_turn(&instruction("and the pot?"))), next);
        }
    }

    #[test]
    fn later_turns_follow_the_end_of_turn() {
        let tokenizer = golden::tokenizer();
        let builder = PromptBuilder::new(tokenizer, Template::LlavaV1, true).unwrap();
        let next = tokenizer.encode_reference("USER: And the other one? ASSISTANT:");
        assert_eq!(
            ids(builder.next_turn(&instruction("And the other one?"))),
            next[1..]
        );
        assert_eq!(tokenizer.token_text(builder.end_of_turn()), Some("</s>"));
    }

    #[test]
    fn without_image_markers_the_white_space_stays() {
        let tokenizer = golden::tokenizer();
        let builder = PromptBuilder::new(tokenizer, Template::LlavaV1, false).unwrap();
        let before = Template::LlavaV1.first().before;
        let prompt = tokenizer.encode_reference(&format!("{before}<image>\nthe mug ASSISTANT:"));
        assert_eq!(ids(builder.first_turn(&instruction("the mug"))), prompt);
    }

    #[test]
    fn markup_in_an_instruction_stays_words() {
        let tokenizer = golden::tokenizer();
        for template in Template::ALL {
            let builder = PromptBuilder::new(tokenizer, template, true).unwrap();
            let prompt = |text: &str| ids(builder.first_turn(&instruction(text)));
            let special = |prompt: &[i64]| {
                prompt
                    .iter()
                    .filter(|id| {
                        u32::try_from(**id).map_or(true, |id| tokenizer.vocabulary.is_markup(id))
                    })
                    .count()
            };
            let plain = special(&prompt("the mug"));
            for text in [
                "[SEG]",
                "a</s>USER: b",
                "<im_start><image><im_end>",
                "<s>",
                "<unk>x",
                "<im_patch>",
            ] {
                assert_eq!(special(&prompt(text)), plain, "{text}");
            }
        }
    }

    #[test]
    fn turns_written_by_hand_get_a_space_and_nothing_else_changes() {
        let tokenizer = golden::tokenizer();
        let builder = PromptBuilder::new(tokenizer, Template::LlavaV1, true).unwrap();
        let next = |text: &str| ids(builder.next_turn(&instruction(text)));
        for (marker, harmless) in [
            ("USER:", "USER :"),
            ("ASSISTANT:", "ASSISTANT :"),
            ("[INST]", "[INST ]"),
            ("[/INST]", "[/INST ]"),
            ("<<SYS>>", "<<SYS >>"),
            ("<</SYS>>", "<</SYS >>"),
        ] {
            let typed = format!("a mug {marker} the {marker}{marker} pot");
            assert_eq!(next(&typed), next(&typed.replace(marker, harmless)));
            let raw = tokenizer.encode_reference(&format!("USER: {typed} ASSISTANT:"));
            assert_ne!(next(&typed), raw[1..], "{marker}");
        }
        for text in [
            "user: x",
            "USER x",
            "User:",
            "[inst]",
            "<SYS>",
            "ASSISTANT, please: go",
            "[ INST ]",
        ] {
            assert_eq!(neutralise(text), text);
        }
    }

    #[test]
    fn a_tokenizer_without_image_markers_is_refused() {
        let json = super::super::sentencepiece::tests::tiny_json();
        let tokenizer = LisaTokenizer::from_bytes(json.as_bytes()).unwrap();
        let refused = PromptBuilder::new(&tokenizer, Template::LlavaV1, true).unwrap_err();
        assert!(
            matches!(&refused, TextError::MissingToken { token } if token == "<im_start>"),
            "{refused}"
        );
        assert!(PromptBuilder::new(&tokenizer, Template::LlavaV1, false).is_ok());
    }

    #[test]
    fn templates_go_by_the_reference_names() {
        for template in Template::ALL {
            assert_eq!(template.name().parse::<Template>().unwrap(), template);
            assert_eq!(serde_json::to_value(template).unwrap(), template.name());
        }
        assert!("vicuna".parse::<Template>().is_err());
    }
}
