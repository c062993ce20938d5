//! Which frame each question of a recording is about, decided by the node's own state machine ([`crate::node`]) in the bag's
//! time.
//!
//! The state machine begins to listen at the recording's first moment, and to it every answer takes no time at all. So the frames
//! depend on the recording alone and not on the speed of the computer that replays it, and they are the frames that a running
//! node would take.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rosbag2::{Bag, CompressedImage, Header, Image, Messages, RawMessage, Selection};

use super::images::{decode_image, DecodedImage, ImageTopic};
use super::instructions::read_instruction;
use super::ReplayError;
use crate::engine::{Event, Frame, RequestError};
use crate::frames::Stamp;
use crate::node::{
    Camera, CameraFrame, Host, InstructionText, NodeCore, Output, Question, QuestionId, Refusal,
    Settings, StampedInstruction,
};

/// Which questions are asked about a recording. Their `Debug` form is kept in the settings of an unfinished bag of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Questions {
    /// The instructions that were recorded on this topic.
    Recorded(String),
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

    /// When the camera took it.
    pub fn stamp(&self) -> Stamp {
        Stamp(self.header.stamp.nanoseconds())
    }

    /// The frame for the engine. Calls after the first return the same one, so that the engine encodes it once.
    ///
    /// # Errors
    /// What is wrong with the message and what is accepted, in words.
    pub fn frame(&self, bag: &Bag) -> Result<Frame, String> {
        let decode = || match decode_image(bag, &self.message) {
            Ok(DecodedImage { pixels, .. }) => Ok(Frame::new(pixels)),
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

/// A recording as the host of the state machine: it has frames and instructions, and no action clients.
struct Recording;

impl Host for Recording {
    type Frame = RecordedFrame;
    type GoalRequest = Infallible;
    type CancelRequest = Infallible;
    type ResultRequest = Infallible;
}

/// A question of the recording, and the frame that it is about.
pub struct ResolvedQuestion {
    /// What is asked.
    pub question: Arc<Question>,
    /// When its instruction was recorded, nanoseconds.
    pub log_time: u64,
    /// The frame that it is about, or why the question is refused.
    pub frame: Result<Arc<RecordedFrame>, Refusal>,
}

/// Iterates over the recording's questions, in the order in which a node would have taken them up.
pub struct Timeline<'b> {
    bag: &'b Bag,
    messages: Messages,
    images: ImageTopic,
    questions: Questions,
    core: NodeCore<Recording>,
    clock: ReplayClock,
    /// When the instructions that have no result yet were recorded, nanoseconds.
    log_times: HashMap<QuestionId, u64>,
    /// The frames of the questions that the state machine gave to the engine.
    asked: HashMap<QuestionId, Arc<RecordedFrame>>,
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
struct ReplayClock {
    base: Instant,
    /// The log time that `base` stands for, nanoseconds.
    start: u64,
    now: Instant,
}

impl ReplayClock {
    /// The instant of a log time, or the present one if the bag went back in time: the state machine's time never does.
    fn at(&self, log_time: u64) -> Instant {
        let since = Duration::from_nanos(log_time.saturating_sub(self.start));
        self.base
            .checked_add(since)
            .unwrap_or(self.now)
            .max(self.now)
    }
}

impl<'b> Timeline<'b> {
    /// `slop_s` is the node's parameter `sync_slop_s`: how far the frame of a stamped instruction may be from its stamp, in
    /// seconds.
    ///
    /// # Errors
    /// [`BagError`](rosbag2::BagError), for a topic that is not there or a bag that cannot be read.
    pub fn new(
        bag: &'b Bag,
        images: ImageTopic,
        questions: Questions,
        slop_s: f64,
    ) -> Result<Self, ReplayError> {
        let mut topics = vec![images.name.clone()];
        if let Questions::Recorded(topic) = &questions {
            topics.push(topic.clone());
        }
        let settings = Settings {
            sync_slop_s: slop_s,
            ..Settings::default()
        };
        let camera = Camera {
            topic: images.name.clone(),
            compressed: images.compressed,
            reliable: false,
            publishers: None,
        };
        let base = Instant::now();
        Ok(Self {
            messages: bag.messages(&Selection::all().topics(topics))?,
            clock: ReplayClock {
                base,
                start: bag.span().map_or(0, |(start, _)| start),
                now: base,
            },
            core: NodeCore::new(Arc::new(settings), camera, "~/enable", base),
            bag,
            images,
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
        let bytes = message.data.len();
        let frame = RecordedFrame::new(self.bag, message, self.images.compressed)?;
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

    fn ask(&mut self, instruction: StampedInstruction, log_time: u64) {
        let id = self.core.next_question_id();
        self.log_times.insert(id, log_time);
        self.core.handle_instruction(instruction, self.clock.now);
        self.drain();
    }

    /// Lets time pass until `until`, or without it until no question waits for a frame any more. Timeouts are handled at the
    /// instants at which they are due.
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

    /// Carries out the state machine's outputs, as far as they concern a recording.
    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::AskEngine(request) => {
                    self.asked.insert(request.id, request.frame);
                    // The caller asks the engine itself, later. To the state machine the answer is over at once.
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
                        // This does not happen: without the engine the state machine has no answers.
                        (None, None) => continue,
                    };
                    self.ready.push_back(ResolvedQuestion {
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
