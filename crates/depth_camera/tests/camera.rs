//! Camera models: OpenCV's numbers, region, binning and rectification by hand, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use depth_camera::glam::{DVec2, DVec3};
use depth_camera::{Camera, CameraError, CameraInfo, Rectification, Roi, UNDISTORTION_TOLERANCE};

fn info(model: &str, d: &[f64]) -> CameraInfo {
    CameraInfo {
        width: 640,
        height: 480,
        distortion_model: model.to_owned(),
        d: d.to_vec(),
        k: [615.5, 0.0, 319.25, 0.0, 612.25, 241.75, 0.0, 0.0, 1.0],
        ..CameraInfo::default()
    }
}

fn raw(model: &str, d: &[f64]) -> Result<Camera, CameraError> {
    Camera::new(&info(model, d), Rectification::Raw)
}

fn assert_near(found: DVec2, expected: (f64, f64), tolerance: f64) {
    let (x, y) = expected;
    assert!(
        (found - DVec2::new(x, y)).length() <= tolerance,
        "{found} is not {expected:?}"
    );
}

/// Model, coefficients, and the pixels of five points.
type Case<'a> = (&'a str, &'a [f64], [(f64, f64); 5]);

/// `cv2.projectPoints` and `cv2.fisheye.projectPoints` of OpenCV 5.0.0, without rotation and translation, for the K and D below.
/// Rounding leaves them within 1e-9 pixels; the tilted sensor's matrix is multiplied in another order.
#[test]
fn pixels_are_opencvs() {
    let points = [
        [0.1, -0.05, 1.0],
        [-0.6, 0.45, 1.5],
        [0.9, 0.7, 2.0],
        [0.0, 0.0, 0.7],
        [0.31, -0.62, 1.3],
    ];
    let d = [
        0.55, -2.4, 0.0006, -0.0002, 1.35, 0.43, -2.2, 1.26, 0.0012, -0.0004, -0.0009, 0.0003,
        0.02, -0.035,
    ];
    let cases: [Case<'_>; 5] = [
        (
            "plumb_bob",
            &[0.12, -0.25, 0.0011, -0.0007],
            [
                (380.869147578125, 211.10884861328125),
                (69.1027985, 428.45778037499997),
                (599.61190415625, 458.98506282812497),
                (319.25, 241.75),
                (467.7390380376502, -53.71217702285122),
            ],
        ),
        (
            "plumb_bob",
            &[-0.28, 0.09, 0.0004, -0.0012, -0.011],
            [
                (380.5589727245117, 211.25584666940918),
                (88.46135062500002, 413.850987734375),
                (573.0870552371094, 438.40165357792966),
                (319.25, 241.75),
                (455.01927621894504, -28.702907554584442),
            ],
        ),
        (
            "rational_polynomial",
            &d[..8],
            [
                (380.88226580145783, 211.10041085417947),
                (68.18798028639097, 429.12113836422475),
                (602.3596900854834, 460.93407264330904),
                (319.25, 241.75),
                (468.9087555465027, -55.95222190043489),
            ],
        ),
        (
            "rational_polynomial",
            &d[..12],
            [
                (380.8914598327078, 211.09355174089822),
                (68.35724278639097, 428.9948618017248),
                (602.5737302104833, 460.774390190184),
                (319.25, 241.75),
                (469.0988517334184, -56.09404122265971),
            ],
        ),
        (
            "rational_polynomial",
            &d,
            [
                (381.08417642630894, 211.05344552014063),
                (70.23498286373064, 427.3434342476154),
                (609.5034428029827, 466.24095544072816),
                (319.25, 241.75),
                (469.01028781999787, -55.69094169057087),
            ],
        ),
    ];
    for (model, d, expected) in cases {
        let camera = raw(model, d).unwrap();
        for (point, expected) in points.into_iter().zip(expected) {
            assert_near(camera.project(point.into()).unwrap(), expected, 1e-9);
            let ray = camera.ray(DVec2::from(expected)).unwrap();
            let place = DVec3::from(point) / point[2];
            let apart = (ray - place).length() * 615.5;
            assert!(
                apart <= 10.0 * UNDISTORTION_TOLERANCE,
                "{model}: {apart} pixels"
            );
        }
    }
}

#[test]
fn fisheye_pixels_are_opencvs() {
    let points = [
        [0.1, -0.05, 1.0],
        [-1.6, 0.45, 1.0],
        [2.9, 1.7, 1.0],
        [0.31, -0.62, 1.3],
        [3.0, -9.0, 1.0],
    ];
    let cases = [
        (
            [-0.013, 0.021, -0.017, 0.004],
            [
                (449.677434753569, 385.49894361084216),
                (139.91972159106388, 479.0819975646915),
                (733.4749061505889, 583.2592034006043),
                (483.6625088981691, 274.59707059824234),
                (551.6841835982002, 7.419509054450543),
            ],
        ),
        (
            [0.0; 4],
            [
                (449.6819259648699, 385.49669210605254),
                (138.39906428323513, 479.51080594793297),
                (736.9210293480181, 585.2846514360521),
                (483.7958542369376, 274.3296793322355),
                (553.5845946106737, 1.7032990475795486),
            ],
        ),
    ];
    for (d, expected) in cases {
        let info = CameraInfo {
            width: 848,
            height: 800,
            k: [285.5, 0.0, 421.25, 0.0, 286.25, 399.75, 0.0, 0.0, 1.0],
            ..info("equidistant", &d)
        };
        let camera = Camera::new(&info, Rectification::Raw).unwrap();
        for (point, expected) in points.into_iter().zip(expected) {
            assert_near(camera.project(point.into()).unwrap(), expected, 1e-9);
            let again = camera.point(DVec2::from(expected), point[2]).unwrap();
            assert!((again - DVec3::from(point)).length() < 1e-7, "{again}");
        }
    }
}

#[test]
fn without_coefficients_nothing_bends() {
    let straight = Camera::pinhole((640, 480), (615.5, 612.25), (319.25, 241.75)).unwrap();
    let zeros = [0.0; 14];
    for (model, d) in [
        ("plumb_bob", &zeros[..5]),
        ("plumb_bob", &zeros[..0]),
        ("rational_polynomial", &zeros[..8]),
        ("rational_polynomial", &zeros),
        ("", &zeros[..0]),
        ("", &zeros[..5]),
    ] {
        assert_eq!(raw(model, d).unwrap(), straight);
    }
    // 615.5 · 0.2 + 319.25 and 612.25 · −0.1 + 241.75.
    let pixel = straight.project(DVec3::new(0.4, -0.2, 2.0)).unwrap();
    assert_near(pixel, (442.35, 180.525), 1e-12);
    assert_eq!(straight.project(DVec3::new(0.4, -0.2, 0.0)), None);
    assert_eq!(straight.project(DVec3::new(0.4, -0.2, -2.0)), None);
    assert_eq!(straight.ray(DVec2::new(319.25, 241.75)), Some(DVec3::Z));
}

/// k1 = −0.5 alone: r (1 − r² / 2) rises up to r = √(2/3), where it is 0.5443, and falls to 0 at √2.
#[test]
fn what_a_polynomial_folds_back_is_not_seen() {
    let camera = raw("plumb_bob", &[-0.5, 0.0, 0.0, 0.0]).unwrap();
    assert!(camera.project(DVec3::new(0.81, 0.0, 1.0)).is_some());
    // OpenCV puts this point, 53° to the right, into the middle of the picture.
    assert_eq!(camera.project(DVec3::new(1.41, 0.0, 1.0)), None);
    let right = |bent: f64| camera.ray(DVec2::new(319.25 + 615.5 * bent, 241.75));
    assert!(right(0.544).is_some_and(|ray| ray.x < 0.8165));
    assert_eq!(right(0.545), None);
    assert_eq!(right(f64::NAN), None);
    // Where Newton's method begins, r (1 - r² / 3) has the derivative 0.
    let flat = raw("plumb_bob", &[-1.0 / 3.0, 0.0, 0.0, 0.0]).unwrap();
    assert_eq!(flat.ray(DVec2::new(319.25 + 615.5, 241.75)), None);
    let fisheye = raw("equidistant", &[-0.3, 0.0, 0.0, 0.0]).unwrap();
    // θ (1 − 0.3 θ²) rises up to θ = 1.0541, where it is 0.7027.
    assert!(fisheye
        .project(DVec3::new(1.05f64.tan(), 0.0, 1.0))
        .is_some());
    assert_eq!(fisheye.project(DVec3::new(1.06f64.tan(), 0.0, 1.0)), None);
    assert_eq!(
        fisheye.ray(DVec2::new(319.25 + 615.5 * 0.703, 241.75)),
        None
    );
    assert_eq!(fisheye.ray(DVec2::NAN), None);
}

#[test]
fn region_then_binning() {
    let part = CameraInfo {
        binning_x: 2,
        binning_y: 4,
        roi: Roi {
            x_offset: 100,
            y_offset: 40,
            width: 401,
            height: 200,
        },
        ..info("plumb_bob", &[0.12, -0.25, 0.0011, -0.0007])
    };
    let part = CameraInfo {
        p: [
            600.0, 0.0, 310.0, 0.0, 0.0, 600.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0,
        ],
        ..part
    };
    let camera = Camera::new(&part, Rectification::Raw).unwrap();
    assert_eq!((camera.width(), camera.height()), (200, 50));
    assert_eq!(camera.focal_lengths(), DVec2::new(307.75, 153.0625));
    assert_eq!(camera.principal_point(), DVec2::new(109.625, 50.4375));
    let full = raw("plumb_bob", &part.d).unwrap();
    let point = DVec3::new(-0.1, 0.05, 1.1);
    let there = full.project(point).unwrap();
    let expected = ((there.x - 100.0) / 2.0, (there.y - 40.0) / 4.0);
    assert_near(camera.project(point).unwrap(), expected, 1e-9);
    let rectified = Camera::new(&part, Rectification::Rectified).unwrap();
    assert_eq!(rectified.focal_lengths(), DVec2::new(300.0, 150.0));
    assert_eq!(rectified.principal_point(), DVec2::new(105.0, 50.0));
    assert_near(
        rectified.project(DVec3::new(0.1, 0.2, 1.0)).unwrap(),
        (135.0, 80.0),
        1e-9,
    );
}

#[test]
fn a_resized_picture_keeps_its_borders() {
    let camera = raw("plumb_bob", &[0.12, -0.25, 0.0011, -0.0007]).unwrap();
    let half = camera.resized(320, 240).unwrap();
    let point = DVec3::new(0.3, -0.2, 1.0);
    let (there, here) = (camera.project(point).unwrap(), half.project(point).unwrap());
    let expected = (there + 0.5) / 2.0 - 0.5;
    assert_near(here, expected.into(), 1e-9);
    assert!(camera.contains(DVec2::new(-0.5, 479.4)) && half.contains(DVec2::new(-0.5, 239.4)));
    assert!(!camera.contains(DVec2::new(639.5, 0.0)) && !half.contains(DVec2::new(319.5, 0.0)));
    assert!(!camera.contains(DVec2::NAN));
    let (width, height) = (0, 5);
    assert_eq!(
        camera.resized(0, 5),
        Err(CameraError::Size { width, height })
    );
}

/// The right camera of a stereo pair with a baseline of 0.1 m: Tx = −fx · 0.1. Points are in the left camera's frame.
#[test]
fn the_right_stereo_camera_stands_on_the_baseline() {
    let (sine, cosine) = (0.6, 0.8);
    let right = CameraInfo {
        p: [
            500.0, 0.0, 320.0, -50.0, 0.0, 500.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0,
        ],
        // From the camera's own axes into the rectified ones.
        r: [cosine, 0.0, sine, 0.0, 1.0, 0.0, -sine, 0.0, cosine],
        ..info("plumb_bob", &[])
    };
    let rectified = Camera::new(&right, Rectification::Rectified).unwrap();
    let point = DVec3::new(0.5, 0.2, 2.0);
    // 500 · (0.5 − 0.1) / 2 + 320, 500 · 0.2 / 2 + 240.
    assert_near(rectified.project(point).unwrap(), (420.0, 290.0), 1e-9);
    assert_eq!(rectified.depth_of(point), 2.0);
    let again = rectified.point(DVec2::new(420.0, 290.0), 2.0).unwrap();
    assert!((again - point).length() < 1e-12, "{again}");

    // R turns (0.4, 0.2, 2) back to (0.8 · 0.4 − 0.6 · 2, 0.2, 0.6 · 0.4 + 0.8 · 2) = (−0.88, 0.2, 1.84).
    let raw = Camera::new(&right, Rectification::Raw).unwrap();
    assert!((raw.depth_of(point) - 1.84).abs() < 1e-12);
    let pixel = raw.project(point).unwrap();
    assert_near(
        pixel,
        (615.5 * -0.88 / 1.84 + 319.25, 612.25 * 0.2 / 1.84 + 241.75),
        1e-9,
    );
    let again = raw.point(pixel, 1.84).unwrap();
    assert!((again - point).length() < 1e-9, "{again}");
}

#[test]
fn bad_calibrations_are_refused_by_name() {
    let say = |info: &CameraInfo, picture| Camera::new(info, picture).unwrap_err().to_string();
    let good = info("plumb_bob", &[0.1, 0.0, 0.0, 0.0, 0.0]);
    let change = |change: fn(&mut CameraInfo)| {
        let mut info = good.clone();
        change(&mut info);
        info
    };
    let uncalibrated = CameraInfo {
        k: [0.0; 9],
        ..good.clone()
    };
    assert_eq!(
        say(&uncalibrated, Rectification::Raw),
        "K is empty (its first element is 0): the camera is not calibrated for raw pictures"
    );
    assert_eq!(
        say(&good, Rectification::Rectified),
        "P is empty (its first element is 0): the camera is not calibrated for rectified pictures"
    );
    for (model, told) in [
        ("pinhole", "distortion model \"pinhole\" is unknown; accepted: plumb_bob (4 or 5 coefficients), rational_polynomial (8, 12 or 14), equidistant (4)"),
        ("", "distortion model \"\" is unknown; accepted: plumb_bob (4 or 5 coefficients), rational_polynomial (8, 12 or 14), equidistant (4)"),
    ] {
        assert_eq!(say(&info(model, &good.d), Rectification::Raw), told);
    }
    for (model, counts, accepted) in [
        ("plumb_bob", [1, 3, 8], "4 or 5, or none at all"),
        (
            "rational_polynomial",
            [5, 6, 13],
            "8, 12 or 14, or none at all",
        ),
        ("equidistant", [0, 3, 5], "4"),
    ] {
        for count in counts {
            assert_eq!(
                say(&info(model, &vec![0.1; count]), Rectification::Raw),
                format!("distortion model {model} with {count} coefficients; accepted: {accepted}")
            );
        }
    }
    assert_eq!(
        say(
            &info("plumb_bob", &[0.1, f64::NAN, 0.0, 0.0]),
            Rectification::Raw
        ),
        "distortion coefficient 1 is NaN; accepted: finite numbers"
    );
    let mut tilted = [0.0; 14];
    tilted[12] = 1.6;
    assert!(
        say(&info("rational_polynomial", &tilted), Rectification::Raw)
            .starts_with("the sensor is tilted by (1.6, 0) rad")
    );

    let matrices: [fn(&mut CameraInfo); 7] = [
        |info| info.k[0] = -600.0,
        |info| info.k[1] = 0.5,
        |info| info.k[2] = f64::NAN,
        |info| info.k[4] = 0.0,
        |info| info.k[4] = f64::INFINITY,
        |info| info.k[8] = 0.0,
        |info| info.p[3] = 7.0,
    ];
    for matrix in matrices {
        let found = Camera::new(&change(matrix), Rectification::Raw);
        assert!(
            matches!(found, Err(CameraError::Matrix { .. })),
            "{found:?}"
        );
    }
    for r in [
        [1.0; 9],
        [f64::NAN; 9],
        [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0],
    ] {
        let found = Camera::new(&CameraInfo { r, ..good.clone() }, Rectification::Raw);
        assert!(
            matches!(found, Err(CameraError::Rotation { .. })),
            "{found:?}"
        );
    }

    assert_eq!(
        say(&change(|info| info.width = 0), Rectification::Raw),
        "the camera's picture is 0x480 pixels; accepted: sides of at least 1"
    );
    assert!(matches!(
        Camera::new(&change(|info| info.binning_y = 481), Rectification::Raw),
        Err(CameraError::Size {
            width: 640,
            height: 0
        })
    ));
    let roi = |x_offset, y_offset, width, height| {
        let roi = Roi {
            x_offset,
            y_offset,
            width,
            height,
        };
        say(
            &CameraInfo {
                roi,
                ..good.clone()
            },
            Rectification::Raw,
        )
    };
    assert_eq!(
        roi(600, 0, 41, 480),
        "the region of interest is 41x480 pixels at (600, 0); accepted: all 0, or a part of the full 640x480"
    );
    assert!(roi(10, 0, 0, 0).starts_with("the region of interest is 0x0"));
    assert!(roi(u32::MAX, 0, u32::MAX, 1).starts_with("the region of interest"));
}
