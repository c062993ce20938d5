//! Pixels, at a camera's 1280×720: `cargo bench --bench image`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

use cv_convert::TryToCv;
use image::RgbImage;
use lisa::image::{
    draw_overlay, threshold_logit, ClipFit, ClipPreprocessor, Mask, OverlayObject, RosImage,
    SamPreprocessor,
};

fn main() {
    divan::main();
}

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

fn frame() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        image::Rgb([x as u8, y as u8, (x ^ y) as u8])
    })
}

fn logits() -> Vec<f32> {
    let at = |i: u32| ((i % WIDTH) as f32 - 600.0).hypot((i / WIDTH) as f32 - 300.0);
    (0..WIDTH * HEIGHT).map(|i| 200.0 - at(i)).collect()
}

#[divan::bench(args = ["rgb8", "bgr8", "bgra8", "mono8", "yuv422", "nv12", "bayer_rggb8"])]
fn convert(bencher: divan::Bencher<'_, '_>, encoding: &str) {
    let data = vec![90u8; (WIDTH * HEIGHT * 4) as usize];
    let bytes = match encoding {
        "rgb8" | "bgr8" => 3,
        "bgra8" => 4,
        "yuv422" => 2,
        _ => 1,
    };
    bencher.bench(|| -> RgbImage {
        let message = RosImage {
            width: WIDTH,
            height: HEIGHT,
            encoding,
            is_bigendian: false,
            step: WIDTH * bytes,
            data: &data,
        };
        message.try_to_cv().unwrap()
    });
}

#[divan::bench]
fn clip_preprocess(bencher: divan::Bencher<'_, '_>) {
    let frame = frame();
    bencher.bench(|| ClipPreprocessor::default().preprocess(&frame, ClipFit::Crop));
}

#[divan::bench]
fn sam_preprocess(bencher: divan::Bencher<'_, '_>) {
    let frame = frame();
    bencher.bench(|| SamPreprocessor::default().preprocess(&frame));
}

#[divan::bench]
fn mask_from_logits(bencher: divan::Bencher<'_, '_>) {
    let logits = logits();
    let threshold = threshold_logit(0.5).unwrap();
    bencher.bench(|| Mask::from_logits(&logits, WIDTH, HEIGHT, threshold).unwrap());
}

#[divan::bench]
fn overlay(bencher: divan::Bencher<'_, '_>) {
    let frame = frame();
    let mask = Mask::from_logits(&logits(), WIDTH, HEIGHT, 0.0).unwrap();
    let object = OverlayObject {
        roi: mask.roi(),
        mask: mask.pixels(),
        label: "remote control",
        score: 0.9,
    };
    bencher.bench(|| draw_overlay(&frame, &[object], None, 0.5));
}
