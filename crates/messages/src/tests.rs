use proptest::prelude::*;
use rosbag2::cdr::ByteOrder;
use rosbag2::{Message, Pose, Quaternion, Time};

use super::*;

fn header() -> Header {
    Header {
        stamp: Time::from_nanoseconds(1_700_000_000_123_456_789),
        frame_id: "camera".into(),
    }
}

fn point(x: f64) -> Point {
    Point { x, y: 0.25, z: 0.0 }
}

fn vector(x: f64) -> Vector3 {
    Vector3 { x, y: 0.25, z: 0.0 }
}

fn result(mask: &[u8]) -> ReasoningResult<'_> {
    let image = Image {
        header: header(),
        height: 1,
        width: mask.len() as u32,
        encoding: "mono8".into(),
        is_bigendian: 0,
        step: mask.len() as u32,
        data: mask.into(),
    };
    ReasoningResult {
        header: header(),
        answer: "It is [SEG].".into(),
        status: ResultStatus::Segmented as u8,
        notes: vec!["one".into(), String::new()],
        objects: vec![SegmentedObject {
            id: 0,
            label: "cup".into(),
            score: 0.75,
            roi: RegionOfInterest::default(),
            mask: image,
            track_id: 7,
            spatial_status: SpatialStatus::Ok as u8,
            pose: PoseStamped {
                header: Header {
                    frame_id: "base_link".into(),
                    ..header()
                },
                pose: Pose {
                    position: point(1.0),
                    orientation: Quaternion {
                        w: 1.0,
                        ..Default::default()
                    },
                },
            },
            size: vector(0.5),
            depth_coverage: 0.75,
            number_of_points: 1234,
            grasp_point: point(1.5),
            grasp_normal: vector(-1.0),
            grasp_axis: vector(2.0),
            grasp_width: 0.0625,
        }],
        timings: vec![StageTime {
            stage: "total".into(),
            seconds: 1.5,
        }],
        token_seconds: vec![0.25, 0.5],
        ..Default::default()
    }
}

#[test]
fn a_message_reads_back_in_both_byte_orders_and_borrows_its_bytes() {
    let message = result(&[0, 255, 255]);
    for order in [ByteOrder::Big, ByteOrder::Little] {
        let bytes = message.to_cdr_in(order);
        let read = ReasoningResult::from_cdr(&bytes).unwrap();
        assert_eq!(read, message);
        let mask = &read.objects[0].mask.data;
        assert!(matches!(mask, std::borrow::Cow::Borrowed(_)));
    }
}

#[test]
fn every_cut_of_a_message_is_an_error() {
    let bytes = result(&[1, 2, 3]).to_cdr();
    // The last field ends the message, so that no cut leaves it whole.
    for end in 0..bytes.len() {
        let read = ReasoningResult::from_cdr(&bytes[..end]);
        assert!(read.is_err(), "{end}");
    }
}

#[test]
fn definitions_hold_what_they_are_made_of_once() {
    let text = ReasoningResult::DEFINITION.full_text();
    for part in [
        "std_msgs/Header",
        "builtin_interfaces/Time",
        "lisa_ros/SegmentedObject",
        "lisa_ros/StageTime",
        "sensor_msgs/RegionOfInterest",
        "sensor_msgs/Image",
        "geometry_msgs/PoseStamped",
        "geometry_msgs/Pose",
        "geometry_msgs/Quaternion",
        "geometry_msgs/Point",
        "geometry_msgs/Vector3",
    ] {
        assert_eq!(text.matches(&format!("MSG: {part}\n")).count(), 1, "{part}");
    }
    let first = text.split(&"=".repeat(80)).next().unwrap();
    assert_eq!(
        first.trim_end(),
        include_str!("../../../msg/ReasoningResult.msg").trim_end()
    );
}

/// A part that is forgotten would make a recording that others cannot read.
#[test]
fn definitions_hold_every_type_that_they_name() {
    let own_package = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    for definition in DEFINITIONS {
        let text = definition.full_text();
        let mut package = own_package(definition.ros_type);
        let (mut there, mut named) = (Vec::new(), Vec::new());
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("MSG: ") {
                package = own_package(name);
                there.push(name.to_owned());
                continue;
            }
            let Some(kind) = line.split_whitespace().next() else {
                continue;
            };
            let kind = kind.split('[').next().unwrap_or_default();
            // Primitive types are in lower case; what remains are comments and the lines between the parts.
            if kind.contains('/') {
                named.push(kind.to_owned());
            } else if kind.starts_with(|c: char| c.is_ascii_uppercase()) {
                named.push(format!("{package}/{kind}"));
            }
        }
        there.sort();
        named.sort();
        named.dedup();
        assert_eq!(there, named, "{}", definition.ros_type);
    }
}

#[test]
fn statuses_are_numbers() {
    assert_eq!(ResultStatus::from_number(2), Some(ResultStatus::EmptyMask));
    assert_eq!(ResultStatus::from_number(7), None);
    assert_eq!(SpatialStatus::from_number(2), Some(SpatialStatus::NoDepth));
    assert_eq!(SpatialStatus::from_number(6), None);
}

/// The message's constants and the types here are written down twice.
#[test]
fn statuses_are_the_constants_of_the_messages() {
    let constants = |text: &str| -> Vec<(String, u8)> {
        let lines = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("uint8 ")?.split_once('=')?;
            let number = value.split_whitespace().next()?;
            Some((name.to_lowercase(), number.parse().ok()?))
        });
        lines.collect()
    };
    let results = ResultStatus::ALL.map(|status| (status.name().to_owned(), status as u8));
    assert_eq!(constants(ReasoningResult::DEFINITION.text), results);
    let spatial = SpatialStatus::ALL.map(|status| (status.name().to_owned(), status as u8));
    assert_eq!(constants(SegmentedObject::DEFINITION.text), spatial);
    // A goal that follows ends as an instruction does, or with the object lost.
    let follow = include_str!("../../../action/Follow.action");
    let ended = follow.split("---").nth(1).unwrap();
    let mut follow = results.to_vec();
    follow.push(("lost".to_owned(), 7));
    assert_eq!(constants(ended), follow);
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        if let [a, b, ..] = bytes.as_mut_slice() {
            *a = 0;
            *b &= 1;
        }
        let _ = ReasoningResult::from_cdr(&bytes);
        let _ = Instruction::from_cdr(&bytes);
        let _ = TextDelta::from_cdr(&bytes);
    }
}
