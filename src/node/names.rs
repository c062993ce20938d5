//! The names of the node's topics and services. Those that are private have the node's own name before them: [`private_name`].

/// The names of the topics that the node publishes, which are private, and of those that it subscribes to, which are not.
pub mod topics {
    /// `lisa_ros/ReasoningResult`: one for every question.
    pub const RESULT: &str = "result";
    /// `lisa_ros/SegmentedObjectStamped`: each object as soon as its mask is there.
    pub const OBJECT: &str = "object";
    /// `sensor_msgs/Image`: the union of an answer's masks.
    pub const MASK: &str = "mask";
    /// `std_msgs/String`: the text of an answer.
    pub const ANSWER: &str = "answer";
    /// `lisa_ros/TextDelta`: the text as it is written.
    pub const ANSWER_DELTA: &str = "answer_delta";
    /// `sensor_msgs/Image`: an answer over its frame. A bag holds it compressed, as [`compressed`](super::compressed) names it.
    pub const OVERLAY: &str = "overlay";
    /// `sensor_msgs/Image`: where the model looked.
    pub const ATTENTION: &str = "attention";

    /// `sensor_msgs/Image`, or `CompressedImage` on its [`compressed`](super::compressed) topic: the camera.
    pub const IMAGE: &str = "image";
    /// `std_msgs/String`: instructions about the newest frame.
    pub const INSTRUCTION: &str = "instruction";
    /// `lisa_ros/Instruction`: instructions about the frame nearest a stamp.
    pub const INSTRUCTION_STAMPED: &str = "instruction_stamped";
}

/// The names of the node's services, which are private.
pub mod services {
    /// `std_srvs/SetBool`: enables and disables the node.
    pub const ENABLE: &str = "enable";
    /// `std_srvs/Trigger`: forgets all conversations.
    pub const RESET_CONVERSATION: &str = "reset_conversation";
}

/// A private name as ROS resolves it, for instance `~/result`.
pub fn private_name(name: &str) -> String {
    format!("~/{name}")
}

/// Where `image_transport` publishes the compressed images of a topic.
pub fn compressed(topic: &str) -> String {
    format!("{topic}/compressed")
}
