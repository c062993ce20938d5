//! Which frame each question of a recording is about, decided by the node's own state machine ([`crate::node`]) in the bag's
//! time.
//!
//! The state machine begins to listen at the recording's first moment, and to it every answer takes no time at all. So the frames
//! depend on the recording alone and not on the speed of the computer that replays it, and they are the frames that a running
//! node would take.
//!
//! Where its objects can be measured is decided there, too: a question stays open in the state machine until what its frame needs
//! of depth, calibrations and transforms has been recorded, or would not have been waited for any longer.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rosbag2::{Bag, Header, Messages, RawMessage, Selection};

use super::images::{topic_name, CameraMessage, ImageTopic};
use super::instructions::read_instruction;
use super::space::SpaceTopics;
use super::ReplayError;
use crate::engine::{
    Answer, AnswerStatus, Event, Frame, ObjectMask, RequestError, SegPrompt, Timings,
};
use crate::frames::Stamp;
use crate::image::Roi;
use crate::node::{
    private_name, services, CameraFrame, CameraTopic, DecodeOnce, EngineRequest, Host,
    InstructionText, NodeCore, Output, Question, QuestionId, QuestionResult, Scene, Settings,
    StampedInstruction, Subscribers,
};
use crate::spatial::NotLocated;

/// Which questions are asked about a recording. Their `Debug` form is kept in the settings of an unfinished bag of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Questions {
    /// The instructions that were recorded on these topics, in the order in which they were recorded.
    Recorded(Vec<String>),
    /// One instruction about every `every`th frame.
    EveryNthFrame {
        /// The instruction.
        text: String,
        /// 1 for all frames, 2 for every other one, and so on.
        every: usize,
    },
}

/// A frame of the recording. Its pixels are decoded when they are first asked for, and kept.
pub struct RecordedFrame {
    message: RawMessage,
    /// As the camera wrote it.
    pub header: Header,
    /// How many bytes of pixels the message has.
    bytes: usize,
    decoded: DecodeOnce,
}

impl RecordedFrame {
    pub(super) fn new(bag: &Bag, message: RawMessage) -> Result<Self, ReplayError> {
        let image = CameraMessage::read(bag, &message)?;
        let (bytes, header) = (image.pixels().bytes(), image.into_header());
        Ok(Self {
            message,
            header,
            bytes,
            decoded: DecodeOnce::default(),
        })
    }

    /// When the message was recorded, nanoseconds.
    pub fn log_time(&self) -> u64 {
        self.message.log_time
    }

    /// When the camera took it.
    pub fn stamp(&self) -> Stamp {
        CameraFrame::stamp(self)
    }

    /// The frame for the engine. Calls after the first return the same one.
    ///
    /// # Errors
    /// What is wrong with the message and what is accepted, in the node's words.
    pub fn frame(&self, bag: &Bag) -> Result<Frame, String> {
        let image = CameraMessage::read(bag, &self.message).map_err(|error| error.to_string())?;
        self.decoded.frame(image.pixels())
    }

    /// The frame for the judge.
    ///
    /// # Errors
    /// [`ReplayError::Frame`], which also says where in the recording the message is.
    pub(super) fn judged(&self, bag: &Bag) -> Result<Frame, ReplayError> {
        self.frame(bag).map_err(|why| ReplayError::Frame {
            topic: topic_name(bag, &self.message),
            time: self.log_time(),
            why,
        })
    }
}

impl CameraFrame for RecordedFrame {
    fn header(&self) -> Header {
        self.header.clone()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A recording as the host of the state machine: it has frames and instructions, and no action clients.
struct Recording;

impl Host for Recording {
    type Frame = RecordedFrame;
    type GoalRequest = Infallible;
    type CancelRequest = Infallible;
    type ResultRequest = Infallible;
    type FollowRequest = Infallible;
    type FollowResultRequest = Infallible;
}

/// A question of the recording, and what the node does with it.
pub struct ResolvedQuestion {
    /// What is asked.
    pub question: Arc<Question>,
    /// When its instruction was recorded, nanoseconds.
    pub log_time: u64,
    /// What the node gives to the engine, or the result with which it refuses the question.
    pub request: Result<EngineRequest<RecordedFrame>, Arc<QuestionResult>>,
    /// What the frame's objects are measured with; `None` where nothing about space is taken from the recording.
    pub scene: Option<RecordedScene>,
}

/// What the objects of a frame are measured with, or what is missing for that.
pub type RecordedScene = Result<Arc<Scene>, Arc<NotLocated>>;

impl ResolvedQuestion {
    /// The frame that it is about; `None` if it is refused.
    pub fn frame(&self) -> Option<&Arc<RecordedFrame>> {
        self.request.as_ref().ok().map(|request| &request.frame)
    }
}

/// Iterates over the recording's questions, in the order in which a node would have taken them up.
pub struct Timeline<'b> {
    bag: &'b Bag,
    messages: Messages,
    images: ImageTopic,
    space: Option<SpaceTopics>,
    /// Whether the node would look for places at all.
    in_space: bool,
    questions: Questions,
    core: NodeCore<Recording>,
    clock: ReplayClock,
    /// When the instructions that have no result yet were recorded, nanoseconds.
    log_times: HashMap<QuestionId, u64>,
    /// The requests that the state machine gave to the engine.
    requests: HashMap<QuestionId, EngineRequest<RecordedFrame>>,
    scenes: HashMap<QuestionId, RecordedScene>,
    /// The questions in the order in which the node gives them to the engine, or refuses them, without those that were returned.
    order: VecDeque<QuestionId>,
    /// Of these, the ones of which everything is known.
    settled: HashMap<QuestionId, ResolvedQuestion>,
    ready: VecDeque<ResolvedQuestion>,
    frames: u64,
    /// Why messages could not be read, for the first [`MAX_FAULT_TEXTS`] of them.
    faults: Vec<String>,
    /// How many could not be read.
    faulty: u64,
    ended: bool,
}

/// Unreadable messages whose errors are kept; the others are only counted.
const MAX_FAULT_TEXTS: usize = 5;

/// Maps the bag's log times to the `Instant`s that the state machine knows.
pub(super) struct ReplayClock {
    base: Instant,
    /// The log time that `base` stands for, nanoseconds.
    start: u64,
    pub now: Instant,
}

impl ReplayClock {
    /// A clock that begins at the bag's first moment.
    pub fn new(bag: &Bag) -> Self {
        let base = Instant::now();
        Self {
            base,
            start: bag.span().map_or(0, |(start, _)| start),
            now: base,
        }
    }

    /// The instant of a log time, or the present one if the bag went back in time: the state machine's time never does.
    pub fn at(&self, log_time: u64) -> Instant {
        let since = Duration::from_nanos(log_time.saturating_sub(self.start));
        self.base
            .checked_add(since)
            .unwrap_or(self.now)
            .max(self.now)
    }
}

impl<'b> Timeline<'b> {
    /// `settings` are the node's parameters, and `subscribers` those that it would have: attention is asked of the engine only
    /// if somebody subscribes to it.
    ///
    /// # Errors
    /// [`BagError`](rosbag2::BagError), for a topic that is not there or a bag that cannot be read.
    pub fn new(
        bag: &'b Bag,
        images: ImageTopic,
        questions: Questions,
        settings: Settings,
        subscribers: Subscribers,
    ) -> Result<Self, ReplayError> {
        let camera = CameraTopic {
            topic: images.name.clone(),
            compressed: images.compressed,
            reliable: false,
            publishers: None,
        };
        let clock = ReplayClock::new(bag);
        let enable = private_name(services::ENABLE);
        let in_space = settings.space.enabled;
        let mut core = NodeCore::new(Arc::new(settings), camera, enable, clock.now);
        core.handle_subscribers(subscribers);
        Ok(Self {
            messages: messages(bag, &images, &questions, None)?,
            space: None,
            in_space,
            scenes: HashMap::new(),
            order: VecDeque::new(),
            settled: HashMap::new(),
            clock,
            core,
            bag,
            images,
            questions,
            log_times: HashMap::new(),
            requests: HashMap::new(),
            ready: VecDeque::new(),
            frames: 0,
            faults: Vec::new(),
            faulty: 0,
            ended: false,
        })
    }

    /// Takes depth images, calibrations and transforms from these topics. Without this, and with `settings.space.enabled`, none has
    /// come, and each object says so.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_space(mut self, topics: SpaceTopics) -> Result<Self, ReplayError> {
        self.messages = messages(self.bag, &self.images, &self.questions, Some(&topics))?;
        self.space = Some(topics);
        Ok(self)
    }

    /// How many messages could not be read so far, and the errors of the first of them.
    pub fn faults(&self) -> (u64, &[String]) {
        (self.faulty, &self.faults)
    }

    fn fault(&mut self, error: &dyn std::fmt::Display) {
        self.faulty += 1;
        if self.faults.len() < MAX_FAULT_TEXTS {
            self.faults.push(error.to_string());
        }
    }

    fn take(&mut self, message: RawMessage) {
        let log_time = message.log_time;
        self.pass(Some(self.clock.at(log_time)));
        if let Some(space) = &self.space {
            let taken = space.hand_over(self.bag, &message, &mut self.core, self.clock.now);
            self.drain();
            match taken {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => return self.fault(&error),
            }
        }
        let topic = self.bag.topics().get(message.topic);
        match topic.is_some_and(|topic| topic.name == self.images.name) {
            true => {
                if let Err(error) = self.take_frame(message) {
                    self.fault(&error);
                }
            }
            false => self.ask(read_instruction(self.bag, &message), log_time),
        }
    }

    fn take_frame(&mut self, message: RawMessage) -> Result<(), ReplayError> {
        let frame = RecordedFrame::new(self.bag, message)?;
        let (stamp, log_time) = (frame.stamp(), frame.log_time());
        self.core.handle_frame(frame, self.clock.now);
        self.drain();
        self.frames += 1;
        if let Questions::EveryNthFrame { text, every } = &self.questions {
            if (self.frames - 1) % (*every).max(1) as u64 == 0 {
                let text = InstructionText::new(text.as_bytes());
                let same = StampedInstruction {
                    stamp: Some(stamp),
                    id: String::new(),
                    conversation_id: String::new(),
                    text,
                };
                self.ask(same, log_time);
            }
        }
        Ok(())
    }

    fn ask(&mut self, instruction: StampedInstruction, log_time: u64) {
        let id = self.core.next_question_id();
        self.log_times.insert(id, log_time);
        self.core.handle_instruction(instruction, self.clock.now);
        self.drain();
    }

    /// Lets time pass until `until`, or without it until no question waits for anything any more. Timeouts are handled at the
    /// instants at which they are due.
    fn pass(&mut self, until: Option<Instant>) {
        loop {
            let timeout = self.core.poll_timeout(self.clock.now);
            let due = timeout.map(|(at, _)| at).filter(|at| match until {
                Some(until) => *at <= until,
                None => self.core.has_open_questions(),
            });
            let Some(at) = due else {
                break;
            };
            self.clock.now = self.clock.now.max(at);
            self.core.handle_timeout(self.clock.now);
            self.drain();
        }
        self.clock.now = until.unwrap_or(self.clock.now);
    }

    /// Carries out the state machine's outputs, as far as they concern a recording.
    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::AskEngine(request) => {
                    let id = request.id;
                    self.requests.insert(id, request);
                    self.order.push_back(id);
                    // The caller asks the engine itself, later. To the state machine the answer is over at once; one with an object
                    // is over when it is known what that is measured with.
                    let over = match self.in_space {
                        true => Event::Done(Box::new(stand_in())),
                        false => Event::Failed(RequestError::Cancelled { tokens: 0 }),
                    };
                    self.core.handle_engine_event(id, over, self.clock.now);
                }
                Output::Locate(request) => {
                    let (id, index) = (request.id, request.index);
                    self.scenes.insert(id, Ok(request.scene));
                    // Nobody looks at the stand-in's place.
                    let nowhere = Err(Arc::new(NotLocated::UnreadableDepth { why: String::new() }));
                    self.core.handle_place(id, index, nowhere, self.clock.now);
                }
                Output::PublishResult(result) => self.settle(result),
                _ => {}
            }
        }
    }

    /// Everything is known about a question. Questions leave in the order in which the node asks them, because turns of a
    /// conversation build on one another.
    fn settle(&mut self, result: Arc<QuestionResult>) {
        let (question, id) = (Arc::clone(&result.question), result.question.id);
        let missing = result
            .objects
            .first()
            .and_then(|object| object.place.clone());
        let missing = missing
            .and_then(Result::err)
            .filter(|_| self.in_space)
            .map(Err);
        let scene = self.scenes.remove(&id).or(missing);
        let request = self.requests.remove(&id).ok_or(result);
        if request.is_err() {
            self.order.push_back(id);
        }
        let resolved = ResolvedQuestion {
            question,
            log_time: self.log_times.remove(&id).unwrap_or_default(),
            request,
            scene,
        };
        self.settled.insert(id, resolved);
        while let Some(first) = self.order.front() {
            let Some(resolved) = self.settled.remove(first) else {
                break;
            };
            self.order.pop_front();
            self.ready.push_back(resolved);
        }
    }
}

/// The messages of all topics that matter.
fn messages(
    bag: &Bag,
    images: &ImageTopic,
    questions: &Questions,
    space: Option<&SpaceTopics>,
) -> Result<Messages, ReplayError> {
    let mut selected = vec![images.name.as_str()];
    if let Questions::Recorded(topics) = questions {
        selected.extend(topics.iter().map(String::as_str));
    }
    selected.extend(space.into_iter().flat_map(SpaceTopics::names));
    Ok(bag.messages(&Selection::all().topics(selected))?)
}

/// An answer with one object, for which the state machine finds out what it would be measured with.
fn stand_in() -> Answer {
    let roi = Roi {
        x: 0,
        y: 0,
        width: 1,
        height: 1,
    };
    Answer {
        status: AnswerStatus::Segmented,
        text: String::new(),
        objects: vec![ObjectMask {
            index: 0,
            label: String::new(),
            score: 0.0,
            roi,
            mask: Arc::default(),
            area: 0,
            prompt: SegPrompt::default(),
        }],
        tokens: 0,
        truncated: false,
        notes: Vec::new(),
        timings: Timings::default(),
        attention: None,
        trace: None,
    }
}

impl Iterator for Timeline<'_> {
    type Item = ResolvedQuestion;

    fn next(&mut self) -> Option<ResolvedQuestion> {
        loop {
            if let Some(resolved) = self.ready.pop_front() {
                return Some(resolved);
            }
            if self.ended {
                return None;
            }
            match self.messages.next() {
                Some(Ok(message)) => self.take(message),
                Some(Err(error)) => self.fault(&error),
                None => {
                    self.ended = true;
                    self.pass(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lisa_messages::Instruction;
    use rosbag2::{BagWriter, CompressedImage, Image, NewTopic, StringMessage, WriterOptions};

    use super::super::instructions::instruction_topics;
    use super::*;

    /// A replay once weighed a frame with the header of its message, and forgot frames that the node would have kept. And it
    /// named topic and time of a frame that cannot be decoded, which the result of the node does not.
    #[test]
    fn a_recorded_frame_weighs_and_fails_as_the_node_s() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
        let image = Image {
            height: 1,
            width: 2,
            encoding: "rgb8".to_owned(),
            step: 6,
            data: vec![0; 5].into(),
            ..Image::default()
        };
        let compressed = CompressedImage {
            format: "jpeg".to_owned(),
            data: vec![0; 7].into(),
            ..CompressedImage::default()
        };
        let topic = NewTopic::of::<Image<'_>>("/image");
        let topic = writer.add_topic(topic).unwrap();
        writer.write_message(topic, 1, &image).unwrap();
        let topic = NewTopic::of::<CompressedImage<'_>>("/image/compressed");
        let topic = writer.add_topic(topic).unwrap();
        writer.write_message(topic, 2, &compressed).unwrap();
        writer.finish().unwrap();

        let bag = Bag::open(&path).unwrap();
        let frame = |message: Result<RawMessage, _>| RecordedFrame::new(&bag, message.unwrap());
        let messages = bag.messages(&Selection::all()).unwrap();
        let frames: Vec<RecordedFrame> = messages.map(|m| frame(m).unwrap()).collect();
        let bytes: Vec<usize> = frames.iter().map(CameraFrame::bytes).collect();
        assert_eq!(bytes, [5, 7]);
        let why = frames[0].frame(&bag).unwrap_err();
        assert!(why.starts_with("data holds 5 bytes"), "{why}");
        let where_and_why = frames[0].judged(&bag).unwrap_err().to_string();
        assert_eq!(where_and_why, format!("/image at 1 ns: {why}"));
    }

    /// A replay once read the stamped instructions alone, so that it numbered them otherwise than the node.
    #[test]
    fn instructions_of_both_topics_are_numbered_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
        let mut topic = |new: NewTopic| writer.add_topic(new).unwrap();
        topic(NewTopic::of::<Image<'_>>("/image"));
        let stamped = topic(NewTopic::of::<Instruction>("/instruction_stamped"));
        let chatter = topic(NewTopic::of::<StringMessage>("/chatter"));
        let unstamped = topic(NewTopic::of::<StringMessage>("/instruction"));
        let text = |text: &str| StringMessage {
            data: text.to_owned(),
        };
        let ask = |text: &str| Instruction {
            text: text.to_owned(),
            ..Instruction::default()
        };
        writer.write_message(chatter, 1, &text("hello")).unwrap();
        writer.write_message(stamped, 2, &ask("the mug")).unwrap();
        writer
            .write_message(unstamped, 3, &text("the cup"))
            .unwrap();
        writer.write_message(chatter, 4, &text("hello")).unwrap();
        writer.write_message(stamped, 5, &ask("the jug")).unwrap();
        writer.finish().unwrap();

        let bag = Bag::open(&path).unwrap();
        let images = ImageTopic {
            name: "/image".to_owned(),
            compressed: false,
        };
        let questions = Questions::Recorded(instruction_topics(&bag, None).unwrap());
        let (settings, subscribers) = (Settings::default(), Subscribers::default());
        let timeline = Timeline::new(&bag, images, questions, settings, subscribers).unwrap();
        let asked: Vec<(String, String, u64)> = timeline
            .map(|resolved| {
                let question = &resolved.question;
                let (id, words) = (question.instruction_id.clone(), question.text.words.clone());
                (id, words, question.seed())
            })
            .collect();
        let expected = [
            ("1", "the mug", 1),
            ("2", "the cup", 2),
            ("3", "the jug", 3),
        ];
        let expected = expected.map(|(id, words, seed)| (id.to_owned(), words.to_owned(), seed));
        assert_eq!(asked, expected);
    }
}
