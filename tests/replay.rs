//! Recordings with lisa-mini: which frame is asked about, answers that go into a bag and can be resumed, and reports that are
//! the same whether the engine or a node answered.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lisa::data::TruthMask;
use lisa::engine::{AnswerOptions, Engine, EngineConfig};
use lisa::eval::{Gallery, Protocol, Run};
use lisa::frames::Stamp;
use lisa::node::{Settings, SpaceSettings, Subscribers};
use lisa::replay::{
    compare, image_topic, instruction_topics, AnnotateOptions, Annotator, Asker, BagReport,
    DepthTransport, FoundSpace, GroundTruth, Judge, Questions, RecordedResults, ReplayError,
    ResolvedQuestion, SpaceChoice, SpaceTopics, Timeline, TrueBoxes, Truth,
};
use lisa::spatial::NotLocatedCode;
use lisa_messages::{Detection3DArray, Instruction, MarkerArray};
use rosbag2::{
    Bag, BagWriter, CameraInfo, CompressedImage, Header, Image, Message, NewTopic, Selection,
    StringMessage, TFMessage, Time, Transform, TransformStamped, WriterOptions,
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
        object_points: false,
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
    let mut asker = Asker::new(&bag, &engine);
    let ground_truth = || Some(GroundTruth::open(&bag, "/ground_truth/mask").unwrap());

    let mut judge = Judge::new(&bag, ground_truth(), Gallery::new(0));
    for resolved in timeline(&bag) {
        let shot = resolved.frame().cloned();
        let answered = asker.ask(resolved);
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
        annotator.write(&asker.ask(resolved)).unwrap();
    }
    annotator.finish().unwrap();
    let mut annotator = Annotator::begin(&bag, &pieces, annotating("a")).unwrap();
    for resolved in timeline(&bag).take(2) {
        annotator.write(&asker.ask(resolved)).unwrap();
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
        annotator.write(&asker.ask(resolved)).unwrap();
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
    let mut asker = Asker::new(&bag, &engine);
    let mut annotator = Annotator::begin(&bag, &out, copying).unwrap();
    let questions: Vec<ResolvedQuestion> = timeline(&bag).collect();
    for resolved in questions {
        annotator.write(&asker.ask(resolved)).unwrap();
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
    let mut asker = Asker::new(&bag, &engine);
    let mut judge = Judge::new(&bag, None, Gallery::new(0));
    for resolved in timeline(&bag) {
        let shot = resolved.frame().cloned();
        let answered = asker.ask(resolved);
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

/// The recording's questions, with what their objects are measured with.
fn in_space(bag: &Bag, space: SpaceSettings) -> Timeline<'_> {
    let pictures = image_topic(bag, None).unwrap();
    let found = SpaceTopics::find(bag, &pictures, &SpaceChoice::default()).unwrap();
    let settings = Settings {
        answer: options(),
        space: SpaceSettings {
            enabled: true,
            ..space
        },
        ..Settings::default()
    };
    let questions = Questions::Recorded(instruction_topics(bag, None).unwrap());
    let timeline = Timeline::new(bag, pictures, questions, settings, Subscribers::default());
    let topics = found.topics().expect("a bag with depth").clone();
    timeline.unwrap().with_space(topics).unwrap()
}

#[test]
fn objects_get_their_places_in_answers_bags_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let bag = Bag::open(recording(folder.path())).unwrap();
    let engine = engine();
    let mut asker = Asker::new(&bag, &engine);
    let judge = || {
        let truth = GroundTruth::open(&bag, "/ground_truth/mask").unwrap();
        let boxes = TrueBoxes::open(&bag, "/ground_truth/boxes").unwrap();
        Judge::new(&bag, Some(truth), Gallery::new(0)).with_true_boxes(boxes)
    };
    let space = SpaceSettings {
        target_frame: "table".to_owned(),
        ..SpaceSettings::default()
    };
    let node = Settings {
        space: SpaceSettings {
            enabled: true,
            ..space.clone()
        },
        ..Settings::default()
    };
    let annotating = AnnotateOptions {
        node,
        object_points: true,
        ..annotating("a")
    };
    let out = folder.path().join("out");
    let mut annotator = Annotator::begin(&bag, &out, annotating).unwrap();
    let mut computing = judge();
    let mut placed = 0;
    for resolved in in_space(&bag, space.clone()) {
        let frame = resolved.frame().cloned();
        let answered = asker.ask(resolved);
        for object in answered.result.objects.iter() {
            let place = object.place.as_ref().unwrap();
            // A mask of a few pixels may have too few points; nothing else is missing here.
            match place {
                Ok(place) => assert_eq!(place.frame_id, "table"),
                Err(why) => assert_eq!(why.code(), NotLocatedCode::TooFewPoints, "{why}"),
            }
            placed += usize::from(place.is_ok());
        }
        annotator.write(&answered).unwrap();
        computing.computed(frame.as_deref(), &answered).unwrap();
    }
    assert!(placed > 0, "lisa-mini finds something");
    annotator.finish().unwrap();
    let (computed, _) = computing.finish(run(Protocol::Generated));
    let rows = &computed.report.places.as_ref().unwrap().rows;
    let truth = rows.iter().find(|row| row.name == "true masks").unwrap();
    // Coarse pictures of 160x120: a pixel is 7 mm, and the far side of a thing is not seen.
    assert!(truth.centre_mm.unwrap().median < 40.0, "{truth:?}");
    assert!(
        truth.coverage.unwrap() > 0.9 && truth.iou.unwrap() > 0.3,
        "{truth:?}"
    );
    assert_eq!(rows[0].name, "predicted masks");
    assert!(rows[0].objects >= placed);

    // The bag of answers says the same, and is judged alike.
    let answers = Bag::open(&out).unwrap();
    let results = RecordedResults::open(&answers, None).unwrap();
    let mut judging = judge();
    for resolved in in_space(&bag, space) {
        let said = results.result(&resolved.question.instruction_id).unwrap();
        judging.recorded(&resolved, said.as_ref()).unwrap();
    }
    let (recorded, _) = judging.finish(run(Protocol::Recorded));
    let predicted = &recorded.report.places.as_ref().unwrap().rows[0];
    assert_eq!(predicted.centre_mm, rows[0].centre_mm);
    assert!((predicted.iou.unwrap() - rows[0].iou.unwrap()).abs() < 1e-9);
    let boxes = answers.messages(&Selection::all().topics(["/lisa/detections_3d"]));
    let boxes = boxes.unwrap().map(|message| {
        let boxes: Detection3DArray = answers.decode(&message.unwrap()).unwrap();
        boxes.detections.len()
    });
    assert_eq!(boxes.sum::<usize>(), placed);
    for topic in ["/lisa/markers", "/lisa/object_points", "/lisa/label_info"] {
        assert!(answers.topic(topic).unwrap().messages > 0, "{topic}");
    }
    let mut markers = answers
        .messages(&Selection::all().topics(["/lisa/markers"]))
        .unwrap();
    let first = markers.next().unwrap().unwrap();
    let first: MarkerArray<'_> = answers.decode(&first).unwrap();
    assert!(first.markers.iter().all(|marker| !marker.ns.is_empty()));
    assert_eq!(
        answers.topic("/lisa/detections").unwrap().messages,
        SCENES as u64
    );
}

/// What is recorded of a camera that has depth, each message with the second at which it was recorded.
#[derive(Default)]
struct Robot {
    /// Stamps of frames, which are recorded at once.
    frames: Vec<f64>,
    /// (recorded, stamp)
    depth: Vec<(f64, f64)>,
    /// (recorded, stamp)
    transforms: Vec<(f64, f64)>,
    /// Instructions: (heard, about which stamp)
    asks: Vec<(f64, f64)>,
}

impl Robot {
    fn bag(&self, folder: &Path) -> Bag {
        let path = folder.join("robot");
        let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
        let mut topic = |new: NewTopic| writer.add_topic(new).unwrap();
        let pictures = topic(NewTopic::of::<Image<'_>>("/camera/image_raw"));
        let info = topic(NewTopic::of::<CameraInfo>("/camera/camera_info"));
        let depth = topic(NewTopic::of::<Image<'_>>("/camera/depth/image"));
        let tf = topic(NewTopic::of::<TFMessage>("/tf"));
        let ask = topic(NewTopic::of::<Instruction>("/ask"));
        let nanoseconds = |seconds: f64| (seconds * 1e9) as u64;
        let header = |seconds: f64| Header {
            stamp: Time::from_nanoseconds(nanoseconds(seconds) as i64),
            frame_id: "camera".to_owned(),
        };
        let image = |stamp, encoding: &str, bytes: u32| Image {
            header: header(stamp),
            width: 4,
            height: 4,
            encoding: encoding.to_owned(),
            step: 4 * bytes,
            data: vec![1; 16 * bytes as usize].into(),
            ..Image::default()
        };
        let mut messages = Vec::new();
        for stamp in &self.frames {
            messages.push((*stamp, pictures, image(*stamp, "rgb8", 3).to_cdr()));
            let calibration = CameraInfo {
                header: header(*stamp),
                width: 4,
                height: 4,
                k: [4.0, 0.0, 1.5, 0.0, 4.0, 1.5, 0.0, 0.0, 1.0],
                ..CameraInfo::default()
            };
            messages.push((*stamp, info, calibration.to_cdr()));
        }
        for (recorded, stamp) in &self.depth {
            messages.push((*recorded, depth, image(*stamp, "16UC1", 2).to_cdr()));
        }
        for (recorded, stamp) in &self.transforms {
            let mut transform = Transform::default();
            transform.rotation.w = 1.0;
            let moved = TransformStamped {
                header: Header {
                    frame_id: "base".to_owned(),
                    ..header(*stamp)
                },
                child_frame_id: "camera".to_owned(),
                transform,
            };
            let message = TFMessage {
                transforms: vec![moved],
            };
            messages.push((*recorded, tf, message.to_cdr()));
        }
        for (heard, about) in &self.asks {
            let instruction = Instruction {
                header: header(*about),
                text: "the mug".to_owned(),
                ..Instruction::default()
            };
            messages.push((*heard, ask, instruction.to_cdr()));
        }
        messages.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, topic, data) in messages {
            writer.write(topic, nanoseconds(at), &data).unwrap();
        }
        writer.finish().unwrap();
        Bag::open(&path).unwrap()
    }
}

/// The numbers of the questions in their order, and why their objects cannot be measured.
fn scenes(timeline: Timeline<'_>) -> Vec<(u64, Option<NotLocatedCode>)> {
    let scene = |resolved: ResolvedQuestion| {
        let scene = resolved.scene.expect("places are looked for");
        (resolved.question.id.0, scene.err().map(|why| why.code()))
    };
    timeline.map(scene).collect()
}

#[test]
fn what_an_object_is_measured_with_is_waited_for_in_the_recording_s_time() {
    let folder = tempfile::tempdir().unwrap();
    let no_depth = Some(NotLocatedCode::NoDepth);
    let bag = Robot {
        frames: vec![10.0, 11.0, 12.0, 13.0, 14.0],
        // There before the question; within the half second; after it; too far from the frame; and nothing at the end.
        depth: vec![(10.05, 10.0), (11.5, 11.02), (12.8, 12.0), (13.1, 13.2)],
        asks: vec![
            (10.1, 10.0),
            (11.1, 11.0),
            (12.1, 12.0),
            (13.1, 13.0),
            (14.1, 14.0),
        ],
        ..Robot::default()
    }
    .bag(folder.path());
    let found = scenes(in_space(&bag, SpaceSettings::default()));
    let expected = [
        (1, None),
        (2, None),
        (3, no_depth),
        (4, no_depth),
        (5, no_depth),
    ];
    assert_eq!(found, expected);
    // Longer waiting finds the third, too, and a larger distance the fourth.
    let patient = SpaceSettings {
        depth_timeout_s: 1.0,
        max_offset_s: 0.3,
        ..SpaceSettings::default()
    };
    let found = scenes(in_space(&bag, patient));
    assert_eq!(found[2..], [(3, None), (4, None), (5, no_depth)]);
}

#[test]
fn a_transform_is_waited_for_and_questions_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let bag = Robot {
        frames: vec![10.0, 10.5],
        depth: vec![(10.0, 10.0), (10.5, 10.5)],
        // The first frame's comes 0.15 s after the question, and the second's not at all.
        transforms: vec![(9.9, 9.9), (10.25, 10.1)],
        asks: vec![(10.1, 10.0), (10.6, 10.5), (10.65, 10.0)],
    }
    .bag(folder.path());
    let in_base = SpaceSettings {
        target_frame: "base".to_owned(),
        ..SpaceSettings::default()
    };
    let no_transform = Some(NotLocatedCode::NoTransform);
    let found = scenes(in_space(&bag, in_base));
    assert_eq!(found, [(1, None), (2, no_transform), (3, None)]);
}

#[test]
fn topics_about_space_are_found_by_convention_or_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let bag = |name: &str, topics: &[(&str, &str)]| {
        let path = folder.path().join(name);
        let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
        for (name, frame_id) in topics {
            let header = Header {
                frame_id: (*frame_id).to_owned(),
                ..Header::default()
            };
            if name.ends_with("info") {
                let topic = writer.add_topic(NewTopic::of::<CameraInfo>(*name)).unwrap();
                let info = CameraInfo {
                    header,
                    ..CameraInfo::default()
                };
                writer.write_message(topic, 1, &info).unwrap();
                continue;
            }
            let topic = writer.add_topic(NewTopic::of::<Image<'_>>(*name)).unwrap();
            let encoding = match name.contains("depth") {
                true => "16UC1",
                false => "rgb8",
            };
            let image = Image {
                header,
                encoding: encoding.to_owned(),
                ..Image::default()
            };
            writer.write_message(topic, 1, &image).unwrap();
        }
        writer.finish().unwrap();
        Bag::open(&path).unwrap()
    };
    let find = |bag: &Bag, choice: SpaceChoice| {
        let camera = image_topic(bag, Some("/rgb/image")).unwrap();
        SpaceTopics::find(bag, &camera, &choice)
    };
    let usual = SpaceChoice::default;
    let raw = || SpaceChoice {
        transport: DepthTransport::Raw,
        ..SpaceChoice::default()
    };
    let camera = ("/rgb/image", "rgb");
    let info = ("/rgb/camera_info", "rgb");
    // No depth: only who asks for it gets NO_DEPTH.
    let none = bag("none", &[camera, info]);
    assert_eq!(find(&none, usual()).unwrap(), FoundSpace::Nothing);
    let FoundSpace::Topics(topics) = find(&none, raw()).unwrap() else {
        panic!("depth was asked for");
    };
    assert_eq!(topics.depth(), None);
    // Of several the one in the camera's own frame.
    let (far, own) = (("/depth/image", "depth"), ("/depth_to_rgb/image", "rgb"));
    let both = bag("both", &[camera, info, far, own]);
    let found = find(&both, usual()).unwrap();
    let depth = found.topics().unwrap().depth().unwrap();
    assert_eq!(depth.name, "/depth_to_rgb/image");
    let off = SpaceChoice {
        transport: DepthTransport::Off,
        ..SpaceChoice::default()
    };
    assert_eq!(find(&both, off).unwrap(), FoundSpace::Nothing);
    // Where it is not clear, nothing is used, and it is said why.
    let others = bag("others", &[camera, info, far, ("/depth_2/image", "other")]);
    let FoundSpace::Unclear(why) = find(&others, usual()).unwrap() else {
        panic!("two topics that are equally good");
    };
    assert!(
        why.contains("/depth/image, /depth_2/image") && why.contains("--depth-topic"),
        "{why}"
    );
    let error = find(&others, raw()).unwrap_err().to_string();
    assert!(error.contains("name one with --depth-topic"), "{error}");
    // A calibration elsewhere is known by its frame.
    let elsewhere = bag(
        "elsewhere",
        &[camera, far, ("/calibration/rgb_info", "rgb")],
    );
    assert!(find(&elsewhere, usual()).unwrap().topics().is_some());
    let FoundSpace::Unclear(why) = find(&bag("bare", &[camera, far]), usual()).unwrap() else {
        panic!("no calibration");
    };
    assert!(why.contains("--camera-info-topic"), "{why}");
    let wrong = SpaceChoice {
        depth: Some("/rgb/camera_info".to_owned()),
        ..SpaceChoice::default()
    };
    let error = find(&both, wrong).unwrap_err().to_string();
    assert!(error.contains("accepted: sensor_msgs/msg/Image"), "{error}");
}
