use super::super::ACCEPTED_ENCODINGS;
use super::*;
use ::image::{Luma, Rgb};
use proptest::prelude::*;

const PACKED: [&str; 6] = ["rgb8", "bgr8", "rgba8", "bgra8", "8UC3", "8UC4"];
const PACKED16: [&str; 6] = ["rgb16", "bgr16", "rgba16", "bgra16", "16UC3", "16UC4"];
const YUV: [&str; 7] = [
    "yuv422",
    "uyvy",
    "yuv422_yuy2",
    "yuyv",
    "nv12",
    "nv21",
    "nv24",
];
const BAYER: [&str; 4] = ["bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"];

fn message<'a>(
    encoding: &'a str,
    width: u32,
    height: u32,
    step: u32,
    data: &'a [u8],
) -> RosImage<'a> {
    RosImage {
        width,
        height,
        encoding,
        is_bigendian: false,
        step,
        data,
    }
}

fn rgb(message: RosImage<'_>) -> Result<RgbImage, EncodingError> {
    message.try_to_cv()
}

/// Rows of `row_bytes`, each followed by `padding` bytes that must be ignored.
fn padded(rows: &[u8], row_bytes: usize, padding: usize) -> Vec<u8> {
    let rubbish = (0..padding)
        .map(|i| (i * 37 + 11) as u8)
        .collect::<Vec<_>>();
    rows.chunks(row_bytes)
        .flat_map(|row| [row, &rubbish].concat())
        .collect()
}

/// Encodes an image in a packed encoding, one pixel at a time, as the expected value.
fn pack(image: &RgbImage, encoding: &str) -> (usize, Vec<u8>) {
    let pixel = |&Rgb([r, g, b]): &Rgb<u8>| match encoding {
        "rgb8" | "rgb16" => vec![r, g, b],
        "bgr8" | "8UC3" | "bgr16" | "16UC3" => vec![b, g, r],
        "rgba8" | "rgba16" => vec![r, g, b, 9],
        _ => vec![b, g, r, 9],
    };
    let bytes: Vec<u8> = image.pixels().flat_map(pixel).collect();
    (bytes.len() / image.height() as usize, bytes)
}

fn any_image() -> impl Strategy<Value = RgbImage> {
    (1u32..24, 1u32..12).prop_flat_map(|(w, h)| {
        prop::collection::vec(any::<u8>(), (3 * w * h) as usize)
            .prop_map(move |data| RgbImage::from_raw(w, h, data).unwrap())
    })
}

proptest! {
    #[test]
    fn packed_encodings_come_back_identical(image in any_image(), padding in 0usize..9, which in 0..PACKED.len()) {
        let (row_bytes, bytes) = pack(&image, PACKED[which]);
        let data = padded(&bytes, row_bytes, padding);
        let step = (row_bytes + padding) as u32;
        let back = rgb(message(PACKED[which], image.width(), image.height(), step, &data)).unwrap();
        prop_assert_eq!(back, image);
    }

    #[test]
    fn of_16_bits_the_upper_byte_comes_back(image in any_image(), padding in 0usize..9, big in any::<bool>(), which in 0..PACKED16.len()) {
        let (row_bytes, bytes) = pack(&image, PACKED16[which]);
        let wide = bytes.iter().flat_map(|&b| if big { [b, 0xab] } else { [0xab, b] });
        let data = padded(&wide.collect::<Vec<_>>(), 2 * row_bytes, padding);
        let step = (2 * row_bytes + padding) as u32;
        let mut message = message(PACKED16[which], image.width(), image.height(), step, &data);
        message.is_bigendian = big;
        prop_assert_eq!(rgb(message).unwrap(), image);
    }

    #[test]
    fn bayer_of_16_bits_is_that_of_its_upper_bytes(w in 2u32..12, h in 2u32..9, padding in 0usize..5, big in any::<bool>(), which in 0..BAYER.len(), seed in any::<u64>()) {
        let raw: Vec<u8> = (0..u64::from(w * h)).map(|i| (seed.wrapping_mul(2 * i + 1) >> 40) as u8).collect();
        let expected = rgb(message(BAYER[which], w, h, w, &raw)).unwrap();
        let wide = raw.iter().flat_map(|&b| if big { [b, 0xab] } else { [0xab, b] });
        let data = padded(&wide.collect::<Vec<_>>(), 2 * w as usize, padding);
        let name = BAYER[which].replace('8', "16");
        let mut message = message(&name, w, h, 2 * w + padding as u32, &data);
        message.is_bigendian = big;
        prop_assert_eq!(rgb(message).unwrap(), expected);
    }

    /// An odd width is what an even one is without its last column, where the padding holds the last pair, and where it does not
    /// the last pixel takes the colour of the pair before it.
    #[test]
    fn an_odd_width_of_422_ends_in_half_a_pair(pixels in prop::collection::vec(any::<u8>(), 40), which in 0..4usize) {
        let (encoding, w, h) = (YUV[which], 5, 2);
        let whole: RgbImage = rgb(message(encoding, 6, h, 12, &pixels)).unwrap();
        let narrow = rgb(message(encoding, w, h, 12, &pixels)).unwrap();
        prop_assert_eq!(&narrow, &::image::imageops::crop_imm(&whole, 0, 0, w, h).to_image());
        let cut: Vec<u8> = pixels.chunks_exact(12).take(2).flat_map(|row| row[..10].to_vec()).collect();
        let half = rgb(message(encoding, w, h, 10, &cut)).unwrap();
        // The second half of the third quadruple is that of the second one.
        let mended: Vec<u8> = pixels.chunks_exact(12).take(2).flat_map(|row| [&row[..10], &row[6..8]].concat()).collect();
        prop_assert_eq!(half, rgb(message(encoding, w, h, 12, &mended)).unwrap());
    }

    #[test]
    fn gray_comes_back_identical(image in any_image(), padding in 0usize..9, big in any::<bool>()) {
        let (w, h) = image.dimensions();
        let gray: Vec<u8> = image.pixels().map(|p| p[0]).collect();
        let expected = RgbImage::from_fn(w, h, |x, y| Rgb([gray[(y * w + x) as usize]; 3]));
        let data = padded(&gray, w as usize, padding);
        for encoding in ["mono8", "8UC1"] {
            prop_assert_eq!(&rgb(message(encoding, w, h, w + padding as u32, &data)).unwrap(), &expected);
        }
        let wide: Vec<u8> = gray.iter().flat_map(|&g| if big { [g, 0xab] } else { [0xab, g] }).collect();
        let data = padded(&wide, 2 * w as usize, padding);
        let mut message = message("mono16", w, h, 2 * w + padding as u32, &data);
        message.is_bigendian = big;
        prop_assert_eq!(&rgb(message).unwrap(), &expected);
    }

    #[test]
    fn a_plain_colour_survives_yuv(r: u8, g: u8, b: u8, w in 1u32..9, h in 1u32..6, padding in 0usize..5, which in 0..YUV.len()) {
        let (w, h) = (2 * w, 2 * h);
        let [rf, gf, bf] = [r, g, b].map(f64::from);
        let y = (16.0 + 0.257 * rf + 0.504 * gf + 0.098 * bf).round() as u8;
        let u = (128.0 - 0.148 * rf - 0.291 * gf + 0.439 * bf).round() as u8;
        let v = (128.0 + 0.439 * rf - 0.368 * gf - 0.071 * bf).round() as u8;
        let pairs = (w * h / 2) as usize;
        let (row_bytes, bytes) = match YUV[which] {
            "yuv422" | "uyvy" => (2 * w, [u, y, v, y].repeat(pairs)),
            "nv12" => (w, [vec![y; (w * h) as usize], [u, v].repeat(pairs / 2)].concat()),
            "nv21" => (w, [vec![y; (w * h) as usize], [v, u].repeat(pairs / 2)].concat()),
            "nv24" => (w, [vec![y; (w * h) as usize], [u, v].repeat(2 * pairs)].concat()),
            _ => (2 * w, [y, u, y, v].repeat(pairs)),
        };
        // A row of colour of nv24 takes two steps, and the padding of both stands at its end.
        let padding = if YUV[which] == "nv24" { 0 } else { padding };
        let data = padded(&bytes, row_bytes as usize, padding);
        let image = rgb(message(YUV[which], w, h, row_bytes + padding as u32, &data)).unwrap();
        for p in image.pixels() {
            let far = p.0.iter().zip([r, g, b]).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            prop_assert!(far <= 2, "{:?} became {:?}", [r, g, b], p);
        }
    }

    #[test]
    fn a_plain_colour_survives_bayer(colour: [u8; 3], w in 2u32..12, h in 2u32..9, padding in 0usize..5, which in 0..BAYER.len()) {
        let name = BAYER[which].as_bytes();
        let letter = |x: u32, y: u32| name[6 + (y % 2 * 2 + x % 2) as usize];
        let raw: Vec<u8> = (0..h)
            .flat_map(|y| (0..w).map(move |x| (x, y)))
            .map(|(x, y)| colour[match letter(x, y) { b'r' => 0, b'g' => 1, _ => 2 }])
            .collect();
        let data = padded(&raw, w as usize, padding);
        let image = rgb(message(BAYER[which], w, h, w + padding as u32, &data)).unwrap();
        prop_assert!(image.pixels().all(|p| p.0 == colour));
    }

    #[test]
    fn no_message_panics(
        encoding in prop::sample::select(ACCEPTED_ENCODINGS.to_vec()),
        width in prop_oneof![0u32..40, Just(u32::MAX), any::<u32>()],
        height in prop_oneof![0u32..40, Just(u32::MAX), any::<u32>()],
        step in prop_oneof![0u32..200, Just(u32::MAX), any::<u32>()],
        data in prop::collection::vec(any::<u8>(), 0..4000),
        big in any::<bool>(),
    ) {
        let mut message = message(encoding, width, height, step, &data);
        message.is_bigendian = big;
        if let Ok(image) = rgb(message) {
            prop_assert_eq!(image.dimensions(), (width, height));
        }
    }
}

/// Bilinear interpolation by hand, on a pattern with an edge in it.
#[test]
fn bayer_neighbours_are_averaged() {
    #[rustfmt::skip]
    let raw = [
        10, 20, 30, 40,
        50, 60, 70, 80,
        90, 100, 110, 120,
        130, 140, 150, 160,
    ];
    let image = rgb(message("bayer_rggb8", 4, 4, 4, &raw)).unwrap();
    assert_eq!(image.get_pixel(2, 2).0, [110, 110, 110]); // red site
    assert_eq!(image.get_pixel(1, 2).0, [100, 100, 100]); // green in a red row
    assert_eq!(image.get_pixel(1, 1).0, [60, 60, 60]); // blue site
    assert_eq!(image.get_pixel(0, 0).0, [10, 35, 60]); // corner: mirrored
    let image = rgb(message("bayer_gbrg8", 4, 4, 4, &raw)).unwrap();
    assert_eq!(image.get_pixel(1, 1).0, [60, 60, 60]); // green in a red row: red left and right
    assert_eq!(image.get_pixel(2, 1).0, [70, 70, 70]); // red site
}

#[test]
fn yuv_orders_differ() {
    let bytes = [90, 81, 240, 81];
    let red = rgb(message("yuv422", 2, 1, 4, &bytes)).unwrap();
    let [r, g, b] = red.get_pixel(1, 0).0;
    assert!(r > 250 && g < 5 && b < 5);
    assert_ne!(rgb(message("yuyv", 2, 1, 4, &bytes)).unwrap(), red);
}

#[test]
fn every_accepted_name_is_understood_in_any_case() {
    let data = vec![100; 3 * 4 * 32];
    for name in ACCEPTED_ENCODINGS {
        for name in [name.to_owned(), name.to_uppercase(), name.to_lowercase()] {
            assert!(rgb(message(&name, 4, 4, 32, &data)).is_ok(), "{name}");
        }
    }
}

#[test]
fn refusals_carry_the_numbers() {
    let data = [0; 64];
    let say = |encoding, w, h, step, len: usize| {
        rgb(message(encoding, w, h, step, &data[..len]))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        say("rgb8", 0, 0, 0, 0),
        "the image is 0x0 pixels; both sides must be 1 or more"
    );
    assert_eq!(
        say("bgr8", 4, 2, 11, 64),
        "step is 11 bytes, and a row of 4 bgr8 pixels takes 12; step must be 12 or more"
    );
    assert_eq!(
        say("mono8", 4, 4, 4, 15),
        "data holds 15 bytes, and 4 rows of mono8 with a step of 4 take 16; data must hold 16 or more"
    );
    assert_eq!(
        say("nv21", 3, 2, 16, 64),
        "the image is 3 pixels wide; nv21 shares its colour between two neighbours, so the width must be even"
    );
    assert_eq!(
        say("nv12", 4, 3, 4, 64),
        "the image is 3 pixels high; nv12 shares its colour between two rows, so the height must be even"
    );
    assert!(say("mono8", 100_000, 1, 100_000, 64).contains("accepted: sides of 1 to 32768"));
    assert!(say("bayer_rggb8", 1, 4, 4, 64).contains("both sides must be 2 or more"));
    assert!(say("64FC1", 2, 2, 4, 64)
        .starts_with("encoding \"64FC1\" is unknown; accepted: rgb8, bgr8, rgba8"));
    for (encoding, unit) in [("16UC1", "millimetres"), ("32fc1", "metres")] {
        assert_eq!(
            say(encoding, 2, 2, 8, 64),
            format!(
                "a depth map ({}, {unit}), not a picture; accepted: a camera's pictures, in colour or gray",
                encoding.to_uppercase()
            )
        );
    }
    assert!(say(&"x".repeat(5000), 2, 2, 4, 64).len() < 500);
}

/// The planes of nv24 with padding: a row of colour has twice the step of a row of brightness.
#[test]
fn the_colour_of_nv24_has_twice_the_step() {
    #[rustfmt::skip]
    let data = [
        81, 145, 0,
        41, 126, 0,
        90, 240, 54, 34, 0, 0,
        240, 110, 128, 128, 0, 0,
    ];
    let image = rgb(message("nv24", 2, 2, 3, &data)).unwrap();
    // The colours of `yuv::tests::known_colours`.
    let expected = [[254, 0, 0], [0, 255, 1], [0, 0, 255], [128, 128, 128]];
    assert_eq!(image.as_raw(), &expected.concat());
    assert!(rgb(message("nv24", 2, 2, 3, &data[..17])).is_err());
}

#[test]
fn pixels_go_out_and_come_back() {
    let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8, y as u8, 7]));
    let out: EncodedImage = image.to_cv();
    assert_eq!((out.encoding, out.step), ("rgb8", 15));
    assert_eq!(
        rgb(message(
            out.encoding,
            out.width,
            out.height,
            out.step,
            &out.data
        ))
        .unwrap(),
        image
    );
    let array: Array3<u8> = message("rgb8", 5, 3, 15, &out.data).try_to_cv().unwrap();
    assert_eq!(array[(2, 4, 0)], 4);

    let gray = GrayImage::from_fn(5, 3, |x, y| Luma([(x * y) as u8]));
    let out: EncodedImage = gray.to_cv();
    assert_eq!((out.encoding, out.step, out.data.len()), ("mono8", 5, 15));
}
