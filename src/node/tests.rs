//! The state machine under a virtual clock: single situations here, random ones in `interleavings.rs`.

mod following;
mod harness;
mod interleavings;

use super::*;
use crate::engine::{Answer, AttentionMap, Event, Stage};
use crate::frames::Stamp;
use crate::image::ClipView;
pub(super) use harness::block;
pub(crate) use harness::{answer, object};
use harness::{header, Harness, MS};

/// Node and replay once disagreed here: the instruction waits for a second after the node began to listen, and not after the
/// instruction came.
#[test]
fn an_instruction_waits_for_the_first_frame_a_second_after_the_node_began_to_listen() {
    let mut node = Harness::new(Settings::default());
    node.pass(900);
    node.say("the cup", None);
    node.pass(99);
    assert!(node.results.is_empty());
    node.pass(1);
    assert_eq!(node.statuses(), [ResultStatus::NoImage]);
    // An instruction that comes after the first second is refused at once.
    node.pass(500);
    node.say("the cup", None);
    assert_eq!(node.statuses(), [ResultStatus::NoImage; 2]);
    // A frame that comes within that second is taken.
    let mut node = Harness::new(Settings::default());
    node.say("the cup", None);
    node.pass(500);
    node.frame(Stamp(7 * MS), true);
    node.answer_one();
    assert_eq!(node.results[0].header, header(Stamp(7 * MS)));
}

#[test]
fn a_stamped_instruction_waits_for_a_frame_at_or_behind_its_stamp() {
    let mut node = Harness::new(Settings::default());
    node.frame(Stamp(1000 * MS), true);
    node.say("the cup", Some(Stamp(1050 * MS)));
    assert!(node.engine.is_empty(), "a nearer one may be on its way");
    node.frame(Stamp(1066 * MS), true);
    node.answer_one();
    assert_eq!(node.results[0].header, header(Stamp(1066 * MS)));
    // If none comes, the nearest is taken after half a second, provided that it is near enough.
    for (stamp, status) in [
        (1100, ResultStatus::Segmented),
        (1200, ResultStatus::NoImage),
    ] {
        node.say("the cup", Some(Stamp(stamp * MS)));
        node.pass(499);
        node.answer_one();
        node.pass(1);
        node.answer_one();
        assert_eq!(node.results.last().unwrap().status(), status, "{stamp}");
    }
}

#[test]
fn so_many_wait_and_one_more_is_overloaded() {
    let settings = Settings {
        max_pending: 2,
        ..Settings::default()
    };
    let mut node = Harness::new(settings);
    node.frame(Stamp(MS), true);
    (0..4).for_each(|_| node.say("the cup", None));
    // One is being answered, two wait, and the fourth is refused.
    assert_eq!(node.statuses(), [ResultStatus::Overloaded]);
    assert!(node.results[0].message().error.contains("2 requests"));
    assert_eq!(node.results[0].header, header(Stamp(MS)));
    (0..3).for_each(|_| node.answer_one());
    let answered = [ResultStatus::Segmented; 3];
    assert_eq!(node.statuses()[1..], answered);
}

#[test]
fn an_object_leaves_before_the_answer_is_whole() {
    let mut node = Harness::new(Settings::default());
    node.frame(Stamp(MS), true);
    node.goal(1, None);
    let id = *node.engine.keys().next().unwrap();
    node.event(id, Event::Mask(object()));
    node.event(
        id,
        Event::TextDelta {
            text: "because".to_owned(),
            tokens: 5,
        },
    );
    node.event(id, Event::Done(Box::new(answer())));
    let at = |what: &str| {
        let found = node.log.iter().position(|line| line.starts_with(what));
        found.unwrap_or_else(|| panic!("no {what} in {:#?}", node.log))
    };
    assert!(at("object") < at("delta") && at("delta") < at("result"));
    assert!(at("mask") < at("result") && at("answer") < at("result"));
    assert!(
        node.log[at("feedback")].ends_with("true"),
        "{:#?}",
        node.log
    );
    assert!(node.log[at("result for 1")].contains("Succeeded"));
}

#[test]
fn the_pictures_are_drawn_after_the_mask_and_before_the_text_and_the_result() {
    let mut node = Harness::new(Settings::default());
    node.core.handle_subscribers(Subscribers {
        overlay: true,
        attention: true,
    });
    node.frame(Stamp(MS), true);
    node.say("the cup", None);
    let asked = node.log.last().unwrap();
    assert!(asked.contains("attention: true"), "{asked}");
    let looked = AttentionMap {
        grid: 1,
        weights: vec![1.0],
        sink: 0.0,
        view: ClipView {
            left: 0.0,
            top: 0.0,
            width: 1.0,
            height: 1.0,
        },
    };
    let id = *node.engine.keys().next().unwrap();
    let answer = Answer {
        attention: Some(looked),
        ..answer()
    };
    node.event(id, Event::Done(Box::new(answer)));
    let kinds = node.log.iter().map(|line| line.split(' ').next().unwrap());
    let expected = [
        "ask",
        "delta",
        "mask",
        "overlay",
        "attention",
        "answer",
        "result",
        "log",
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), expected, "{:#?}", node.log);
}

#[test]
fn what_is_taken_back_is_cancelled_whatever_the_engine_says_later() {
    let mut node = Harness::new(Settings::default());
    node.frame(Stamp(MS), true);
    (1..=2).for_each(|n| node.goal(n, None));
    let ids: Vec<QuestionId> = node.engine.keys().copied().collect();
    node.event(ids[0], Event::Stage(Stage::Generate));
    let all = GoalId([0; 16]);
    node.core.handle_cancel(all, Stamp(0), 7, node.now);
    node.drain();
    assert_eq!(
        node.statuses(),
        [ResultStatus::Cancelled],
        "the one that waited"
    );
    node.event(ids[0], Event::Done(Box::new(answer())));
    assert_eq!(node.statuses(), [ResultStatus::Cancelled; 2]);
    let ended = |line: &&String| line.starts_with("result for") && line.contains("Canceled");
    assert_eq!(node.log.iter().filter(ended).count(), 2, "{:#?}", node.log);
}

#[test]
fn a_disabled_node_refuses_and_forgets_its_frames() {
    let mut node = Harness::new(Settings::default());
    node.frame(Stamp(MS), true);
    node.core.handle_enable(false, node.now);
    node.say("the cup", None);
    assert_eq!(node.statuses(), [ResultStatus::Error]);
    let error = node.results[0].message().error;
    assert!(error.contains("/lisa/enable"), "{error}");
    node.pass(60_000);
    node.core.handle_enable(true, node.now);
    node.say("the cup", None);
    assert_eq!(node.results.len(), 1, "the camera has a second again");
    node.frame(Stamp(60_000 * MS), true);
    node.answer_one();
    assert_eq!(node.results[1].header, header(Stamp(60_000 * MS)));
}

#[test]
fn silence_is_said_once_and_so_is_its_end() {
    let mut node = Harness::new(Settings::default());
    node.pass(20_000);
    node.frame(Stamp(MS), true);
    node.pass(4_000);
    node.frame(Stamp(2 * MS), true);
    let log: Vec<&String> = node.log.iter().collect();
    assert_eq!(
        log,
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
    let mut node = Harness::new(settings);
    node.frame(Stamp(MS), true);
    node.say("the cup", None);
    node.answer_one();
    node.pass(1000);
    assert!(node.engine.is_empty(), "the same frame");
    for n in 2..30 {
        node.frame(Stamp(n * 10 * MS), true);
        node.pass(10);
        node.answer_one();
    }
    // In 280 ms there are two repeats at 10 Hz after the first, which comes at once.
    assert_eq!(node.results.len(), 1 + 3);
    let repeats = node.results[1..].iter();
    assert!(repeats.clone().all(|r| r.question.origin == Origin::Repeat));
    assert!(repeats.clone().all(|r| r.question.instruction_id == "1"));
}
