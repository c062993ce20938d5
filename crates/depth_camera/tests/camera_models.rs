//! For any calibration of each model, a pixel's ray falls on the pixel, and a point's pixel shows the point.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use depth_camera::glam::{DVec2, DVec3};
use depth_camera::{Camera, CameraInfo, Rectification};
use proptest::prelude::*;

/// What Newton's method leaves (1e-7 pixels), times what the lens magnifies; pixels.
const TOLERANCE: f64 = 1e-5;

const SIZE: (u32, u32) = (640, 480);

fn camera(model: &str, d: Vec<f64>, f: f64) -> Camera {
    let info = CameraInfo {
        width: SIZE.0,
        height: SIZE.1,
        distortion_model: model.to_owned(),
        d,
        k: [f, 0.0, 322.5, 0.0, f * 1.01, 237.25, 0.0, 0.0, 1.0],
        ..CameraInfo::default()
    };
    Camera::new(&info, Rectification::Raw).unwrap()
}

fn check(
    camera: &Camera,
    pixel: (f64, f64),
    angle: f64,
    turn: f64,
    z: f64,
) -> Result<(), TestCaseError> {
    // Whatever pixel has a ray, it is the ray's own.
    let pixel = DVec2::new(pixel.0 * 639.0, pixel.1 * 479.0);
    if let Some(point) = camera.point(pixel, z) {
        prop_assert!((point.z - z).abs() <= 1e-12 * z);
        let again = camera.project(point).unwrap();
        prop_assert!(
            (again - pixel).length() < TOLERANCE,
            "{again} is not {pixel}"
        );
    }
    // A point at most so far off the axis is seen, and its pixel leads to it.
    let side = DVec2::from_angle(turn) * angle.tan();
    let point = side.extend(1.0) * z;
    let pixel = camera.project(point).unwrap();
    let again = camera.point(pixel, z).unwrap();
    let apart = (again - point).length() / z * camera.focal_lengths().x;
    prop_assert!(
        apart < TOLERANCE * (1.0 + side.length_squared()),
        "{apart} pixels"
    );
    Ok(())
}

prop_compose! {
    fn few(angle: f64)(pixel in (0.0..1.0, 0.0..1.0), angle in 0.0..angle, turn in 0.0..6.3, z in 0.1..20.0) -> ((f64, f64), f64, f64, f64) {
        (pixel, angle, turn, z)
    }
}

fn tangential() -> impl Strategy<Value = [f64; 2]> {
    [-0.002..0.002, -0.002..0.002f64]
}

proptest! {
    #[test]
    fn plumb_bob(
        radial in (-0.35..0.35, -0.12..0.12, -0.03..0.03f64), p in tangential(), five: bool, f in 380.0..900.0,
        (pixel, angle, turn, z) in few(0.5),
    ) {
        let (k1, k2, k3) = radial;
        let mut d = vec![k1, k2, p[0], p[1], k3];
        d.truncate(if five { 5 } else { 4 });
        check(&camera("plumb_bob", d, f), pixel, angle, turn, z)?;
    }

    /// Around the calibration of an Azure Kinect's colour camera, whose numerator and denominator nearly cancel.
    #[test]
    fn rational_polynomial(
        shift in [-0.02..0.02f64, -0.02..0.02, -0.02..0.02, -0.02..0.02, -0.02..0.02, -0.02..0.02], p in tangential(),
        s in [-0.002..0.002f64, -0.002..0.002, -0.002..0.002, -0.002..0.002], tilt in [-0.05..0.05f64, -0.05..0.05],
        count in prop_oneof![Just(8), Just(12), Just(14)], f in 380.0..900.0,
        (pixel, angle, turn, z) in few(0.5),
    ) {
        let [a, b, c, e, g, h] = shift;
        let mut d = vec![0.55 + a, -2.4 + b, p[0], p[1], 1.35 + c, 0.43 + e, -2.2 + g, 1.26 + h];
        d.extend(s);
        d.extend(tilt);
        d.truncate(count);
        check(&camera("rational_polynomial", d, f), pixel, angle, turn, z)?;
    }

    #[test]
    fn equidistant(
        k in [-0.03..0.03f64, -0.02..0.02, -0.01..0.01, -0.002..0.002], f in 150.0..600.0,
        (pixel, angle, turn, z) in few(1.3),
    ) {
        check(&camera("equidistant", k.to_vec(), f), pixel, angle, turn, z)?;
    }

    /// Nothing is assumed of the numbers but that they are finite.
    #[test]
    fn any_coefficients_give_a_pixel_or_none(
        d in proptest::collection::vec(prop_oneof![-10.0..10.0, any::<f64>()], 14), pixel in (-1e4..1e4, -1e4..1e4),
        model in prop_oneof![Just(("plumb_bob", 5)), Just(("rational_polynomial", 8)), Just(("rational_polynomial", 14)), Just(("equidistant", 4))],
    ) {
        let (name, count) = model;
        let info = CameraInfo {
            width: SIZE.0,
            height: SIZE.1,
            distortion_model: name.to_owned(),
            d: d[..count].to_vec(),
            k: [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0],
            ..CameraInfo::default()
        };
        if let Ok(camera) = Camera::new(&info, Rectification::Raw) {
            let pixel = DVec2::new(pixel.0, pixel.1);
            if let Some(again) = camera.ray(pixel).and_then(|ray| camera.project(ray)) {
                // As far as 64 bits can tell two pixels apart through such a lens.
                prop_assert!((again - pixel).length() < 1e-3, "{again} is not {pixel}");
            }
            let _ = camera.project(DVec3::new(pixel.x, pixel.y, 100.0));
        }
    }
}
