//! What was asked, and when: instructions as they stand in a bag.

use super::ReplayError;
use crate::bag::{Bag, Instruction, Message, RawMessage, StringMessage};
use crate::frames::Stamp;

/// An instruction of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Counts the recording's instructions, from 1, as the node counts those it hears.
    pub number: u64,
    /// The asker's own, or the number where the asker gave none.
    pub id: String,
    /// Empty: a question on its own.
    pub conversation_id: String,
    pub text: String,
    pub about: About,
    /// When it was recorded, nanoseconds.
    pub log_time: u64,
}

/// Which frame an instruction is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The newest one when it was heard.
    Newest,
    /// The one nearest this stamp.
    Stamp(Stamp),
}

impl Ask {
    /// What to count it under: the kind of question where the id ends in one, as TableWorld's do
    /// (`test_000000036_reasoning`), or else its words.
    pub fn kind(&self) -> String {
        let kinds = crate::world::language::QuestionKind::ALL;
        let last = self.id.rsplit('_').next().unwrap_or_default();
        match kinds.iter().find(|kind| kind.name() == last) {
            Some(kind) => kind.name().to_owned(),
            None => self.text.chars().take(60).collect(),
        }
    }
}

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

/// Reads an instruction of either type.
///
/// # Errors
/// [`BagError`](crate::bag::BagError), for bytes that are none.
pub(super) fn read_ask(bag: &Bag, message: &RawMessage, number: u64) -> Result<Ask, ReplayError> {
    let spoken = bag
        .topics()
        .get(message.topic)
        .is_some_and(|topic| topic.ros_type == INSTRUCTION_TYPES[1]);
    let said = match spoken {
        true => Instruction {
            text: bag.decode::<StringMessage>(message)?.data,
            ..Instruction::default()
        },
        false => bag.decode::<Instruction>(message)?,
    };
    let stamp = Stamp(said.header.stamp.nanoseconds());
    Ok(Ask {
        number,
        id: match said.id.is_empty() {
            true => number.to_string(),
            false => said.id,
        },
        conversation_id: said.conversation_id,
        text: said.text,
        about: match stamp == Stamp::default() {
            true => About::Newest,
            false => About::Stamp(stamp),
        },
        log_time: message.log_time,
    })
}
