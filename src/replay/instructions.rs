//! Reading the instructions of a bag.

use lisa_messages::QUESTION_KINDS;
use rosbag2::{Bag, RawMessage};

use super::ReplayError;
use crate::node::{self, InstructionTopic, Question, StampedInstruction};

/// The topics with instructions: the one named, or else those that a node would listen to, at most one with stamps and one
/// without.
///
/// # Errors
/// The named topic is not there or carries something else; or no topic was named, and there is none, or several of one kind.
pub fn instruction_topics(bag: &Bag, wanted: Option<&str>) -> Result<Vec<String>, ReplayError> {
    if let Some(name) = wanted {
        let topic = bag.topic(name)?;
        return match InstructionTopic::of_type(&topic.ros_type) {
            Some(_) => Ok(vec![name.to_owned()]),
            None => Err(ReplayError::WrongType {
                topic: name.to_owned(),
                ros_type: topic.ros_type.clone(),
                accepted: [InstructionTopic::Stamped, InstructionTopic::Unstamped]
                    .map(InstructionTopic::ros_type)
                    .join(", "),
            }),
        };
    }
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    match node::instruction_topics(names_and_types(bag)).map_err(owned) {
        Ok(found) if !found.is_empty() => Ok(owned(found)),
        found => Err(ReplayError::Choose {
            what: "a topic with instructions",
            found: found.err().unwrap_or_default(),
            option: "--instruction-topic",
        }),
    }
}

/// The names and types of a bag's topics.
pub(super) fn names_and_types(bag: &Bag) -> impl Iterator<Item = (&str, &str)> {
    let topics = bag.topics().iter();
    topics.map(|topic| (topic.name.as_str(), topic.ros_type.as_str()))
}

/// Reads an instruction of either type. One that cannot be read is returned with its fault, as in the node, where it gets a
/// result too.
pub(super) fn read_instruction(bag: &Bag, message: &RawMessage) -> StampedInstruction {
    let topic = bag.topics().get(message.topic);
    let (name, ros_type) = topic.map_or(("", ""), |t| (t.name.as_str(), t.ros_type.as_str()));
    InstructionTopic::of_type(ros_type)
        .unwrap_or(InstructionTopic::Stamped)
        .read(name, &message.data)
}

/// The kinds of questions that the bag's metadata lists; none if it has no such list.
pub(super) fn kinds(bag: &Bag) -> Vec<String> {
    let custom = bag.metadata().and_then(|data| data.custom_data.as_ref());
    let kinds = custom.and_then(|custom| custom.get(QUESTION_KINDS));
    kinds
        .into_iter()
        .flat_map(|kinds| kinds.split_whitespace().map(str::to_owned))
        .collect()
}

/// The kind under which a question is counted: the one of `kinds` with which its id ends, e.g. `reasoning` for
/// `test_000000036_reasoning`, or else its first 60 characters.
pub(super) fn kind(question: &Question, kinds: &[String]) -> String {
    let id = &question.instruction_id;
    let last = id.rsplit('_').next().unwrap_or_default();
    match kinds.iter().find(|kind| *kind == last) {
        Some(kind) => kind.clone(),
        None => question.text.words.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::node::{InstructionText, Origin, QuestionId};

    #[test]
    fn a_question_is_counted_under_a_kind_that_its_recording_names() {
        let question = |id: &str| Question {
            id: QuestionId(1),
            origin: Origin::Newest,
            instruction_id: id.to_owned(),
            conversation_id: String::new(),
            text: InstructionText::new(b"Where is the mug?"),
            max_new_tokens: None,
            received: Instant::now(),
        };
        let kinds = ["reasoning".to_owned(), "several".to_owned()];
        assert_eq!(kind(&question("test_36_reasoning"), &kinds), "reasoning");
        for (id, kinds) in [("test_36_other", &kinds[..]), ("test_36_reasoning", &[])] {
            assert_eq!(kind(&question(id), kinds), "Where is the mug?");
        }
    }
}
