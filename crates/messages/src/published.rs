//! Definitions of other packages' messages that the node publishes; [`detections`](super::detections) has their types.

use rosbag2::{CompressedImage, Header, Message, MessageDefinition, Point, Pose, Vector3};

pub(crate) const POINT_2D: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/Point2D",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/Point2D.msg"),
    hash: "RIHS01_eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    parts: &[],
};

pub(crate) const POSE_2D: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/Pose2D",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/Pose2D.msg"),
    hash: "RIHS01_b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    parts: &[&POINT_2D],
};

pub(crate) const BOUNDING_BOX_2D: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/BoundingBox2D",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/BoundingBox2D.msg"),
    hash: "RIHS01_008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    parts: &[&POSE_2D],
};

pub(crate) const BOUNDING_BOX_3D: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/BoundingBox3D",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/BoundingBox3D.msg"),
    hash: "RIHS01_bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    parts: &[Pose::DEFINITION, Vector3::DEFINITION],
};

pub(crate) const OBJECT_HYPOTHESIS: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/ObjectHypothesis",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/ObjectHypothesis.msg"),
    hash: "RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    parts: &[],
};

pub(crate) const OBJECT_HYPOTHESIS_WITH_POSE: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/ObjectHypothesisWithPose",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/ObjectHypothesisWithPose.msg"),
    hash: "RIHS01_41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    parts: &[&OBJECT_HYPOTHESIS, &POSE_WITH_COVARIANCE],
};

pub(crate) const DETECTION_2D: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/Detection2D",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/Detection2D.msg"),
    hash: "RIHS01_0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    parts: &[
        Header::DEFINITION,
        &OBJECT_HYPOTHESIS_WITH_POSE,
        &BOUNDING_BOX_2D,
    ],
};

pub(crate) const DETECTION_2D_ARRAY: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/Detection2DArray",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/Detection2DArray.msg"),
    hash: "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    parts: &[Header::DEFINITION, &DETECTION_2D],
};

pub(crate) const DETECTION_3D: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/Detection3D",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/Detection3D.msg"),
    hash: "RIHS01_ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    parts: &[
        Header::DEFINITION,
        &OBJECT_HYPOTHESIS_WITH_POSE,
        &BOUNDING_BOX_3D,
    ],
};

pub(crate) const DETECTION_3D_ARRAY: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/Detection3DArray",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/Detection3DArray.msg"),
    hash: "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    parts: &[Header::DEFINITION, &DETECTION_3D],
};

pub(crate) const VISION_CLASS: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/VisionClass",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/VisionClass.msg"),
    hash: "RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    parts: &[],
};

pub(crate) const LABEL_INFO: MessageDefinition = MessageDefinition {
    ros_type: "vision_msgs/msg/LabelInfo",
    text: include_str!("../../../scripts/interfaces/vision_msgs/msg/LabelInfo.msg"),
    hash: "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    parts: &[Header::DEFINITION, &VISION_CLASS],
};

pub(crate) const POSE_WITH_COVARIANCE: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/PoseWithCovariance",
    text: "geometry_msgs/Pose pose\n\
            float64[36] covariance\n",
    hash: "RIHS01_9a7c0fd234b7f45c6098745ecccd773ca1085670e64107135397aee31c02e1bb",
    parts: &[Pose::DEFINITION],
};

pub(crate) const POINT_FIELD: MessageDefinition = MessageDefinition {
    ros_type: "sensor_msgs/msg/PointField",
    text: "uint8 INT8 = 1\n\
            uint8 UINT8 = 2\n\
            uint8 INT16 = 3\n\
            uint8 UINT16 = 4\n\
            uint8 INT32 = 5\n\
            uint8 UINT32 = 6\n\
            uint8 FLOAT32 = 7\n\
            uint8 FLOAT64 = 8\n\
            string name\n\
            uint32 offset\n\
            uint8 datatype\n\
            uint32 count\n",
    hash: "RIHS01_5c6a4750728c2bcfbbf7037225b20b02d4429634732146b742dee1726637ef01",
    parts: &[],
};

pub(crate) const POINT_CLOUD_2: MessageDefinition = MessageDefinition {
    ros_type: "sensor_msgs/msg/PointCloud2",
    text: "std_msgs/Header header\n\
            uint32 height\n\
            uint32 width\n\
            sensor_msgs/PointField[] fields\n\
            bool is_bigendian\n\
            uint32 point_step\n\
            uint32 row_step\n\
            uint8[] data\n\
            bool is_dense\n",
    hash: "RIHS01_9198cabf7da3796ae6fe19c4cb3bdd3525492988c70522628af5daa124bae2b5",
    parts: &[Header::DEFINITION, &POINT_FIELD],
};

pub(crate) const DURATION: MessageDefinition = MessageDefinition {
    ros_type: "builtin_interfaces/msg/Duration",
    text: "int32 sec\n\
            uint32 nanosec\n",
    hash: "RIHS01_e8d009f659816f758b75334ee1a9ca5b5c0b859843261f14c7f937349599d93b",
    parts: &[],
};

pub(crate) const COLOR_RGBA: MessageDefinition = MessageDefinition {
    ros_type: "std_msgs/msg/ColorRGBA",
    text: "float32 r\n\
            float32 g\n\
            float32 b\n\
            float32 a\n",
    hash: "RIHS01_77a7a5b9ae477306097665106e0413ba74440245b1f3d0c6d6405fe5c7813fe8",
    parts: &[],
};

pub(crate) const UV_COORDINATE: MessageDefinition = MessageDefinition {
    ros_type: "visualization_msgs/msg/UVCoordinate",
    text: "float32 u\n\
            float32 v\n",
    hash: "RIHS01_f27f7ed21fe360c6066944f856b801a0c0d1e94e815b6886444b42d90b196a26",
    parts: &[],
};

pub(crate) const MESH_FILE: MessageDefinition = MessageDefinition {
    ros_type: "visualization_msgs/msg/MeshFile",
    text: "string filename\n\
            uint8[] data\n",
    hash: "RIHS01_7710ece15a148fb7c9b546364cfb215bb06098087bd6394fe5b73a493508f8c4",
    parts: &[],
};

pub(crate) const MARKER: MessageDefinition = MessageDefinition {
    ros_type: "visualization_msgs/msg/Marker",
    text: "std_msgs/Header header\n\
            string ns\n\
            int32 id\n\
            int32 type\n\
            int32 action\n\
            geometry_msgs/Pose pose\n\
            geometry_msgs/Vector3 scale\n\
            std_msgs/ColorRGBA color\n\
            builtin_interfaces/Duration lifetime\n\
            bool frame_locked\n\
            geometry_msgs/Point[] points\n\
            std_msgs/ColorRGBA[] colors\n\
            string texture_resource\n\
            sensor_msgs/CompressedImage texture\n\
            visualization_msgs/UVCoordinate[] uv_coordinates\n\
            string text\n\
            string mesh_resource\n\
            visualization_msgs/MeshFile mesh_file\n\
            bool mesh_use_embedded_materials\n",
    hash: "RIHS01_45b13ccf791f225962bf74e746f9644518855d783a6f42ba0cc14fde2b4f3ce0",
    parts: &[
        Header::DEFINITION,
        Pose::DEFINITION,
        Vector3::DEFINITION,
        &COLOR_RGBA,
        &DURATION,
        Point::DEFINITION,
        CompressedImage::DEFINITION,
        &UV_COORDINATE,
        &MESH_FILE,
    ],
};

pub(crate) const MARKER_ARRAY: MessageDefinition = MessageDefinition {
    ros_type: "visualization_msgs/msg/MarkerArray",
    text: "visualization_msgs/Marker[] markers\n",
    hash: "RIHS01_86cb8800b6fb05b5eff1abd7a56f62a5641d3ae9a1c29e78e67e704f1d067dcf",
    parts: &[&MARKER],
};
