//! A recording as the node would have lived through it: which frame each instruction is about.
//!
//! The rules are the node's, and so is the memory of frames ([`FrameStore`]); time is the bag's. So an answer depends on
//! the recording alone, and a replay through the node gives the same one.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::asks::{read_ask, About, Ask};
use super::images::{self, Picture, PictureTopic};
use super::ReplayError;
use crate::bag::{Bag, CompressedImage, Header, Image, Messages, RawMessage, Selection};
use crate::engine::Frame;
use crate::frames::{Bounds, FrameStore, Nearest, Stamp};

/// A stamped instruction may come before its frame; it waits for the camera this long, nanoseconds.
const CAMERA_LAG: u64 = 500_000_000;
/// One about the newest frame, before the first of them, waits this long, nanoseconds.
const FIRST_FRAME: u64 = 1_000_000_000;

/// What is asked of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Questions {
    /// What was recorded on this topic.
    Recorded(String),
    /// The same of every `every`th frame, 1 for all.
    Same { text: String, every: usize },
}

/// A frame of the recording, decoded when somebody asks for its pixels, and once.
pub struct Shot {
    message: RawMessage,
    pub header: Header,
    decoded: OnceLock<Result<Frame, String>>,
}

impl Shot {
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

/// An instruction together with the frame it is about, or why there is none.
pub struct Moment {
    pub ask: Ask,
    pub shot: Result<Arc<Shot>, String>,
}

/// The recording's instructions in the order the node would have turned to them.
pub struct Timeline<'b> {
    bag: &'b Bag,
    messages: Messages,
    pictures: PictureTopic,
    questions: Questions,
    /// Seconds between an instruction's stamp and its frame's.
    slop_s: f64,
    frames: FrameStore<Shot>,
    waiting: VecDeque<(Ask, u64)>,
    ready: VecDeque<Moment>,
    asked: u64,
    /// Messages that could not be read, the first few in words.
    faults: Vec<String>,
    faulty: u64,
    ended: bool,
}

/// Faults that are kept in words.
const SPOKEN_FAULTS: usize = 5;

impl<'b> Timeline<'b> {
    /// `slop_s` as the node's parameter `sync_slop_s`, seconds.
    ///
    /// # Errors
    /// [`BagError`](crate::bag::BagError), for a topic that is not there or a bag that cannot be read.
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
        Ok(Self {
            bag,
            messages: bag.messages(&Selection::all().topics(topics))?,
            pictures,
            questions,
            slop_s,
            frames: FrameStore::new(Bounds::default()),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            asked: 0,
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
        let now = message.log_time;
        self.resolve(Some(now));
        let topics = self.bag.topics();
        let is_picture = topics
            .get(message.topic)
            .is_some_and(|t| t.name == self.pictures.name);
        let taken = match is_picture {
            true => self.take_picture(message),
            false => self.take_instruction(&message),
        };
        if let Err(error) = taken {
            self.fault(&error);
        }
        self.resolve(Some(now));
    }

    fn take_picture(&mut self, message: RawMessage) -> Result<(), ReplayError> {
        let bytes = message.data.len();
        let shot = Shot::new(self.bag, message, self.pictures.compressed)?;
        let (stamp, log_time) = (shot.stamp(), shot.log_time());
        self.frames.push(stamp, bytes, shot, Instant::now());
        if let Questions::Same { text, every } = &self.questions {
            if (self.frames.received() - 1) % (*every).max(1) as u64 == 0 {
                self.asked += 1;
                let ask = Ask {
                    number: self.asked,
                    id: self.asked.to_string(),
                    conversation_id: String::new(),
                    text: text.clone(),
                    about: About::Stamp(stamp),
                    log_time,
                };
                self.waiting.push_back((ask, log_time));
            }
        }
        Ok(())
    }

    fn take_instruction(&mut self, message: &RawMessage) -> Result<(), ReplayError> {
        self.asked += 1;
        let ask = read_ask(self.bag, message, self.asked)?;
        let patience = match ask.about {
            About::Newest => FIRST_FRAME,
            About::Stamp(_) => CAMERA_LAG.max((self.slop_s * 1e9) as u64),
        };
        let until = ask.log_time.saturating_add(patience);
        self.waiting.push_back((ask, until));
        Ok(())
    }

    /// Turns to those whose frame is there, or whose patience is at an end; all of them at the end of the bag.
    fn resolve(&mut self, now: Option<u64>) {
        for _ in 0..self.waiting.len() {
            let Some((ask, until)) = self.waiting.pop_front() else {
                return;
            };
            let awaited = match ask.about {
                About::Newest => self.frames.is_empty(),
                About::Stamp(stamp) => !self.frames.has_reached(stamp),
            };
            match awaited && now.is_some_and(|now| now <= until) {
                true => self.waiting.push_back((ask, until)),
                false => {
                    let shot = self.pick(ask.about);
                    self.ready.push_back(Moment { ask, shot });
                }
            }
        }
    }

    fn pick(&self, about: About) -> Result<Arc<Shot>, String> {
        let none = || format!("no frame on {} so far", self.pictures.name);
        match about {
            About::Newest => self.frames.newest().map(|held| held.image).ok_or_else(none),
            About::Stamp(stamp) => match self.frames.nearest(stamp, self.slop_s) {
                Nearest::Found(held) => Ok(held.image),
                Nearest::Empty => Err(none()),
                Nearest::TooFar { nearest, gap_s } => Err(format!(
                    "no frame within {} s of stamp {stamp}: the nearest is {gap_s:.3} s away, at {nearest}",
                    self.slop_s
                )),
            },
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
                    self.resolve(None);
                }
            }
        }
    }
}
