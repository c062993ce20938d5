//! The axes follow their rule, and bad input ends in an error or a stated result, never in NaN.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use object_geometry::{
    measure, Alignment, DQuat, DVec3, GeometryError, ObjectGeometry, Options, PixelPoint, View,
};
use proptest::prelude::*;

/// A wall that faces the camera at this distance: 1/500 of it between the pixels, in the optical frame.
fn wall(columns: u32, rows: u32, z: f64) -> Vec<PixelPoint> {
    let at = |k: u32| (k % columns, k / columns);
    let point = |(column, row): (u32, u32)| PixelPoint {
        column,
        row,
        position: DVec3::new(f64::from(column) / 500.0, f64::from(row) / 500.0, 1.0) * z,
    };
    (0..columns * rows).map(|k| point(at(k))).collect()
}

fn run(points: &[PixelPoint], alignment: Alignment) -> Result<ObjectGeometry, GeometryError> {
    let view = View {
        points,
        mask_pixels: points.len(),
        camera: DVec3::ZERO,
    };
    measure(&view, &Options::new(alignment))
}

const UP: Alignment = Alignment::Gravity {
    up: DVec3::new(0.0, -2.0, 0.0),
};

fn finite(found: &ObjectGeometry) -> bool {
    let (b, g) = (&found.bounding_box, &found.grasp);
    let vectors = [b.center, b.size, g.position, g.normal, g.across];
    vectors.iter().all(|v| v.is_finite())
        && (b.rotation.length() - 1.0).abs() < 1e-9
        && (g.normal.length() - 1.0).abs() < 1e-9
        && (g.across.length() - 1.0).abs() < 1e-9
        && g.normal.dot(g.across).abs() < 1e-9
        && b.size.min_element() >= 0.0
        && g.width >= 0.0
        && (0.0..=1.0).contains(&found.depth_coverage)
}

#[test]
fn the_axes_follow_the_rule() {
    let points = wall(61, 31, 1.0);
    let upright = run(&points, UP).unwrap().bounding_box;
    assert!((upright.rotation * DVec3::X).distance(DVec3::X) < 1e-3);
    assert!((upright.rotation * DVec3::Z).distance(-DVec3::Y) < 1e-9);
    assert!(upright.center.distance(DVec3::new(0.06, 0.03, 1.0)) < 1e-3);
    let principal = run(&points, Alignment::Principal).unwrap();
    let turned = principal.bounding_box.rotation;
    assert!((turned * DVec3::X).distance(DVec3::X) < 1e-3);
    assert!((turned * DVec3::Z).distance(-DVec3::Z) < 1e-3); // to the camera
    assert!((principal.grasp.width - 0.06).abs() < 1e-3);
    assert!(principal.grasp.across.distance(DVec3::Y) < 1e-2);
    assert!(
        principal
            .grasp
            .position
            .distance(DVec3::new(0.06, 0.03, 1.0))
            < 1e-3
    );
}

#[test]
fn bad_input_is_told() {
    let points = wall(20, 20, 1.0);
    for up in [DVec3::ZERO, DVec3::NAN, DVec3::new(f64::INFINITY, 0.0, 0.0)] {
        let refused = run(&points, Alignment::Gravity { up });
        assert!(matches!(refused, Err(GeometryError::NoUp { .. })));
    }
    for up in [DVec3::new(0.0, 1e-300, 0.0), DVec3::new(0.0, 1e300, 1e300)] {
        assert!(finite(&run(&points, Alignment::Gravity { up }).unwrap()));
    }
    assert_eq!(run(&[], UP), Err(GeometryError::EmptyMask));
    let few = |with_depth, kept| GeometryError::TooFewPoints {
        mask_pixels: 400,
        with_depth,
        kept,
        needed: 20,
    };
    let view = |points| View {
        points,
        mask_pixels: 400,
        camera: DVec3::ZERO,
    };
    assert_eq!(measure(&view(&[]), &Options::new(UP)), Err(few(0, 0)));
    assert_eq!(
        measure(&view(&points[..1]), &Options::new(UP)),
        Err(few(1, 0))
    );
    assert_eq!(
        measure(&view(&points[..19]), &Options::new(UP)),
        Err(few(19, 19))
    );
    for position in [
        DVec3::NAN,
        DVec3::ZERO,
        DVec3::INFINITY,
        DVec3::splat(1e300),
    ] {
        let none: Vec<_> = points
            .iter()
            .map(|p| PixelPoint { position, ..*p })
            .collect();
        assert_eq!(run(&none, UP), Err(few(0, 0)));
    }
    for depth_noise in [-0.1, f64::NAN, 2.0] {
        let refused = measure(
            &view(&points),
            &Options {
                depth_noise,
                ..Options::new(UP)
            },
        );
        assert!(matches!(refused, Err(GeometryError::BadOptions { .. })));
    }
    let refused = measure(
        &View {
            camera: DVec3::NAN,
            ..view(&points)
        },
        &Options::new(UP),
    );
    assert!(matches!(refused, Err(GeometryError::NoCamera { .. })));
    let apart = [
        points[0],
        PixelPoint {
            column: u32::MAX,
            row: u32::MAX,
            ..points[1]
        },
    ];
    assert!(matches!(
        run(&apart, UP),
        Err(GeometryError::PixelsTooFarApart { .. })
    ));
}

/// A row of pixels is a line: one length, two of about 0, and the normal faces the camera.
#[test]
fn points_on_a_line_have_a_box_of_one_length() {
    for (columns, rows) in [(50, 1), (1, 50)] {
        for alignment in [
            UP,
            Alignment::Principal,
            Alignment::Gravity { up: DVec3::X },
        ] {
            let found = run(&wall(columns, rows, 1.0), alignment).unwrap();
            assert!(finite(&found));
            let mut size = found.bounding_box.size.to_array();
            size.sort_by(f64::total_cmp);
            assert!(size[1] < 1e-3 && (size[2] - 0.098).abs() < 1e-3, "{size:?}");
            assert!(found.grasp.width < 1e-3);
            assert!(found.grasp.normal.z < -0.99);
        }
    }
}

proptest! {
    /// The same surface in another frame has the same box and hint there, but for the sign of its axes.
    #[test]
    fn the_frame_does_not_matter(
        turn in [-1.0..1.0, -1.0..1.0, -1.0..1.0f64], shift in [-50.0..50.0, -50.0..50.0, -50.0..50.0f64],
    ) {
        let turn = DQuat::from_scaled_axis(DVec3::from_array(turn) * 3.0);
        let shift = DVec3::from_array(shift);
        let points = wall(60, 25, 1.0);
        let moved: Vec<_> = (points.iter())
            .map(|p| PixelPoint { position: turn * p.position + shift, ..*p })
            .collect();
        let view = View { points: &moved, mask_pixels: 2000, camera: shift };
        for (here, there) in [
            (UP, Alignment::Gravity { up: turn * -DVec3::Y }),
            (Alignment::Principal, Alignment::Principal),
        ] {
            let a = run(&points, here).unwrap();
            let b = measure(&view, &Options::new(there)).unwrap();
            prop_assert!((turn * a.bounding_box.center + shift).distance(b.bounding_box.center) < 1e-4);
            prop_assert!(a.bounding_box.size.distance(b.bounding_box.size) < 1e-4);
            prop_assert!((turn * a.grasp.position + shift).distance(b.grasp.position) < 1e-6);
            prop_assert!((turn * a.grasp.normal).distance(b.grasp.normal) < 1e-6);
            prop_assert!((a.grasp.width - b.grasp.width).abs() < 1e-4);
        }
    }

    /// Whatever the points: an error, or finite numbers.
    #[test]
    fn nothing_but_finite_numbers_comes_out(
        cells in proptest::collection::vec((0..12u32, 0..12u32, prop_oneof![
            8 => Just(1.0), 2 => 0.9..1.1f64, 1 => Just(f64::NAN), 1 => Just(0.0), 1 => Just(f64::INFINITY), 1 => -3.0..1e6f64,
        ]), 0..200),
        up in [-1.0..1.0, -1.0..1.0, -1.0..1.0f64],
        depth_noise in prop_oneof![Just(0.0), Just(0.002), Just(1.0)],
    ) {
        let points: Vec<_> = (cells.iter())
            .map(|&(column, row, z)| PixelPoint {
                column,
                row,
                position: DVec3::new(f64::from(column) / 500.0, f64::from(row) / 500.0, 1.0) * z,
            })
            .collect();
        let view = View { points: &points, mask_pixels: 144, camera: DVec3::ZERO };
        for alignment in [Alignment::Gravity { up: DVec3::from_array(up) }, Alignment::Principal] {
            let options = Options { alignment, depth_noise, min_points: 1 };
            match measure(&view, &options) {
                Ok(found) => prop_assert!(finite(&found), "{found:?}"),
                Err(GeometryError::TooFewPoints { .. }) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
