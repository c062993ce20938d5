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
    /// `vision_msgs/Detection2DArray`: an answer's objects as boxes in the picture.
    pub const DETECTIONS: &str = "detections";
    /// `vision_msgs/Detection3DArray`: an answer's objects as boxes in space.
    pub const DETECTIONS_3D: &str = "detections_3d";
    /// `vision_msgs/LabelInfo`: what the numbers of classes in the detections stand for.
    pub const LABEL_INFO: &str = "label_info";
    /// `visualization_msgs/MarkerArray`: the boxes in space, with their labels.
    pub const MARKERS: &str = "markers";
    /// `sensor_msgs/PointCloud2`: the objects' points.
    pub const OBJECT_POINTS: &str = "object_points";

    /// `sensor_msgs/Image`, or `CompressedImage` on its [`compressed`](super::compressed) topic: the camera.
    pub const IMAGE: &str = "image";
    /// `std_msgs/String`: instructions about the newest frame.
    pub const INSTRUCTION: &str = "instruction";
    /// `lisa_ros/Instruction`: instructions about the frame nearest a stamp.
    pub const INSTRUCTION_STAMPED: &str = "instruction_stamped";
    /// `sensor_msgs/CameraInfo`: the camera's calibration.
    pub const CAMERA_INFO: &str = "camera_info";
    /// `sensor_msgs/Image`: depth.
    pub const DEPTH: &str = "depth";
    /// `sensor_msgs/CompressedImage`: depth, as `compressed_depth_image_transport` sends it.
    pub const DEPTH_COMPRESSED: &str = "depth/compressedDepth";
    /// `sensor_msgs/CameraInfo`: the depth camera's calibration.
    pub const DEPTH_CAMERA_INFO: &str = "depth/camera_info";
    /// `tf2_msgs/TFMessage`: transforms that hold at a time.
    pub const TF: &str = "/tf";
    /// `tf2_msgs/TFMessage`: transforms that always hold.
    pub const TF_STATIC: &str = "/tf_static";
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
