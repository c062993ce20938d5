//! The results whose objects can be followed without asking the model.

use std::collections::VecDeque;

use super::super::question::Question;
use super::motion::Motion;
use crate::engine::{Answer, ObjectMask, SegPrompt};
use crate::frames::Stamp;

/// How many results are kept. A prompt has as many numbers as the language model is wide: 16 kB of an object of LISA-7B.
const KEPT: usize = 32;

/// The objects of an earlier result.
#[derive(Clone, Debug)]
struct Earlier {
    instruction_id: String,
    instruction: String,
    /// Of the frame that they were seen in.
    stamp: Stamp,
    objects: Vec<ObjectMask>,
}

/// The last results that named objects, the newest last.
#[derive(Clone, Debug, Default)]
pub struct EarlierResults(VecDeque<Earlier>);

impl EarlierResults {
    /// Keeps the objects of an answer about the frame of that stamp.
    pub fn keep(&mut self, question: &Question, answer: &Answer, stamp: Stamp) {
        if answer.objects.is_empty() {
            return;
        }
        // An id that is used again means the newer result.
        self.0
            .retain(|earlier| earlier.instruction_id != question.instruction_id);
        self.0.push_back(Earlier {
            instruction_id: question.instruction_id.clone(),
            instruction: question.text.words.clone(),
            stamp,
            objects: answer.objects.clone(),
        });
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// The instruction that an object answered, its prompt, and where it was.
    ///
    /// # Errors
    /// What is not known, and what is accepted.
    pub fn find(
        &self,
        instruction_id: &str,
        index: u32,
    ) -> Result<(String, SegPrompt, Motion), String> {
        let known = self
            .0
            .iter()
            .find(|earlier| earlier.instruction_id == instruction_id);
        let Some(known) = known else {
            return Err(format!(
                "no result of the instruction {instruction_id:?} with an object in it is known; accepted: an instruction, or the \
                 instruction_id of one of the last {KEPT} results with objects"
            ));
        };
        let count = known.objects.len();
        match known.objects.get(index as usize) {
            Some(object) => Ok((
                known.instruction.clone(),
                object.prompt.clone(),
                Motion::at_rest(object, known.stamp),
            )),
            None => Err(format!(
                "object_index is {index}; accepted: 0 to {}, because the result of {instruction_id:?} has {count} object{}",
                count - 1,
                if count == 1 { "" } else { "s" }
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::super::tests::{answer, block};
    use super::super::super::{InstructionText, Origin, QuestionId};
    use super::*;

    fn question(id: &str, words: &str) -> Question {
        Question {
            id: QuestionId(1),
            origin: Origin::Newest,
            instruction_id: id.to_owned(),
            conversation_id: String::new(),
            text: InstructionText::new(words.as_bytes()),
            max_new_tokens: None,
            received: Instant::now(),
        }
    }

    #[test]
    fn the_last_results_with_objects_are_known_by_their_ids() {
        let mut earlier = EarlierResults::default();
        let named = answer();
        let none = Answer {
            objects: Vec::new(),
            ..answer()
        };
        earlier.keep(&question("a", "the cup"), &named, Stamp(0));
        earlier.keep(&question("b", "nothing"), &none, Stamp(0));
        assert_eq!(earlier.find("a", 0).unwrap().0, "the cup");
        let error = earlier.find("b", 0).unwrap_err();
        assert!(
            error.contains("\"b\"") && error.contains("the last 32 results"),
            "{error}"
        );
        let error = earlier.find("a", 1).unwrap_err();
        assert_eq!(
            error,
            "object_index is 1; accepted: 0 to 0, because the result of \"a\" has 1 object"
        );
        let two = Answer {
            objects: vec![block(0, 0, 1, 1), block(1, 1, 1, 1)],
            ..answer()
        };
        earlier.keep(&question("a", "both cups"), &two, Stamp(0));
        assert_eq!(earlier.find("a", 1).unwrap().0, "both cups");
        (0..KEPT).for_each(|n| earlier.keep(&question(&n.to_string(), "x"), &named, Stamp(0)));
        assert!(earlier.find("a", 0).is_err(), "the oldest leaves");
        assert!(earlier.find("0", 0).is_ok());
        assert_eq!(earlier.0.len(), KEPT);
    }
}
