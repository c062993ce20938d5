//! What a recording says about this package's types.

use rosbag2::{
    Header, Image, Message, MessageDefinition, Point, PoseStamped, RegionOfInterest, Vector3,
};

use super::published::{
    DETECTION_2D_ARRAY, DETECTION_3D_ARRAY, LABEL_INFO, MARKER_ARRAY, POINT_CLOUD_2,
};

/// The definitions of all these messages and of those of other packages that the node publishes, for
/// [`rosbag2::WriterOptions::definitions`].
pub const DEFINITIONS: &[&MessageDefinition] = &[
    &INSTRUCTION,
    &REASONING_RESULT,
    &SEGMENTED_OBJECT,
    &SEGMENTED_OBJECT_STAMPED,
    &STAGE_TIME,
    &TEXT_DELTA,
    &DETECTION_2D_ARRAY,
    &DETECTION_3D_ARRAY,
    &LABEL_INFO,
    &MARKER_ARRAY,
    &POINT_CLOUD_2,
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
    hash: "RIHS01_49c747759028f0b4e14a0815ae6bf079dcb19b95cc410ec574968dc98913382f",
    parts: &[Header::DEFINITION, &SEGMENTED_OBJECT, &STAGE_TIME],
};

pub(crate) const SEGMENTED_OBJECT: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/SegmentedObject",
    text: include_str!("../../../msg/SegmentedObject.msg"),
    hash: "RIHS01_b0c288328042a5753c32ad6d1923a2413e22d75bf881a2a646792a521b845f95",
    parts: &[
        RegionOfInterest::DEFINITION,
        Image::DEFINITION,
        PoseStamped::DEFINITION,
        Vector3::DEFINITION,
        Point::DEFINITION,
    ],
};

pub(crate) const SEGMENTED_OBJECT_STAMPED: MessageDefinition = MessageDefinition {
    ros_type: "lisa_ros/msg/SegmentedObjectStamped",
    text: include_str!("../../../msg/SegmentedObjectStamped.msg"),
    hash: "RIHS01_3d5def39e5c9e655daa1fef2abe802997de7c23b852ba6cb88731967dd05aed3",
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
