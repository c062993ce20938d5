//! The action `~/follow` under a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rosbag2::Header;

use super::super::*;
use super::harness::{answer, block, header, place_code, Harness, TestFrame, MS};
use super::{calibration, depth, in_space};
use crate::engine::{Answer, AnswerStatus, Event, ObjectMask, RequestError};
use crate::frames::Stamp;
use crate::spatial::Camera;

/// The cup, until the goal is cancelled.
fn the_cup() -> FollowOffer {
    FollowOffer {
        id: GoalId([0; 16]),
        instruction: b"the cup".to_vec(),
        instruction_id: String::new(),
        object_index: 0,
        rate_hz: 0.0,
        duration: Some(Duration::ZERO),
    }
}

fn of(objects: Vec<ObjectMask>) -> Answer {
    Answer {
        objects,
        ..answer()
    }
}

/// An object at `x` of which the decoder is as sure as that.
fn at(x: u32, score: f32) -> ObjectMask {
    ObjectMask {
        score,
        ..block(x, 0, 10, 10)
    }
}

impl Harness {
    /// What the engine has of a follower.
    fn flight(&self) -> Option<QuestionId> {
        self.engine.keys().copied().find(|id| id.is_follower())
    }

    /// The engine has computed the follower's frame.
    fn sees(&mut self, answer: Answer) {
        let id = self.flight().expect("the engine has no follower's request");
        self.event(id, Event::Done(Box::new(answer)));
    }

    /// How many objects the last look asked for; 0 is a question to the model.
    fn last_look(&self) -> usize {
        self.looks.last().unwrap().1
    }

    /// The depth image of the frame of that time comes.
    fn depth(&mut self, ms: i64) {
        self.core.handle_depth(depth(Stamp(ms * MS)), self.now);
        self.drain();
    }

    /// What is known of the place of each frame's object.
    fn places(&self) -> Vec<Option<&'static str>> {
        let seen = self.seen.iter().flat_map(|frame| &frame.objects);
        seen.map(place_code).collect()
    }

    fn ids(&self) -> Vec<u32> {
        let seen = self.seen.last().unwrap().objects.iter();
        seen.map(|sighting| sighting.track_id).collect()
    }

    /// A node that has just seen the cup for the first time.
    fn following(settings: Settings, offer: FollowOffer) -> Self {
        let mut node = Self::new(settings);
        node.frame(Stamp(0), true);
        node.follow(1, offer);
        assert_eq!(node.last_look(), 0, "the model is asked first");
        node.sees(of(vec![at(0, 0.9)]));
        assert_eq!(node.ids(), [1]);
        node
    }
}

#[test]
fn an_object_that_was_named_once_is_found_again_without_the_model() {
    let mut node = Harness::following(Settings::default(), the_cup());
    assert!(
        node.engine.is_empty(),
        "the same frame is not looked at twice"
    );
    for n in 1..5 {
        node.frame(Stamp(n * 100 * MS), true);
        assert_eq!(node.last_look(), 1);
        node.sees(of(vec![at(3 * n as u32, 0.9)]));
        let seen = node.seen.last().unwrap();
        assert_eq!(seen.header, header(Stamp(n * 100 * MS)));
        assert_eq!((node.ids(), seen.state), (vec![1], FollowState::Following));
        assert!(
            (0.9..=1.0).contains(&seen.confidence),
            "{}",
            seen.confidence
        );
    }
    assert!(node.results.is_empty(), "a follower is no instruction");
    node.cancel_follow(1);
    let (_, state, result) = &node.followed[0];
    assert_eq!(*state, GoalState::Canceled);
    assert_eq!(result.status, FollowStatus::Cancelled);
    assert_eq!((result.frames, result.times_asked), (5, 1));
    node.frame(Stamp(900 * MS), true);
    assert!(node.engine.is_empty());
    // The next object has a number of its own.
    node.follow(2, the_cup());
    node.sees(of(vec![at(0, 0.9), at(30, 0.9)]));
    assert_eq!(node.ids(), [2, 3]);
}

#[test]
fn of_frames_that_come_too_fast_the_newest_is_taken_and_the_others_are_counted() {
    let mut node = Harness::following(Settings::default(), the_cup());
    for n in 1..=4 {
        node.frame(Stamp(n * 10 * MS), true);
    }
    node.sees(of(vec![at(0, 0.9)]));
    node.sees(of(vec![at(0, 0.9)]));
    let told: Vec<_> = node.seen[1..]
        .iter()
        .map(|f| (f.header.clone(), f.frames_dropped))
        .collect();
    let expected = [(header(Stamp(10 * MS)), 2), (header(Stamp(40 * MS)), 2)];
    assert_eq!(told, expected);
    // What is not looked at because of the goal's own rate is not passed over.
    let rate = FollowOffer {
        rate_hz: 10.0,
        ..the_cup()
    };
    let mut node = Harness::following(Settings::default(), rate);
    for n in 1..=100 {
        node.pass(10);
        node.frame(Stamp(n * 10 * MS), true);
        if node.flight().is_some() {
            node.sees(of(vec![at(0, 0.9)]));
        }
    }
    assert_eq!((node.seen.len(), node.seen[10].frames_dropped), (11, 0));
}

#[test]
fn what_is_doubted_is_asked_for_again_and_lost_after_a_while() {
    let mut node = Harness::following(Settings::default(), the_cup());
    let nothing = || Answer {
        status: AnswerStatus::TextOnly,
        ..of(Vec::new())
    };
    // A poor mask somewhere else.
    node.frame(Stamp(100 * MS), true);
    node.sees(of(vec![at(80, 0.1)]));
    let seen = node.seen.last().unwrap();
    assert_eq!(
        (seen.state, seen.objects.len(), seen.confidence),
        (FollowState::Following, 0, 0.0)
    );
    let mut asked = Vec::new();
    for n in 2..50 {
        node.pass(100);
        node.frame(Stamp(n * 100 * MS), true);
        if node.last_look() == 0 {
            asked.push(n);
        }
        node.sees(nothing());
    }
    // The first time at once; while nothing is found, once a second.
    assert_eq!(asked, [2, 12, 22, 32, 42]);
    let lost: Vec<bool> = node
        .seen
        .iter()
        .map(|f| f.state == FollowState::Lost)
        .collect();
    assert_eq!(
        lost.iter().position(|lost| *lost),
        Some(21),
        "2 s after the first frame without it"
    );
    assert!(lost[21..].iter().all(|lost| *lost));
    // The decoder finds it by itself, and it has its number again.
    node.frame(Stamp(5000 * MS), true);
    assert_eq!(node.last_look(), 1);
    node.sees(of(vec![at(50, 0.9)]));
    assert_eq!(
        (node.ids(), node.seen.last().unwrap().state),
        (vec![1], FollowState::Following)
    );
    node.cancel_follow(1);
    let result = &node.followed[0].2;
    assert_eq!((result.times_lost, result.times_asked), (1, 6));
}

#[test]
fn instructions_go_first_and_a_follower_takes_none_of_their_places() {
    let settings = Settings {
        max_pending: 1,
        ..Settings::default()
    };
    let mut node = Harness::following(settings, the_cup());
    node.frame(Stamp(10 * MS), true);
    let first = node.flight().unwrap();
    (0..3).for_each(|_| node.say("the cup", None));
    assert_eq!(node.statuses(), [ResultStatus::Overloaded]);
    node.frame(Stamp(20 * MS), true);
    node.sees(of(vec![at(0, 0.9)]));
    assert_eq!(node.flight(), None, "two instructions wait");
    node.answer_one();
    assert_eq!(node.flight(), None, "one still waits");
    node.answer_one();
    assert!(node.flight().is_some_and(|id| id != first));
    assert_eq!(node.statuses()[1..], [ResultStatus::Segmented; 2]);
}

#[test]
fn a_goal_ends_with_its_duration_as_what_it_is_then() {
    let second = FollowOffer {
        duration: Some(Duration::from_secs(1)),
        ..the_cup()
    };
    let mut node = Harness::new(Settings::default());
    node.frame(Stamp(0), true);
    node.follow(1, second.clone());
    node.pass(5000);
    assert!(
        node.followed.is_empty(),
        "the duration begins with the first frame"
    );
    node.sees(of(vec![at(0, 0.9)]));
    node.pass(500);
    node.frame(Stamp(500 * MS), true);
    let flight = node.flight().unwrap();
    node.pass(500);
    assert_eq!(node.followed[0].1, GoalState::Succeeded);
    assert_eq!(node.followed[0].2.status, FollowStatus::Segmented);
    assert_eq!(node.followed[0].2.error, "");
    let cancelled = format!("cancel {flight:?}");
    assert!(node.log.contains(&cancelled), "{:#?}", node.log);
    // Out of sight at the end.
    let mut settings = Settings::default();
    settings.follow.patience_s = 0.5;
    let mut node = Harness::following(settings, second);
    for n in 1..20 {
        node.pass(100);
        node.frame(Stamp(n * 100 * MS), true);
        if node.flight().is_some() {
            node.sees(of(Vec::new()));
        }
    }
    assert_eq!(node.followed[0].1, GoalState::Aborted);
    let result = &node.followed[0].2;
    assert_eq!((result.status, result.times_lost), (FollowStatus::Lost, 1));
}

#[test]
fn what_cannot_be_followed_is_refused_in_words() {
    let mut node = Harness::new(Settings::default());
    node.follow(1, the_cup());
    assert!(node.followed.is_empty(), "a frame may come");
    node.pass(1000);
    assert_eq!(node.followed[0].2.status, FollowStatus::NoImage);
    node.frame(Stamp(0), true);
    node.follow(2, the_cup());
    node.sees(Answer {
        status: AnswerStatus::TextOnly,
        text: "There is no cup.".to_owned(),
        ..of(Vec::new())
    });
    let refused = |node: &Harness, status, words: &str| {
        let (_, state, result) = node.followed.last().unwrap();
        assert_eq!((*state, result.status), (GoalState::Aborted, status));
        assert!(result.error.contains(words), "{}", result.error);
    };
    refused(&node, FollowStatus::TextOnly, "There is no cup.");
    let wrong = |offer: FollowOffer, node: &mut Harness, n: u8, words: &str| {
        node.follow(n, offer);
        refused(node, FollowStatus::Error, words);
    };
    let nothing = FollowOffer {
        instruction: Vec::new(),
        ..the_cup()
    };
    wrong(
        nothing.clone(),
        &mut node,
        3,
        "names nothing to follow; accepted: an instruction",
    );
    let unknown = FollowOffer {
        instruction_id: "q7".to_owned(),
        ..nothing
    };
    wrong(unknown, &mut node, 4, "\"q7\"");
    let rate = |rate_hz| FollowOffer {
        rate_hz,
        ..the_cup()
    };
    wrong(rate(-1.0), &mut node, 5, "rate_hz is -1; accepted: above 0");
    wrong(rate(f32::NAN), &mut node, 6, "rate_hz is NaN");
    let negative = FollowOffer {
        duration: None,
        ..the_cup()
    };
    wrong(negative, &mut node, 7, "duration is negative");
    (10..18).for_each(|n| node.follow(n, the_cup()));
    node.follow(18, the_cup());
    refused(&node, FollowStatus::Overloaded, "8 goals");
    node.core.handle_enable(false, node.now);
    node.drain();
    refused(&node, FollowStatus::Error, "/lisa/enable");
    assert_eq!(node.followed.len(), 16);
}

#[test]
fn an_object_of_an_earlier_result_is_followed_without_asking() {
    let mut node = Harness::new(Settings::default());
    node.frame(Stamp(0), true);
    node.say("the cup", None);
    node.answer_one();
    let earlier = FollowOffer {
        instruction: Vec::new(),
        instruction_id: "1".to_owned(),
        ..the_cup()
    };
    node.follow(1, earlier);
    assert_eq!(node.last_look(), 1);
    node.sees(of(vec![at(5, 0.9)]));
    assert_eq!(node.ids(), [1]);
    node.cancel_follow(1);
    assert_eq!(node.followed[0].2.times_asked, 0);
}

#[test]
fn several_goals_and_the_repeats_of_mode_continuous_take_turns() {
    let settings = Settings {
        continuous: true,
        max_rate_hz: 60.0,
        ..Settings::default()
    };
    let mut node = Harness::new(settings);
    node.frame(Stamp(0), true);
    node.say("the cup", None);
    (1..=2).for_each(|n| node.follow(n, the_cup()));
    for n in 1..30 {
        node.frame(Stamp(n * 100 * MS), true);
        node.pass(100);
        match node.flight() {
            Some(_) => node.sees(of(vec![at(0, 0.9)])),
            None => node.answer_one(),
        }
    }
    let of_goal = |n: u8| {
        node.seen
            .iter()
            .filter(|f| f.goal == GoalId([n; 16]))
            .count()
    };
    for count in [of_goal(1), of_goal(2), node.results.len() / 2] {
        assert!(
            (6..=8).contains(&count),
            "{} {} {}",
            of_goal(1),
            of_goal(2),
            node.results.len()
        );
    }
}

#[test]
fn a_frame_that_cannot_be_read_is_left_out_unless_it_is_the_first() {
    let mut node = Harness::following(Settings::default(), the_cup());
    node.frame(Stamp(100 * MS), false);
    node.frame(Stamp(200 * MS), true);
    node.sees(of(vec![at(0, 0.9)]));
    assert_eq!(node.seen.len(), 2);
    node.frame(Stamp(300 * MS), false);
    node.follow(2, the_cup());
    let (_, state, result) = &node.followed[0];
    assert_eq!(
        (*state, result.status),
        (GoalState::Aborted, FollowStatus::Error)
    );
    assert!(result.error.contains("its encoding"), "{}", result.error);
}

/// A node with a depth topic that follows the cup.
fn following_in_space() -> Harness {
    let mut node = Harness::new(in_space());
    node.core
        .handle_camera_info(Camera::Colour, calibration(), node.now);
    node.frame(Stamp(0), true);
    node.follow(1, the_cup());
    node
}

#[test]
fn a_frame_waits_for_its_places_until_the_next_one_is_answered() {
    let no_info = Some("NO_CAMERA_INFO");
    let mut node = following_in_space();
    // The depth image comes before the answer, and after it.
    node.depth(0);
    node.sees(of(vec![at(0, 0.9)]));
    assert!(node.seen.is_empty(), "it is being measured");
    node.place(node.locating[0]);
    assert_eq!(node.places(), [no_info]);
    node.frame(Stamp(100 * MS), true);
    node.sees(of(vec![at(0, 0.9)]));
    assert_eq!(node.seen.len(), 1);
    node.depth(100);
    node.place(node.locating[1]);
    assert_eq!(node.places(), [no_info; 2]);
    // The depth image does not come in time.
    node.frame(Stamp(200 * MS), true);
    node.sees(of(vec![at(0, 0.9)]));
    node.frame(Stamp(300 * MS), true);
    assert_eq!(node.seen.len(), 2);
    node.sees(of(vec![at(0, 0.9)]));
    assert_eq!(node.places()[2..], [Some("NO_DEPTH")]);
    // Measuring is not done in time: the frame leaves without its place, and the next one is measured after that.
    node.depth(300);
    assert_eq!(node.locating.len(), 3);
    node.frame(Stamp(400 * MS), true);
    node.depth(400);
    node.sees(of(vec![at(0, 0.9)]));
    assert_eq!(node.places()[3..], [None]);
    assert_eq!(node.locating.len(), 3, "one frame at a time");
    node.place(node.locating[2]);
    assert_eq!((node.seen.len(), node.locating.len()), (4, 4));
    node.place(node.locating[3]);
    assert_eq!(node.places()[4..], [no_info]);
    let stamps = node.seen.iter().map(|f| f.header.stamp.nanoseconds() / MS);
    assert_eq!(stamps.collect::<Vec<_>>(), [0, 100, 200, 300, 400]);
}

#[test]
fn a_frame_whose_depth_image_does_not_come_is_told_all_the_same() {
    let mut node = following_in_space();
    node.sees(of(vec![at(0, 0.9)]));
    node.pass(499);
    assert!(node.seen.is_empty());
    node.pass(1);
    assert_eq!(node.places(), [Some("NO_DEPTH")]);
    // The end of a goal waits for nothing.
    node.frame(Stamp(100 * MS), true);
    node.sees(of(vec![at(0, 0.9)]));
    node.cancel_follow(1);
    assert_eq!(node.places(), [Some("NO_DEPTH"); 2]);
    assert_eq!(node.followed[0].2.frames, 2);
    // What is out of sight has no place to wait for.
    node.follow(2, the_cup());
    node.sees(of(vec![at(0, 0.9)]));
    node.frame(Stamp(200 * MS), true);
    node.sees(of(Vec::new()));
    assert_eq!(node.seen.len(), 4);
}

/// Something that may happen, in any order.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    /// Milliseconds after the frame before; a large negative number is a clock that went back. Whether it can be decoded.
    Frame(i64, bool),
    /// A goal, with its rate in Hz and its duration in milliseconds.
    Follow(u8, u8, u64),
    Cancel(u8),
    CancelAll,
    Say,
    Answer,
    /// The engine has computed a frame: whether it found anything, where, and how good the mask is.
    See(u8, u32, f32),
    FailLook,
    /// The depth image of the newest frame comes.
    Depth,
    /// Something was measured.
    Place,
    Enable(bool),
    Continuous(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..1500).prop_map(Step::Pass),
        8 => (prop_oneof![6 => 0i64..120, 1 => -3000i64..0, 1 => -50i64..0], prop::bool::weighted(0.9))
            .prop_map(|(ms, good)| Step::Frame(ms, good)),
        3 => (1u8..12, 0u8..20, prop_oneof![Just(0), 1u64..3000]).prop_map(|(n, hz, ms)| Step::Follow(n, hz, ms)),
        1 => (1u8..12).prop_map(Step::Cancel),
        1 => Just(Step::CancelAll),
        2 => Just(Step::Say),
        3 => Just(Step::Answer),
        8 => (0u8..3, 0u32..40, 0.0f32..1.0).prop_map(|(n, x, score)| Step::See(n, x, score)),
        1 => Just(Step::FailLook),
        4 => Just(Step::Depth),
        4 => Just(Step::Place),
        1 => prop::bool::weighted(0.8).prop_map(Step::Enable),
        1 => any::<bool>().prop_map(Step::Continuous),
    ]
}

fn play(steps: &[Step], has_depth: bool) -> Harness {
    let usual = match has_depth {
        true => in_space(),
        false => Settings::default(),
    };
    let mut node = Harness::new(usual.clone());
    node.core
        .handle_camera_info(Camera::Colour, calibration(), node.now);
    let (mut newest, mut arrivals) = (1_000_000, 0);
    // An id is accepted again once its goal is forgotten; here each is used once.
    let mut sent = BTreeSet::new();
    for step in steps {
        match step {
            Step::Pass(ms) => node.pass(*ms),
            Step::Frame(ms, good) => {
                newest += ms;
                arrivals += 1;
                // Its place among the frames, because stamps may be equal and clocks may go back.
                let header = Header {
                    frame_id: arrivals.to_string(),
                    ..header(Stamp(newest * MS))
                };
                let good = *good;
                node.core.handle_frame(TestFrame { header, good }, node.now);
                node.drain();
            }
            Step::Follow(n, hz, ms) => {
                let offer = FollowOffer {
                    rate_hz: f32::from(*hz),
                    duration: Some(Duration::from_millis(*ms)),
                    ..the_cup()
                };
                if sent.insert(*n) {
                    node.follow(*n, offer);
                }
            }
            Step::Cancel(n) => node.cancel_follow(*n),
            Step::CancelAll => node.cancel_follow(0),
            Step::Say => node.say("the cup", None),
            Step::Answer => {
                if node.engine.keys().any(|id| !id.is_follower()) {
                    node.answer_one();
                }
            }
            Step::See(count, x, score) => {
                if node.flight().is_some() {
                    let object = |index: usize| ObjectMask {
                        index,
                        ..at(*x + 20 * index as u32, *score)
                    };
                    let objects: Vec<_> = (0..usize::from(*count)).map(object).collect();
                    let status = match objects.is_empty() {
                        true => AnswerStatus::EmptyMask,
                        false => AnswerStatus::Segmented,
                    };
                    node.sees(Answer {
                        status,
                        ..of(objects)
                    });
                }
            }
            Step::FailLook => {
                if let Some(id) = node.flight() {
                    let error = RequestError::Model("it broke".to_owned());
                    node.event(id, Event::Failed(error));
                }
            }
            Step::Depth => node.depth(newest),
            Step::Place => {
                if !node.locating.is_empty() {
                    let first = node.locating.remove(0);
                    node.place(first);
                }
            }
            Step::Enable(on) => {
                node.core.handle_enable(*on, node.now);
                node.drain();
            }
            Step::Continuous(continuous) => {
                let settings = Settings {
                    continuous: *continuous,
                    ..usual.clone()
                };
                node.core.handle_settings(Arc::new(settings), node.now);
                node.drain();
            }
        }
        let flights = node.engine.keys().filter(|id| id.is_follower()).count();
        assert!(
            flights <= 1,
            "the engine has {flights} requests of followers"
        );
    }
    node.close();
    node
}

fn promises(node: &Harness) {
    // One result a goal, and none is owed.
    let accepted = node.log.iter().filter(|line| line.starts_with("follow "));
    let accepted: Vec<u64> = accepted
        .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert!(!node.core.owes_a_result());
    for goal in accepted {
        let results = node.followed.iter().filter(|(n, ..)| *n == goal).count();
        assert_eq!(results, 1, "goal {goal}: {:#?}", node.log);
    }
    // No feedback behind a goal's end, and newer and newer frames in it.
    let mut told: BTreeMap<[u8; 16], Vec<&FollowFeedback>> = BTreeMap::new();
    for feedback in &node.seen {
        told.entry(feedback.goal.0).or_default().push(feedback);
    }
    let mut everywhere = BTreeMap::new();
    for (goal, feedback) in told {
        for pair in feedback.windows(2) {
            let [before, after] =
                [pair[0], pair[1]].map(|f| f.header.frame_id.parse::<u32>().unwrap());
            assert!(before < after, "{before} {after}");
            assert!(pair[0].frames_dropped <= pair[1].frames_dropped);
        }
        for sighting in feedback.iter().flat_map(|f| &f.objects) {
            assert!(sighting.track_id > 0);
            let of = *everywhere.entry(sighting.track_id).or_insert(goal);
            assert_eq!(of, goal, "a number belongs to one goal's object");
        }
    }
    let last_seen = |goal: &str| {
        node.log
            .iter()
            .rposition(|l| l.starts_with(&format!("seen {goal}")))
    };
    let ended = |goal: &str| {
        let end = format!("log Info goal {goal} ");
        let warned = format!("log Warn goal {goal} ");
        node.log
            .iter()
            .position(|l| (l.starts_with(&end) || l.starts_with(&warned)) && l.contains(" after "))
    };
    for n in 1u8..12 {
        let goal = GoalId([n; 16]).to_string();
        if let (Some(seen), Some(end)) = (last_seen(&goal), ended(&goal)) {
            assert!(seen < end, "feedback after the end: {:#?}", node.log);
        }
    }
}

fn many() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.max(2048),
        ..usual
    }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn every_follower_ends_once_whatever_happens(
        steps in prop::collection::vec(step(), 0..80),
        has_depth in any::<bool>(),
    ) {
        let node = play(&steps, has_depth);
        promises(&node);
        prop_assert_eq!(&node.log, &play(&steps, has_depth).log);
    }
}
