//! A rosbag2 with MCAP storage: what a robot before the table would record, with instructions and the masks that answer them.
//!
//! Scene follows scene. Each is seen in [`Recording::frames`] frames, [`Recording::rate`] a second, by a camera that stands
//! still or travels on an arc about the table, and is asked about once: about its middle frame, which is the view its questions
//! were made for, in one turn, of one kind after another from scene to scene.
//!
//! | topic | type | |
//! |---|---|---|
//! | `/tf` | `tf2_msgs/TFMessage` | the camera's pose at each frame: `table` to `camera_optical_frame` |
//! | `/camera/image_raw` | `sensor_msgs/Image` | `rgb8`; with [`Images::Raw`] |
//! | `/camera/image_raw/compressed` | `sensor_msgs/CompressedImage` | JPEG; with [`Images::Jpeg`], in the place of the one above |
//! | `/camera/camera_info` | `sensor_msgs/CameraInfo` | a rectified pinhole camera |
//! | `/camera/depth/image` | `sensor_msgs/Image` | `16UC1`, millimetres along the optical axis, 0 unknown; registered to the colour picture |
//! | `/instruction_stamped` | `lisa_ros/Instruction` | stamped with the frame it is about, heard 0.1 s later |
//! | `/ground_truth/mask` | `sensor_msgs/Image` | `mono8`, 255 on the visible pixels of what is asked for, all 0 where it is absent; stamp as the instruction's |
//! | `/ground_truth/boxes` | `vision_msgs/Detection3DArray` | the whole boxes of what is asked for, in the frame `table`, at every frame of the scene; none where it is absent |
//! | `/ground_truth/masks` | `sensor_msgs/Image` | with [`CameraMotion::Moving`]: the same at every frame of the scene |
//!
//! An instruction's id is `SPLIT_SEED_KIND`, e.g. `test_000000036_reasoning`, with the seed in nine digits and the kind as
//! [`QuestionKind::name`](crate::language::QuestionKind::name) gives it.
//!
//! The `table` frame has x to the right, y away from the first camera, z up, and its origin on the table's top. It stands still
//! within a scene; from one scene to the next the things on it are others, and the camera is elsewhere at once.
//!
//! Raw pictures are not compressed at all, as `ros2 bag record` does by default, and take 1.9 MB a frame of 640x480. With JPEGs
//! the chunks of the file are compressed by zstd too, for the depth's sake: 0.11 MB a frame. Time begins at a fixed moment, and
//! the same order gives the same bytes. The bag is made in `SPLIT.part` and takes the place of an earlier one when it is whole.

mod destination;
mod messages;
mod motion;
mod recording;

pub use recording::{CameraMotion, Images, Recording, MAX_FRAMES, RATES};

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rosbag2::{BagError, BagWriter, TopicId};

use self::destination::BagDestination;
use self::messages::{topics, CameraObservation, PendingMessage, Topic};
use self::motion::Orbit;
use self::recording::SECOND;
use super::files::SceneJpeg;
use super::listing::Gathered;
use super::sink::{Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::{render, Scene, Split};

/// The time of the first frame. Any fixed time will do; it is fixed so that bags of the same scenes are equal.
const START: u64 = 1_700_000_000 * SECOND;

pub(super) struct Rosbag {
    folder: PathBuf,
    split: Split,
    first: u64,
    recording: Recording,
    jpeg_quality: u8,
    gathered: Gathered<PendingMessage>,
    /// What is heard after the last frame so far.
    held: Vec<PendingMessage>,
    /// `None` once it is finished. Scenes come from several threads, and a writer is one's alone.
    bag: Mutex<Option<BagWriter>>,
    /// The topics in the order of [`Topic`].
    topics: Vec<TopicId>,
    messages: usize,
    /// `None` once it is finished. Dropped last: its lock is held as long as the bag is written.
    destination: Option<BagDestination>,
}

impl Rosbag {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let recording = plan.options.recording;
        recording.check()?;
        let parent = plan.folder.join("rosbag");
        let destination = BagDestination::open(&parent, plan.split.name())?;
        let folder = parent.join(plan.split.name());
        let open = || -> Result<_, BagError> {
            let mut bag = BagWriter::create(destination.bag(), recording.writer_options())?;
            let topics = topics(recording.images, recording.motion)
                .into_iter()
                .map(|topic| bag.add_topic(topic))
                .collect::<Result<Vec<_>, _>>()?;
            Ok((bag, topics))
        };
        let (bag, topics) = open().map_err(WriteError::encode(&folder))?;
        Ok(Self {
            folder,
            split: plan.split,
            first: plan.numbers.start,
            recording,
            jpeg_quality: plan.options.jpeg_quality,
            gathered: Gathered::default(),
            held: Vec::new(),
            bag: Mutex::new(Some(bag)),
            topics,
            messages: 0,
            destination: Some(destination),
        })
    }

    /// The messages of one scene, frame by frame.
    fn record(&self, item: &Item) -> Result<Vec<PendingMessage>, WriteError> {
        let Recording { motion, frames, .. } = self.recording;
        let period = self.recording.period();
        let (annotated, middle) = (item.annotated, frames / 2);
        let first = START + (item.number - self.first) * u64::from(frames) * period;
        let stamp = |i: u32| first + u64::from(i) * period;
        let own_jpeg = self.jpeg(&item.jpeg)?;
        let orbit = Orbit::sample(self.split, item.number, annotated.scene.camera);
        let question = recording::question(item.number, &annotated.dialogues);
        let messages_of = |observation: CameraObservation<'_>| {
            let (stamp, frame) = (observation.stamp, observation.frame);
            let truth = question.filter(|_| motion == CameraMotion::Moving);
            let truth = truth.map(|asked| messages::shown(frame, asked.targets(), stamp));
            let mut messages = Vec::from(observation.messages());
            messages.extend(truth);
            let boxes =
                question.map(|asked| messages::boxes(&annotated.scene, asked.targets(), stamp));
            messages.extend(boxes);
            messages
        };
        let seen = |i: u32| {
            if motion == CameraMotion::Still || i == middle {
                let observation = CameraObservation {
                    stamp: stamp(i),
                    camera: annotated.scene.camera,
                    frame: &annotated.frame,
                    jpeg: own_jpeg,
                };
                return Ok(messages_of(observation));
            }
            let seconds = (f64::from(i) - f64::from(middle)) * period as f64 / SECOND as f64;
            let camera = orbit.camera(seconds as f32);
            let scene = Scene {
                camera,
                ..annotated.scene.clone()
            };
            let (width, height) = annotated.frame.image.dimensions();
            let frame = render(&scene, width, height);
            let jpeg = SceneJpeg::new(&frame.image, self.jpeg_quality);
            let observation = CameraObservation {
                stamp: stamp(i),
                camera,
                frame: &frame,
                jpeg: self.jpeg(&jpeg)?,
            };
            Ok(messages_of(observation))
        };
        let seen: Vec<_> = (0..frames)
            .into_par_iter()
            .map(seen)
            .collect::<Result<_, WriteError>>()?;
        let mut messages: Vec<PendingMessage> = seen.into_iter().flatten().collect();
        if let Some(dialogue) = question {
            let id = recording::id(self.split, item.number, dialogue);
            messages.extend(messages::asked(item, dialogue, id, stamp(middle)));
        }
        Ok(messages)
    }

    /// The picture's file, where files are recorded.
    fn jpeg<'p>(&self, jpeg: &'p SceneJpeg) -> Result<Option<&'p [u8]>, WriteError> {
        match self.recording.images {
            Images::Raw => Ok(None),
            Images::Jpeg => {
                let bytes = jpeg.bytes().map_err(WriteError::encode(&self.folder))?;
                Ok(Some(bytes))
            }
        }
    }

    fn write(&mut self, messages: &[PendingMessage]) -> Result<(), WriteError> {
        let bag = self.bag.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(bag) = bag else {
            return Ok(());
        };
        for message in messages {
            let topic = self.topics[message.topic as usize];
            bag.write(topic, message.log_time, &message.data)
                .map_err(WriteError::encode(&self.folder))?;
            self.messages += 1;
        }
        Ok(())
    }
}

impl Sink for Rosbag {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        self.gathered.put(item.number, self.record(item)?);
        Ok(())
    }

    fn batch(&mut self) -> Result<(), WriteError> {
        let mut waiting = std::mem::take(&mut self.held);
        waiting.extend(self.gathered.take());
        waiting.sort_by_key(|message| message.log_time);
        // An instruction may be heard later than the first frames of a scene that is still to come.
        let frames = waiting.iter().filter(|m| m.topic == Topic::Image);
        let last = frames.map(|frame| frame.log_time).max().unwrap_or(0);
        let known = waiting.partition_point(|message| message.log_time <= last);
        self.held = waiting.split_off(known);
        self.write(&waiting)
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let held = std::mem::take(&mut self.held);
        self.write(&held)?;
        let bag = self.bag.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(bag) = bag.take() {
            bag.finish().map_err(WriteError::encode(&self.folder))?;
        }
        if let Some(destination) = self.destination.take() {
            destination.publish()?;
        }
        Ok(Made {
            format: Format::Rosbag,
            path: self.folder.clone(),
            items: self.messages,
            unit: "messages",
        })
    }
}

#[cfg(test)]
mod tests;
