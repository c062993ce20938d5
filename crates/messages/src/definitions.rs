//! What a recording says about this package's types.

use rosbag2::{Header, Image, Message, MessageDefinition, RegionOfInterest};

/// The definitions of all these messages, for [`rosbag2::WriterOptions::definitions`].
pub const DEFINITIONS: &[&MessageDefinition] = &[
    &INSTRUCTION,
    &REASONING_RESULT,
    &SEGMENTED_OBJECT,
    &SEGMENTED_OBJECT_STAMPED,
    &STAGE_TIME,
    &TEXT_DELTA,
];

pub(crate) const INSTRUCTION: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/Instruction",
    text: include_str!("../../../msg/Instruction.msg"),
    hash: "RIHS01_4fa08cf236b05b426991fbd79dc9cfc757add82d37204aaea476ebe0a778fe99",
    parts: &[Header::DEFINITION],
};

pub(crate) const REASONING_RESULT: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/ReasoningResult",
    text: include_str!("../../../msg/ReasoningResult.msg"),
    hash: "RIHS01_760649f62b63a461e9e2f1fc4a8c5f1732fc3550bffaa35b6fa67f077b075ce2",
    parts: &[Header::DEFINITION, &SEGMENTED_OBJECT, &STAGE_TIME],
};

pub(crate) const SEGMENTED_OBJECT: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/SegmentedObject",
    text: include_str!("../../../msg/SegmentedObject.msg"),
    hash: "RIHS01_e16a039afff1f5e81e6393399b04dd47d62c5376071f0823362512920a6cada3",
    parts: &[RegionOfInterest::DEFINITION, Image::DEFINITION],
};

pub(crate) const SEGMENTED_OBJECT_STAMPED: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/SegmentedObjectStamped",
    text: include_str!("../../../msg/SegmentedObjectStamped.msg"),
    hash: "RIHS01_c0550d5d18c2a31f14600dac5d8ac2dfe5772c6207df3356992e27ee7cdfe16d",
    parts: &[Header::DEFINITION, &SEGMENTED_OBJECT],
};

pub(crate) const STAGE_TIME: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/StageTime",
    text: include_str!("../../../msg/StageTime.msg"),
    hash: "RIHS01_955eda7991b3a79581becfa4b0544777250744dc2ec358e721c1a496935d17d3",
    parts: &[],
};

pub(crate) const TEXT_DELTA: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/TextDelta",
    text: include_str!("../../../msg/TextDelta.msg"),
    hash: "RIHS01_5139f1042d8ac4b38022712cfbe0a0a800fbd4eb2cc5ea201b28a6e9335fa318",
    parts: &[Header::DEFINITION],
};
