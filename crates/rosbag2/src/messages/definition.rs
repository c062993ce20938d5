//! What a bag says about a message type, so that it can be read where the type is not installed.

/// The definition of a message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageDefinition {
    /// Its name in ROS 2, e.g. `sensor_msgs/msg/Image`.
    pub ros_type: &'static str,
    /// The text of its `.msg` file.
    pub text: &'static str,
    /// Its hash (REP 2011), by which ROS 2 tells definitions apart.
    pub hash: &'static str,
    /// The definitions of the messages that its fields are made of, each once, in the order of the fields.
    pub parts: &'static [&'static MessageDefinition],
}

impl MessageDefinition {
    /// The text together with those of all parts, as a bag carries it (`ros2msg`, see the MCAP registry of schema encodings).
    pub fn full_text(&self) -> String {
        let mut met = vec![self];
        let mut next = 0;
        while let Some(definition) = met.get(next) {
            for part in definition.parts {
                if !met.contains(part) {
                    met.push(part);
                }
            }
            next += 1;
        }
        let mut text = format!("{}\n", self.text.trim_end());
        for part in met.iter().skip(1) {
            let line = "=".repeat(80);
            let name = part.ros_type.replacen("/msg/", "/", 1);
            text += &format!("{line}\nMSG: {name}\n{}\n", part.text.trim_end());
        }
        text
    }
}

/// The definition of one of the standard messages that this crate has as types, by `package/msg/Name`. `None`: it has no such
/// type.
pub fn standard_definition(ros_type: &str) -> Option<&'static MessageDefinition> {
    let mut all = STANDARD.iter().copied();
    all.find(|known| known.ros_type == ros_type)
}

pub(super) const STANDARD: [&MessageDefinition; 16] = [
    &TIME,
    &HEADER,
    &STRING,
    &CLOCK,
    &IMAGE,
    &COMPRESSED_IMAGE,
    &CAMERA_INFO,
    &REGION_OF_INTEREST,
    &VECTOR3,
    &QUATERNION,
    &POINT,
    &POSE,
    &POSE_STAMPED,
    &TRANSFORM,
    &TRANSFORM_STAMPED,
    &TF_MESSAGE,
];

pub(super) const TIME: MessageDefinition = MessageDefinition {
    ros_type: "builtin_interfaces/msg/Time",
    text: "int32 sec\nuint32 nanosec\n",
    hash: "RIHS01_b106235e25a4c5ed35098aa0a61a3ee9c9b18d197f398b0e4206cea9acf9c197",
    parts: &[],
};

pub(super) const HEADER: MessageDefinition = MessageDefinition {
    ros_type: "std_msgs/msg/Header",
    text: "builtin_interfaces/Time stamp\nstring frame_id\n",
    hash: "RIHS01_f49fb3ae2cf070f793645ff749683ac6b06203e41c891e17701b1cb597ce6a01",
    parts: &[&TIME],
};

pub(super) const STRING: MessageDefinition = MessageDefinition {
    ros_type: "std_msgs/msg/String",
    text: "string data\n",
    hash: "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
    parts: &[],
};

pub(super) const CLOCK: MessageDefinition = MessageDefinition {
    ros_type: "rosgraph_msgs/msg/Clock",
    text: "builtin_interfaces/Time clock\n",
    hash: "RIHS01_692f7a66e93a3c83e71765d033b60349ba68023a8c689a79e48078bcb5c58564",
    parts: &[&TIME],
};

pub(super) const IMAGE: MessageDefinition = MessageDefinition {
    ros_type: "sensor_msgs/msg/Image",
    text: "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\n\
            uint8 is_bigendian\nuint32 step\nuint8[] data\n",
    hash: "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
    parts: &[&HEADER],
};

pub(super) const COMPRESSED_IMAGE: MessageDefinition = MessageDefinition {
    ros_type: "sensor_msgs/msg/CompressedImage",
    text: "std_msgs/Header header\nstring format\nuint8[] data\n",
    hash: "RIHS01_15640771531571185e2efc8a100baf923961a4d15d5569652e6cb6691e8e371a",
    parts: &[&HEADER],
};

pub(super) const CAMERA_INFO: MessageDefinition = MessageDefinition {
    ros_type: "sensor_msgs/msg/CameraInfo",
    text: "std_msgs/Header header\nuint32 height\nuint32 width\nstring distortion_model\n\
            float64[] d\nfloat64[9] k\nfloat64[9] r\nfloat64[12] p\nuint32 binning_x\n\
            uint32 binning_y\nsensor_msgs/RegionOfInterest roi\n",
    hash: "RIHS01_b3dfd68ff46c9d56c80fd3bd4ed22c7a4ddce8c8348f2f59c299e73118e7e275",
    parts: &[&HEADER, &REGION_OF_INTEREST],
};

pub(super) const REGION_OF_INTEREST: MessageDefinition = MessageDefinition {
    ros_type: "sensor_msgs/msg/RegionOfInterest",
    text: "uint32 x_offset\nuint32 y_offset\nuint32 height\nuint32 width\nbool do_rectify\n",
    hash: "RIHS01_ad16bcba5f9131dcdba6fbded19f726f5440e3c513b4fb586dd3027eeed8abb1",
    parts: &[],
};

pub(super) const VECTOR3: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/Vector3",
    text: "float64 x\nfloat64 y\nfloat64 z\n",
    hash: "RIHS01_cc12fe83e4c02719f1ce8070bfd14aecd40f75a96696a67a2a1f37f7dbb0765d",
    parts: &[],
};

pub(super) const QUATERNION: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/Quaternion",
    text: "float64 x\nfloat64 y\nfloat64 z\nfloat64 w\n",
    hash: "RIHS01_8a765f66778c8ff7c8ab94afcc590a2ed5325a1d9a076ffff38fbce36f458684",
    parts: &[],
};

pub(super) const POINT: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/Point",
    text: "float64 x\nfloat64 y\nfloat64 z\n",
    hash: "RIHS01_6963084842a9b04494d6b2941d11444708d892da2f4b09843b9c43f42a7f6881",
    parts: &[],
};

pub(super) const POSE: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/Pose",
    text: "geometry_msgs/Point position\ngeometry_msgs/Quaternion orientation\n",
    hash: "RIHS01_d501954e9476cea2996984e812054b68026ae0bfae789d9a10b23daf35cc90fa",
    parts: &[&POINT, &QUATERNION],
};

pub(super) const POSE_STAMPED: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/PoseStamped",
    text: "std_msgs/Header header\ngeometry_msgs/Pose pose\n",
    hash: "RIHS01_10f3786d7d40fd2b54367835614bff85d4ad3b5dab62bf8bca0cc232d73b4cd8",
    parts: &[&HEADER, &POSE],
};

pub(super) const TRANSFORM: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/Transform",
    text: "geometry_msgs/Vector3 translation\ngeometry_msgs/Quaternion rotation\n",
    hash: "RIHS01_beb83fbe698636351461f6f35d1abb20010c43d55374d81bd041f1ba2581fddc",
    parts: &[&VECTOR3, &QUATERNION],
};

pub(super) const TRANSFORM_STAMPED: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/TransformStamped",
    text: "std_msgs/Header header\nstring child_frame_id\ngeometry_msgs/Transform transform\n",
    hash: "RIHS01_0a241f87d04668d94099cbb5ba11691d5ad32c2f29682e4eb5653424bd275206",
    parts: &[&HEADER, &TRANSFORM],
};

pub(super) const TF_MESSAGE: MessageDefinition = MessageDefinition {
    ros_type: "tf2_msgs/msg/TFMessage",
    text: "geometry_msgs/TransformStamped[] transforms\n",
    hash: "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    parts: &[&TRANSFORM_STAMPED],
};
