//! Flying points and background are left out, and what belongs to the object stays.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod scene;

use std::ops::Range;

use object_geometry::{measure, Alignment, DVec3, ObjectGeometry, Options, PixelPoint, View};
use scene::{see, Body, CameraView, Faults};

const UP: Alignment = Alignment::Gravity { up: DVec3::Z };

fn measured(seen: &CameraView) -> ObjectGeometry {
    let view = View {
        points: &seen.points,
        mask_pixels: seen.mask_pixels,
        camera: seen.camera,
    };
    measure(&view, &Options::new(UP)).unwrap()
}

/// An upright frame that hangs in the air, seen from the front, with the wall behind it in its hole: without the rule the box is as deep as the room.
#[test]
fn background_in_a_hole_and_around_the_object_is_left_out() {
    let size = DVec3::new(0.30, 0.04, 0.24);
    let body = Body::Frame {
        size,
        yaw: std::f64::consts::FRAC_PI_2,
        hole: 0.6,
    };
    for (noise, mixed) in [(0.0005, 0.0), (0.002, 0.02)] {
        let faults = Faults {
            noise,
            mixed,
            holes: 0.02,
            wide: 2,
            filled: true,
            hanging: true,
        };
        let seen = see(&body, 1.2, 0.1, faults, 3);
        let found = measured(&seen);
        println!(
            "frame: {:.3} of {:.3}, {} points, {} left out",
            found.bounding_box.size,
            body.size(),
            found.points,
            found.rejected
        );
        assert!((found.bounding_box.size - body.size()).abs().max_element() < 0.03);
        assert!(found.bounding_box.center.distance(body.center()) < 0.02);
        // The hole is 36 % of the front.
        assert!(found.rejected as f64 > 0.25 * seen.points.len() as f64);
    }
}

#[test]
fn without_faults_nearly_all_points_stay() {
    let body = Body::Box {
        size: DVec3::new(0.2, 0.1, 0.1),
        yaw: 0.3,
    };
    let seen = see(&body, 1.0, 0.6, Faults::default(), 1);
    let found = measured(&seen);
    assert_eq!((found.points, found.rejected), (seen.points.len(), 0));
    assert_eq!(found.depth_coverage, 1.0);
}

/// What a camera with a focal length of 500 pixels sees in these pixels, row by row, where `depth` says how far they are; `None` is no
/// measurement. Pixel (0, 0) is on its axis.
fn seen_points(
    columns: Range<u32>,
    rows: Range<u32>,
    depth: impl Fn(u32, u32) -> Option<f64>,
) -> Vec<PixelPoint> {
    let pixels = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
    let point = |(column, row): (u32, u32)| {
        let (x, y) = (f64::from(column) / 500.0, f64::from(row) / 500.0);
        Some(PixelPoint {
            column,
            row,
            position: DVec3::new(x, y, 1.0) * depth(column, row)?,
        })
    };
    pixels.filter_map(point).collect()
}

/// A bar across the view divides a wall of 60×40 pixels; both halves count. A patch far behind does not, nor do single points.
#[test]
fn an_object_that_is_divided_stays_one() {
    let points = seen_points(0..60, 0..40, |column, row| match column {
        28..=31 => None,
        0..=5 if row < 6 => Some(2.5),
        45 if row == 20 => Some(1.3),
        _ => Some(1.0),
    });
    let view = View {
        points: &points,
        mask_pixels: 2400,
        camera: DVec3::ZERO,
    };
    let found = measure(&view, &Options::new(Alignment::Gravity { up: -DVec3::Y })).unwrap();
    assert_eq!(found.rejected, 37);
    assert!(
        (found.bounding_box.size - DVec3::new(0.118, 0.0, 0.078))
            .abs()
            .max_element()
            < 0.002
    );
    assert!((found.depth_coverage - points.len() as f64 / 2400.0).abs() < 1e-12);
}

/// A cable one pixel wide has two neighbours of its own, whatever the mask shows beside it.
#[test]
fn a_thin_object_is_not_taken_for_flying_points() {
    let depth = |column| if column == 10 { 1.0 } else { 2.0 };
    let points = seen_points(9..12, 0..100, |column, _| Some(depth(column)));
    let view = View {
        points: &points,
        mask_pixels: 300,
        camera: DVec3::ZERO,
    };
    let found = measure(&view, &Options::new(Alignment::Principal)).unwrap();
    // Its ends join one of five neighbours only.
    assert_eq!(found.points, 98);
    assert!((found.bounding_box.size.x - 0.194).abs() < 0.002);
    assert!(found.bounding_box.size.y < 1e-4);
}
