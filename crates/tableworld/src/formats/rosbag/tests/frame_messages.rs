//! What a recording's messages say about each frame and each question.

use crate::Object;
use lisa_messages::Instruction;
use rosbag2::{Bag, CameraInfo, Image, RawMessage, Selection, TFMessage, Time, Transform};

/// Of the pictures whose pixels are asked for.
pub const SIZE: (u32, u32) = (320, 240);

pub fn raw(bag: &Bag, topic: &str) -> Vec<RawMessage> {
    let messages = bag.messages(&Selection::all().topics([topic])).unwrap();
    messages.map(|message| message.unwrap()).collect()
}

/// A frame as its messages have it.
pub struct FrameMessages {
    pub stamp: Time,
    tf: Transform,
    info: CameraInfo,
    pub picture: Vec<u8>,
    /// Millimetres.
    depth: Vec<u16>,
}

pub fn frame_messages(bag: &Bag) -> Vec<FrameMessages> {
    let topics = ["/tf", "/camera/camera_info", "/camera/image_raw"];
    let [tfs, infos, pictures] = topics.map(|topic| raw(bag, topic));
    let depths = raw(bag, "/camera/depth/image");
    assert!([infos.len(), pictures.len(), depths.len()] == [tfs.len(); 3]);
    let frame = |i: usize| {
        let [tf] =
            <[_; 1]>::try_from(bag.decode::<TFMessage>(&tfs[i]).unwrap().transforms).unwrap();
        let info: CameraInfo = bag.decode(&infos[i]).unwrap();
        let picture: Image = bag.decode(&pictures[i]).unwrap();
        let depth: Image = bag.decode(&depths[i]).unwrap();
        assert_eq!(tf.header.frame_id, "table");
        assert_eq!(tf.child_frame_id, "camera_optical_frame");
        for header in [&info.header, &picture.header, &depth.header] {
            assert_eq!(header.frame_id, tf.child_frame_id);
            assert_eq!(header.stamp, tf.header.stamp);
        }
        assert_eq!(picture.encoding, "rgb8");
        assert_eq!(
            (depth.encoding.as_str(), depth.step),
            ("16UC1", 2 * depth.width)
        );
        let pair = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
        FrameMessages {
            stamp: tf.header.stamp,
            tf: tf.transform,
            info,
            picture: picture.data.to_vec(),
            depth: depth.data.chunks_exact(2).map(pair).collect(),
        }
    };
    (0..tfs.len()).map(frame).collect()
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

/// As tf2 turns a vector: v + 2w(q×v) + 2q×(q×v).
fn turned(q: [f64; 3], w: f64, v: [f64; 3]) -> [f64; 3] {
    let once = cross(q, v);
    let twice = cross(q, once);
    std::array::from_fn(|i| v[i] + 2.0 * (w * once[i] + twice[i]))
}

impl FrameMessages {
    fn quaternion(&self) -> ([f64; 3], f64) {
        let q = self.tf.rotation;
        ([q.x, q.y, q.z], q.w)
    }

    pub fn position(&self) -> [f64; 3] {
        let t = self.tf.translation;
        [t.x, t.y, t.z]
    }

    /// A point of the table's frame: its pixel and how far before the camera it is.
    pub fn project(&self, point: [f64; 3]) -> (f64, f64, f64) {
        let (q, w) = self.quaternion();
        let t = self.position();
        let from_camera = std::array::from_fn(|i| point[i] - t[i]);
        let [x, y, z] = turned(q.map(|part| -part), w, from_camera);
        let k = self.info.k;
        (k[0] * x / z + k[2], k[4] * y / z + k[5], z)
    }

    pub fn at(&self, u: f64, v: f64) -> Option<usize> {
        let (x, y) = (u.round(), v.round());
        let inside = x >= 0.0 && y >= 0.0 && x < SIZE.0.into() && y < SIZE.1.into();
        inside.then(|| y as usize * SIZE.0 as usize + x as usize)
    }

    /// What is seen at a pixel, in the table's frame.
    pub fn point(&self, at: usize) -> [f64; 3] {
        let (u, v) = (at % SIZE.0 as usize, at / SIZE.0 as usize);
        let z = f64::from(self.depth[at]) / 1000.0;
        let k = self.info.k;
        let optical = [
            (u as f64 - k[2]) / k[0] * z,
            (v as f64 - k[5]) / k[4] * z,
            z,
        ];
        let (q, w) = self.quaternion();
        let there = turned(q, w, optical);
        let t = self.position();
        std::array::from_fn(|i| there[i] + t[i])
    }
}

/// Whether a point of the table's frame lies in an object's box, 3 mm of rounding aside.
pub fn inside(object: &Object, point: [f64; 3]) -> bool {
    let p: [f64; 3] = std::array::from_fn(|i| point[i] - f64::from(object.position[i]));
    let (s, c) = f64::from(object.yaw).sin_cos();
    let local = [c * p[0] + s * p[1], c * p[1] - s * p[0], p[2]];
    let within = |(x, size): (f64, f32)| x.abs() < 0.5 * f64::from(size) + 0.003;
    local.into_iter().zip(object.size).all(within)
}

/// The instructions, each with the pixels of its mask.
pub fn asked(bag: &Bag) -> Vec<(Instruction, Vec<usize>)> {
    let (instructions, masks) = (
        raw(bag, "/instruction_stamped"),
        raw(bag, "/ground_truth/mask"),
    );
    assert_eq!(instructions.len(), masks.len());
    let pair = |(instruction, mask): (&RawMessage, &RawMessage)| {
        let instruction: Instruction = bag.decode(instruction).unwrap();
        let mask: Image = bag.decode(mask).unwrap();
        assert_eq!(mask.header, instruction.header);
        assert_eq!(mask.encoding, "mono8");
        assert!(mask.data.iter().all(|&value| value == 0 || value == 255));
        let set = mask
            .data
            .iter()
            .enumerate()
            .filter(|(_, value)| **value > 0);
        let set = set.map(|(at, _)| at).collect();
        (instruction, set)
    };
    instructions.iter().zip(&masks).map(pair).collect()
}
