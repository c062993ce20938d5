//! The topics of a recording.

use lisa_messages::Instruction;
use rosbag2::{CameraInfo, CompressedImage, Image, NewTopic, QosProfile, TFMessage};

use super::Images;

/// A topic, by its place in [`topics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Tf,
    Image,
    CameraInfo,
    Depth,
    Instruction,
    Mask,
}

/// All of them, also those on which nothing is published, with what their publishers would offer.
pub fn topics(images: Images) -> [NewTopic; 6] {
    let camera = QosProfile::sensor_data;
    let heard = || QosProfile::reliable(10);
    let image = match images {
        Images::Raw => NewTopic::of::<Image>("/camera/image_raw"),
        Images::Jpeg => NewTopic::of::<CompressedImage>("/camera/image_raw/compressed"),
    };
    [
        // tf2_ros's own.
        NewTopic::of::<TFMessage>("/tf").qos(QosProfile::reliable(100)),
        image.qos(camera()),
        NewTopic::of::<CameraInfo>("/camera/camera_info").qos(camera()),
        NewTopic::of::<Image>("/camera/depth/image").qos(camera()),
        NewTopic::of::<Instruction>("/instruction_stamped").qos(heard()),
        NewTopic::of::<Image>("/ground_truth/mask").qos(heard()),
    ]
}
