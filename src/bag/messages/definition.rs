//! What a bag says about a message type, so that it can be read where the type is not installed.

/// A message type: `package/Name`, its `.msg` text, and its hash (REP 2011).
struct Definition {
    name: &'static str,
    text: &'static str,
    hash: &'static str,
}

const DEFINITIONS: [Definition; 19] = [
    Definition {
        name: "builtin_interfaces/Time",
        text: "int32 sec\nuint32 nanosec\n",
        hash: "RIHS01_b106235e25a4c5ed35098aa0a61a3ee9c9b18d197f398b0e4206cea9acf9c197",
    },
    Definition {
        name: "std_msgs/Header",
        text: "builtin_interfaces/Time stamp\nstring frame_id\n",
        hash: "RIHS01_f49fb3ae2cf070f793645ff749683ac6b06203e41c891e17701b1cb597ce6a01",
    },
    Definition {
        name: "std_msgs/String",
        text: "string data\n",
        hash: "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
    },
    Definition {
        name: "rosgraph_msgs/Clock",
        text: "builtin_interfaces/Time clock\n",
        hash: "RIHS01_692f7a66e93a3c83e71765d033b60349ba68023a8c689a79e48078bcb5c58564",
    },
    Definition {
        name: "sensor_msgs/Image",
        text: "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\n\
            uint8 is_bigendian\nuint32 step\nuint8[] data\n",
        hash: "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
    },
    Definition {
        name: "sensor_msgs/CompressedImage",
        text: "std_msgs/Header header\nstring format\nuint8[] data\n",
        hash: "RIHS01_15640771531571185e2efc8a100baf923961a4d15d5569652e6cb6691e8e371a",
    },
    Definition {
        name: "sensor_msgs/CameraInfo",
        text: "std_msgs/Header header\nuint32 height\nuint32 width\nstring distortion_model\n\
            float64[] d\nfloat64[9] k\nfloat64[9] r\nfloat64[12] p\nuint32 binning_x\n\
            uint32 binning_y\nsensor_msgs/RegionOfInterest roi\n",
        hash: "RIHS01_b3dfd68ff46c9d56c80fd3bd4ed22c7a4ddce8c8348f2f59c299e73118e7e275",
    },
    Definition {
        name: "sensor_msgs/RegionOfInterest",
        text: "uint32 x_offset\nuint32 y_offset\nuint32 height\nuint32 width\nbool do_rectify\n",
        hash: "RIHS01_ad16bcba5f9131dcdba6fbded19f726f5440e3c513b4fb586dd3027eeed8abb1",
    },
    Definition {
        name: "geometry_msgs/Vector3",
        text: "float64 x\nfloat64 y\nfloat64 z\n",
        hash: "RIHS01_cc12fe83e4c02719f1ce8070bfd14aecd40f75a96696a67a2a1f37f7dbb0765d",
    },
    Definition {
        name: "geometry_msgs/Quaternion",
        text: "float64 x\nfloat64 y\nfloat64 z\nfloat64 w\n",
        hash: "RIHS01_8a765f66778c8ff7c8ab94afcc590a2ed5325a1d9a076ffff38fbce36f458684",
    },
    Definition {
        name: "geometry_msgs/Transform",
        text: "geometry_msgs/Vector3 translation\ngeometry_msgs/Quaternion rotation\n",
        hash: "RIHS01_beb83fbe698636351461f6f35d1abb20010c43d55374d81bd041f1ba2581fddc",
    },
    Definition {
        name: "geometry_msgs/TransformStamped",
        text: "std_msgs/Header header\nstring child_frame_id\ngeometry_msgs/Transform transform\n",
        hash: "RIHS01_0a241f87d04668d94099cbb5ba11691d5ad32c2f29682e4eb5653424bd275206",
    },
    Definition {
        name: "tf2_msgs/TFMessage",
        text: "geometry_msgs/TransformStamped[] transforms\n",
        hash: "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    },
    Definition {
        name: "lisa_ros/Instruction",
        text: include_str!("../../../msg/Instruction.msg"),
        hash: "RIHS01_4fa08cf236b05b426991fbd79dc9cfc757add82d37204aaea476ebe0a778fe99",
    },
    Definition {
        name: "lisa_ros/ReasoningResult",
        text: include_str!("../../../msg/ReasoningResult.msg"),
        hash: "RIHS01_760649f62b63a461e9e2f1fc4a8c5f1732fc3550bffaa35b6fa67f077b075ce2",
    },
    Definition {
        name: "lisa_ros/SegmentedObject",
        text: include_str!("../../../msg/SegmentedObject.msg"),
        hash: "RIHS01_e16a039afff1f5e81e6393399b04dd47d62c5376071f0823362512920a6cada3",
    },
    Definition {
        name: "lisa_ros/SegmentedObjectStamped",
        text: include_str!("../../../msg/SegmentedObjectStamped.msg"),
        hash: "RIHS01_c0550d5d18c2a31f14600dac5d8ac2dfe5772c6207df3356992e27ee7cdfe16d",
    },
    Definition {
        name: "lisa_ros/StageTime",
        text: include_str!("../../../msg/StageTime.msg"),
        hash: "RIHS01_955eda7991b3a79581becfa4b0544777250744dc2ec358e721c1a496935d17d3",
    },
    Definition {
        name: "lisa_ros/TextDelta",
        text: include_str!("../../../msg/TextDelta.msg"),
        hash: "RIHS01_5139f1042d8ac4b38022712cfbe0a0a800fbd4eb2cc5ea201b28a6e9335fa318",
    },
];

/// The definition of a message type together with those it is made of, as a bag carries it (`ros2msg`, see the MCAP
/// registry of schema encodings). `None`: not one of ours.
pub fn definition(ros_type: &str) -> Option<String> {
    let first = find(ros_type)?;
    let mut met = vec![first];
    let mut next = 0;
    while let Some(definition) = met.get(next) {
        let parts: Vec<_> = parts(definition).collect();
        for part in parts {
            if !met.iter().any(|known| known.name == part.name) {
                met.push(part);
            }
        }
        next += 1;
    }
    let mut text = format!("{}\n", first.text.trim_end());
    for part in met.iter().skip(1) {
        let line = "=".repeat(80);
        text += &format!("{line}\nMSG: {}\n{}\n", part.name, part.text.trim_end());
    }
    Some(text)
}

/// The hash of a message type (REP 2011), by which ROS 2 tells definitions apart. `None`: not one of ours.
pub fn type_hash(ros_type: &str) -> Option<&'static str> {
    find(ros_type).map(|definition| definition.hash)
}

/// By `package/msg/Name` or `package/Name`.
fn find(ros_type: &str) -> Option<&'static Definition> {
    let (package, name) = ros_type.split_once('/')?;
    let name = name.strip_prefix("msg/").unwrap_or(name);
    DEFINITIONS
        .iter()
        .find(|known| known.name.split_once('/') == Some((package, name)))
}

/// The messages that stand in this one, of its own package where the field names none.
fn parts(definition: &Definition) -> impl Iterator<Item = &'static Definition> {
    let package = definition.name.split('/').next().unwrap_or_default();
    definition.text.lines().filter_map(move |line| {
        let field = line.split('#').next()?.split_whitespace().next()?;
        let kind = field.split(['[', '<']).next()?;
        find(kind).or_else(|| find(&format!("{package}/{kind}")))
    })
}
