//! Masks that spill over onto the table, and objects whose parts are apart for the camera.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use object_geometry::{
    measure, measure_on_support, Alignment, DVec3, MeasuredObject, Options, PixelPoint,
    Surroundings, View,
};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
const FOCAL: f64 = 330.0;
/// How far outside the mask its surroundings reach, pixels.
const REACH: u32 = 8;

/// Upright cuboids: centre and whole lengths.
type Cuboids<'a> = &'a [(DVec3, DVec3)];

/// A camera 0.7 m before the origin and 0.6 m above it, which looks at the origin.
const CAMERA: DVec3 = DVec3::new(0.0, -0.7, 0.6);

/// The point that a pixel shows, and whether it is of a cuboid; the rest is a table at z = 0.
fn seen(cuboids: Cuboids<'_>, column: u32, row: u32) -> (DVec3, bool) {
    let forward = (-CAMERA).normalize();
    let down = forward.cross(DVec3::X);
    let (x, y) = (f64::from(column) - 159.5, f64::from(row) - 119.5);
    let ray = forward + DVec3::X * (x / FOCAL) + down * (y / FOCAL);
    let entry = |(centre, size): &(DVec3, DVec3)| {
        let (a, b) = (
            (*centre - *size / 2.0 - CAMERA) / ray,
            (*centre + *size / 2.0 - CAMERA) / ray,
        );
        let (near, far) = (a.min(b).max_element(), a.max(b).min_element());
        (near < far).then_some(near)
    };
    let table = -CAMERA.z / ray.z;
    let nearest = cuboids
        .iter()
        .filter_map(entry)
        .fold(f64::INFINITY, f64::min);
    (CAMERA + ray * nearest.min(table), nearest < table)
}

/// A set of pixels with everything up to `by` columns and rows away.
fn grown(set: &[bool], by: u32) -> Vec<bool> {
    let (width, by) = (WIDTH as usize, by as usize);
    let across = |set: &[bool], step: usize| -> Vec<bool> {
        (0..set.len())
            .map(|at| {
                let (place, end) = match step {
                    1 => (at % width, width),
                    _ => (at / width, HEIGHT as usize),
                };
                let window = place.saturating_sub(by)..(place + by + 1).min(end);
                window
                    .into_iter()
                    .any(|k| set[at + k * step - place * step])
            })
            .collect()
    };
    across(&across(set, 1), width)
}

/// The object of a mask that spills over by so many pixels; with the surroundings, or without.
fn measured(cuboids: Cuboids<'_>, spilled: u32, on_support: bool) -> MeasuredObject {
    let pixels = (0..HEIGHT).flat_map(|row| (0..WIDTH).map(move |column| (column, row)));
    let (shown, object): (Vec<PixelPoint>, Vec<bool>) = pixels
        .map(|(column, row)| {
            let (position, is_object) = seen(cuboids, column, row);
            let point = PixelPoint {
                column,
                row,
                position,
            };
            (point, is_object)
        })
        .unzip();
    let mask = grown(&object, spilled);
    let outside: Vec<bool> = mask.iter().map(|inside| !inside).collect();
    let (rim, near, far) = (grown(&outside, 4), grown(&mask, 2), grown(&mask, REACH));
    let (mut points, mut is_rim, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for (at, point) in shown.into_iter().enumerate() {
        if mask[at] {
            points.push(point);
            is_rim.push(rim[at]);
        } else if far[at] && !near[at] {
            beside.push(point);
        }
    }
    let view = View {
        points: &points,
        mask_pixels: points.len(),
        camera: CAMERA,
    };
    let options = Options::new(Alignment::Gravity { up: DVec3::Z });
    let surroundings = Surroundings {
        beside: &beside,
        is_rim: &is_rim,
    };
    measure_on_support(&view, on_support.then_some(&surroundings), &options).unwrap()
}

#[test]
fn the_table_around_a_box_is_not_the_box() {
    let size = DVec3::new(0.12, 0.06, 0.08);
    let cuboid = [(DVec3::new(0.02, 0.0, 0.04), size)];
    for spilled in [0, 2, 3] {
        let with = measured(&cuboid, spilled, true);
        let found = with.geometry.bounding_box;
        assert!(
            found.center.distance(cuboid[0].0) < 6e-3,
            "{spilled}: {found:?}"
        );
        assert!(
            (found.size - size).abs().max_element() < 8e-3,
            "{spilled}: {found:?}"
        );
        let plane = with.support.unwrap();
        assert!(
            plane.normal.distance(DVec3::Z) < 1e-3 && plane.offset.abs() < 1e-3,
            "{plane:?}"
        );
        assert_eq!(with.points.len(), with.geometry.points);
        assert!(with.of_support <= with.geometry.rejected);
    }
    // Without knowing the table it joins the box.
    let without = measured(&cuboid, 3, false).geometry.bounding_box;
    assert!(
        (without.size - size).abs().max_element() > 0.012,
        "{without:?}"
    );
}

#[test]
fn a_sheet_keeps_its_rim() {
    let size = DVec3::new(0.2, 0.12, 1e-3);
    let sheet = [(DVec3::new(0.0, 0.0, 5e-4), size)];
    let found = measured(&sheet, 0, true);
    assert_eq!(found.of_support, 0);
    assert!(
        (found.geometry.bounding_box.size - size)
            .abs()
            .max_element()
            < 6e-3
    );
}

/// A lamp: for the camera the foot begins 0.1 m behind the shade, and stands right below it.
#[test]
fn what_stands_below_a_part_is_of_the_object_and_what_stands_behind_is_not() {
    let shade = (DVec3::new(0.0, 0.0, 0.2), DVec3::new(0.16, 0.1, 0.06));
    let foot = (DVec3::new(0.0, 0.0, 0.01), DVec3::new(0.1, 0.1, 0.02));
    let found = measured(&[shade, foot], 0, true).geometry;
    assert!((found.bounding_box.size.z - 0.23).abs() < 8e-3, "{found:?}");
    let behind = (DVec3::new(0.0, 0.35, 0.06), DVec3::new(0.1, 0.1, 0.12));
    let found = measured(&[shade, behind], 0, true).geometry;
    assert!(found.bounding_box.size.y < 0.12, "{found:?}");
}

#[test]
fn without_surroundings_nothing_changes() {
    let cuboid = [(DVec3::new(0.0, 0.0, 0.04), DVec3::new(0.1, 0.05, 0.08))];
    let all = measured(&cuboid, 1, false);
    let view = View {
        points: &all.points,
        mask_pixels: all.points.len(),
        camera: CAMERA,
    };
    let options = Options::new(Alignment::Gravity { up: DVec3::Z });
    assert_eq!(all.support, None);
    assert_eq!(
        measure(&view, &options).unwrap().points,
        all.geometry.points
    );
}
