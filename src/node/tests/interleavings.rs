//! Whatever happens in whatever order, the node keeps its promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use rosbag2::Header;

use super::super::*;
use super::harness::{answer, object, Harness, MS};
use super::{calibration, depth};
use crate::engine::{Event, RequestError, Stage};
use crate::frames::Stamp;
use crate::spatial::{Camera, NotLocated};

/// Something that may happen to a node, in any order.
#[derive(Clone, Debug)]
enum Step {
    /// This many milliseconds pass.
    Pass(u64),
    /// A frame arrives whose stamp is this many milliseconds after that of the one before; negative means late, or that the clock
    /// went back. The flag says whether it can be decoded.
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
        space: bool,
    },
    /// A depth image arrives whose stamp is so many milliseconds after the newest frame's.
    Depth(i64),
    /// The camera's calibration arrives.
    Calibration,
    /// The place of an object arrives for which the node has asked; there is none.
    Place(u8),
    Enable(bool),
    /// A supervisor activates or deactivates the node.
    Activate(bool),
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
        1 => (1usize..4, any::<bool>(), 0u64..400, any::<bool>())
            .prop_map(|(max_pending, continuous, slop_ms, space)| Step::Settings { max_pending, continuous, slop_ms, space }),
        2 => (-80i64..80).prop_map(Step::Depth),
        1 => Just(Step::Calibration),
        2 => any::<u8>().prop_map(Step::Place),
        1 => any::<bool>().prop_map(Step::Enable),
        1 => prop::bool::weighted(0.7).prop_map(Step::Activate),
        1 => any::<bool>().prop_map(Step::Watch),
    ]
}

/// What the test knows of the questions that it asked.
#[derive(Default)]
struct AskedQuestions {
    /// What the accepted questions are about, by their numbers.
    about: BTreeMap<u64, ExpectedFrame>,
    /// The stamps of all frames so far, milliseconds.
    frames: BTreeSet<i64>,
    newest: i64,
    slop_ms: u64,
}

#[derive(Clone, Copy, Debug)]
enum ExpectedFrame {
    Camera,
    Stamp(i64),
    Own,
}

/// Plays the steps, closes the node, and checks its promises.
fn play(steps: &[Step]) -> Vec<String> {
    let mut node = Harness::new(Settings::default());
    let mut asked = AskedQuestions {
        newest: 1_000_000,
        slop_ms: 100,
        ..AskedQuestions::default()
    };
    let mut goals = BTreeSet::new();
    // The largest slop that was allowed while a question may have been open.
    let mut widest = asked.slop_ms;
    for step in steps {
        let nth = |node: &Harness, n: u8| {
            let ids: Vec<QuestionId> = node.engine.keys().copied().collect();
            (!ids.is_empty()).then(|| ids[usize::from(n) % ids.len()])
        };
        // Repeats take numbers, too, so the number of the next question has to be asked for.
        let before = node.core_questions();
        match step {
            Step::Pass(ms) => node.pass(*ms),
            Step::Frame(ms, good) => {
                asked.newest += ms;
                asked.frames.insert(asked.newest);
                node.frame(Stamp(asked.newest * MS), *good);
            }
            Step::Say(offset) => {
                let stamp = offset.map(|ms| asked.newest + ms);
                let about = stamp.map_or(ExpectedFrame::Camera, ExpectedFrame::Stamp);
                if node.core.standby().is_none() {
                    asked.about.insert(before + 1, about);
                }
                node.say("the cup", stamp.map(|ms| Stamp(ms * MS)));
            }
            Step::SayNothing => {
                if node.core.standby().is_none() {
                    asked.about.insert(before + 1, ExpectedFrame::Camera);
                }
                node.say(" ", None);
            }
            Step::Goal(n, own) => {
                // A goal's id is accepted only once.
                if node.core.standby().is_none() && goals.insert(*n) {
                    let about = if *own {
                        ExpectedFrame::Own
                    } else {
                        ExpectedFrame::Camera
                    };
                    asked.about.insert(before + 1, about);
                    node.goal(*n, own.then_some(Stamp(5 * MS)));
                }
            }
            Step::Cancel(n) => {
                node.core
                    .handle_cancel(GoalId([*n; 16]), Stamp(0), 99, node.now);
                node.drain();
            }
            Step::CancelAll => {
                node.core
                    .handle_cancel(GoalId([0; 16]), Stamp(0), 99, node.now);
                node.drain();
            }
            Step::AskResult(n) => {
                node.core.handle_result_request(GoalId([*n; 16]), 50);
                node.drain();
            }
            Step::Start(n) => {
                if let Some(id) = nth(&node, *n) {
                    node.event(id, Event::Stage(Stage::Prefill));
                }
            }
            Step::Delta(n) => {
                if let Some(id) = nth(&node, *n) {
                    let text = "x".to_owned();
                    node.event(id, Event::TextDelta { text, tokens: 1 });
                }
            }
            Step::Mask(n) => {
                if let Some(id) = nth(&node, *n) {
                    node.event(id, Event::Mask(object()));
                }
            }
            Step::Done(n) => {
                if let Some(id) = nth(&node, *n) {
                    node.event(id, Event::Done(Box::new(answer())));
                }
            }
            Step::Fail(n) => {
                if let Some(id) = nth(&node, *n) {
                    node.event(
                        id,
                        Event::Failed(RequestError::Model("it broke".to_owned())),
                    );
                }
            }
            Step::Settings {
                max_pending,
                continuous,
                slop_ms,
                space,
            } => {
                widest = widest.max(*slop_ms);
                let settings = Settings {
                    max_pending: *max_pending,
                    continuous: *continuous,
                    sync_slop_s: *slop_ms as f64 * 1e-3,
                    space: SpaceSettings {
                        enabled: *space,
                        ..SpaceSettings::default()
                    },
                    ..Settings::default()
                };
                node.core.handle_settings(Arc::new(settings), node.now);
                node.drain();
            }
            Step::Depth(ms) => {
                let image = depth(Stamp((asked.newest + ms) * MS));
                node.core.handle_depth(image, node.now);
                node.drain();
            }
            Step::Calibration => {
                let info = calibration();
                node.core.handle_camera_info(Camera::Colour, info, node.now);
                node.drain();
            }
            Step::Place(n) => {
                if !node.locating.is_empty() {
                    let at = usize::from(*n) % node.locating.len();
                    let (id, index) = node.locating.remove(at);
                    let why = NotLocated::NoCameraInfo {
                        camera: Camera::Depth,
                    };
                    let place = Err(Arc::new(why));
                    node.core.handle_place(id, index, place, node.now);
                    node.drain();
                }
            }
            Step::Enable(on) => {
                node.core.handle_enable(*on, node.now);
                node.drain();
            }
            Step::Activate(on) => {
                match on {
                    true => node.core.handle_activate(node.now),
                    false => node.core.handle_deactivate("it is inactive", node.now),
                }
                node.drain();
                let open = node.core.has_open_questions();
                assert!(*on || !open, "an inactive node has an open question");
            }
            Step::Watch(on) => node.core.handle_subscribers(Subscribers {
                overlay: *on,
                attention: *on,
            }),
        }
    }
    node.close();
    // An instruction after the end gets a result, too, if the node was active.
    node.core.handle_activate(node.now);
    asked
        .about
        .insert(node.core_questions() + 1, ExpectedFrame::Camera);
    node.say("too late", None);
    node.close();
    promises(&node, &asked, widest);
    node.log
}

fn promises(node: &Harness, asked: &AskedQuestions, widest_slop_ms: u64) {
    let mut told = BTreeMap::new();
    for result in &node.results {
        *told.entry(result.question.id.0).or_insert(0) += 1;
        let (status, header) = (result.status(), &result.header);
        if *header == Header::default() {
            assert!(!status.is_answer(), "an answer about no frame");
            continue;
        }
        let stamp = header.stamp.nanoseconds() / MS;
        match asked.about.get(&result.question.id.0) {
            Some(ExpectedFrame::Own) => assert_eq!(stamp, 5),
            Some(ExpectedFrame::Stamp(wanted)) => {
                let gap = stamp.abs_diff(*wanted);
                assert!(
                    asked.frames.contains(&stamp) && gap <= widest_slop_ms,
                    "{result:?}"
                );
            }
            Some(ExpectedFrame::Camera) | None => {
                assert!(asked.frames.contains(&stamp), "{result:?}")
            }
        }
    }
    for id in asked.about.keys() {
        assert_eq!(told.get(id), Some(&1), "question {id} of {:#?}", node.log);
    }
    assert!(told.values().all(|n| *n == 1), "{:#?}", node.log);
    assert!(!node.core.has_open_questions());
    // Nothing about a question comes behind its result.
    let mut ended = BTreeSet::new();
    for line in &node.log {
        let mut parts = line.split(' ');
        let (what, id) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        match what {
            "delta" | "object" | "ask" | "cancel" => assert!(!ended.contains(id), "{line}"),
            "result" if id.starts_with("QuestionId") => assert!(ended.insert(id.to_owned())),
            _ => {}
        }
    }
}

/// More cases than usual, because a case takes only a tenth of a millisecond and rare orders of events are what is looked for.
/// `PROPTEST_CASES` can raise their number further.
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
