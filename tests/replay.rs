//! Recordings with lisa-mini: which frame is asked about, answers that go into a bag and can be resumed, and reports that are
//! the same whether the engine or a node answered.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lisa::data::TruthMask;
use lisa::engine::{AnswerOptions, Engine, EngineConfig};
use lisa::eval::{Gallery, Protocol, Run};
use lisa::frames::Stamp;
use lisa::node::{Settings, Subscribers};
use lisa::replay::{
    ask, compare, image_topic, instruction_topics, AnnotateOptions, Annotator, BagReport,
    GroundTruth, Judge, Questions, RecordedResults, ReplayError, ResolvedQuestion, Timeline, Truth,
};
use lisa_messages::Instruction;
use rosbag2::{
    Bag, BagWriter, CompressedImage, Header, Image, Message, NewTopic, Selection, StringMessage,
    Time, WriterOptions,
};
use tableworld::formats::{write_dataset, Format, Options, Order};
use tableworld::Split;

const SCENES: usize = 4;
const SECOND: u64 = 1_000_000_000;

fn engine() -> Engine {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lisa-mini");
    Engine::start(EngineConfig::new(&model)).unwrap()
}

fn options() -> AnswerOptions {
    AnswerOptions {
        max_new_tokens: 64,
        ..AnswerOptions::default()
    }
}

/// A recording of a few scenes of TableWorld.
fn recording(folder: &Path) -> PathBuf {
    let order = Order {
        formats: &[Format::Rosbag],
        split: Split::Test,
        seed0: 20,
        count: SCENES,
        width: 160,
        height: 120,
    };
    let made = write_dataset(&order, folder, &Options::default(), &|_| {}).unwrap();
    made.made[0].path.clone()
}

fn timeline(bag: &Bag) -> Timeline<'_> {
    let topics = instruction_topics(bag, None).unwrap();
    replay(bag, Questions::Recorded(topics))
}

fn replay(bag: &Bag, questions: Questions) -> Timeline<'_> {
    let settings = Settings {
        answer: options(),
        ..Settings::default()
    };
    let pictures = image_topic(bag, None).unwrap();
    Timeline::new(bag, pictures, questions, settings, Subscribers::default()).unwrap()
}

fn annotating(settings: &str) -> AnnotateOptions {
    AnnotateOptions {
        namespace: "/lisa".to_owned(),
        node: Settings::default(),
        copy: false,
        settings: BTreeMap::from([("model".to_owned(), settings.to_owned())]),
    }
}

fn judged(report: BagReport) -> serde_json::Value {
    let mut rows = serde_json::to_value(report.instructions).unwrap();
    for row in rows.as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("latency_ms");
    }
    rows
}

fn run(protocol: Protocol) -> Run {
    Run {
        model: "lisa-mini".to_owned(),
        protocol,
        dataset: "bag".to_owned(),
        split: "test".to_owned(),
        seed: None,
        settings: BTreeMap::new(),
    }
}

#[test]
fn answers_are_gone_on_with_and_judged_as_if_they_were_computed() {
    let folder = tempfile::tempdir().unwrap();
    let bag = Bag::open(recording(folder.path())).unwrap();
    let engine = engine();
    let ground_truth = || Some(GroundTruth::open(&bag, "/ground_truth/mask").unwrap());

    let mut judge = Judge::new(&bag, ground_truth(), Gallery::new(0));
    for resolved in timeline(&bag) {
        let shot = resolved.frame().cloned();
        let answered = ask(&bag, &engine, resolved);
        judge.computed(shot.as_deref(), &answered).unwrap();
    }
    let (computed, _) = judge.finish(run(Protocol::Generated));
    let delivery = computed.report.delivery.clone().unwrap();
    assert_eq!((delivery.asked, delivery.answered), (SCENES, SCENES));
    assert_eq!(delivery.frame_age_ms, None);

    // Without a pause; ended in the middle without a word, and gone on with.
    let (whole, pieces) = (folder.path().join("whole"), folder.path().join("pieces"));
    let mut annotator = Annotator::begin(&bag, &whole, annotating("a")).unwrap();
    for resolved in timeline(&bag) {
        annotator.write(&ask(&bag, &engine, resolved)).unwrap();
    }
    annotator.finish().unwrap();
    let mut annotator = Annotator::begin(&bag, &pieces, annotating("a")).unwrap();
    for resolved in timeline(&bag).take(2) {
        annotator.write(&ask(&bag, &engine, resolved)).unwrap();
    }
    drop(annotator);
    let other = Annotator::begin(&bag, &pieces, annotating("b"))
        .err()
        .unwrap();
    assert!(
        matches!(other, ReplayError::OtherSettings { .. }),
        "{other}"
    );
    let mut annotator = Annotator::begin(&bag, &pieces, annotating("a")).unwrap();
    assert_eq!(annotator.done(), 2);
    let left: Vec<ResolvedQuestion> = timeline(&bag).filter(|m| !annotator.is_done(m)).collect();
    assert_eq!(left.len(), SCENES - 2);
    for resolved in left {
        annotator.write(&ask(&bag, &engine, resolved)).unwrap();
    }
    annotator.finish().unwrap();
    let again = Annotator::begin(&bag, &pieces, annotating("a"))
        .err()
        .unwrap();
    assert!(again.to_string().contains("pieces"), "{again}");

    let (whole, pieces) = (Bag::open(&whole).unwrap(), Bag::open(&pieces).unwrap());
    let (one, other) = (
        RecordedResults::open(&whole, None).unwrap(),
        RecordedResults::open(&pieces, None).unwrap(),
    );
    let found = compare(&one, &other).unwrap();
    assert_eq!((found.compared, found.equal), (SCENES, SCENES), "{found}");
    let names = |bag: &Bag| -> Vec<(String, u64)> {
        bag.topics()
            .iter()
            .map(|t| (t.name.clone(), t.messages))
            .collect()
    };
    assert_eq!(names(&whole), names(&pieces));

    let mut judge = Judge::new(&bag, ground_truth(), Gallery::new(0));
    for resolved in timeline(&bag) {
        let said = one.result(&resolved.question.instruction_id).unwrap();
        judge.recorded(&resolved, said.as_ref()).unwrap();
    }
    let (recorded, _) = judge.finish(run(Protocol::Recorded));
    assert_eq!(recorded.report.quality(), computed.report.quality());
    assert_eq!(judged(recorded), judged(computed));
}

#[test]
fn the_recording_goes_into_the_bag_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let bag = Bag::open(recording(folder.path())).unwrap();
    let out = folder.path().join("out");
    let copying = AnnotateOptions {
        copy: true,
        node: Settings {
            publish_overlay: false,
            ..Settings::default()
        },
        ..annotating("a")
    };
    let engine = engine();
    let mut annotator = Annotator::begin(&bag, &out, copying).unwrap();
    let questions: Vec<ResolvedQuestion> = timeline(&bag).collect();
    for resolved in questions {
        annotator.write(&ask(&bag, &engine, resolved)).unwrap();
    }
    annotator.finish().unwrap();
    assert!(!folder.path().join("out.part").exists());
    let out = Bag::open(&out).unwrap();
    let results = out.topic("/lisa/result").unwrap().messages;
    assert_eq!(results, SCENES as u64);
    let times: Vec<u64> = out
        .messages(&Selection::all())
        .unwrap()
        .map(|m| m.unwrap().log_time)
        .collect();
    assert!(times.is_sorted());
    for topic in bag.topics() {
        assert_eq!(out.topic(&topic.name).unwrap().messages, topic.messages);
    }
}

/// Frames at whole seconds from `from`, and instructions: (when heard, about which stamp; 0 the newest).
fn spoken(folder: &Path, frames: std::ops::Range<u64>, asks: &[(f64, f64)]) -> PathBuf {
    let path = folder.join("spoken");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let images = writer
        .add_topic(NewTopic::of::<CompressedImage<'_>>(
            "/camera/image_raw/compressed",
        ))
        .unwrap();
    let topic = writer
        .add_topic(NewTopic::of::<Instruction>("/ask"))
        .unwrap();
    let nanoseconds = |seconds: f64| (seconds * 1e9) as u64;
    let stamp = |time: u64| Header {
        stamp: Time::from_nanoseconds(time as i64),
        frame_id: "camera".to_owned(),
    };
    let mut messages = Vec::new();
    for second in frames {
        let image = CompressedImage {
            header: stamp(second * SECOND),
            format: "jpeg".to_owned(),
            data: vec![second as u8].into(),
        };
        messages.push((second * SECOND, images, image.to_cdr()));
    }
    for (heard, about) in asks {
        let instruction = Instruction {
            header: stamp(nanoseconds(*about)),
            text: "the mug".to_owned(),
            ..Instruction::default()
        };
        messages.push((nanoseconds(*heard), topic, instruction.to_cdr()));
    }
    messages.sort_by_key(|m| m.0);
    for (time, topic, data) in messages {
        writer.write(topic, time, &data).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn an_instruction_is_about_the_frame_that_the_node_would_take() {
    let folder = tempfile::tempdir().unwrap();
    let asks = [
        (10.2, 10.0),  // just seen
        (10.9, 11.05), // a moment before its frame
        (12.5, 0.0),   // the newest
        (13.5, 13.3),  // no frame near
        (14.2, 17.0),  // long before its frame: the node would not wait for it
        (16.9, 20.0),  // after the last frame
    ];
    let bag = Bag::open(spoken(folder.path(), 10..18, &asks)).unwrap();
    let mut found: Vec<(u64, Result<i64, String>)> = timeline(&bag)
        .map(|m| {
            (
                m.question.id.0,
                m.request
                    .map(|request| request.frame.stamp().0 / SECOND as i64)
                    .map_err(|refused| refused.message().error),
            )
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    let stamps: Vec<Option<i64>> = found
        .iter()
        .map(|(_, s)| s.as_ref().ok().copied())
        .collect();
    assert_eq!(stamps, [Some(10), Some(11), Some(12), None, None, None]);
    let why = found[3].1.as_ref().unwrap_err();
    assert!(
        why.contains("no frame within 0.1 s of stamp 13.300"),
        "{why}"
    );
}

/// The first frame is waited for a second after the recording began, as after the node began to listen, and not after
/// each instruction.
#[test]
fn the_first_frame_is_waited_for_as_the_node_would() {
    let folder = tempfile::tempdir().unwrap();
    let asks = [(9.2, 0.0), (9.9, 0.0), (10.5, 0.0)];
    let bag = Bag::open(spoken(folder.path(), 11..13, &asks)).unwrap();
    let found = timeline(&bag).map(|m| (m.question.id.0, m.request.is_ok()));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [(1, false), (2, false), (3, false)]
    );
    let folder = tempfile::tempdir().unwrap();
    let bag = Bag::open(spoken(folder.path(), 10..13, &asks)).unwrap();
    let found = timeline(&bag).map(|m| (m.question.id.0, m.request.is_ok()));
    assert_eq!(found.collect::<Vec<_>>(), [(1, true), (2, true), (3, true)]);
}

#[test]
fn the_same_can_be_asked_of_every_nth_frame() {
    let folder = tempfile::tempdir().unwrap();
    let bag = Bag::open(spoken(folder.path(), 10..20, &[])).unwrap();
    let pictures = image_topic(&bag, None).unwrap();
    assert!(pictures.compressed);
    let questions = Questions::EveryNthFrame {
        text: "the mug".to_owned(),
        every: 3,
    };
    let stamps: Vec<i64> = replay(&bag, questions)
        .map(|m| m.frame().unwrap().stamp().0 / SECOND as i64)
        .collect();
    assert_eq!(stamps, [10, 13, 16, 19]);
}

#[test]
fn what_cannot_be_answered_is_counted_and_the_next_one_is() {
    let folder = tempfile::tempdir().unwrap();
    // Frames of one byte are no pictures.
    let bag = Bag::open(spoken(folder.path(), 10..12, &[(10.5, 10.0), (11.5, 30.0)])).unwrap();
    let engine = engine();
    let mut judge = Judge::new(&bag, None, Gallery::new(0));
    for resolved in timeline(&bag) {
        let shot = resolved.frame().cloned();
        let answered = ask(&bag, &engine, resolved);
        judge.computed(shot.as_deref(), &answered).unwrap();
    }
    judge.unasked(3);
    let (report, _) = judge.finish(run(Protocol::Generated));
    let delivery = report.report.delivery.unwrap();
    assert_eq!(
        (delivery.asked, delivery.failed, delivery.no_image),
        (2, 1, 1)
    );
    assert_eq!(
        delivery.to_string(),
        "2 instructions, 1 without an image, 1 failed, 3 never asked"
    );
    assert!(report.instructions.iter().all(|row| !row.error.is_empty()));
}

#[test]
fn instructions_about_one_frame_take_its_masks_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("masks");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let topic = writer
        .add_topic(NewTopic::of::<Image<'_>>("/truth"))
        .unwrap();
    // Two of the same moment, then one of another frame.
    let end = u64::MAX;
    for (time, stamp, pixels) in [
        (100, 10, [255, 0]),
        (100, 10, [0, 255]),
        (100, 11, [0, 0]),
        // After the last moment comes none.
        (end, 12, [255, 0]),
        (end, 13, [0, 255]),
    ] {
        let mask = Image {
            header: Header {
                stamp: Time::from_nanoseconds(stamp),
                ..Header::default()
            },
            height: 1,
            width: 2,
            encoding: "mono8".to_owned(),
            step: 2,
            data: pixels.to_vec().into(),
            ..Image::default()
        };
        writer.write(topic, time, &mask.to_cdr()).unwrap();
    }
    writer.finish().unwrap();
    let bag = Bag::open(&path).unwrap();
    let ground_truth = GroundTruth::open(&bag, "/truth").unwrap();
    let about = |stamp, nth| ground_truth.about(Stamp(stamp), nth).unwrap();
    let there = |pixels: [u8; 2]| {
        Some(Truth::There(TruthMask {
            width: 2,
            height: 1,
            pixels: pixels.to_vec(),
        }))
    };
    assert_eq!([about(10, 0), about(10, 1)], [there([1, 0]), there([0, 1])]);
    assert_eq!((about(10, 2), about(11, 0)), (None, Some(Truth::Absent)));
    assert_eq!([about(12, 0), about(13, 0)], [there([1, 0]), there([0, 1])]);
}

#[test]
fn topics_are_found_or_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = BagWriter::create(folder.path().join("b"), WriterOptions::default()).unwrap();
    for name in ["/a/instruction", "/b/instruction", "/chatter"] {
        writer
            .add_topic(NewTopic::of::<StringMessage>(name))
            .unwrap();
    }
    writer.finish().unwrap();
    let bag = Bag::open(folder.path().join("b")).unwrap();
    let error = instruction_topics(&bag, None).unwrap_err().to_string();
    assert_eq!(
        error,
        "a topic with instructions: the bag has several (/a/instruction, /b/instruction); name one with --instruction-topic"
    );
    assert_eq!(
        instruction_topics(&bag, Some("/chatter")).unwrap(),
        ["/chatter"]
    );
    let error = RecordedResults::open(&bag, Some("/chatter"))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("std_msgs/msg/String") && error.contains("ReasoningResult"),
        "{error}"
    );
    let error = GroundTruth::open(&bag, "/chatter")
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("accepted: sensor_msgs/msg/Image"), "{error}");
}
