//! Pictures of `sensor_msgs/CompressedImage`: PNG and RVL, of millimetres and of quantized metres, with and without the header.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use depth_camera::rvl::{self, RvlError, Values};
use depth_camera::{decode_compressed, DepthError};
use proptest::prelude::*;

fn png(width: u32, height: u32, values: &[u16]) -> Vec<u8> {
    let samples: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect();
    png_of(
        width,
        height,
        png::ColorType::Grayscale,
        png::BitDepth::Sixteen,
        &samples,
    )
}

fn png_of(
    width: u32,
    height: u32,
    colour: png::ColorType,
    bits: png::BitDepth,
    samples: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(bits);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(samples).unwrap();
    writer.finish().unwrap();
    bytes
}

/// The header, then the payload.
fn message(kind: i32, a: f32, b: f32, payload: &[u8]) -> Vec<u8> {
    let header = [kind.to_le_bytes(), a.to_le_bytes(), b.to_le_bytes()].concat();
    [header, payload.to_vec()].concat()
}

fn metres(format: &str, data: &[u8]) -> Vec<f32> {
    decode_compressed(format, data).unwrap().metres().to_vec()
}

fn say(format: &str, data: &[u8]) -> String {
    decode_compressed(format, data).unwrap_err().to_string()
}

#[test]
fn millimetres_with_and_without_the_header() {
    let values = [0, 1, 1234, 65535, 500, 0];
    let expected = [f32::NAN, 0.001, 1.234, 65.535, 0.5, f32::NAN].map(f32::to_bits);
    let png = png(3, 2, &values);
    let rvl = rvl::encode(3, 2, &values).unwrap();
    let check = |format: &str, data: &[u8]| {
        let image = decode_compressed(format, data).unwrap();
        assert_eq!((image.width(), image.height()), (3, 2), "{format}");
        let bits: Vec<u32> = image
            .metres()
            .iter()
            .map(|metres| metres.to_bits())
            .collect();
        assert_eq!(bits, expected, "{format}");
    };
    for kind in [0, -1] {
        // What older senders leave in the floats means nothing.
        for (a, b) in [(0.0, 0.0), (f32::NAN, 1e30)] {
            for format in [
                "16UC1; compressedDepth png",
                "16UC1;compressedDepth",
                "16UC1",
                "mono16; CompressedDepth PNG ",
            ] {
                check(format, &message(kind, a, b, &png));
                check(format, &png);
            }
            check("16UC1; compressedDepth rvl", &message(kind, a, b, &rvl));
            check("16UC1; compressedDepth rvl", &rvl);
        }
    }
    check("16UC1; png compressed ", &png);
}

/// a = 100 · 101 and b = 1 − a / 10 are what the sender chooses by default. It sends trunc(a / z + b): 9091 for 1 m, 1011 for 5
/// m.
#[test]
fn metres_are_quantized() {
    let (a, b) = (10100.0, -1009.0);
    let values = [9091, 1011, 0, 65535];
    let expected = [1.0, 5.0, f32::NAN, 10100.0 / 66544.0].map(f32::to_bits);
    let rvl = rvl::encode(4, 1, &values).unwrap();
    for (format, payload) in [
        ("32FC1; compressedDepth png", png(4, 1, &values)),
        ("32FC1", png(4, 1, &values)),
        ("32FC1; compressedDepth rvl", rvl),
    ] {
        let found = metres(format, &message(0, a, b, &payload));
        let found: Vec<u32> = found.into_iter().map(f32::to_bits).collect();
        assert_eq!(found, expected, "{format}");
        assert_eq!(
            say(format, &payload),
            "the compressed 32FC1 depth image lacks the header of 12 bytes that says how its metres were quantized"
        );
        assert_eq!(
            say(format, &message(0, 0.0, 2.0, &payload)),
            "the compressed depth image was quantized with a = 0, b = 2; accepted: a above 0, b below 1"
        );
    }
}

#[test]
fn what_is_no_depth_image_is_refused_with_a_reason() {
    let picture = png(1, 1, &[7]);
    for format in [
        "",
        "png",
        "jpeg",
        "rgb8; jpeg compressed bgr8",
        "16UC1; compressedDepth zstd",
        "32FC1; png compressed",
    ] {
        let Err(DepthError::Format { format: told }) = decode_compressed(format, &picture) else {
            panic!("{format}");
        };
        assert_eq!(told, format);
    }
    let png_format = "16UC1; compressedDepth png";
    for length in [0, 3, 12] {
        assert_eq!(
            say(png_format, &vec![0; length]),
            format!("the compressed depth image has {length} bytes, which is less than its header")
        );
    }
    let gray = png_of(
        2,
        1,
        png::ColorType::Grayscale,
        png::BitDepth::Eight,
        &[1, 2],
    );
    assert_eq!(
        say(png_format, &gray),
        "the PNG of the depth image has pixels of Grayscale, 8 bits; accepted: one gray value of 16 bits"
    );
    let colour = png_of(1, 1, png::ColorType::Rgb, png::BitDepth::Sixteen, &[0; 6]);
    assert!(say(png_format, &colour).contains("pixels of Rgb, 16 bits"));
    let cut = &picture[..picture.len() - 20];
    assert!(say(png_format, cut).starts_with("the PNG of the depth image cannot be read: "));
    assert!(say(png_format, &message(0, 1.0, 0.0, b"no PNG")).contains("cannot be read"));
}

/// The size in a file's header is looked at before anything of that size is allocated.
#[test]
fn hostile_sizes_are_refused() {
    let with_size = |width: u32, height: u32| {
        let mut bytes = png(1, 1, &[7]);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        decode_compressed("16UC1", &bytes).unwrap_err()
    };
    let (width, height) = (1 << 30, 1 << 30);
    assert_eq!(with_size(width, height), DepthError::Size { width, height });
    assert!(with_size(4096, 4096)
        .to_string()
        .ends_with("bytes cannot hold 4096x4096 pixels"));
    for (width, height) in [(0, 5), (5, 0), (u32::MAX, u32::MAX), (1 << 16, 1 << 16)] {
        let bytes = [u32::to_le_bytes(width), u32::to_le_bytes(height), [0; 4]].concat();
        assert_eq!(rvl::decode(&bytes), Err(RvlError::Size { width, height }));
        assert_eq!(
            rvl::encode(width, height, &[]),
            Err(RvlError::Size { width, height })
        );
    }
}

/// CRC-32 of PNG's chunks.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            0xedb8_8320 ^ (crc >> 1)
        } else {
            crc >> 1
        }
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

/// Worked by hand: one zero; two others, 1000 = 2 · 1000 packed = 0o3720, low digit first, and 1 = 2 packed; one zero, no others.
/// The nibbles are 1, 2, 8 a f 3, 2, 1, 0.
#[test]
fn rvl_is_packed_as_the_paper_says() {
    let bytes = [2, 0, 0, 0, 2, 0, 0, 0, 0x21, 0xf3, 0x8a, 0x12, 0, 0, 0, 0];
    let values = vec![0, 1000, 1001, 0];
    assert_eq!(rvl::encode(2, 2, &values).unwrap(), bytes);
    let picture = Values {
        width: 2,
        height: 2,
        values,
    };
    assert_eq!(rvl::decode(&bytes).unwrap(), picture);
}

/// A picture in which nothing was measured takes 12 bytes, and cameras send such ones.
#[test]
fn an_empty_rvl_picture_is_short() {
    let bytes = rvl::encode(640, 480, &[]).unwrap();
    assert_eq!(bytes.len(), 12);
    assert_eq!(rvl::decode(&bytes).unwrap().values, [0; 640 * 480]);
}

#[test]
fn damaged_rvl_is_refused_with_a_reason() {
    let of = |words: &[u32]| {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        let bytes: Vec<u8> = [4, 0, 0, 0, 2, 0, 0, 0].into_iter().chain(words).collect();
        rvl::decode(&bytes).unwrap_err()
    };
    assert_eq!(rvl::decode(&[1, 0, 0]), Err(RvlError::Short { length: 3 }));
    assert_eq!(of(&[]), RvlError::Cut { done: 0, pixels: 8 });
    // Three zeros, no others, and so on to the end of the word.
    assert_eq!(of(&[0x3000_0000]), RvlError::Cut { done: 3, pixels: 8 });
    // Nine zeros where eight pixels are left: 0o11, low digit first.
    let (done, run, left) = (0, 9, 8);
    assert_eq!(of(&[0x9100_0000]), RvlError::Run { done, run, left });
    // Two zeros, then seven others.
    let (done, run, left) = (2, 7, 6);
    assert_eq!(of(&[0x2700_0000]), RvlError::Run { done, run, left });
    // A number of 24 nibbles.
    let Err(RvlError::Run { run, .. }) = rvl::decode(
        &[
            &[4, 0, 0, 0, 2, 0, 0, 0][..],
            &[0xff; 8],
            &[0xf7, 0xff, 0xff, 0xff],
        ]
        .concat(),
    ) else {
        panic!("a number without an end");
    };
    assert_eq!(run, u64::MAX);
    // One other, of the packed difference 0o400000 = 131072.
    assert_eq!(
        of(&[0x0188_8884]).to_string(),
        "after 0 pixels stands the difference 131072; accepted: at most 131070, packed"
    );
    assert!(say("16UC1; compressedDepth rvl", &[3, 0, 0]).contains("less than its header"));
    assert_eq!(
        say("16UC1; compressedDepth rvl", &[2, 0, 0, 0, 2, 0, 0, 0]),
        "the RVL data of the depth image cannot be read: the data end after 0 of 4 pixels"
    );
}

proptest! {
    #[test]
    fn rvl_decoding_undoes_encoding(
        width in 1u32..30,
        rows in proptest::collection::vec(prop_oneof![3 => Just(0u16), 2 => any::<u16>(), 4 => 990u16..1010], 1..600),
    ) {
        let height = (rows.len() as u32).div_ceil(width);
        let bytes = rvl::encode(width, height, &rows).unwrap();
        let mut values = rows;
        values.resize((width * height) as usize, 0);
        prop_assert_eq!(rvl::decode(&bytes).unwrap(), Values { width, height, values });
    }

    #[test]
    fn any_bytes_are_an_image_or_an_error(
        format in prop_oneof![Just("16UC1"), Just("32FC1; compressedDepth png"), Just("16UC1; compressedDepth rvl"), Just("32FC1; compressedDepth rvl")],
        size in prop_oneof![Just(Vec::new()), Just(vec![9, 0, 0, 0, 7, 0, 0, 0])],
        data in proptest::collection::vec(any::<u8>(), 0..200),
        header: bool,
    ) {
        let mut data = [size, data].concat();
        if header {
            data = message(0, 10100.0, -1009.0, &data);
        }
        if let Ok(image) = decode_compressed(format, &data) {
            prop_assert_eq!(image.metres().len(), (image.width() * image.height()) as usize);
        }
    }

    /// A whole file with some bytes changed.
    #[test]
    fn damaged_files_are_images_or_errors(at in 0usize..10_000, byte: u8, cut in 0usize..200, rvl: bool) {
        let values: Vec<u16> = (0..300).map(|k| (k * k % 1500) as u16).collect();
        let (format, mut data) = match rvl {
            true => ("16UC1; compressedDepth rvl", rvl::encode(20, 15, &values).unwrap()),
            false => ("16UC1", png(20, 15, &values)),
        };
        let length = data.len();
        data[at % length] = byte;
        data.truncate(length - cut % length);
        let _ = decode_compressed(format, &data);
    }
}
