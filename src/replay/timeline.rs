//! A recording as the node would have lived through it: the very same machine ([`crate::node`]), by the bag's own times.
//!
//! So an answer depends on the recording alone, and a replay through the node gives the same one. The machine begins to
//! listen when the recording begins. Its model answers in no time at all: what a recording is asked about does not depend
//! on the machine that replays it.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rosbag2::{Bag, CompressedImage, Header, Image, Messages, RawMessage, Selection};

use super::images::{self, Picture, PictureTopic};
use super::instructions::heard;
use super::ReplayError;
use crate::engine::{Event, Frame, RequestError};
use crate::frames::Stamp;
use crate::node::{
    Camera, CameraFrame, Host, InstructionText, NodeCore, Output, Question, QuestionId, Refusal,
    Settings, StampedInstruction,
};

/// What is asked of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Questions {
    /// What was recorded on this topic.
    Recorded(String),
    /// The same of every `every`th frame, 1 for all.
    EveryNthFrame { text: String, every: usize },
}

/// A frame of the recording, decoded when somebody asks for its pixels, and once.
pub struct RecordedFrame {
    message: RawMessage,
    pub header: Header,
    decoded: OnceLock<Result<Frame, String>>,
}

impl RecordedFrame {
    fn new(bag: &Bag, message: RawMessage, compressed: bool) -> Result<Self, ReplayError> {
        let header = match compressed {
            true => bag.decode::<CompressedImage<'_>>(&message)?.header,
            false => bag.decode::<Image<'_>>(&message)?.header,
        };
        Ok(Self {
            message,
            header,
            decoded: OnceLock::new(),
        })
    }

    /// When the message was recorded, nanoseconds.
    pub fn log_time(&self) -> u64 {
        self.message.log_time
    }

    pub fn stamp(&self) -> Stamp {
        Stamp(self.header.stamp.nanoseconds())
    }

    /// The pixels.
    ///
    /// # Errors
    /// What is wrong with the message, in words.
    pub fn frame(&self, bag: &Bag) -> Result<Frame, String> {
        let decode = || match images::picture(bag, &self.message) {
            Ok(Picture { pixels, .. }) => Ok(Frame::new(pixels)),
            Err(error) => Err(error.to_string()),
        };
        self.decoded.get_or_init(decode).clone()
    }
}

impl CameraFrame for RecordedFrame {
    fn header(&self) -> Header {
        self.header.clone()
    }
}

/// A recording as the host of the machine: it has frames and instructions, and nobody who sends goals.
struct Recording;

impl Host for Recording {
    type Frame = RecordedFrame;
    type GoalRequest = Infallible;
    type CancelRequest = Infallible;
    type ResultRequest = Infallible;
}

/// A question of the recording together with the frame that it is about, or why it is not asked.
pub struct Moment {
    pub question: Arc<Question>,
    /// When its instruction was recorded, nanoseconds.
    pub log_time: u64,
    pub frame: Result<Arc<RecordedFrame>, Refusal>,
}

/// The recording's questions in the order in which the node would have turned to them.
pub struct Timeline<'b> {
    bag: &'b Bag,
    messages: Messages,
    pictures: PictureTopic,
    questions: Questions,
    core: NodeCore<Recording>,
    clock: Clock,
    /// When the instructions were recorded that are on their way.
    log_times: HashMap<QuestionId, u64>,
    /// Those that were put to the engine.
    asked: HashMap<QuestionId, Arc<RecordedFrame>>,
    ready: VecDeque<Moment>,
    frames: u64,
    /// Messages that could not be read, the first few in words.
    faults: Vec<String>,
    faulty: u64,
    ended: bool,
}

/// Faults that are kept in words.
const SPOKEN_FAULTS: usize = 5;

/// The bag's time as the machine knows time.
struct Clock {
    base: Instant,
    /// The log time that `base` stands for, nanoseconds.
    start: u64,
    now: Instant,
}

impl Clock {
    /// Time never goes back, whatever a bag says.
    fn at(&self, log_time: u64) -> Instant {
        let since = Duration::from_nanos(log_time.saturating_sub(self.start));
        self.base
            .checked_add(since)
            .unwrap_or(self.now)
            .max(self.now)
    }
}

impl<'b> Timeline<'b> {
    /// `slop_s` as the node's parameter `sync_slop_s`, seconds.
    ///
    /// # Errors
    /// [`BagError`](rosbag2::BagError), for a topic that is not there or a bag that cannot be read.
    pub fn new(
        bag: &'b Bag,
        pictures: PictureTopic,
        questions: Questions,
        slop_s: f64,
    ) -> Result<Self, ReplayError> {
        let mut topics = vec![pictures.name.clone()];
        if let Questions::Recorded(topic) = &questions {
            topics.push(topic.clone());
        }
        let settings = Settings {
            sync_slop_s: slop_s,
            ..Settings::default()
        };
        let camera = Camera {
            topic: pictures.name.clone(),
            compressed: pictures.compressed,
            reliable: false,
            publishers: None,
        };
        let base = Instant::now();
        Ok(Self {
            messages: bag.messages(&Selection::all().topics(topics))?,
            clock: Clock {
                base,
                start: bag.span().map_or(0, |(start, _)| start),
                now: base,
            },
            core: NodeCore::new(Arc::new(settings), camera, "~/enable", base),
            bag,
            pictures,
            questions,
            log_times: HashMap::new(),
            asked: HashMap::new(),
            ready: VecDeque::new(),
            frames: 0,
            faults: Vec::new(),
            faulty: 0,
            ended: false,
        })
    }

    /// Messages that could not be read, and the first of them in words.
    pub fn faults(&self) -> (u64, &[String]) {
        (self.faulty, &self.faults)
    }

    fn fault(&mut self, error: &dyn std::fmt::Display) {
        self.faulty += 1;
        if self.faults.len() < SPOKEN_FAULTS {
            self.faults.push(error.to_string());
        }
    }

    fn take(&mut self, message: RawMessage) {
        let log_time = message.log_time;
        self.pass(Some(self.clock.at(log_time)));
        let topic = self.bag.topics().get(message.topic);
        match topic.is_some_and(|topic| topic.name == self.pictures.name) {
            true => {
                if let Err(error) = self.take_frame(message) {
                    self.fault(&error);
                }
            }
            false => self.ask(heard(self.bag, &message), log_time),
        }
    }

    fn take_frame(&mut self, message: RawMessage) -> Result<(), ReplayError> {
        let bytes = message.data.len();
        let frame = RecordedFrame::new(self.bag, message, self.pictures.compressed)?;
        let (stamp, log_time) = (frame.stamp(), frame.log_time());
        self.core.handle_frame(stamp, bytes, frame, self.clock.now);
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

    fn ask(&mut self, heard: StampedInstruction, log_time: u64) {
        let id = self.core.next_question();
        self.log_times.insert(id, log_time);
        self.core.handle_instruction(heard, self.clock.now);
        self.drain();
    }

    /// Lets time pass, with the machine's timeouts at their moments; to the last of what waits where there is no end.
    fn pass(&mut self, until: Option<Instant>) {
        loop {
            let timeout = self.core.poll_timeout(self.clock.now);
            let due = timeout.map(|(at, _)| at).filter(|at| match until {
                Some(until) => *at <= until,
                None => self.core.awaiting() > 0,
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

    /// Does what the machine says, as far as it concerns a recording.
    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::AskEngine(request) => {
                    self.asked.insert(request.id, request.frame);
                    // Whoever reads this recording answers in their own time; to the machine it is over at once.
                    let over = Event::Failed(RequestError::Cancelled { tokens: 0 });
                    self.core
                        .handle_engine_event(request.id, over, self.clock.now);
                }
                Output::PublishResult(result) => {
                    let (question, id) = (Arc::clone(&result.question), result.question.id);
                    let log_time = self.log_times.remove(&id).unwrap_or_default();
                    let refusal = result.outcome.as_ref().err().cloned();
                    let frame = match (self.asked.remove(&id), refusal) {
                        (Some(frame), _) => Ok(frame),
                        (None, Some(refusal)) => Err(refusal),
                        // Nothing is answered here.
                        (None, None) => continue,
                    };
                    self.ready.push_back(Moment {
                        question,
                        log_time,
                        frame,
                    });
                }
                _ => {}
            }
        }
    }
}

impl Iterator for Timeline<'_> {
    type Item = Moment;

    fn next(&mut self) -> Option<Moment> {
        loop {
            if let Some(moment) = self.ready.pop_front() {
                return Some(moment);
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
