//! Depth images of 848×480 pixels: `cargo bench -p depth_camera`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

use depth_camera::{
    decode, decode_compressed, points, rvl, Camera, CameraInfo, DepthImage, Rectification,
    Registration, RigidTransform,
};

fn main() {
    divan::main();
}

const WIDTH: u32 = 848;
const HEIGHT: u32 = 480;

/// A floor that comes nearer towards the lower edge, with boxes on it and holes of no measurement; millimetres.
fn millimetres() -> Vec<u16> {
    let at = |x: u32, y: u32| match (x / 60 % 4, y / 60 % 3) {
        (1, 1) => 900 + (x % 7) as u16,
        (3, 2) => 0,
        _ => (3000 - 4 * y + x % 5) as u16,
    };
    (0..WIDTH * HEIGHT)
        .map(|k| at(k % WIDTH, k / WIDTH))
        .collect()
}

fn image() -> DepthImage {
    let data: Vec<u8> = millimetres()
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect();
    decode("16UC1", WIDTH, HEIGHT, 2 * WIDTH, false, &data).unwrap()
}

fn camera(lens: &str, (width, height): (u32, u32)) -> Camera {
    let d: &[f64] = match lens {
        "plumb_bob" => &[-0.05, 0.06, 0.0004, -0.0012, -0.02],
        "rational_polynomial" => &[0.55, -2.4, 0.0006, -0.0002, 1.35, 0.43, -2.2, 1.26],
        "equidistant" => &[-0.013, 0.021, -0.017, 0.004],
        _ => &[],
    };
    let f = f64::from(width) / 2.0;
    let info = CameraInfo {
        width,
        height,
        distortion_model: lens.to_owned(),
        d: d.to_vec(),
        k: [f, 0.0, f, 0.0, f, f64::from(height) / 2.0, 0.0, 0.0, 1.0],
        ..CameraInfo::default()
    };
    Camera::new(&info, Rectification::Raw).unwrap()
}

#[divan::bench]
fn decode_16uc1(bencher: divan::Bencher<'_, '_>) {
    let data: Vec<u8> = millimetres()
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect();
    bencher.bench(|| decode("16UC1", WIDTH, HEIGHT, 2 * WIDTH, false, &data).unwrap());
}

#[divan::bench]
fn decode_rvl(bencher: divan::Bencher<'_, '_>) {
    let data = rvl::encode(WIDTH, HEIGHT, &millimetres()).unwrap();
    bencher.bench(|| decode_compressed("16UC1; compressedDepth rvl", &data).unwrap());
}

const LENSES: [&str; 4] = ["", "plumb_bob", "rational_polynomial", "equidistant"];

/// All pixels, so the rays of 407,040 pixels.
#[divan::bench(args = LENSES)]
fn points_of_all(bencher: divan::Bencher<'_, '_>, lens: &str) {
    let (camera, image) = (camera(lens, (WIDTH, HEIGHT)), image());
    let pixels = || (0..WIDTH * HEIGHT).map(|k| (k % WIDTH, k / WIDTH));
    bencher.bench(|| points(&camera, &image, pixels()).unwrap());
}

/// Into a colour picture of 1280×720, with the rays of the depth camera at hand.
#[divan::bench(args = LENSES)]
fn register(bencher: divan::Bencher<'_, '_>, lens: &str) {
    let registration =
        Registration::new(camera(lens, (WIDTH, HEIGHT)), camera(lens, (1280, 720))).unwrap();
    let image = image();
    let way = RigidTransform::new([0.002, -0.001, 0.0, 1.0], [-0.015, 0.0, 0.0]).unwrap();
    bencher.bench(|| registration.register(&image, &way).unwrap());
}
