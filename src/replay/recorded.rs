//! The results that a node published while a recording was played, as they were recorded.

use std::collections::HashMap;
use std::time::Duration;

use image::GrayImage;
use lisa_messages::{ReasoningResult, ResultStatus, SegmentedObject, SpatialStatus, StageTime};
use object_geometry::OrientedBox;
use rosbag2::{Bag, Clock, Message, RawMessage, Selection};
use tf_buffer::Transform;

use super::instructions::{names_and_types, read_instruction};
use super::messages::{first_channel, MessagePosition, MessagePositions};
use super::true_boxes::oriented;
use super::ReplayError;
use crate::frames::Stamp;
use crate::image::{union_masks, Roi};
use crate::node::{answer_status, instruction_topics, ros_text, QuestionId};
use crate::spatial::NotLocatedCode;

/// The recorded results of one node.
pub struct RecordedResults<'b> {
    bag: &'b Bag,
    topic: String,
    /// The position of each instruction's first result, by the instruction's id.
    results: HashMap<String, MessagePosition>,
    /// When instructions were recorded, by id, nanoseconds.
    arrivals: HashMap<String, u64>,
    clock: SimClock,
}

/// A recorded result of the node.
pub struct RecordedResult {
    /// How the instruction ended; `None` for a number that the message does not define.
    pub status: Option<ResultStatus>,
    /// Why there is no answer; empty if there is one.
    pub error: String,
    /// The instruction's words.
    pub instruction: String,
    /// The answer's text; empty if there is none.
    pub answer: String,
    /// The stamp of the frame that it is about; zero if there was no frame.
    pub stamp: Stamp,
    /// Each object's region of interest in the frame, and its mask cropped to that region.
    pub objects: Vec<(Roi, GrayImage)>,
    /// Where each object is in space; `None` where the node had no depth topic.
    pub places: Vec<Option<RecordedPlace>>,
    /// From the recording of the instruction to that of the result; the node's own total if the instruction was not recorded.
    pub latency: Duration,
    /// How old the frame was when the result came, on the robot's clock; `None` where it was not recorded live, together with
    /// the instruction.
    pub frame_age: Option<Duration>,
    /// The stages that the node reports, with their times, without the total.
    pub stages: Vec<(String, Duration)>,
}

/// Where an object is, as a result says it.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedPlace {
    /// It has a place.
    Located {
        /// The frame of its box.
        frame_id: String,
        /// Its box.
        bounding_box: OrientedBox,
        /// The share of its mask's pixels with depth, 0 to 1.
        coverage: f64,
    },
    /// It has none, for this reason.
    Not(NotLocatedCode),
}

impl RecordedPlace {
    fn of(object: &SegmentedObject<'_>) -> Option<Self> {
        let code = match SpatialStatus::from_number(object.spatial_status)? {
            SpatialStatus::Off => return None,
            SpatialStatus::Ok => {
                let bounding_box = oriented(&Transform::IDENTITY, &object.pose.pose, object.size)?;
                return Some(Self::Located {
                    frame_id: object.pose.header.frame_id.clone(),
                    bounding_box,
                    coverage: f64::from(object.depth_coverage),
                });
            }
            SpatialStatus::NoDepth => NotLocatedCode::NoDepth,
            SpatialStatus::NoCameraInfo => NotLocatedCode::NoCameraInfo,
            SpatialStatus::NoTransform => NotLocatedCode::NoTransform,
            SpatialStatus::TooFewPoints => NotLocatedCode::TooFewPoints,
        };
        Some(Self::Not(code))
    }
}

impl<'b> RecordedResults<'b> {
    /// Finds the results on `topic`, or on the only topic of their type if that is `None`.
    ///
    /// # Errors
    /// Those of [`result_topic`], and a bag that cannot be read.
    pub fn open(bag: &'b Bag, topic: Option<&str>) -> Result<Self, ReplayError> {
        let topic = result_topic(bag, topic)?;
        let mut recorded = Self {
            bag,
            results: HashMap::new(),
            arrivals: HashMap::new(),
            clock: SimClock::read(bag)?,
            topic: topic.clone(),
        };
        let mut positions = MessagePositions::default();
        for message in bag.messages(&Selection::all().topics([&topic]))? {
            let message = message?;
            let position = positions.next(message.log_time);
            let result: ReasoningResult<'_> = bag.decode(&message)?;
            // Only the first result of an id counts.
            recorded
                .results
                .entry(result.instruction_id)
                .or_insert(position);
        }
        recorded.read_arrivals()?;
        Ok(recorded)
    }

    /// Reads when the instructions arrived, if they were recorded beside the results.
    fn read_arrivals(&mut self) -> Result<(), ReplayError> {
        // Where several nodes were recorded, their instructions are known at least by the ids that their senders gave them.
        let heard = instruction_topics(names_and_types(self.bag)).unwrap_or_else(|several| several);
        // The node's own numbers also count its goals and repeats, which a recording of instructions does not tell.
        let mut number = 0u64;
        for message in self.bag.messages(&Selection::all().topics(heard))? {
            let message = message?;
            number += 1;
            let id = read_instruction(self.bag, &message).id_or_number(QuestionId(number));
            self.arrivals.entry(id).or_insert(message.log_time);
        }
        Ok(())
    }

    /// The ids of instructions that have a result.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.results.keys().map(String::as_str)
    }

    /// The first result of an instruction; `None` if it has none.
    ///
    /// # Errors
    /// A bag that can no longer be read.
    pub fn result(&self, id: &str) -> Result<Option<RecordedResult>, ReplayError> {
        let Some(position) = self.results.get(id) else {
            return Ok(None);
        };
        let Some(message) = position.message(self.bag, &self.topic)? else {
            return Ok(None);
        };
        self.read(id, &message).map(Some)
    }

    fn read(&self, id: &str, message: &RawMessage) -> Result<RecordedResult, ReplayError> {
        let result: ReasoningResult<'_> = self.bag.decode(message)?;
        let stamp = Stamp(result.header.stamp.nanoseconds());
        let stages: Vec<(String, Duration)> = result
            .timings
            .iter()
            .map(|time| (time.stage.clone(), seconds(time.seconds)))
            .collect();
        let total = stages.iter().find(|(stage, _)| stage == StageTime::TOTAL);
        let own = total.map_or(Duration::ZERO, |(_, time)| *time);
        let arrival = self
            .arrivals
            .get(id)
            .filter(|arrival| **arrival <= message.log_time);
        let mut objects = Vec::new();
        for object in &result.objects {
            let roi = Roi {
                x: object.roi.x_offset,
                y: object.roi.y_offset,
                width: object.roi.width,
                height: object.roi.height,
            };
            objects.push((roi, first_channel(&object.mask)?));
        }
        let places = result.objects.iter().map(RecordedPlace::of).collect();
        let now = self.clock.at(message.log_time);
        let age = now
            .0
            .checked_sub(stamp.0)
            .and_then(|age| u64::try_from(age).ok());
        Ok(RecordedResult {
            status: ResultStatus::from_number(result.status),
            error: result.error,
            instruction: result.instruction,
            answer: result.answer,
            latency: arrival.map_or(own, |arrival| {
                Duration::from_nanos(message.log_time - arrival)
            }),
            frame_age: age
                .filter(|_| stamp != Stamp::default() && arrival.is_some())
                .map(Duration::from_nanos),
            stages: stages
                .into_iter()
                .filter(|(s, _)| s != StageTime::TOTAL)
                .collect(),
            stamp,
            objects,
            places,
        })
    }
}

impl RecordedResult {
    /// Whether it is the result of an instruction with these words. Ids alone do not tell, because instructions without an id
    /// of their own are numbered, and every recording has a number 1.
    pub fn answers(&self, words: &str) -> bool {
        let plain = |words: &str| ros_text(words.trim());
        self.instruction.is_empty() || plain(&self.instruction) == plain(words)
    }

    /// Whether the model answered, with masks or without.
    pub fn is_answer(&self) -> bool {
        self.status.is_some_and(ResultStatus::is_answer)
    }

    /// The union of its masks in a frame of that size, 0 or 255; `None` if it names no object.
    pub fn mask(&self, width: u32, height: u32) -> Option<GrayImage> {
        let status = self.status.and_then(answer_status)?;
        let masks = self.objects.iter().map(|(roi, mask)| (*roi, mask));
        status
            .names_objects()
            .then(|| union_masks(width, height, masks))
    }
}

fn seconds(seconds: f32) -> Duration {
    Duration::try_from_secs_f32(seconds).unwrap_or_default()
}

/// The topic with results: the one named, or the only one of their type.
///
/// # Errors
/// The named topic is not there or carries something else; or no topic was named, and there are none or several.
pub fn result_topic(bag: &Bag, wanted: Option<&str>) -> Result<String, ReplayError> {
    let ros_type = <ReasoningResult<'_> as Message>::ROS_TYPE;
    if let Some(name) = wanted {
        let topic = bag.topic(name)?;
        return match topic.ros_type == ros_type {
            true => Ok(name.to_owned()),
            false => Err(ReplayError::WrongType {
                topic: name.to_owned(),
                ros_type: topic.ros_type.clone(),
                accepted: ros_type.to_owned(),
            }),
        };
    }
    let topics = bag.topics().iter().filter(|t| t.ros_type == ros_type);
    let found: Vec<String> = topics.map(|topic| topic.name.clone()).collect();
    match &found[..] {
        [only] => Ok(only.clone()),
        _ => Err(ReplayError::Choose {
            what: "a topic with results (lisa_ros/msg/ReasoningResult)",
            found,
            option: "--result-topic",
        }),
    }
}

/// The robot's time at a log time: that of `/clock` if it was recorded, or else the log time itself.
struct SimClock {
    /// Log time and simulated time, in order.
    ticks: Vec<(u64, i64)>,
}

impl SimClock {
    fn read(bag: &Bag) -> Result<Self, ReplayError> {
        let ros_type = <Clock as Message>::ROS_TYPE;
        let clock = bag.topics().iter().find(|t| t.ros_type == ros_type);
        let mut ticks = Vec::new();
        if let Some(clock) = clock {
            for message in bag.messages(&Selection::all().topics([&clock.name]))? {
                let message = message?;
                let clock: Clock = bag.decode(&message)?;
                ticks.push((message.log_time, clock.clock.nanoseconds()));
            }
        }
        Ok(Self { ticks })
    }

    /// Interpolates between two ticks, and extrapolates before the first and after the last.
    fn at(&self, log_time: u64) -> Stamp {
        let after = self.ticks.partition_point(|(at, _)| *at <= log_time);
        let pair = match after {
            0 => self.ticks.get(..2),
            after if after >= self.ticks.len() => {
                self.ticks.get(self.ticks.len().saturating_sub(2)..)
            }
            after => self.ticks.get(after - 1..=after),
        };
        match pair {
            Some(&[(t0, s0), (t1, s1)]) if t1 > t0 => {
                let share = (log_time as f64 - t0 as f64) / (t1 - t0) as f64;
                Stamp(s0.saturating_add((share * (s1 - s0) as f64) as i64))
            }
            _ => match self.ticks.first() {
                Some((_, simulated)) => Stamp(*simulated),
                None => Stamp(i64::try_from(log_time).unwrap_or(i64::MAX)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use lisa_messages::Instruction;
    use rosbag2::{BagWriter, NewTopic, StringMessage, WriterOptions};

    use super::*;

    /// The node's answer to an id that is not UTF-8 was taken for the answer to an instruction without an id.
    #[test]
    fn an_instruction_is_known_by_the_id_that_the_node_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
        let ask = writer
            .add_topic(NewTopic::of::<Instruction>("/ask"))
            .unwrap();
        let results = NewTopic::of::<ReasoningResult<'_>>("/lisa/result");
        let results = writer.add_topic(results).unwrap();
        // What others say is not numbered.
        let chatter = NewTopic::of::<StringMessage>("/chatter");
        let chatter = writer.add_topic(chatter).unwrap();
        let hello = StringMessage {
            data: "hello".to_owned(),
        };
        writer.write_message(chatter, 50, &hello).unwrap();
        let instruction = |id: &str| Instruction {
            id: id.to_owned(),
            text: "the mug".to_owned(),
            ..Instruction::default()
        };
        let mut odd = instruction("q!").to_cdr();
        let at = odd.windows(2).position(|bytes| bytes == b"q!").unwrap();
        odd[at + 1] = 0xff;
        writer.write(ask, 100, &odd).unwrap();
        writer.write(ask, 200, &instruction("").to_cdr()).unwrap();
        for (time, id) in [(150, "q\u{fffd}"), (270, "2")] {
            let result = ReasoningResult {
                instruction_id: id.to_owned(),
                ..ReasoningResult::default()
            };
            writer.write_message(results, time, &result).unwrap();
        }
        writer.finish().unwrap();
        let bag = Bag::open(&path).unwrap();
        let recorded = RecordedResults::open(&bag, None).unwrap();
        let latency = |id: &str| recorded.result(id).unwrap().unwrap().latency;
        assert_eq!(latency("q\u{fffd}"), Duration::from_nanos(50));
        assert_eq!(latency("2"), Duration::from_nanos(70));
    }

    #[test]
    fn simulated_time_goes_on_between_and_after_the_ticks() {
        let clock = SimClock {
            ticks: vec![(1000, 50_000), (2000, 54_000), (3000, 58_000)],
        };
        assert_eq!(clock.at(1500), Stamp(52_000));
        assert_eq!(clock.at(2000), Stamp(54_000));
        assert_eq!(clock.at(3500), Stamp(60_000));
        assert_eq!(clock.at(500), Stamp(48_000));
        assert_eq!(SimClock { ticks: vec![] }.at(7), Stamp(7));
        let once = SimClock {
            ticks: vec![(1, 9)],
        };
        assert_eq!(once.at(7), Stamp(9));
        // A recorder's clock may say anything.
        assert_eq!(clock.at(u64::MAX), Stamp(i64::MAX));
    }
}
