//! The state machine with a virtual clock and an engine that does what a test says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::GrayImage;
use rosbag2::{Header, Time};

use super::super::*;
use crate::engine::{Answer, AnswerStatus, Event, ObjectMask, SegPrompt, Stage, Timings};
use crate::frames::Stamp;
use crate::image::Roi;
use crate::spatial::{Camera, NotLocated};

/// A camera's message, reduced to its header and to whether it can be decoded.
#[derive(Clone, Debug)]
pub(super) struct TestFrame {
    pub(super) header: Header,
    pub(super) good: bool,
}

impl CameraFrame for TestFrame {
    fn header(&self) -> Header {
        self.header.clone()
    }

    fn bytes(&self) -> usize {
        100
    }
}

pub(super) struct TestHost;

impl Host for TestHost {
    type Frame = TestFrame;
    type GoalRequest = u64;
    type CancelRequest = u64;
    type ResultRequest = u64;
    type FollowRequest = u64;
    type FollowResultRequest = u64;
}

pub(super) const MS: i64 = 1_000_000;

pub(super) fn header(stamp: Stamp) -> Header {
    let (sec, nanosec) = (
        stamp.0.div_euclid(1_000_000_000),
        stamp.0.rem_euclid(1_000_000_000),
    );
    Header {
        stamp: Time {
            sec: sec as i32,
            nanosec: nanosec as u32,
        },
        frame_id: "camera".to_owned(),
    }
}

pub(super) fn instruction(words: &str, stamp: Option<Stamp>) -> StampedInstruction {
    StampedInstruction {
        stamp,
        id: String::new(),
        conversation_id: String::new(),
        text: InstructionText::new(words.as_bytes()),
    }
}

/// The state machine, a virtual clock, and an engine that does what the test says.
pub(super) struct Harness {
    pub(super) core: NodeCore<TestHost>,
    pub(super) now: Instant,
    /// The requests that the engine has, and whether it has begun with them.
    pub(super) engine: BTreeMap<QuestionId, bool>,
    pub(super) results: Vec<Arc<QuestionResult>>,
    /// What was told about objects that are followed.
    pub(super) seen: Vec<FollowFeedback>,
    /// How the goals of `~/follow` ended, by the numbers of the requests for their results.
    pub(super) followed: Vec<(u64, GoalState, Arc<FollowResult>)>,
    /// The requests of followers that the engine was given: how many objects it was to find again, 0 for a question to the model.
    pub(super) looks: Vec<(QuestionId, usize)>,
    /// The objects whose places are asked for.
    pub(super) locating: Vec<(QuestionId, usize)>,
    /// Every output in words.
    pub(super) log: Vec<String>,
}

impl Harness {
    pub(super) fn new(settings: Settings) -> Self {
        let camera = CameraTopic {
            topic: "/image".to_owned(),
            compressed: false,
            reliable: false,
            publishers: None,
        };
        let now = Instant::now();
        Self {
            core: NodeCore::new(Arc::new(settings), camera, "/lisa/enable", now),
            now,
            engine: BTreeMap::new(),
            results: Vec::new(),
            locating: Vec::new(),
            seen: Vec::new(),
            followed: Vec::new(),
            looks: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Lets time pass, and handles every timeout at the instant at which it is due.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some((at, _)) = self.core.poll_timeout(self.now).filter(|t| t.0 <= until) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub(super) fn frame(&mut self, stamp: Stamp, good: bool) {
        let header = header(stamp);
        self.core.handle_frame(TestFrame { header, good }, self.now);
        self.drain();
    }

    pub(super) fn say(&mut self, words: &str, stamp: Option<Stamp>) {
        self.core
            .handle_instruction(instruction(words, stamp), self.now);
        self.drain();
    }

    pub(super) fn goal(&mut self, n: u8, own: Option<Stamp>) {
        let offer = GoalOffer {
            id: GoalId([n; 16]),
            instruction: InstructionText::new(b"the cup"),
            conversation_id: String::new(),
            frame: own.map(|stamp| TestFrame {
                header: header(stamp),
                good: true,
            }),
            max_new_tokens: None,
        };
        self.core
            .handle_goal(offer, u64::from(n), Stamp(i64::from(n)), self.now);
        self.core
            .handle_result_request(GoalId([n; 16]), u64::from(n));
        self.drain();
    }

    /// Sends a goal of `~/follow`, and asks for its result.
    pub(super) fn follow(&mut self, n: u8, offer: FollowOffer) {
        let id = GoalId([n; 16]);
        let offer = FollowOffer { id, ..offer };
        self.core
            .handle_follow_goal(offer, u64::from(n), Stamp(i64::from(n)), self.now);
        self.core.handle_follow_result_request(id, u64::from(n));
        self.drain();
    }

    pub(super) fn cancel_follow(&mut self, n: u8) {
        let id = GoalId([n; 16]);
        self.core.handle_follow_cancel(id, Stamp(0), 99, self.now);
        self.drain();
    }

    pub(super) fn event(&mut self, id: QuestionId, event: Event) {
        if matches!(event, Event::Done(_) | Event::Failed(_)) {
            self.engine.remove(&id);
        } else if let Some(started) = self.engine.get_mut(&id) {
            *started = true;
        }
        self.core.handle_engine_event(id, event, self.now);
        self.drain();
    }

    /// The worker has measured an object: it has no place.
    pub(super) fn place(&mut self, (id, index): (QuestionId, usize)) {
        let why = NotLocated::NoCameraInfo {
            camera: Camera::Depth,
        };
        self.core
            .handle_place(id, index, Err(Arc::new(why)), self.now);
        self.drain();
    }

    pub(super) fn close(&mut self) {
        self.core.close(self.now);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.log.push(words(&output));
            if let Output::AskEngine(request) = &output {
                if request.id.is_follower() {
                    let objects = request.options.find_again.len();
                    self.looks.push((request.id, objects));
                }
            }
            match output {
                Output::AskEngine(request) if request.frame.good => {
                    assert!(self.engine.insert(request.id, false).is_none());
                }
                Output::AskEngine(request) => {
                    self.core
                        .handle_bad_frame(request.id, "its encoding", self.now);
                }
                // A request that waits leaves the engine's queue at once; one that has begun ends at its next token.
                Output::CancelEngine(id) if self.engine.get(&id) == Some(&false) => {
                    self.engine.remove(&id);
                }
                Output::Locate(request) => self.locating.push((request.id, request.index)),
                Output::PublishResult(result) => self.results.push(result),
                Output::FollowFeedback(feedback) => self.seen.push(feedback),
                Output::AnswerFollowResult {
                    request,
                    result: Some((state, result)),
                } => self.followed.push((request, state, result)),
                _ => {}
            }
        }
    }

    /// How many questions there were so far, repeats included.
    pub(super) fn core_questions(&self) -> u64 {
        self.core.questions
    }

    pub(super) fn statuses(&self) -> Vec<ResultStatus> {
        self.results.iter().map(|r| r.status()).collect()
    }

    /// Answers the oldest request that the engine has.
    pub(super) fn answer_one(&mut self) {
        if let Some(id) = self.engine.keys().next().copied() {
            self.event(id, Event::Stage(Stage::Prefill));
            self.event(id, Event::Done(Box::new(answer())));
        }
    }
}

pub(crate) fn object() -> ObjectMask {
    ObjectMask {
        index: 0,
        label: "cup".to_owned(),
        score: 0.5,
        roi: Roi {
            x: 0,
            y: 0,
            width: 1,
            height: 1,
        },
        mask: Arc::new(GrayImage::new(1, 1)),
        area: 1,
        prompt: SegPrompt::default(),
    }
}

/// An object of that box, all of whose pixels belong to it.
pub(in crate::node) fn block(x: u32, y: u32, width: u32, height: u32) -> ObjectMask {
    ObjectMask {
        roi: Roi {
            x,
            y,
            width,
            height,
        },
        mask: Arc::new(GrayImage::from_pixel(width, height, image::Luma([255]))),
        area: (width * height) as usize,
        ..object()
    }
}

pub(crate) fn answer() -> Answer {
    Answer {
        status: AnswerStatus::Segmented,
        text: "Sure, [SEG].".to_owned(),
        objects: vec![object()],
        tokens: 4,
        truncated: false,
        notes: Vec::new(),
        timings: Timings::default(),
        attention: None,
        trace: None,
    }
}

/// Why a followed object has no place; `None` if nobody knows where it is.
pub(super) fn place_code(sighting: &Sighting) -> Option<&'static str> {
    let place = sighting.place.as_ref()?;
    Some(
        place
            .as_ref()
            .map_or_else(|why| why.code().name(), |_| "placed"),
    )
}

/// An output in words, with everything that a subscriber or a client could see of it.
pub(super) fn words(output: &Output<TestHost>) -> String {
    match output {
        Output::AskEngine(r) => format!(
            "ask {:?} {:?} {:?} {:?}",
            r.id, r.frame.header, r.instruction, r.options
        ),
        Output::CancelEngine(id) => format!("cancel {id:?}"),
        Output::PublishDelta {
            question,
            header,
            text,
            tokens,
            done,
        } => format!(
            "delta {:?} {header:?} {text:?} {tokens} {done}",
            question.id
        ),
        Output::PublishObject {
            question,
            header,
            object,
        } => format!("object {:?} {header:?} {}", question.id, object.mask.label),
        Output::Locate(request) => format!("locate {:?} {}", request.id, request.index),
        Output::TellPage { id, event } => format!("page {id:?} {event:?}"),
        Output::PublishDetections {
            header, objects, ..
        } => {
            format!("detections {header:?} {}", objects.len())
        }
        Output::PublishMask { header, .. } => format!("mask {header:?}"),
        Output::DrawOverlay { header, .. } => format!("overlay {header:?}"),
        Output::DrawAttention { header, .. } => format!("attention {header:?}"),
        Output::PublishAnswer { text } => format!("answer {text:?}"),
        Output::PublishResult(r) => format!("result {:?} {:?}", r.question.id, r.message()),
        Output::AnswerGoal {
            request, accepted, ..
        } => format!("goal {request} {accepted}"),
        Output::AnswerCancel { request, reply } => format!("cancelling {request} {reply:?}"),
        Output::AnswerResult { request, result } => format!(
            "result for {request} {:?}",
            result.as_ref().map(|(state, r)| (*state, r.question.id))
        ),
        Output::GoalFeedback {
            goal,
            stage,
            text,
            object,
            ..
        } => format!("feedback {goal} {stage:?} {text:?} {}", object.is_some()),
        Output::PublishGoalStates(states) => format!("goals {states:?}"),
        Output::AnswerFollowGoal {
            request, accepted, ..
        } => format!("follow {request} {accepted}"),
        Output::AnswerFollowResult { request, result } => {
            format!("followed for {request} {result:?}")
        }
        Output::FollowFeedback(f) => {
            let seen = f.objects.iter().map(|s| (s.track_id, place_code(s)));
            let seen: Vec<_> = seen.collect();
            format!(
                "seen {} {:?} {:?} {seen:?} {} {}",
                f.goal, f.header, f.state, f.confidence, f.frames_dropped
            )
        }
        Output::PublishFollowStates(states) => format!("follows {states:?}"),
        Output::Log { level, text } => format!("log {level:?} {text}"),
    }
}
