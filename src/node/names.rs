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

/// What the topics, services and actions of one camera are called. The only camera of a node has the node's own names. Of several, each
/// has those that a node of its own would have in a namespace of the camera's name: `front/image`, `front/lisa/result`. So a client
/// need not know whether a node serves its camera alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraNames {
    /// The camera's name, and the node's; `None` for the only camera.
    camera: Option<(String, String)>,
}

impl CameraNames {
    /// Those of the only camera of a node.
    pub fn only() -> Self {
        Self { camera: None }
    }

    /// Those of the camera of this name, one of several of the node `node`.
    pub fn of(camera: &str, node: &str) -> Self {
        Self {
            camera: Some((camera.to_owned(), node.to_owned())),
        }
    }

    /// The camera's name, where there are several.
    pub fn camera(&self) -> Option<&str> {
        self.camera.as_ref().map(|(camera, _)| camera.as_str())
    }

    /// A topic that is not private, as the camera's messages come on it: `image`, or `front/image`. One that begins with a slash is
    /// everybody's.
    pub fn topic(&self, name: &str) -> String {
        match &self.camera {
            Some((camera, _)) if !name.starts_with('/') => format!("{camera}/{name}"),
            _ => name.to_owned(),
        }
    }

    /// A private name: `~/result`, or `front/lisa/result`.
    pub fn private(&self, name: &str) -> String {
        match &self.camera {
            Some((camera, node)) => format!("{camera}/{node}/{name}"),
            None => private_name(name),
        }
    }

    /// What a node that served the camera alone would be called; `None` for the only camera of a node.
    pub fn node(&self) -> Option<String> {
        let camera = self.camera.as_ref();
        camera.map(|(camera, node)| format!("{camera}/{node}"))
    }
}

/// How many cameras a node serves at the most.
pub const MAX_CAMERAS: usize = 64;

/// Whether these can be the names of a node's cameras: namespaces as ROS has them (`front`, `/robot1/arm`), no more than
/// [`MAX_CAMERAS`], and none of them twice.
pub fn are_camera_names(names: &[String]) -> bool {
    let is_token = |token: &str| {
        let mut letters = token.chars();
        let first = letters.next();
        first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_name = |name: &String| {
        let relative = name.strip_prefix('/').unwrap_or(name);
        // rcl refuses two underscores in a row.
        !name.contains("__") && relative.split('/').all(is_token)
    };
    let is_new = |(at, name): (usize, &String)| !names[..at].contains(name);
    names.len() <= MAX_CAMERAS && names.iter().all(is_name) && names.iter().enumerate().all(is_new)
}

/// Where `image_transport` publishes the compressed images of a topic.
pub fn compressed(topic: &str) -> String {
    format!("{topic}/compressed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_cameras_has_the_names_of_a_node_of_its_own() {
        let only = CameraNames::only();
        assert_eq!(only.topic(topics::IMAGE), "image");
        assert_eq!(only.private(topics::RESULT), "~/result");
        let front = CameraNames::of("front", "lisa");
        assert_eq!(
            front.topic(topics::DEPTH_COMPRESSED),
            "front/depth/compressedDepth"
        );
        assert_eq!(
            front.topic(topics::TF),
            "/tf",
            "there is one tree of frames"
        );
        assert_eq!(front.private(topics::RESULT), "front/lisa/result");
        let far = CameraNames::of("/robot1/arm", "lisa");
        assert_eq!(far.topic(topics::IMAGE), "/robot1/arm/image");
        assert_eq!(far.node().as_deref(), Some("/robot1/arm/lisa"));
    }

    #[test]
    fn names_of_cameras_are_namespaces_and_none_comes_twice() {
        let are = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            are_camera_names(&names)
        };
        assert!(are(&[]) && are(&["front", "arm", "/robot1/arm", "robot1/front", "_c2"]));
        for wrong in [
            "",
            "2front",
            "front-left",
            "a//b",
            "a/",
            "/",
            "~/a",
            "a__b",
            "kamera_ä",
        ] {
            assert!(!are(&[wrong]), "{wrong}");
        }
        assert!(!are(&["front", "arm", "front"]));
        let many: Vec<String> = (0..=MAX_CAMERAS).map(|n| format!("c{n}")).collect();
        assert!(!are_camera_names(&many) && are_camera_names(&many[1..]));
    }
}
