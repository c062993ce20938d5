//! A rosbag2 with MCAP storage: one scene a second as a camera and a depth camera would publish it, with an
//! instruction about it and the mask that answers it.
//!
//! Nothing is compressed, as `ros2 bag record` does by default: 640x480 pixels take 1.9 MB a scene.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use mcap::records::MessageHeader;
use mcap::{WriteOptions, Writer};

use super::frames::millimetres;
use super::listing::Gathered;
use super::messages::{self, Header, Type, CAMERA_INFO, IMAGE, INSTRUCTION};
use super::picture::{make_folder, write};
use super::write::{split_name, Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::world::language::Dialogue;

const TOPICS: [(&str, &Type); 5] = [
    ("/camera/image_raw", &IMAGE),
    ("/camera/camera_info", &CAMERA_INFO),
    ("/camera/depth/image", &IMAGE),
    ("/instruction_stamped", &INSTRUCTION),
    ("/ground_truth/mask", &IMAGE),
];
const SECOND: u64 = 1_000_000_000;
/// When the first scene is: any fixed moment, as bags of the same scenes shall be the same.
const START: u64 = 1_700_000_000 * SECOND;
/// How long after its frame an instruction is heard.
const DELAY: u64 = SECOND / 10;
const FRAME_ID: &str = "camera_optical_frame";

/// A message that waits for its turn.
struct Waiting {
    topic: usize,
    log_time: u64,
    data: Vec<u8>,
}

pub(super) struct Rosbag {
    folder: PathBuf,
    file_name: String,
    split: &'static str,
    first: u64,
    waiting: Gathered<Waiting>,
    bag: Writer<BufWriter<File>>,
    /// Of each topic.
    channels: Vec<u16>,
    counts: [u32; TOPICS.len()],
    /// Log times of the first and the last message.
    span: Option<(u64, u64)>,
}

impl Rosbag {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let split = split_name(plan.split);
        let folder = plan.folder.join("rosbag").join(split);
        make_folder(&folder)?;
        let file_name = format!("{split}_0.mcap");
        let path = folder.join(&file_name);
        let file = File::create(&path).map_err(WriteError::io(&path))?;
        let options = WriteOptions::new()
            .profile("ros2")
            .library("lisa_ros")
            .compression(None);
        let (bag, channels) = options
            .create(BufWriter::new(file))
            .and_then(with_channels)
            .map_err(WriteError::encode(&path))?;
        Ok(Self {
            folder,
            file_name,
            split,
            first: plan.numbers.start,
            waiting: Gathered::default(),
            bag,
            channels,
            counts: [0; TOPICS.len()],
            span: None,
        })
    }

    fn messages(&self, item: &Item) -> Vec<Waiting> {
        let stamp = START + (item.number - self.first) * SECOND;
        let header = Header {
            stamp,
            frame_id: FRAME_ID,
        };
        let (frame, size) = (&item.told.frame, item.size());
        let k = item.told.scene.camera.intrinsics(size.0, size.1);
        let k = [k.fx, k.fy, k.cx, k.cy].map(f64::from);
        let depth: Vec<u8> = millimetres(frame).flat_map(u16::to_le_bytes).collect();
        let mut messages = vec![
            (
                stamp,
                messages::image(header, size, "rgb8", frame.image.as_raw()),
            ),
            (stamp, messages::camera_info(header, size, k)),
            (stamp, messages::image(header, size, "16UC1", &depth)),
        ];
        if let Some(dialogue) = asked(item) {
            let id = format!("{}_{:09}", self.split, item.number);
            let text = &dialogue.turns[0].question;
            let inside = item.inside(dialogue.targets()).into_iter();
            let mask: Vec<u8> = inside.map(|inside| u8::from(inside) * 255).collect();
            messages.extend([
                (stamp + DELAY, messages::instruction(header, &id, text)),
                (stamp + DELAY, messages::image(header, size, "mono8", &mask)),
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

    fn metadata(&self) -> String {
        let (start, end) = self.span.unwrap_or((START, START));
        let times = |indent: &str| {
            format!(
                "{indent}duration:\n{indent}  nanoseconds: {}\n{indent}starting_time:\n\
                 {indent}  nanoseconds_since_epoch: {start}\n{indent}message_count: {}\n",
                end - start,
                self.counts.iter().sum::<u32>()
            )
        };
        // Version 5 is what every rosbag2 from Humble on reads.
        let mut text = format!(
            "rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: mcap\n{}\
             \x20 topics_with_message_count:\n",
            times("  ")
        );
        for ((name, kind), count) in TOPICS.iter().zip(self.counts) {
            text += &format!(
                "    - topic_metadata:\n        name: {name}\n        type: {}\n        \
                 serialization_format: cdr\n        offered_qos_profiles: \"\"\n      \
                 message_count: {count}\n",
                kind.name
            );
        }
        let file = &self.file_name;
        text += &format!(
            "  compression_format: \"\"\n  compression_mode: \"\"\n  relative_file_paths:\n    \
             - {file}\n  files:\n    - path: {file}\n{}",
            times("      ")
        );
        text
    }
}

impl Sink for Rosbag {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        self.waiting.put(item.number, self.messages(item));
        Ok(())
    }

    fn batch(&mut self) -> Result<(), WriteError> {
        for message in self.waiting.take() {
            let count = &mut self.counts[message.topic];
            let header = MessageHeader {
                channel_id: self.channels[message.topic],
                sequence: *count,
                log_time: message.log_time,
                publish_time: message.log_time,
            };
            *count += 1;
            let start = self.span.map_or(message.log_time, |(start, _)| start);
            self.span = Some((start, message.log_time));
            self.bag
                .write_to_known_channel(&header, &message.data)
                .map_err(WriteError::encode(&self.folder.join(&self.file_name)))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        self.bag
            .finish()
            .map_err(WriteError::encode(&self.folder.join(&self.file_name)))?;
        write(
            &self.folder.join("metadata.yaml"),
            self.metadata().as_bytes(),
        )?;
        Ok(Made {
            format: Format::Rosbag,
            path: self.folder.clone(),
            items: self.counts.iter().sum::<u32>() as usize,
            unit: "messages",
        })
    }
}

/// All types and topics are in the file, also those that nothing is published on.
fn with_channels(
    mut bag: Writer<BufWriter<File>>,
) -> mcap::McapResult<(Writer<BufWriter<File>>, Vec<u16>)> {
    let mut channels = Vec::new();
    for (topic, kind) in TOPICS {
        let schema = bag.add_schema(kind.name, "ros2msg", kind.schema().as_bytes())?;
        let metadata = BTreeMap::from([("offered_qos_profiles".to_owned(), String::new())]);
        channels.push(bag.add_channel(schema, topic, "cdr", &metadata)?);
    }
    Ok((bag, channels))
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
