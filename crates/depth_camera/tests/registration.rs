//! A depth image in another camera's picture: what is seen where, by hand and for any plane, and what hides what.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use depth_camera::glam::{DVec2, DVec3};
use depth_camera::{
    Camera, CameraInfo, Depth, DepthImage, GeometryError, Rectification, Registered, Registration,
    RigidTransform,
};
use proptest::prelude::*;

/// A camera of 100x60 pixels with a focal length of 100 pixels that looks from its middle.
fn small() -> Camera {
    Camera::pinhole((100, 60), (100.0, 100.0), (49.5, 29.5)).unwrap()
}

fn moved(x: f64, y: f64, z: f64) -> RigidTransform {
    RigidTransform::new([0.0, 0.0, 0.0, 1.0], [x, y, z]).unwrap()
}

fn image(camera: &Camera, metres: impl Fn(u32, u32) -> f32) -> DepthImage {
    let (width, height) = (camera.width(), camera.height());
    let values = (0..width * height).map(|k| metres(k % width, k / width));
    DepthImage::new(width, height, values.collect()).unwrap()
}

fn register(
    depth: &Camera,
    colour: &Camera,
    image: &DepthImage,
    way: &RigidTransform,
) -> Registered {
    let registration = Registration::new(depth.clone(), colour.clone()).unwrap();
    registration.register(image, way).unwrap()
}

fn bits(image: &DepthImage) -> Vec<u32> {
    image
        .metres()
        .iter()
        .map(|metres| metres.to_bits())
        .collect()
}

#[test]
fn the_same_camera_gives_the_same_image() {
    let odd = [
        1.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.3,
        7.1,
        1e-30,
        3e38,
    ];
    let image = image(&small(), |x, y| odd[(x * 7 + y * 3) as usize % odd.len()]);
    let found = register(&small(), &small(), &image, &RigidTransform::IDENTITY);
    assert_eq!(bits(&found.image), bits(&image));
    assert_eq!(found.outside, 0);
}

/// The long way round, without the rule for the same camera: a reading keeps its value at its pixel's centre, whatever is beside
/// it.
#[test]
fn nearly_the_same_camera_gives_nearly_the_same_image() {
    let odd = [1.0, f32::NAN, f32::INFINITY, 1.01, 0.3, 7.1, 5.0];
    let image = image(&small(), |x, y| odd[(x * x + y * 3) as usize % odd.len()]);
    let found = register(&small(), &small(), &image, &moved(1e-12, 0.0, 0.0));
    for (found, expected) in found.image.metres().iter().zip(image.metres()) {
        match Depth::of(*expected) {
            // The nearest wins where the edges of two patches meet in a pixel's centre, so only centres are compared, and they
            // are apart.
            Depth::Measured(metres) => {
                assert!((found - metres).abs() <= 1e-6 * metres, "{found} {metres}")
            }
            _ => assert_eq!(found.to_bits(), expected.to_bits()),
        }
    }
}

/// Depth 1 m is 10 pixels of disparity at a baseline of 0.1 m, 2 m is 5.
#[test]
fn the_foreground_hides_and_what_nobody_saw_is_missing() {
    let foreground = |x: u32| (40..60).contains(&x);
    let image = image(&small(), |x, _| if foreground(x) { 1.0 } else { 2.0 });
    let found = register(&small(), &small(), &image, &moved(-0.1, 0.0, 0.0));
    for y in [0, 30, 59] {
        for x in 0..100 {
            let expected = match x {
                0..30 => Depth::Measured(2.0),
                30..50 => Depth::Measured(1.0),
                // Behind the foreground, from where the depth camera stands.
                50..55 => Depth::Missing,
                55..95 => Depth::Measured(2.0),
                _ => Depth::Missing,
            };
            assert_eq!(found.image.at(x, y), Some(expected), "{x}, {y}");
        }
    }
    // The leftmost five columns.
    assert_eq!(found.outside, 5 * 60);
}

#[test]
fn depth_is_along_the_new_cameras_axis() {
    // The colour camera stands half a metre nearer.
    let wall = image(&small(), |_, _| 2.0);
    let found = register(&small(), &small(), &wall, &moved(0.0, 0.0, -0.5));
    assert!(found.image.metres().iter().all(|metres| *metres == 1.5));
    // It is turned by atan(3/4) to the right: (X, Z) becomes (0.8 X − 0.6 Z, 0.6 X + 0.8 Z), and the middle of its picture looks
    // at X / Z = 0.75, which the depth camera does not see. Its column −25.5 off the middle looks at (−0.255 · 0.8 + 0.6) /
    // (0.255 · 0.6 + 0.8).
    let (sine, cosine) = (0.1f64.sqrt(), 0.9f64.sqrt());
    let turned = RigidTransform::new([0.0, -sine, 0.0, cosine], [0.0; 3]).unwrap();
    let found = register(&small(), &small(), &wall, &turned).image;
    assert_eq!(found.at(49, 30), Some(Depth::Missing));
    let Some(Depth::Measured(depth)) = found.at(24, 30) else {
        panic!("nothing at (24, 30)");
    };
    // On the wall Z = 2 m, so the new depth is 0.6 X + 0.8 Z with X = 2 · (0.6 − 0.204) / 0.953.
    let expected = 0.6 * 2.0 * (0.6 - 0.204) / 0.953 + 1.6;
    assert!(
        (f64::from(depth) - expected).abs() < 1e-4,
        "{depth} is not {expected}"
    );
}

/// One pixel of depth for a hundred of colour. The background is seen on both sides of the foreground and behind it by nobody, so
/// it must not show through.
#[test]
fn a_coarse_foreground_hides_the_background() {
    let depth = Camera::pinhole((40, 30), (40.0, 40.0), (19.5, 14.5)).unwrap();
    let colour = depth.resized(400, 300).unwrap();
    // A board that is turned: its depth goes from 0.9 m on the left to 1.14 m on the right, in steps of about 2 cm.
    let slope = |x: f64| 1.0 / (1.1 - 0.02 * (x - 14.0));
    let board = |x: u32, y: u32| (14..26).contains(&x) && (8..22).contains(&y);
    let image = image(&depth, |x, y| {
        if board(x, y) {
            slope(f64::from(x)) as f32
        } else {
            3.0
        }
    });
    let way = moved(-0.05, 0.02, 0.0);
    let found = register(&depth, &colour, &image, &way).image;
    let mut seen = 0;
    for y in 0..300 {
        for x in 0..400 {
            // Where the board's plane is in the colour picture, from the corners of the board, half a pixel within its edge.
            let corner = |x: f64, y: f64| {
                let point = depth.point(DVec2::new(x, y), slope(x)).unwrap();
                colour.project(way.apply(point)).unwrap()
            };
            let corners = [
                corner(14.0, 8.0),
                corner(25.0, 8.0),
                corner(25.0, 21.0),
                corner(14.0, 21.0),
            ];
            let pixel = DVec2::new(f64::from(x), f64::from(y));
            let inside = (0..4)
                .all(|k| (corners[(k + 1) % 4] - corners[k]).perp_dot(pixel - corners[k]) > 0.0);
            if inside {
                seen += 1;
                let Some(Depth::Measured(metres)) = found.at(x, y) else {
                    panic!("a hole at {pixel}");
                };
                assert!(metres < 1.5, "the background at {pixel}");
            }
        }
    }
    assert!(seen > 12_000, "{seen}");
}

#[test]
fn too_far_has_a_pixel_and_too_near_has_none() {
    let image = image(&small(), |x, _| match x {
        0..50 => f32::INFINITY,
        _ => f32::NEG_INFINITY,
    });
    // However far the camera moves, what is infinitely far stays where it is.
    let found = register(&small(), &small(), &image, &moved(-0.1, 0.3, 0.2));
    assert_eq!(found.image.at(0, 0), Some(Depth::TooFar));
    assert_eq!(found.image.at(49, 59), Some(Depth::TooFar));
    assert_eq!(found.image.at(50, 0), Some(Depth::Missing));
    assert_eq!((found.image.counts().too_far, found.outside), (3000, 0));
}

#[test]
fn what_the_colour_camera_cannot_see_is_counted() {
    let wall = image(&small(), |_, _| 2.0);
    let back = RigidTransform::new([0.0, 1.0, 0.0, 0.0], [0.0; 3]).unwrap();
    // Behind it, in its own plane, and so near to it that a pixel would cover the picture.
    for way in [back, moved(0.0, 0.0, -2.0), moved(0.0, 0.0, -1.999)] {
        let found = register(&small(), &small(), &wall, &way);
        assert_eq!(found.image.counts().missing, 6000);
        assert_eq!(found.outside, 6000);
    }
    for metres in [1e-38, 3e38] {
        let extreme = image(&small(), |_, _| metres);
        for way in [
            moved(1e30, 0.0, 0.0),
            moved(0.0, 0.0, 1e300),
            moved(0.0, 0.0, 1e-300),
        ] {
            let found = register(&small(), &small(), &extreme, &way);
            assert_eq!(found.image.metres().len(), 6000);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_reason() {
    let registration = Registration::new(small(), small()).unwrap();
    let other = DepthImage::new(2, 1, vec![1.0; 2]).unwrap();
    assert_eq!(
        registration
            .register(&other, &RigidTransform::IDENTITY)
            .unwrap_err()
            .to_string(),
        "the depth image is 2x1 pixels, its camera's picture is 100x60; accepted: the same size"
    );
    let huge = Camera::pinhole((1 << 16, 1 << 16), (1.0, 1.0), (0.0, 0.0)).unwrap();
    let (width, height) = (1 << 16, 1 << 16);
    for (depth, colour) in [(huge.clone(), small()), (small(), huge)] {
        let error = Registration::new(depth, colour).unwrap_err();
        assert_eq!(error, GeometryError::PictureSize { width, height });
    }
    for rotation in [
        [0.0; 4],
        [0.0, 0.0, 0.0, 1.02],
        [f64::NAN, 0.0, 0.0, 1.0],
        [f64::INFINITY; 4],
    ] {
        let error = RigidTransform::new(rotation, [0.0; 3]).unwrap_err();
        assert!(matches!(error, GeometryError::Rotation { .. }), "{error}");
    }
    assert_eq!(
        RigidTransform::new([0.0, 0.0, 0.0, 1.0], [0.0, f64::INFINITY, 0.0])
            .unwrap_err()
            .to_string(),
        "translation is [0.0, inf, 0.0]; accepted: finite numbers of metres"
    );
}

#[test]
fn transforms_take_the_child_into_the_parent() {
    // A quarter turn to the left around z, then one metre along x.
    let half = 0.5f64.sqrt();
    let turn = RigidTransform::new([0.0, 0.0, half, half], [1.0, 0.0, 0.0]).unwrap();
    let near = |found: DVec3, expected: [f64; 3]| {
        assert!((found - DVec3::from(expected)).length() < 1e-12, "{found}");
    };
    near(turn.apply(DVec3::new(2.0, 0.0, 3.0)), [1.0, 2.0, 3.0]);
    near(
        turn.inverse().apply(DVec3::new(1.0, 2.0, 3.0)),
        [2.0, 0.0, 3.0],
    );
    near(
        turn.then(&turn).apply(DVec3::new(2.0, 0.0, 3.0)),
        [-1.0, 1.0, 3.0],
    );
    // Slightly off, as printed with two digits.
    let rounded = RigidTransform::new([0.0, 0.0, 0.71, 0.71], [0.0; 3]).unwrap();
    near(rounded.apply(DVec3::X), [0.0, 1.0, 0.0]);
}

fn lens(model: usize, (width, height): (u32, u32), f: f64) -> Camera {
    let (name, d): (&str, &[f64]) = match model {
        0 => ("", &[]),
        1 => ("plumb_bob", &[-0.15, 0.04, 0.001, -0.0007, 0.0]),
        2 => (
            "rational_polynomial",
            &[0.55, -2.4, 0.0006, -0.0002, 1.35, 0.43, -2.2, 1.26],
        ),
        _ => ("equidistant", &[-0.013, 0.021, -0.017, 0.004]),
    };
    let info = CameraInfo {
        width,
        height,
        distortion_model: name.to_owned(),
        d: d.to_vec(),
        k: [
            f,
            0.0,
            f64::from(width) / 2.0,
            0.0,
            f,
            f64::from(height) / 2.0,
            0.0,
            0.0,
            1.0,
        ],
        ..CameraInfo::default()
    };
    Camera::new(&info, Rectification::Raw).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A wall that may be turned by up to 65°, seen by any two cameras that stand a hand's breadth apart: the registered depth is
    /// that of the wall, and where the depth camera sees the wall, there is no hole.
    #[test]
    fn any_wall_is_watertight_and_where_it_is(
        lenses in (0usize..4, 0usize..4), finer in 0.4..8.0f64,
        wall in (0.5..4.0f64, 0.0..1.13f64, 0.0..6.3f64),
        turn in [-0.05..0.05f64, -0.05..0.05, -0.05..0.05], step in [-0.1..0.1f64, -0.1..0.1, -0.1..0.1],
    ) {
        let depth = lens(lenses.0, (80, 60), 70.0);
        let colour = lens(lenses.1, ((80.0 * finer) as u32, (60.0 * finer) as u32), 70.0 * finer);
        let rotation = [turn[0], turn[1], turn[2], (1.0 - turn.map(|t| t * t).iter().sum::<f64>()).sqrt()];
        let way = RigidTransform::new(rotation, step).unwrap();
        // normal · point = distance, in the depth camera's frame.
        let (distance, tilt, around) = wall;
        let normal = (DVec2::from_angle(around) * tilt.sin()).extend(tilt.cos());
        let depth_at = |ray: DVec3| distance / normal.dot(ray);
        let image = image(&depth, |x, y| {
            let ray = depth.ray(DVec2::new(f64::from(x), f64::from(y)));
            ray.map_or(f32::NAN, |ray| depth_at(ray).clamp(0.0, 20.0) as f32)
        });
        let found = register(&depth, &colour, &image, &way).image;
        let back = way.inverse();
        for y in 0..colour.height() {
            for x in 0..colour.width() {
                let Some(ray) = colour.ray(DVec2::new(f64::from(x), f64::from(y))) else { continue };
                // Where the colour camera's ray meets the wall.
                let (from, along) = (back.apply(DVec3::ZERO), back.rotation() * ray);
                let z = (distance - normal.dot(from)) / normal.dot(along);
                let point = from + along * z;
                let Some(pixel) = depth.project(point) else { continue };
                // Away from the border, where half a pixel is flat, and where neighbours count as one surface.
                let inner = pixel.cmpge(DVec2::splat(1.0)).all() && pixel.x <= 78.0 && pixel.y <= 58.0;
                let near = |dx: f64, dy: f64| {
                    let ray = depth.ray(pixel + DVec2::new(dx, dy));
                    ray.is_some_and(|ray| (0.971..1.029).contains(&(depth_at(ray) / point.z)) && depth_at(ray) < 19.0)
                };
                let smooth = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)];
                let smooth = smooth.into_iter().all(|(dx, dy)| near(dx, dy) && near(1.5 * dx, 1.5 * dy));
                if !(inner && smooth && z > 0.05) { continue }
                let Some(Depth::Measured(metres)) = found.at(x, y) else {
                    return Err(TestCaseError::fail(format!("a hole at ({x}, {y})")));
                };
                // Lenses bend straight lines by a little within a pixel of the depth camera.
                let apart = (f64::from(metres) / z - 1.0).abs();
                prop_assert!(apart < 2e-3, "{metres} is not {z} at ({x}, {y})");
            }
        }
    }
}
