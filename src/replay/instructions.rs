//! Reading the instructions of a bag.

use lisa_messages::{Instruction, QUESTION_KINDS};
use rosbag2::{Bag, Message, RawMessage, StringMessage};

use super::ReplayError;
use crate::node::{Question, StampedInstruction};

/// The message types that carry instructions: with a stamp, and without.
pub const INSTRUCTION_TYPES: [&str; 2] = [
    <Instruction as Message>::ROS_TYPE,
    <StringMessage as Message>::ROS_TYPE,
];

/// The topic with instructions: the one named, or else the only one of type `lisa_ros/msg/Instruction`, or else one of
/// strings whose name ends in `instruction`.
///
/// # Errors
/// The named topic is not there or carries something else; or no topic was named, and none or several could be meant.
pub fn instruction_topic(bag: &Bag, wanted: Option<&str>) -> Result<String, ReplayError> {
    if let Some(name) = wanted {
        let topic = bag.topic(name)?;
        return match INSTRUCTION_TYPES.contains(&topic.ros_type.as_str()) {
            true => Ok(name.to_owned()),
            false => Err(ReplayError::WrongType {
                topic: name.to_owned(),
                ros_type: topic.ros_type.clone(),
                accepted: "lisa_ros/msg/Instruction, std_msgs/msg/String".to_owned(),
            }),
        };
    }
    let of = |ros_type: &str, end: &str| -> Vec<&str> {
        let topics = bag.topics().iter();
        topics
            .filter(|t| t.ros_type == ros_type && t.name.ends_with(end))
            .map(|t| t.name.as_str())
            .collect()
    };
    let stamped = of(INSTRUCTION_TYPES[0], "");
    let unstamped = of(INSTRUCTION_TYPES[1], "instruction");
    let found = if stamped.is_empty() {
        unstamped
    } else {
        stamped
    };
    match found[..] {
        [only] => Ok(only.to_owned()),
        _ => Err(ReplayError::Choose {
            what: "a topic with instructions",
            found: found.into_iter().map(str::to_owned).collect(),
            option: "--instruction-topic",
        }),
    }
}

/// Reads an instruction of either type. One that cannot be read is returned with its fault, as in the node, where it gets a
/// result too.
pub(super) fn read_instruction(bag: &Bag, message: &RawMessage) -> StampedInstruction {
    let topic = bag.topics().get(message.topic);
    let name = topic.map_or("instruction", |topic| topic.name.as_str());
    match topic.is_some_and(|topic| topic.ros_type == INSTRUCTION_TYPES[1]) {
        true => StampedInstruction::from_string(name, &message.data),
        false => StampedInstruction::from_instruction(name, &message.data),
    }
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
