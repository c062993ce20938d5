//! The machine under a virtual clock: whatever comes in whatever order, what it promises holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::GrayImage;
use proptest::prelude::*;
use rosbag2::{Header, Time};

use super::*;
use crate::engine::{Answer, AnswerStatus, Event, ObjectMask, RequestError, Stage, Timings};
use crate::frames::Stamp;
use crate::image::Roi;

/// A frame is its header, and whether it can be decoded.
#[derive(Clone, Debug)]
struct TestFrame {
    header: Header,
    good: bool,
}

impl CameraFrame for TestFrame {
    fn header(&self) -> Header {
        self.header.clone()
    }
}

struct TestHost;

impl Host for TestHost {
    type Frame = TestFrame;
    type GoalRequest = u64;
    type CancelRequest = u64;
    type ResultRequest = u64;
}

const MS: i64 = 1_000_000;

fn header(stamp: Stamp) -> Header {
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

fn heard(words: &str, stamp: Option<Stamp>) -> StampedInstruction {
    StampedInstruction {
        stamp,
        id: String::new(),
        conversation_id: String::new(),
        text: InstructionText::new(words.as_bytes()),
    }
}

/// The machine, its clock, and an engine that does what the test says.
struct Bench {
    core: NodeCore<TestHost>,
    now: Instant,
    /// What the engine has.
    engine: BTreeMap<QuestionId, bool>,
    results: Vec<Arc<QuestionResult>>,
    /// Every output in words.
    log: Vec<String>,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let camera = Camera {
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
            log: Vec::new(),
        }
    }

    /// Lets time pass, with every timeout at its moment.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some((at, _)) = self.core.poll_timeout(self.now).filter(|t| t.0 <= until) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn frame(&mut self, stamp: Stamp, good: bool) {
        let header = header(stamp);
        self.core
            .handle_frame(stamp, 100, TestFrame { header, good }, self.now);
        self.drain();
    }

    fn say(&mut self, words: &str, stamp: Option<Stamp>) {
        self.core.handle_instruction(heard(words, stamp), self.now);
        self.drain();
    }

    fn goal(&mut self, n: u8, own: Option<Stamp>) {
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

    fn event(&mut self, id: QuestionId, event: Event) {
        if matches!(event, Event::Done(_) | Event::Failed(_)) {
            self.engine.remove(&id);
        } else if let Some(started) = self.engine.get_mut(&id) {
            *started = true;
        }
        self.core.handle_engine_event(id, event, self.now);
        self.drain();
    }

    fn close(&mut self) {
        self.core.close(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.log.push(words(&output));
            match output {
                Output::AskEngine(request) if request.frame.good => {
                    assert!(self.engine.insert(request.id, false).is_none());
                }
                Output::AskEngine(request) => {
                    self.core
                        .handle_bad_frame(request.id, "its encoding", self.now);
                }
                // One that waits leaves the engine's queue; one that is begun says so at its next token.
                Output::CancelEngine(id) if self.engine.get(&id) == Some(&false) => {
                    self.engine.remove(&id);
                }
                Output::PublishResult(result) => self.results.push(result),
                _ => {}
            }
        }
    }

    /// Questions so far, repeats included.
    fn core_questions(&self) -> u64 {
        self.core.questions
    }

    fn statuses(&self) -> Vec<ResultStatus> {
        self.results.iter().map(|r| r.status()).collect()
    }

    /// Does the oldest of what the engine has, from beginning to end.
    fn answer_one(&mut self) {
        if let Some(id) = self.engine.keys().next().copied() {
            self.event(id, Event::Stage(Stage::Prefill));
            self.event(id, Event::Done(Box::new(answer())));
        }
    }
}

fn object() -> ObjectMask {
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
    }
}

fn answer() -> Answer {
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

/// An output in words, with everything that a person could see of it.
fn words(output: &Output<TestHost>) -> String {
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
        } => format!("object {:?} {header:?} {}", question.id, object.label),
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
        Output::Log { level, text } => format!("log {level:?} {text}"),
    }
}

/// The case that node and replay disagreed about: it waits for the first frame after the node began to listen, and not
/// after the instruction came.
#[test]
fn an_instruction_waits_for_the_first_frame_a_second_after_the_node_began_to_listen() {
    let mut bench = Bench::new(Settings::default());
    bench.pass(900);
    bench.say("the cup", None);
    bench.pass(99);
    assert!(bench.results.is_empty());
    bench.pass(1);
    assert_eq!(bench.statuses(), [ResultStatus::NoImage]);
    // By then the camera has had its time.
    bench.pass(500);
    bench.say("the cup", None);
    assert_eq!(bench.statuses(), [ResultStatus::NoImage; 2]);
    // Within it, the frame that comes is the one.
    let mut bench = Bench::new(Settings::default());
    bench.say("the cup", None);
    bench.pass(500);
    bench.frame(Stamp(7 * MS), true);
    bench.answer_one();
    assert_eq!(bench.results[0].header, header(Stamp(7 * MS)));
}

#[test]
fn a_stamped_instruction_waits_for_a_frame_at_or_behind_its_stamp() {
    let mut bench = Bench::new(Settings::default());
    bench.frame(Stamp(1000 * MS), true);
    bench.say("the cup", Some(Stamp(1050 * MS)));
    assert!(bench.engine.is_empty(), "a nearer one may be on its way");
    bench.frame(Stamp(1066 * MS), true);
    bench.answer_one();
    assert_eq!(bench.results[0].header, header(Stamp(1066 * MS)));
    // None comes: after half a second the nearest is taken, where it is near enough.
    for (stamp, status) in [
        (1100, ResultStatus::Segmented),
        (1200, ResultStatus::NoImage),
    ] {
        bench.say("the cup", Some(Stamp(stamp * MS)));
        bench.pass(499);
        bench.answer_one();
        bench.pass(1);
        bench.answer_one();
        assert_eq!(bench.results.last().unwrap().status(), status, "{stamp}");
    }
}

#[test]
fn so_many_wait_and_one_more_is_overloaded() {
    let settings = Settings {
        max_pending: 2,
        ..Settings::default()
    };
    let mut bench = Bench::new(settings);
    bench.frame(Stamp(MS), true);
    (0..4).for_each(|_| bench.say("the cup", None));
    // One is answered, two wait.
    assert_eq!(bench.statuses(), [ResultStatus::Overloaded]);
    assert!(bench.results[0].message().error.contains("2 requests"));
    assert_eq!(bench.results[0].header, header(Stamp(MS)));
    (0..3).for_each(|_| bench.answer_one());
    let answered = [ResultStatus::Segmented; 3];
    assert_eq!(bench.statuses()[1..], answered);
}

#[test]
fn an_object_leaves_before_the_answer_is_whole() {
    let mut bench = Bench::new(Settings::default());
    bench.frame(Stamp(MS), true);
    bench.goal(1, None);
    let id = *bench.engine.keys().next().unwrap();
    bench.event(id, Event::Mask(object()));
    bench.event(
        id,
        Event::TextDelta {
            text: "because".to_owned(),
            tokens: 5,
        },
    );
    bench.event(id, Event::Done(Box::new(answer())));
    let at = |what: &str| {
        let found = bench.log.iter().position(|line| line.starts_with(what));
        found.unwrap_or_else(|| panic!("no {what} in {:#?}", bench.log))
    };
    assert!(at("object") < at("delta") && at("delta") < at("result"));
    assert!(at("mask") < at("result") && at("answer") < at("result"));
    assert!(
        bench.log[at("feedback")].ends_with("true"),
        "{:#?}",
        bench.log
    );
    assert!(bench.log[at("result for 1")].contains("Succeeded"));
}

#[test]
fn what_is_taken_back_is_cancelled_whatever_the_engine_says_later() {
    let mut bench = Bench::new(Settings::default());
    bench.frame(Stamp(MS), true);
    (1..=2).for_each(|n| bench.goal(n, None));
    let ids: Vec<QuestionId> = bench.engine.keys().copied().collect();
    bench.event(ids[0], Event::Stage(Stage::Generate));
    let all = GoalId([0; 16]);
    bench.core.handle_cancel(all, Stamp(0), 7, bench.now);
    bench.drain();
    assert_eq!(
        bench.statuses(),
        [ResultStatus::Cancelled],
        "the one that waited"
    );
    bench.event(ids[0], Event::Done(Box::new(answer())));
    assert_eq!(bench.statuses(), [ResultStatus::Cancelled; 2]);
    let ended = |line: &&String| line.starts_with("result for") && line.contains("Canceled");
    assert_eq!(
        bench.log.iter().filter(ended).count(),
        2,
        "{:#?}",
        bench.log
    );
}

#[test]
fn a_disabled_node_refuses_and_forgets_its_frames() {
    let mut bench = Bench::new(Settings::default());
    bench.frame(Stamp(MS), true);
    bench.core.handle_enable(false, bench.now);
    bench.say("the cup", None);
    assert_eq!(bench.statuses(), [ResultStatus::Error]);
    let error = bench.results[0].message().error;
    assert!(error.contains("/lisa/enable"), "{error}");
    bench.pass(60_000);
    bench.core.handle_enable(true, bench.now);
    bench.say("the cup", None);
    assert_eq!(bench.results.len(), 1, "the camera has a second again");
    bench.frame(Stamp(60_000 * MS), true);
    bench.answer_one();
    assert_eq!(bench.results[1].header, header(Stamp(60_000 * MS)));
}

#[test]
fn silence_is_said_once_and_so_is_its_end() {
    let mut bench = Bench::new(Settings::default());
    bench.pass(20_000);
    bench.frame(Stamp(MS), true);
    bench.pass(4_000);
    bench.frame(Stamp(2 * MS), true);
    let said: Vec<&String> = bench.log.iter().collect();
    assert_eq!(
        said,
        [
            "log Warn no frame on /image so far",
            "log Info images come on /image again"
        ]
    );
}

#[test]
fn mode_continuous_asks_again_about_new_frames_within_the_rate() {
    let settings = Settings {
        continuous: true,
        max_rate_hz: 10.0,
        ..Settings::default()
    };
    let mut bench = Bench::new(settings);
    bench.frame(Stamp(MS), true);
    bench.say("the cup", None);
    bench.answer_one();
    bench.pass(1000);
    assert!(bench.engine.is_empty(), "the same frame");
    for n in 2..30 {
        bench.frame(Stamp(n * 10 * MS), true);
        bench.pass(10);
        bench.answer_one();
    }
    // 280 ms at 10 Hz, and one at once.
    assert_eq!(bench.results.len(), 1 + 3);
    let repeats = bench.results[1..].iter();
    assert!(repeats.clone().all(|r| r.question.origin == Origin::Repeat));
    assert!(repeats.clone().all(|r| r.question.instruction_id == "1"));
}

/// What may happen, in any order.
#[derive(Clone, Debug)]
enum Step {
    /// After so many milliseconds.
    Pass(u64),
    /// A frame so many milliseconds behind the one before; negative: late, or a clock that went back.
    Frame(i64, bool),
    Say(Option<i64>),
    SayNothing,
    Goal(u8, bool),
    Cancel(u8),
    CancelAll,
    AskResult(u8),
    Start(u8),
    Delta(u8),
    Mask(u8),
    Done(u8),
    Fail(u8),
    Settings {
        max_pending: usize,
        continuous: bool,
        slop_ms: u64,
    },
    Enable(bool),
    Watch(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..1500).prop_map(Step::Pass),
        6 => (prop_oneof![5 => 1i64..120, 1 => -3000i64..0, 1 => -50i64..0], prop::bool::weighted(0.9))
            .prop_map(|(ms, good)| Step::Frame(ms, good)),
        6 => prop::option::of(-300i64..300).prop_map(Step::Say),
        1 => Just(Step::SayNothing),
        3 => (1u8..6, any::<bool>()).prop_map(|(n, own)| Step::Goal(n, own)),
        2 => (1u8..7).prop_map(Step::Cancel),
        1 => Just(Step::CancelAll),
        1 => (1u8..7).prop_map(Step::AskResult),
        3 => any::<u8>().prop_map(Step::Start),
        2 => any::<u8>().prop_map(Step::Delta),
        1 => any::<u8>().prop_map(Step::Mask),
        4 => any::<u8>().prop_map(Step::Done),
        1 => any::<u8>().prop_map(Step::Fail),
        1 => (1usize..4, any::<bool>(), 0u64..400)
            .prop_map(|(max_pending, continuous, slop_ms)| Step::Settings { max_pending, continuous, slop_ms }),
        1 => any::<bool>().prop_map(Step::Enable),
        1 => any::<bool>().prop_map(Step::Watch),
    ]
}

/// What a test knows of the questions it asked.
#[derive(Default)]
struct Asked {
    /// Accepted questions, by number, and what they are about.
    about: BTreeMap<u64, About>,
    /// Stamps of all frames so far.
    frames: BTreeSet<i64>,
    newest: i64,
    slop_ms: u64,
}

#[derive(Clone, Copy, Debug)]
enum About {
    Camera,
    Stamp(i64),
    Own,
}

/// Plays the steps, closes the node, and looks at what it promises.
fn play(steps: &[Step]) -> Vec<String> {
    let mut bench = Bench::new(Settings::default());
    let mut asked = Asked {
        newest: 1_000_000,
        slop_ms: 100,
        ..Asked::default()
    };
    let mut goals = BTreeSet::new();
    // The widest that was allowed while a question may have been open.
    let mut widest = asked.slop_ms;
    for step in steps {
        let nth = |bench: &Bench, n: u8| {
            let ids: Vec<QuestionId> = bench.engine.keys().copied().collect();
            (!ids.is_empty()).then(|| ids[usize::from(n) % ids.len()])
        };
        // Repeats take numbers, too: which number the next question has is the machine's to say.
        let before = bench.core_questions();
        match step {
            Step::Pass(ms) => bench.pass(*ms),
            Step::Frame(ms, good) => {
                asked.newest += ms;
                asked.frames.insert(asked.newest);
                bench.frame(Stamp(asked.newest * MS), *good);
            }
            Step::Say(offset) => {
                let stamp = offset.map(|ms| asked.newest + ms);
                let about = stamp.map_or(About::Camera, About::Stamp);
                asked.about.insert(before + 1, about);
                bench.say("the cup", stamp.map(|ms| Stamp(ms * MS)));
            }
            Step::SayNothing => {
                asked.about.insert(before + 1, About::Camera);
                bench.say(" ", None);
            }
            Step::Goal(n, own) => {
                // An id is used once, as long as it is remembered.
                if goals.insert(*n) {
                    let about = if *own { About::Own } else { About::Camera };
                    asked.about.insert(before + 1, about);
                    bench.goal(*n, own.then_some(Stamp(5 * MS)));
                }
            }
            Step::Cancel(n) => {
                bench
                    .core
                    .handle_cancel(GoalId([*n; 16]), Stamp(0), 99, bench.now);
                bench.drain();
            }
            Step::CancelAll => {
                bench
                    .core
                    .handle_cancel(GoalId([0; 16]), Stamp(0), 99, bench.now);
                bench.drain();
            }
            Step::AskResult(n) => {
                bench.core.handle_result_request(GoalId([*n; 16]), 50);
                bench.drain();
            }
            Step::Start(n) => {
                if let Some(id) = nth(&bench, *n) {
                    bench.event(id, Event::Stage(Stage::Prefill));
                }
            }
            Step::Delta(n) => {
                if let Some(id) = nth(&bench, *n) {
                    let text = "x".to_owned();
                    bench.event(id, Event::TextDelta { text, tokens: 1 });
                }
            }
            Step::Mask(n) => {
                if let Some(id) = nth(&bench, *n) {
                    bench.event(id, Event::Mask(object()));
                }
            }
            Step::Done(n) => {
                if let Some(id) = nth(&bench, *n) {
                    bench.event(id, Event::Done(Box::new(answer())));
                }
            }
            Step::Fail(n) => {
                if let Some(id) = nth(&bench, *n) {
                    bench.event(
                        id,
                        Event::Failed(RequestError::Model("it broke".to_owned())),
                    );
                }
            }
            Step::Settings {
                max_pending,
                continuous,
                slop_ms,
            } => {
                widest = widest.max(*slop_ms);
                let settings = Settings {
                    max_pending: *max_pending,
                    continuous: *continuous,
                    sync_slop_s: *slop_ms as f64 * 1e-3,
                    ..Settings::default()
                };
                bench.core.handle_settings(Arc::new(settings), bench.now);
                bench.drain();
            }
            Step::Enable(on) => {
                bench.core.handle_enable(*on, bench.now);
                bench.drain();
            }
            Step::Watch(on) => bench.core.handle_subscribers(Subscribers {
                overlay: *on,
                attention: *on,
            }),
        }
    }
    bench.close();
    // What comes after the end is told, too.
    asked
        .about
        .insert(bench.core_questions() + 1, About::Camera);
    bench.say("too late", None);
    bench.close();
    promises(&bench, &asked, widest);
    bench.log
}

fn promises(bench: &Bench, asked: &Asked, widest_slop_ms: u64) {
    let mut told = BTreeMap::new();
    for result in &bench.results {
        *told.entry(result.question.id.0).or_insert(0) += 1;
        let (status, header) = (result.status(), &result.header);
        if *header == Header::default() {
            assert!(!status.is_answer(), "an answer about no frame");
            continue;
        }
        let stamp = header.stamp.nanoseconds() / MS;
        match asked.about.get(&result.question.id.0) {
            Some(About::Own) => assert_eq!(stamp, 5),
            Some(About::Stamp(wanted)) => {
                let gap = stamp.abs_diff(*wanted);
                assert!(
                    asked.frames.contains(&stamp) && gap <= widest_slop_ms,
                    "{result:?}"
                );
            }
            Some(About::Camera) | None => assert!(asked.frames.contains(&stamp), "{result:?}"),
        }
    }
    for id in asked.about.keys() {
        assert_eq!(told.get(id), Some(&1), "question {id} of {:#?}", bench.log);
    }
    assert!(told.values().all(|n| *n == 1), "{:#?}", bench.log);
    assert!(!bench.core.has_open_questions());
    // Nothing about a question comes behind its result.
    let mut ended = BTreeSet::new();
    for line in &bench.log {
        let mut parts = line.split(' ');
        let (what, id) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        match what {
            "delta" | "object" | "ask" | "cancel" => assert!(!ended.contains(id), "{line}"),
            "result" if id.starts_with("QuestionId") => assert!(ended.insert(id.to_owned())),
            _ => {}
        }
    }
}

/// More than usual, since each takes a tenth of a millisecond and a rare order of things is what is looked for; `PROPTEST_CASES`
/// makes it more still.
fn many() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.max(4096),
        ..usual
    }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn every_instruction_has_one_result_whatever_happens(steps in prop::collection::vec(step(), 0..60)) {
        play(&steps);
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 0..60)) {
        prop_assert_eq!(play(&steps), play(&steps));
    }
}
