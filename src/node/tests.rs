//! The state machine under a virtual clock: single situations here, random ones in `interleavings.rs`.

mod following;
mod harness;
mod interleavings;
mod page;

use std::sync::Arc;

use depth_camera::CameraInfo;
use lisa_messages::SpatialStatus;

use super::*;
use crate::engine::{Answer, AttentionMap, Event, Stage};
use crate::frames::Stamp;
use crate::image::ClipView;
use crate::spatial::{Camera, DepthFrame, DepthMessage, NotLocated};
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
        "detections",
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

/// A depth image of 2x2 pixels, 1 m everywhere.
fn depth(stamp: Stamp) -> DepthFrame {
    let message = DepthMessage::Image {
        encoding: "16UC1".to_owned(),
        width: 2,
        height: 2,
        step: 4,
        is_bigendian: false,
        data: [0xe8, 0x03].repeat(4).into(),
    };
    DepthFrame::new(stamp, "camera", message)
}

fn calibration() -> CameraInfo {
    CameraInfo {
        width: 2,
        height: 2,
        k: [2.0, 0.0, 0.5, 0.0, 2.0, 0.5, 0.0, 0.0, 1.0],
        ..CameraInfo::default()
    }
}

fn in_space() -> Settings {
    Settings {
        space: SpaceSettings {
            enabled: true,
            ..SpaceSettings::default()
        },
        ..Settings::default()
    }
}

/// Which kinds of outputs there were, in their order, one word each, without the questions.
fn kinds(node: &Harness) -> Vec<&str> {
    let first = node.log.iter().filter_map(|line| line.split(' ').next());
    first.collect()
}

#[test]
fn an_object_waits_for_its_depth_image_and_the_answer_for_its_place() {
    let mut node = Harness::new(in_space());
    node.core
        .handle_camera_info(Camera::Colour, calibration(), node.now);
    node.frame(Stamp(1000 * MS), true);
    node.say("the cup", None);
    let id = QuestionId(1);
    node.event(id, Event::Mask(object()));
    node.event(id, Event::Done(Box::new(answer())));
    assert_eq!(
        kinds(&node),
        ["ask"],
        "neither the object nor the answer is out"
    );
    node.pass(400);
    // One that is older leaves a nearer one to hope for.
    node.core.handle_depth(depth(Stamp(990 * MS)), node.now);
    node.drain();
    assert_eq!(kinds(&node), ["ask"]);
    node.core.handle_depth(depth(Stamp(1010 * MS)), node.now);
    node.drain();
    assert_eq!(kinds(&node), ["ask", "locate"]);
    let why = Arc::new(NotLocated::NoCameraInfo {
        camera: Camera::Depth,
    });
    node.core
        .handle_place(id, 0, Err(Arc::clone(&why)), node.now);
    node.drain();
    let rest = [
        "object",
        "delta",
        "mask",
        "detections",
        "answer",
        "result",
        "log",
        "log",
    ];
    assert_eq!(kinds(&node)[2..], rest);
    let result = node.results[0].message();
    assert_eq!(
        result.objects[0].spatial_status,
        SpatialStatus::NoCameraInfo as u8
    );
    assert!(
        result.notes[0].starts_with("NO_CAMERA_INFO: object 0 could not"),
        "{:?}",
        result.notes
    );
}

#[test]
fn a_depth_image_that_comes_before_the_picture_whose_time_went_back_is_its_own() {
    let mut node = Harness::new(in_space());
    node.core
        .handle_camera_info(Camera::Colour, calibration(), node.now);
    node.core.handle_depth(depth(Stamp(9000 * MS)), node.now);
    node.frame(Stamp(9000 * MS), true);
    // A recording that begins anew; of the messages of one moment none is the first.
    node.core.handle_depth(depth(Stamp(1000 * MS)), node.now);
    node.frame(Stamp(1000 * MS), true);
    node.say("the cup", None);
    node.event(QuestionId(1), Event::Mask(object()));
    assert!(kinds(&node).contains(&"locate"), "{:?}", node.log);
}

#[test]
fn a_clock_that_goes_back_by_little_makes_what_comes_next_the_newest() {
    let mut node = Harness::new(Settings::default());
    node.frame(Stamp(1000 * MS), true);
    node.frame(Stamp(1800 * MS), true);
    // Half a second of a recording in a loop: its frames would be late ones for ever.
    node.core.handle_clock_back(Stamp(1300 * MS));
    node.frame(Stamp(1320 * MS), true);
    node.say("the cup", None);
    node.event(QuestionId(1), Event::Done(Box::new(answer())));
    assert_eq!(node.results[0].message().header, header(Stamp(1320 * MS)));
}

#[test]
fn what_does_not_come_is_named_and_the_mask_is_published_all_the_same() {
    let status = |prepare: &dyn Fn(&mut Harness)| {
        let mut node = Harness::new(in_space());
        node.frame(Stamp(1000 * MS), true);
        prepare(&mut node);
        node.say("the cup", None);
        node.answer_one();
        let waited = node.results.is_empty();
        node.pass(500);
        let objects = node.results[0].message().objects;
        assert_eq!(objects.len(), 1);
        (objects[0].spatial_status, waited)
    };
    let no_depth = SpatialStatus::NoDepth as u8;
    assert_eq!(status(&|_| ()), (no_depth, true));
    let late = |node: &mut Harness| node.core.handle_depth(depth(Stamp(1060 * MS)), node.now);
    assert_eq!(
        status(&late),
        (no_depth, false),
        "none can come that is nearer"
    );
    let no_calibration =
        |node: &mut Harness| node.core.handle_depth(depth(Stamp(1000 * MS)), node.now);
    let missing = SpatialStatus::NoCameraInfo as u8;
    assert_eq!(status(&no_calibration), (missing, true));
    let elsewhere = |node: &mut Harness| {
        let mut settings = in_space();
        settings.space.target_frame = "base_link".to_owned();
        let calibrated = calibration();
        node.core.handle_settings(Arc::new(settings), node.now);
        node.core
            .handle_camera_info(Camera::Colour, calibrated, node.now);
        node.core.handle_depth(depth(Stamp(1000 * MS)), node.now);
    };
    assert_eq!(status(&elsewhere), (SpatialStatus::NoTransform as u8, true));
}

#[test]
fn a_transform_that_arrives_late_is_waited_for() {
    let mut settings = in_space();
    settings.space.target_frame = "base_link".to_owned();
    let mut node = Harness::new(settings);
    node.core
        .handle_camera_info(Camera::Colour, calibration(), node.now);
    node.frame(Stamp(1000 * MS), true);
    node.core.handle_depth(depth(Stamp(1000 * MS)), node.now);
    node.say("the cup", None);
    node.event(QuestionId(1), Event::Mask(object()));
    let transform = |at: i64| StampedTransform {
        parent: "base_link".to_owned(),
        child: "camera".to_owned(),
        stamp: Stamp(at * MS),
        transform: tf_buffer::Transform::IDENTITY,
        is_static: false,
    };
    node.core.handle_transforms(&[transform(950)], node.now);
    node.drain();
    assert_eq!(kinds(&node), ["ask"], "nothing is extrapolated");
    node.pass(100);
    node.core.handle_transforms(&[transform(1050)], node.now);
    node.drain();
    assert_eq!(kinds(&node), ["ask", "locate"]);
}

/// A cancel is obeyed at once, although the engine has answered and only a place is missing.
#[test]
fn who_waits_for_a_place_can_be_cancelled() {
    let mut node = Harness::new(in_space());
    node.frame(Stamp(1000 * MS), true);
    node.goal(1, None);
    node.answer_one();
    assert!(node.results.is_empty());
    node.core
        .handle_cancel(GoalId([1; 16]), Stamp(0), 9, node.now);
    node.drain();
    assert_eq!(node.statuses(), [ResultStatus::Cancelled]);
    node.pass(1000);
    assert_eq!(node.results.len(), 1);
}

#[test]
fn a_node_that_is_deactivated_ends_its_questions_and_is_quiet_until_it_is_activated() {
    let mut node = Harness::new(Settings::default());
    node.say("waits for its frame", None);
    node.goal(1, Some(Stamp(5 * MS)));
    let deactivate = |node: &mut Harness| {
        let why = "the node is inactive; activate it";
        node.core.handle_deactivate(why, node.now);
        node.drain();
    };
    deactivate(&mut node);
    assert_eq!(node.statuses(), [ResultStatus::Cancelled; 2]);
    for result in &node.results {
        assert_eq!(result.message().error, "the node was deactivated");
    }
    // Nothing is taken and nothing published; who asks is told in the log what to do.
    let before = node.log.len();
    node.frame(Stamp(MS), true);
    node.say("ignored", None);
    node.goal(2, Some(Stamp(5 * MS)));
    node.pass(60_000);
    deactivate(&mut node);
    assert_eq!(node.results.len(), 2);
    let said = node.log[before..].join("\n");
    assert_eq!(
        said.matches("the node is inactive; activate it").count(),
        2,
        "{said}"
    );
    assert!(
        !said.contains("no image"),
        "it does not miss a camera: {said}"
    );
    assert!(node.core.frames().newest().is_none() && node.engine.is_empty());
    // Active again, it answers.
    node.core.handle_activate(node.now);
    node.frame(Stamp(2 * MS), true);
    node.say("the cup", None);
    node.answer_one();
    assert_eq!(node.statuses().last(), Some(&ResultStatus::Segmented));
}

#[test]
fn a_disabled_node_stays_disabled_when_it_is_activated() {
    let mut node = Harness::new(Settings::default());
    node.core.handle_enable(false, node.now);
    node.core.handle_deactivate("it is inactive", node.now);
    node.core.handle_activate(node.now);
    node.say("the cup", None);
    assert_eq!(node.statuses(), [ResultStatus::Error]);
    assert!(node.results[0].message().error.contains("disabled"));
}
