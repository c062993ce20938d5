use proptest::prelude::*;

use super::*;
use crate::bag::CdrError;

fn header() -> Header {
    Header {
        stamp: Time::from_nanoseconds(1_700_000_000_123_456_789),
        frame_id: "camera".into(),
    }
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
fn a_message_of_another_type_is_told_by_what_is_left() {
    let bytes = Image::default().to_cdr();
    let read = Clock::from_cdr(&bytes);
    assert!(matches!(read, Err(CdrError::Trailing { .. })));
}

#[test]
fn definitions_hold_what_they_are_made_of_once() {
    let text = definition(ReasoningResult::ROS_TYPE).unwrap();
    for part in [
        "std_msgs/Header",
        "builtin_interfaces/Time",
        "lisa_ros/SegmentedObject",
        "lisa_ros/StageTime",
        "sensor_msgs/RegionOfInterest",
        "sensor_msgs/Image",
    ] {
        assert_eq!(text.matches(&format!("MSG: {part}\n")).count(), 1, "{part}");
    }
    assert!(definition("std_msgs/msg/String").unwrap() == "string data\n");
    assert_eq!(definition("some_msgs/msg/Other"), None);
    assert!(type_hash(TFMessage::ROS_TYPE).is_some());
}

#[test]
fn nanoseconds_before_1970_are_whole_seconds_and_a_positive_rest() {
    let time = Time::from_nanoseconds(-1);
    assert_eq!((time.sec, time.nanosec), (-1, 999_999_999));
    assert_eq!(time.nanoseconds(), -1);
}

#[test]
fn statuses_are_numbers() {
    assert_eq!(ResultStatus::from_number(2), Some(ResultStatus::EmptyMask));
    assert_eq!(ResultStatus::from_number(7), None);
}

proptest! {
    #[test]
    fn an_image_reads_back(
        nanoseconds in 0i64..4_000_000_000_000_000_000,
        frame_id in "\\PC*",
        encoding in "[a-z0-9]{0,8}",
        data in proptest::collection::vec(any::<u8>(), 0..200),
        big in any::<bool>(),
    ) {
        let image = Image {
            header: Header { stamp: Time::from_nanoseconds(nanoseconds), frame_id },
            height: 1,
            width: data.len() as u32,
            encoding,
            is_bigendian: u8::from(big),
            step: data.len() as u32,
            data: data.into(),
        };
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let bytes = image.to_cdr_in(order);
        prop_assert_eq!(Image::from_cdr(&bytes).unwrap(), image);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        if let [a, b, ..] = bytes.as_mut_slice() {
            *a = 0;
            *b &= 1;
        }
        let _ = ReasoningResult::from_cdr(&bytes);
        let _ = CameraInfo::from_cdr(&bytes);
        let _ = TFMessage::from_cdr(&bytes);
        let _ = CompressedImage::from_cdr(&bytes);
    }
}
