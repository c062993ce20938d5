//! The Python package `rosbags` reads what we write, and we read what it writes.
//!
//! `LISA_BAG_PYTHON` names a Python that has the package; scripts/env.sh sets it, and scripts/setup_rosbags.sh makes it. So in
//! `make test` a package that is missing is a failure. Where no Python is named, the one that scripts/setup_rosbags.sh has made is
//! taken, or `python3`; where these lack the package nothing can be compared, and the test says that it was skipped.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use lisa_messages::{Instruction, ReasoningResult, SegmentedObject, StageTime, TextDelta};
use rosbag2::{
    standard_definition, Bag, BagWriter, ByteOrder, CameraInfo, Clock, CompressedImage, Durability,
    Header, Image, Message, NewTopic, Point, Pose, PoseStamped, QosProfile, Quaternion,
    RegionOfInterest, Reliability, Selection, StringMessage, TFMessage, Time, TopicId,
    TransformStamped, Vector3,
};

use crate::sample::ways;

const TIME: u64 = 1_700_000_000_500_000_000;

/// A Python that has the package. Without one the test named here is skipped, which is said past the harness: it shows what
/// a test prints only where it fails.
fn python(test: &str) -> Option<String> {
    let has = |python: &String| {
        let ran = Command::new(python).args(["-c", "import rosbags"]).output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    if let Ok(named) = std::env::var("LISA_BAG_PYTHON") {
        // Whoever names one wants to compare: a test that passes without would tell them nothing.
        assert!(
            has(&named),
            "LISA_BAG_PYTHON={named} has no package rosbags: run scripts/setup_rosbags.sh"
        );
        return Some(named);
    }
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.rosbags/bin/python3");
    let found = [ours, "python3"].map(str::to_owned).into_iter().find(has);
    if found.is_none() {
        let reason = "no Python here has the package rosbags: run scripts/setup_rosbags.sh";
        let line = format!("\nSKIPPED: interop::{test}: {reason}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found
}

/// Runs `interop.py`, and gives what it prints.
fn run(python: &str, command: &str, folder: &Path, more: &[&Path]) -> String {
    let package = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let ran = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bag/interop.py"))
        .arg(command)
        .arg(package.join("msg"))
        .arg(folder)
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command}: {said}");
    eprint!("{said}");
    String::from_utf8(ran.stdout).unwrap()
}

fn header() -> Header {
    Header {
        stamp: Time {
            sec: 1_700_000_000,
            nanosec: 500_000_000,
        },
        frame_id: "camera \u{e9}".into(),
    }
}

fn image() -> Image<'static> {
    Image {
        header: header(),
        height: 2,
        width: 3,
        encoding: "mono8".into(),
        is_bigendian: 0,
        step: 3,
        data: vec![0, 1, 2, 253, 254, 255].into(),
    }
}

/// One message of each type, as `interop.py` knows them, by topic.
struct Known {
    image: Image<'static>,
    compressed: CompressedImage<'static>,
    info: CameraInfo,
    text: StringMessage,
    clock: Clock,
    tf: TFMessage,
    instruction: Instruction,
    delta: TextDelta,
    result: ReasoningResult<'static>,
}

fn known() -> Known {
    let mut transform = TransformStamped {
        header: header(),
        child_frame_id: "tool".into(),
        ..TransformStamped::default()
    };
    transform.transform.translation.z = -1.5;
    transform.transform.rotation.w = 1.0;
    Known {
        image: image(),
        compressed: CompressedImage {
            header: header(),
            format: "png".into(),
            data: vec![1, 2, 3].into(),
        },
        info: CameraInfo {
            header: header(),
            height: 2,
            width: 3,
            distortion_model: "plumb_bob".into(),
            d: vec![0.5, -0.25],
            k: [1.0; 9],
            r: [2.0; 9],
            p: [3.0; 12],
            binning_x: 1,
            binning_y: 2,
            roi: roi(),
        },
        text: StringMessage {
            data: "change the TV channel".into(),
        },
        clock: Clock {
            clock: header().stamp,
        },
        tf: TFMessage {
            transforms: vec![transform],
        },
        instruction: Instruction {
            header: header(),
            id: "7".into(),
            conversation_id: String::new(),
            text: "find the cup".into(),
        },
        delta: TextDelta {
            header: header(),
            instruction_id: "7".into(),
            conversation_id: String::new(),
            delta: "It".into(),
            tokens: 1,
            done: true,
        },
        result: ReasoningResult {
            header: header(),
            instruction_id: "7".into(),
            conversation_id: String::new(),
            instruction: "find the cup".into(),
            answer: "It is [SEG].".into(),
            status: 0,
            error: String::new(),
            notes: vec!["a note".into()],
            objects: vec![SegmentedObject {
                id: 0,
                label: "cup".into(),
                score: 0.75,
                roi: roi(),
                mask: image(),
                track_id: 7,
                spatial_status: 1,
                pose: PoseStamped {
                    header: header(),
                    pose: Pose {
                        position: point(1.0, 2.0, 0.5),
                        orientation: Quaternion {
                            w: 1.0,
                            ..Default::default()
                        },
                    },
                },
                size: vector(0.25, 0.125, 0.5),
                depth_coverage: 0.75,
                number_of_points: 1234,
                grasp_point: point(1.0, 2.0, 0.75),
                grasp_normal: vector(0.0, 0.0, 1.0),
                grasp_axis: vector(0.0, 1.0, 0.0),
                grasp_width: 0.125,
            }],
            timings: vec![StageTime {
                stage: "total".into(),
                seconds: 1.5,
            }],
            token_seconds: vec![0.25, 0.5],
        },
    }
}

fn point(x: f64, y: f64, z: f64) -> Point {
    Point { x, y, z }
}

fn vector(x: f64, y: f64, z: f64) -> Vector3 {
    Vector3 { x, y, z }
}

fn roi() -> RegionOfInterest {
    RegionOfInterest {
        x_offset: 1,
        y_offset: 2,
        height: 3,
        width: 4,
        do_rectify: true,
    }
}

/// Adds a topic, and gives its message in both byte orders.
fn add<'a, T: Message<'a>>(
    writer: &mut BagWriter,
    name: &str,
    message: &T,
) -> (TopicId, [Vec<u8>; 2]) {
    let topic = NewTopic::of::<T>(name)
        .qos(QosProfile::sensor_data())
        .qos(QosProfile::transient_local(1));
    let orders = [ByteOrder::Little, ByteOrder::Big];
    let topic = writer.add_topic(topic).unwrap();
    (topic, orders.map(|order| message.to_cdr_in(order)))
}

#[test]
fn rosbags_reads_what_we_write() {
    let Some(python) = python("rosbags_reads_what_we_write") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in ways() {
        let mut writer = BagWriter::create(folder.path().join(name), options).unwrap();
        let known = known();
        let messages = [
            add(&mut writer, "/image", &known.image),
            add(&mut writer, "/compressed", &known.compressed),
            add(&mut writer, "/info", &known.info),
            add(&mut writer, "/text", &known.text),
            add(&mut writer, "/clock", &known.clock),
            add(&mut writer, "/tf", &known.tf),
            add(&mut writer, "/instruction", &known.instruction),
            add(&mut writer, "/delta", &known.delta),
            add(&mut writer, "/result", &known.result),
        ];
        for round in 0..2 {
            for (topic, data) in &messages {
                let time = TIME + round as u64 * 1_000_000_000;
                writer.write(*topic, time, &data[round]).unwrap();
            }
        }
        writer.finish().unwrap();
    }
    let said = run(&python, "check", folder.path(), &[]);
    assert_eq!(said.lines().count(), ways().len(), "{said}");
}

fn same<'m, T>(bag: &Bag, message: &'m rosbag2::RawMessage, known: &T)
where
    T: Message<'m> + PartialEq + std::fmt::Debug,
{
    assert_eq!(&bag.decode::<T>(message).unwrap(), known);
}

fn known_hash(ros_type: &str) -> Option<&'static str> {
    let mut own = lisa_messages::DEFINITIONS.iter().copied();
    let own = own.find(|own| own.ros_type == ros_type);
    own.or_else(|| standard_definition(ros_type))
        .map(|known| known.hash)
}

#[test]
fn we_read_what_rosbags_writes() {
    let Some(python) = python("we_read_what_rosbags_writes") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    run(&python, "write", folder.path(), &[]);
    let mut bags = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bag = Bag::open(&path).unwrap();
        let name = path.display();
        assert_eq!(bag.notes(), [], "{name}");
        assert_eq!(bag.message_count(), 18, "{name}");
        assert_eq!(bag.span(), Some((TIME, TIME + 1_000_000_000)), "{name}");
        for topic in bag.topics() {
            let [qos] = &topic.qos[..] else {
                panic!("{name}: {topic:?}");
            };
            assert_eq!(qos.reliability, Reliability::BestEffort, "{name}");
            assert_eq!(qos.durability, Durability::TransientLocal, "{name}");
            assert_eq!(qos.depth, 7, "{name}");
            assert_eq!(
                topic.type_hash.as_deref(),
                known_hash(&topic.ros_type),
                "{name}"
            );
            assert!(topic.definition.is_some(), "{name}");
        }
        let known = known();
        let mut messages = 0;
        for message in bag.messages(&Selection::all()).unwrap() {
            let message = message.unwrap();
            match bag.topics()[message.topic].name.as_str() {
                "/image" => same(&bag, &message, &known.image),
                "/compressed" => same(&bag, &message, &known.compressed),
                "/info" => same(&bag, &message, &known.info),
                "/text" => same(&bag, &message, &known.text),
                "/clock" => same(&bag, &message, &known.clock),
                "/tf" => same(&bag, &message, &known.tf),
                "/instruction" => same(&bag, &message, &known.instruction),
                "/delta" => same(&bag, &message, &known.delta),
                "/result" => same(&bag, &message, &known.result),
                other => panic!("{other}"),
            }
            messages += 1;
        }
        assert_eq!(messages, 18, "{name}");
        bags += 1;
    }
    assert_eq!(bags, 14);
}
