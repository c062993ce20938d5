//! The topics of a recording, and what is said on them about a frame and about a question.

use std::borrow::Cow;

use lisa_messages::{
    BoundingBox3D, Detection3D, Detection3DArray, Instruction, ObjectHypothesis,
    ObjectHypothesisWithPose, PoseWithCovariance,
};
use rosbag2::{
    CameraInfo, CompressedImage, Header, Image, Message, NewTopic, Point, Pose, QosProfile,
    Quaternion, TFMessage, Time, Transform, TransformStamped, Vector3,
};

use super::recording::{CameraMotion, Images, DELAY};
use crate::formats::frames::millimetres;
use crate::formats::sink::{inside, Item};
use crate::language::Dialogue;
use crate::{Camera, Frame, Object, Scene};

const CAMERA: &str = "camera_optical_frame";
const TABLE: &str = "table";
/// As image_transport names a colour picture that was `rgb8` and is a JPEG file.
const JPEG: &str = "rgb8; jpeg compressed bgr8";

/// A topic, by its place in [`topics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Tf,
    Image,
    CameraInfo,
    Depth,
    Instruction,
    Mask,
    Boxes,
    /// With a moving camera only.
    FrameMask,
}

/// All of them, also those on which nothing is published, with what their publishers would offer.
pub fn topics(images: Images, motion: CameraMotion) -> Vec<NewTopic> {
    let camera = QosProfile::sensor_data;
    let heard = || QosProfile::reliable(10);
    let image = match images {
        Images::Raw => NewTopic::of::<Image>("/camera/image_raw"),
        Images::Jpeg => NewTopic::of::<CompressedImage>("/camera/image_raw/compressed"),
    };
    let mut topics = vec![
        // tf2_ros's own.
        NewTopic::of::<TFMessage>("/tf").qos(QosProfile::reliable(100)),
        image.qos(camera()),
        NewTopic::of::<CameraInfo>("/camera/camera_info").qos(camera()),
        NewTopic::of::<Image>("/camera/depth/image").qos(camera()),
        NewTopic::of::<Instruction>("/instruction_stamped").qos(heard()),
        NewTopic::of::<Image>("/ground_truth/mask").qos(heard()),
        NewTopic::of::<Detection3DArray>("/ground_truth/boxes").qos(heard()),
    ];
    if motion == CameraMotion::Moving {
        topics.push(NewTopic::of::<Image>("/ground_truth/masks").qos(heard()));
    }
    topics
}

/// A message that waits for its turn.
#[derive(Debug)]
pub struct PendingMessage {
    pub topic: Topic,
    /// Nanoseconds.
    pub log_time: u64,
    pub data: Vec<u8>,
}

/// What a camera sees at a moment.
pub struct CameraObservation<'a> {
    /// Nanoseconds.
    pub stamp: u64,
    pub camera: Camera,
    pub frame: &'a Frame,
    /// The picture as a file, where it is recorded as one.
    pub jpeg: Option<&'a [u8]>,
}

impl CameraObservation<'_> {
    /// Where the camera is comes first: whoever gets the picture can look it up.
    pub fn messages(&self) -> [PendingMessage; 4] {
        let message = |topic, data| PendingMessage {
            topic,
            log_time: self.stamp,
            data,
        };
        let size = self.frame.image.dimensions();
        let picture = match self.jpeg {
            None => image(self.stamp, size, "rgb8", self.frame.image.as_raw()),
            Some(file) => CompressedImage {
                header: header(self.stamp, CAMERA),
                format: JPEG.to_owned(),
                data: Cow::Borrowed(file),
            }
            .to_cdr(),
        };
        let depth = millimetres(self.frame).flat_map(u16::to_le_bytes);
        let depth: Vec<u8> = depth.collect();
        [
            message(Topic::Tf, self.tf().to_cdr()),
            message(Topic::Image, picture),
            message(Topic::CameraInfo, self.camera_info().to_cdr()),
            message(Topic::Depth, image(self.stamp, size, "16UC1", &depth)),
        ]
    }

    /// From the optical frame's coordinates to the table's.
    fn tf(&self) -> TFMessage {
        let pose = self.camera.pose();
        let [x, y, z] = pose.position.map(f64::from);
        let translation = Vector3 { x, y, z };
        let [x, y, z, w] = pose.quaternion();
        let rotation = Quaternion { x, y, z, w };
        TFMessage {
            transforms: vec![TransformStamped {
                header: header(self.stamp, TABLE),
                child_frame_id: CAMERA.to_owned(),
                transform: Transform {
                    translation,
                    rotation,
                },
            }],
        }
    }

    /// A rectified pinhole camera without distortion.
    fn camera_info(&self) -> CameraInfo {
        let (width, height) = self.frame.image.dimensions();
        let k = self.camera.intrinsics(width, height);
        let [fx, fy, cx, cy] = [k.fx, k.fy, k.cx, k.cy].map(f64::from);
        CameraInfo {
            header: header(self.stamp, CAMERA),
            height,
            width,
            distortion_model: "plumb_bob".to_owned(),
            d: vec![0.0; 5],
            k: [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
            r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            p: [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
            ..CameraInfo::default()
        }
    }
}

/// An instruction about the scene's own frame, seen at `stamp`, and its true mask.
pub fn asked(item: &Item, dialogue: &Dialogue, id: String, stamp: u64) -> [PendingMessage; 2] {
    let question = dialogue.turns.first();
    let instruction = Instruction {
        header: header(stamp, CAMERA),
        id,
        conversation_id: String::new(),
        text: question.map_or_else(String::new, |turn| turn.question.clone()),
    };
    let mask = mask(&item.annotated.frame, dialogue.targets());
    let message = |topic, data| PendingMessage {
        topic,
        log_time: stamp + DELAY,
        data,
    };
    [
        message(Topic::Instruction, instruction.to_cdr()),
        message(Topic::Mask, image(stamp, item.size(), "mono8", &mask)),
    ]
}

/// What a question is about, as a frame shows it; `stamp` is the frame's.
pub fn shown(frame: &Frame, objects: &[usize], stamp: u64) -> PendingMessage {
    let mask = mask(frame, objects);
    PendingMessage {
        topic: Topic::FrameMask,
        log_time: stamp,
        data: image(stamp, frame.image.dimensions(), "mono8", &mask),
    }
}

/// The boxes of what a question is about, which stand still in the table's frame; `stamp` is a frame's.
pub fn boxes(scene: &Scene, objects: &[usize], stamp: u64) -> PendingMessage {
    let detection = |object: &Object| {
        let [x, y, z] = object.position.map(f64::from);
        let (sin, cos) = (f64::from(object.yaw) / 2.0).sin_cos();
        let pose = Pose {
            position: Point { x, y, z },
            orientation: Quaternion {
                x: 0.0,
                y: 0.0,
                z: sin,
                w: cos,
            },
        };
        let [x, y, z] = object.size.map(f64::from);
        Detection3D {
            header: header(stamp, TABLE),
            results: vec![ObjectHypothesisWithPose {
                hypothesis: ObjectHypothesis {
                    class_id: object.category.name().to_owned(),
                    score: 1.0,
                },
                pose: PoseWithCovariance {
                    pose,
                    ..PoseWithCovariance::default()
                },
            }],
            bbox: BoundingBox3D {
                center: pose,
                size: Vector3 { x, y, z },
            },
            id: String::new(),
        }
    };
    let objects = objects.iter().filter_map(|i| scene.objects.get(*i));
    let message = Detection3DArray {
        header: header(stamp, TABLE),
        detections: objects.map(detection).collect(),
    };
    PendingMessage {
        topic: Topic::Boxes,
        log_time: stamp,
        data: message.to_cdr(),
    }
}

/// 255 on the objects' pixels, 0 elsewhere.
fn mask(frame: &Frame, objects: &[usize]) -> Vec<u8> {
    let inside = inside(frame, objects).into_iter();
    inside.map(|inside| u8::from(inside) * 255).collect()
}

fn header(stamp: u64, frame_id: &str) -> Header {
    Header {
        stamp: Time::from_nanoseconds(stamp as i64),
        frame_id: frame_id.to_owned(),
    }
}

/// # Shapes
/// `data` holds the rows of a picture of that size, without padding, values of several bytes lowest first.
fn image(stamp: u64, (width, height): (u32, u32), encoding: &str, data: &[u8]) -> Vec<u8> {
    Image {
        header: header(stamp, CAMERA),
        height,
        width,
        encoding: encoding.to_owned(),
        is_bigendian: 0,
        step: data.len() as u32 / height.max(1),
        data: Cow::Borrowed(data),
    }
    .to_cdr()
}
