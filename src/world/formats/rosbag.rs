//! A rosbag2 with MCAP storage: one scene a second as a camera and a depth camera would publish it, with an
//! instruction about it and the mask that answers it.
//!
//! Nothing is compressed, as `ros2 bag record` does by default: 640x480 pixels take 1.9 MB a scene.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::frames::millimetres;
use super::listing::Gathered;
use super::picture::make_folder;
use super::write::{split_name, Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::bag::{
    BagError, BagWriter, CameraInfo, Header, Image, Instruction, Message, NewTopic, QosProfile,
    Time, TopicId, WriterOptions,
};
use crate::world::language::Dialogue;

const SECOND: u64 = 1_000_000_000;
/// When the first scene is: any fixed moment, as bags of the same scenes shall be the same.
const START: u64 = 1_700_000_000 * SECOND;
/// How long after its frame an instruction is heard.
const DELAY: u64 = SECOND / 10;
const FRAME_ID: &str = "camera_optical_frame";

/// A message that waits for its turn.
struct Waiting {
    /// Its place in [`topics`].
    topic: usize,
    log_time: u64,
    data: Vec<u8>,
}

pub(super) struct Rosbag {
    folder: PathBuf,
    split: &'static str,
    first: u64,
    waiting: Gathered<Waiting>,
    /// `None` once it is finished. Scenes come from several threads, and a writer is one's alone.
    bag: Mutex<Option<BagWriter>>,
    topics: Vec<TopicId>,
    messages: usize,
}

/// What is in a bag, also where nothing is published on it.
fn topics() -> [NewTopic; 5] {
    let camera = QosProfile::sensor_data;
    let heard = || QosProfile::reliable(10);
    [
        NewTopic::of::<Image>("/camera/image_raw").qos(camera()),
        NewTopic::of::<CameraInfo>("/camera/camera_info").qos(camera()),
        NewTopic::of::<Image>("/camera/depth/image").qos(camera()),
        NewTopic::of::<Instruction>("/instruction_stamped").qos(heard()),
        NewTopic::of::<Image>("/ground_truth/mask").qos(heard()),
    ]
}

impl Rosbag {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let split = split_name(plan.split);
        let parent = plan.folder.join("rosbag");
        make_folder(&parent)?;
        let folder = parent.join(split);
        // A bag of this name is an earlier run's; anything else is nobody's to remove.
        if folder.join("metadata.yaml").is_file() {
            std::fs::remove_dir_all(&folder).map_err(WriteError::io(&folder))?;
        }
        let open = || -> Result<_, BagError> {
            let mut bag = BagWriter::create(&folder, WriterOptions::default())?;
            let topics = topics().into_iter().map(|topic| bag.add_topic(topic));
            let topics = topics.collect::<Result<Vec<_>, _>>()?;
            Ok((bag, topics))
        };
        let (bag, topics) = open().map_err(WriteError::encode(&folder))?;
        Ok(Self {
            folder,
            split,
            first: plan.numbers.start,
            waiting: Gathered::default(),
            bag: Mutex::new(Some(bag)),
            topics,
            messages: 0,
        })
    }

    fn messages(&self, item: &Item) -> Vec<Waiting> {
        let stamp = START + (item.number - self.first) * SECOND;
        let header = || Header {
            stamp: Time::from_nanoseconds(stamp as i64),
            frame_id: FRAME_ID.to_owned(),
        };
        let (frame, (width, height)) = (&item.told.frame, item.size());
        let picture = |encoding: &str, data: &[u8]| {
            Image {
                header: header(),
                height,
                width,
                encoding: encoding.to_owned(),
                is_bigendian: 0,
                step: data.len() as u32 / height.max(1),
                data: Cow::Borrowed(data),
            }
            .to_cdr()
        };
        let depth: Vec<u8> = millimetres(frame).flat_map(u16::to_le_bytes).collect();
        let mut messages = vec![
            (stamp, picture("rgb8", frame.image.as_raw())),
            (stamp, camera_info(item, header()).to_cdr()),
            (stamp, picture("16UC1", &depth)),
        ];
        if let Some(dialogue) = asked(item) {
            let instruction = Instruction {
                header: header(),
                id: format!("{}_{:09}", self.split, item.number),
                conversation_id: String::new(),
                text: dialogue.turns[0].question.clone(),
            };
            let inside = item.inside(dialogue.targets()).into_iter();
            let mask: Vec<u8> = inside.map(|inside| u8::from(inside) * 255).collect();
            messages.extend([
                (stamp + DELAY, instruction.to_cdr()),
                (stamp + DELAY, picture("mono8", &mask)),
            ]);
        }
        messages
            .into_iter()
            .enumerate()
            .map(|(topic, (log_time, data))| Waiting {
                topic,
                log_time,
                data,
            })
            .collect()
    }
}

/// A rectified pinhole camera without distortion.
fn camera_info(item: &Item, header: Header) -> CameraInfo {
    let (width, height) = item.size();
    let k = item.told.scene.camera.intrinsics(width, height);
    let [fx, fy, cx, cy] = [k.fx, k.fy, k.cx, k.cy].map(f64::from);
    CameraInfo {
        header,
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

impl Sink for Rosbag {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        self.waiting.put(item.number, self.messages(item));
        Ok(())
    }

    fn batch(&mut self) -> Result<(), WriteError> {
        let mut bag = self.bag.lock().unwrap_or_else(|p| p.into_inner());
        let Some(bag) = bag.as_mut() else {
            return Ok(());
        };
        for message in self.waiting.take() {
            bag.write(self.topics[message.topic], message.log_time, &message.data)
                .map_err(WriteError::encode(&self.folder))?;
            self.messages += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let bag = self.bag.lock().unwrap_or_else(|p| p.into_inner()).take();
        if let Some(bag) = bag {
            bag.finish().map_err(WriteError::encode(&self.folder))?;
        }
        Ok(Made {
            format: Format::Rosbag,
            path: self.folder.clone(),
            items: self.messages,
            unit: "messages",
        })
    }
}

/// The question a scene is asked: one of a single turn, of another kind from scene to scene.
fn asked<'a>(item: &Item<'a>) -> Option<&'a Dialogue> {
    let mut kinds: BTreeMap<_, Vec<&Dialogue>> = BTreeMap::new();
    for dialogue in &item.told.dialogues {
        if dialogue.turns.len() == 1 {
            kinds.entry(dialogue.kind).or_default().push(dialogue);
        }
    }
    let kinds: Vec<_> = kinds.into_values().collect();
    let turn = item.number as usize;
    let kind = kinds.get(turn % kinds.len().max(1))?;
    kind.get(turn / kinds.len() % kind.len()).copied()
}
