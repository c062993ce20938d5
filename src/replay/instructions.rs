//! Topics with instructions, as they stand in a bag.

use super::ReplayError;
use crate::bag::{Bag, Instruction, Message, RawMessage, StringMessage};
use crate::node::{Question, StampedInstruction};

/// Types that carry instructions.
pub const INSTRUCTION_TYPES: [&str; 2] = [
    <Instruction as Message>::ROS_TYPE,
    <StringMessage as Message>::ROS_TYPE,
];

/// The topic with instructions: the one named, or else the only one of type `lisa_ros/msg/Instruction`, or else one of
/// strings whose name ends in `instruction`.
///
/// # Errors
/// A topic that is not there or carries something else; none or several to choose from.
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
    let spoken = of(INSTRUCTION_TYPES[1], "instruction");
    let found = if stamped.is_empty() { spoken } else { stamped };
    match found[..] {
        [only] => Ok(only.to_owned()),
        _ => Err(ReplayError::Choose {
            what: "a topic with instructions",
            found: found.into_iter().map(str::to_owned).collect(),
            option: "--instruction-topic",
        }),
    }
}

/// Reads an instruction of either type; what cannot be read comes back with its fault, as in the node.
pub(super) fn heard(bag: &Bag, message: &RawMessage) -> StampedInstruction {
    let topic = bag.topics().get(message.topic);
    let name = topic.map_or("instruction", |topic| topic.name.as_str());
    match topic.is_some_and(|topic| topic.ros_type == INSTRUCTION_TYPES[1]) {
        true => StampedInstruction::from_string(name, &message.data),
        false => StampedInstruction::from_instruction(name, &message.data),
    }
}

/// What to count a question under: its kind where its id ends in one, as TableWorld's do (`test_000000036_reasoning`), or
/// else its words.
pub(super) fn kind(question: &Question) -> String {
    let kinds = crate::world::language::QuestionKind::ALL;
    let id = &question.instruction_id;
    let last = id.rsplit('_').next().unwrap_or_default();
    match kinds.iter().find(|kind| kind.name() == last) {
        Some(kind) => kind.name().to_owned(),
        None => question.text.words.chars().take(60).collect(),
    }
}
