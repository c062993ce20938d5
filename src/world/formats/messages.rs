//! The ROS 2 messages of a bag: their definitions, as a bag carries them, and their bytes.

use super::cdr::Cdr;

/// A message type: its name and its definition together with those it is made of (`ros2msg`).
pub(super) struct Type {
    pub name: &'static str,
    definition: &'static str,
    parts: &'static [(&'static str, &'static str)],
}

const TIME: (&str, &str) = ("builtin_interfaces/Time", "int32 sec\nuint32 nanosec\n");
const HEADER: (&str, &str) = (
    "std_msgs/Header",
    "builtin_interfaces/Time stamp\nstring frame_id\n",
);
const REGION: (&str, &str) = (
    "sensor_msgs/RegionOfInterest",
    "uint32 x_offset\nuint32 y_offset\nuint32 height\nuint32 width\nbool do_rectify\n",
);

pub(super) const IMAGE: Type = Type {
    name: "sensor_msgs/msg/Image",
    definition:
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\n\
        uint32 step\nuint8[] data\n",
    parts: &[HEADER, TIME],
};

pub(super) const CAMERA_INFO: Type = Type {
    name: "sensor_msgs/msg/CameraInfo",
    definition: "std_msgs/Header header\nuint32 height\nuint32 width\nstring distortion_model\n\
        float64[] d\nfloat64[9] k\nfloat64[9] r\nfloat64[12] p\nuint32 binning_x\nuint32 binning_y\n\
        sensor_msgs/RegionOfInterest roi\n",
    parts: &[HEADER, TIME, REGION],
};

pub(super) const INSTRUCTION: Type = Type {
    name: "lisa_ros/msg/Instruction",
    definition: include_str!("../../../msg/Instruction.msg"),
    parts: &[HEADER, TIME],
};

impl Type {
    pub fn schema(&self) -> String {
        let mut text = self.definition.trim_end().to_owned();
        for (name, definition) in self.parts {
            let line = "=".repeat(80);
            text += &format!("\n{line}\nMSG: {name}\n{}", definition.trim_end());
        }
        text + "\n"
    }
}

/// Nanoseconds since 1970, and whose frame.
#[derive(Clone, Copy)]
pub(super) struct Header<'a> {
    pub stamp: u64,
    pub frame_id: &'a str,
}

impl Header<'_> {
    fn write(self) -> Cdr {
        Cdr::new()
            .i32((self.stamp / 1_000_000_000) as i32)
            .u32((self.stamp % 1_000_000_000) as u32)
            .string(self.frame_id)
    }
}

/// # Shapes
/// `data` holds the rows of the picture without padding, 16-bit values little endian.
pub(super) fn image(
    header: Header,
    (width, height): (u32, u32),
    encoding: &str,
    data: &[u8],
) -> Vec<u8> {
    header
        .write()
        .u32(height)
        .u32(width)
        .string(encoding)
        .u8(0)
        .u32(data.len() as u32 / height.max(1))
        .bytes(data)
        .finish()
}

/// A rectified pinhole camera without distortion; `k` is fx, fy, cx, cy in pixels.
pub(super) fn camera_info(
    header: Header,
    (width, height): (u32, u32),
    [fx, fy, cx, cy]: [f64; 4],
) -> Vec<u8> {
    header
        .write()
        .u32(height)
        .u32(width)
        .string("plumb_bob")
        .f64_sequence(&[0.0; 5])
        .f64s(&[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0])
        .f64s(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
        .f64s(&[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])
        .u32(0)
        .u32(0)
        .u32(0)
        .u32(0)
        .u32(0)
        .u32(0)
        .u8(0)
        .finish()
}

pub(super) fn instruction(header: Header, id: &str, text: &str) -> Vec<u8> {
    header.write().string(id).string("").string(text).finish()
}
