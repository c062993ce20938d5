//! Which topics carry instructions, on a graph and in a recording, and how a message of each is read.

use lisa_messages::Instruction;
use rosbag2::{Message, StringMessage};

use super::instruction::StampedInstruction;
use super::names::topics;

/// One of the two topics that a node takes instructions from. The node numbers the instructions of both in one sequence. The
/// number seeds the sampling, and it is the id of an instruction that has none of its own. So a replay has to read both topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionTopic {
    /// `std_msgs/String`: about the newest frame.
    Unstamped,
    /// `lisa_ros/Instruction`: about the frame nearest a stamp.
    Stamped,
}

impl InstructionTopic {
    /// Both topics, in the order in which the node empties them.
    pub const ALL: [Self; 2] = [Self::Unstamped, Self::Stamped];

    /// Its name before remapping.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unstamped => topics::INSTRUCTION,
            Self::Stamped => topics::INSTRUCTION_STAMPED,
        }
    }

    /// The type of its messages.
    pub const fn ros_type(self) -> &'static str {
        match self {
            Self::Unstamped => <StringMessage as Message>::ROS_TYPE,
            Self::Stamped => <Instruction as Message>::ROS_TYPE,
        }
    }

    /// The topic whose messages have this type; `None` if no instruction has it.
    pub fn of_type(ros_type: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|topic| topic.ros_type() == ros_type)
    }

    /// Which of the two a recorded topic is: the stamped one by its type alone, and the other one also by the end of its name,
    /// because strings say anything, the node's own answers among them.
    fn recorded(name: &str, ros_type: &str) -> Option<Self> {
        Self::of_type(ros_type).filter(|topic| match topic {
            Self::Unstamped => name.ends_with(topics::INSTRUCTION),
            Self::Stamped => true,
        })
    }

    /// Reads a serialized message that came on `topic`. It never fails: one that cannot be read is returned with its fault,
    /// because it has to get a result, too.
    pub fn read(self, topic: &str, message: &[u8]) -> StampedInstruction {
        match self {
            Self::Unstamped => StampedInstruction::from_string(topic, message),
            Self::Stamped => StampedInstruction::from_instruction(topic, message),
        }
    }
}

/// The topics of a recording that carry instructions for one node, in the recording's order: none, or at most one of each kind.
/// `recorded` are the names and types of the recording's topics.
///
/// # Errors
/// All topics with instructions, if several are of one kind, so that nobody can tell which of them a node has listened to.
pub fn instruction_topics<'t>(
    recorded: impl IntoIterator<Item = (&'t str, &'t str)>,
) -> Result<Vec<&'t str>, Vec<&'t str>> {
    let mut names = Vec::new();
    let mut kinds = Vec::new();
    for (name, ros_type) in recorded {
        if let Some(kind) = InstructionTopic::recorded(name, ros_type) {
            names.push(name);
            kinds.push(kind);
        }
    }
    let several = |kind| kinds.iter().filter(|other| **other == kind).count() > 1;
    match InstructionTopic::ALL.into_iter().any(several) {
        true => Err(names),
        false => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRING: &str = "std_msgs/msg/String";
    const INSTRUCTION: &str = "lisa_ros/msg/Instruction";

    /// A replay once asked the stamped instructions alone, and recorded results were numbered by every topic of strings, so that
    /// ids and seeds were others than the node's.
    #[test]
    fn both_topics_are_listened_to_and_no_other_topic_of_strings_is() {
        let recorded = [
            ("/camera/image_raw", "sensor_msgs/msg/Image"),
            ("/robot/instruction", STRING),
            ("/chatter", STRING),
            ("/robot/instruction_stamped", INSTRUCTION),
            ("/lisa/answer", STRING),
            ("/lisa/result", "lisa_ros/msg/ReasoningResult"),
        ];
        let both = ["/robot/instruction", "/robot/instruction_stamped"];
        assert_eq!(instruction_topics(recorded), Ok(both.to_vec()));
        // A stamped one may have any name.
        assert_eq!(
            instruction_topics([("/ask", INSTRUCTION)]),
            Ok(vec!["/ask"])
        );
        assert_eq!(instruction_topics([("/chatter", STRING)]), Ok(vec![]));
        let several = [("/a/instruction", STRING), ("/b/instruction", STRING)];
        let names = vec!["/a/instruction", "/b/instruction"];
        assert_eq!(instruction_topics(several), Err(names));
    }

    #[test]
    fn the_node_s_own_topics_are_found_in_its_recording() {
        for topic in InstructionTopic::ALL {
            let recorded = InstructionTopic::recorded(topic.name(), topic.ros_type());
            assert_eq!(recorded, Some(topic));
        }
    }
}
