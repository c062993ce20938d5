//! Pictures of `sensor_msgs/Image`: units, byte orders, padding, what stands for no measurement, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use depth_camera::{decode, Depth, DepthCounts, DepthError, DepthImage, MAX_PIXELS};
use proptest::prelude::*;

#[test]
fn millimetres_in_both_byte_orders_with_padded_rows() {
    // Two rows of two pixels and two bytes of padding; the last row has none.
    let values: [u16; 4] = [0, 1234, 1, 65535];
    let rows = |bytes: fn(u16) -> [u8; 2]| {
        let [a, b, c, d] = values.map(bytes);
        [a, b, [9, 9], c, d].concat()
    };
    for (is_bigendian, data) in [
        (false, rows(u16::to_le_bytes)),
        (true, rows(u16::to_be_bytes)),
    ] {
        for encoding in ["16UC1", "16uc1", "mono16"] {
            let image = decode(encoding, 2, 2, 6, is_bigendian, &data).unwrap();
            assert_eq!((image.width(), image.height()), (2, 2));
            assert_eq!(image.at(0, 0), Some(Depth::Missing));
            assert_eq!(image.at(1, 0), Some(Depth::Measured(1.234)));
            assert_eq!(image.at(0, 1), Some(Depth::Measured(0.001)));
            assert_eq!(image.at(1, 1), Some(Depth::Measured(65.535)));
            assert_eq!((image.at(2, 0), image.at(0, 2)), (None, None));
        }
    }
}

#[test]
fn metres_in_both_byte_orders_with_their_special_values() {
    let values = [
        1.5f32,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        -2.0,
        1e-40,
    ];
    let little: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let big: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    for (is_bigendian, data) in [(false, little), (true, big)] {
        let image = decode("32FC1", 4, 2, 16, is_bigendian, &data).unwrap();
        let all: Vec<Depth> = (0..8).map(|k| image.at(k % 4, k / 4).unwrap()).collect();
        let none = Depth::Missing;
        assert_eq!(all[0], Depth::Measured(1.5));
        assert_eq!(all[1..5], [none, Depth::TooFar, Depth::TooNear, none]);
        assert_eq!(all[5..], [none, none, Depth::Measured(1e-40)]);
        assert!(image.metres()[4..7].iter().all(|metres| metres.is_nan()));
        let counts = DepthCounts {
            measured: 2,
            missing: 4,
            too_near: 1,
            too_far: 1,
        };
        assert_eq!(image.counts(), counts);
    }
}

#[test]
fn what_is_no_depth_image_is_refused_with_a_reason() {
    let say = |encoding: &str, width, height, step, data: &[u8]| {
        decode(encoding, width, height, step, false, data)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        say("rgb8", 2, 1, 6, &[0; 6]),
        "encoding \"rgb8\" is not one of a depth image; accepted: 16UC1 or mono16 (millimetres), 32FC1 (metres)"
    );
    assert_eq!(
        say("16UC1", 2, 1, 3, &[0; 8]),
        "a row of the depth image has 3 bytes; its pixels need 4"
    );
    assert_eq!(
        say("32FC1", 2, 2, 10, &[0; 17]),
        "the depth image has 17 bytes; its size needs 18"
    );
    assert_eq!(
        say("16UC1", 0, 7, 0, &[]),
        "a depth image of 0x7 pixels; accepted: 1 to 16777216 pixels"
    );
    // Nothing of that size is allocated.
    let (width, height) = (u32::MAX, u32::MAX);
    let huge = decode("16UC1", width, height, u32::MAX, false, &[]).unwrap_err();
    assert_eq!(huge, DepthError::Size { width, height });
    let Err(DepthError::Encoding { encoding }) = decode(&"x".repeat(9999), 1, 1, 2, false, &[0; 2])
    else {
        panic!("an encoding of 9999 letters");
    };
    assert_eq!(encoding.len(), 64);
    let values = DepthImage::new(2, 2, vec![1.0; 3]).unwrap_err();
    assert_eq!(
        values.to_string(),
        "3 values for a depth image of 2x2 pixels; accepted: one for each pixel"
    );
    assert!(DepthImage::new(1, MAX_PIXELS as u32 + 1, Vec::new()).is_err());
}

proptest! {
    #[test]
    fn any_message_is_an_image_or_an_error(
        encoding in prop_oneof![Just("16UC1"), Just("32FC1"), Just("mono8"), Just("")],
        width in prop_oneof![0u32..20, Just(u32::MAX), any::<u32>()],
        height in prop_oneof![0u32..20, Just(u32::MAX), any::<u32>()],
        step in prop_oneof![0u32..100, Just(u32::MAX), any::<u32>()],
        is_bigendian: bool,
        data in proptest::collection::vec(any::<u8>(), 0..1500),
    ) {
        if let Ok(image) = decode(encoding, width, height, step, is_bigendian, &data) {
            prop_assert_eq!(image.metres().len(), (width * height) as usize);
            let measured = image.metres().iter().filter(|metres| metres.is_finite());
            prop_assert!(measured.clone().all(|metres| *metres > 0.0));
            prop_assert_eq!(image.counts().measured, measured.count());
        }
    }
}
