use proptest::prelude::*;

use super::definition::STANDARD;
use super::*;
use crate::CdrError;

fn header() -> Header {
    Header {
        stamp: Time::from_nanoseconds(1_700_000_000_123_456_789),
        frame_id: "camera".into(),
    }
}

fn image(data: &[u8]) -> Image<'_> {
    Image {
        header: header(),
        height: 1,
        width: data.len() as u32,
        encoding: "mono8".into(),
        is_bigendian: 0,
        step: data.len() as u32,
        data: data.into(),
    }
}

#[test]
fn a_message_reads_back_in_both_byte_orders_and_borrows_its_bytes() {
    let message = image(&[0, 255, 255]);
    for order in [ByteOrder::Big, ByteOrder::Little] {
        let bytes = message.to_cdr_in(order);
        let read = Image::from_cdr(&bytes).unwrap();
        assert_eq!(read, message);
        assert!(matches!(read.data, std::borrow::Cow::Borrowed(_)));
    }
}

#[test]
fn every_cut_of_a_message_is_an_error() {
    let bytes = image(&[1, 2, 3]).to_cdr();
    // The last field ends the message, so that no cut leaves it whole.
    for end in 0..bytes.len() {
        assert!(Image::from_cdr(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn definitions_hold_what_they_are_made_of_once() {
    let text = CameraInfo::DEFINITION.full_text();
    for part in [
        "std_msgs/Header",
        "builtin_interfaces/Time",
        "sensor_msgs/RegionOfInterest",
    ] {
        assert_eq!(text.matches(&format!("MSG: {part}\n")).count(), 1, "{part}");
    }
    assert_eq!(StringMessage::DEFINITION.full_text(), "string data\n");
    let known = standard_definition(TFMessage::ROS_TYPE);
    assert_eq!(known, Some(TFMessage::DEFINITION));
    assert_eq!(standard_definition("some_msgs/msg/Other"), None);
}

/// A part that is forgotten would make a recording that others cannot read.
#[test]
fn parts_are_what_the_text_names() {
    for definition in STANDARD {
        let parts = definition.parts.iter();
        let parts: Vec<_> = parts
            .map(|part| part.ros_type.replacen("/msg/", "/", 1))
            .collect();
        let kinds = definition
            .text
            .lines()
            .filter_map(|line| line.split([' ', '[']).next());
        let mut named: Vec<_> = kinds.filter(|kind| kind.contains('/')).collect();
        named.dedup();
        assert_eq!(parts, named, "{}", definition.ros_type);
    }
}

#[test]
fn a_message_of_another_type_is_told_by_what_is_left() {
    let bytes = Image::default().to_cdr();
    let read = Clock::from_cdr(&bytes);
    assert!(matches!(read, Err(CdrError::Trailing { .. })));
}

#[test]
fn nanoseconds_before_1970_are_whole_seconds_and_a_positive_rest() {
    let time = Time::from_nanoseconds(-1);
    assert_eq!((time.sec, time.nanosec), (-1, 999_999_999));
    assert_eq!(time.nanoseconds(), -1);
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
        let _ = CameraInfo::from_cdr(&bytes);
        let _ = TFMessage::from_cdr(&bytes);
        let _ = CompressedImage::from_cdr(&bytes);
    }
}
