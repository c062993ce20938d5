//! The box around the points: standing upright, or along their principal axes.

use glam::{DMat3, DQuat, DVec2, DVec3};

use crate::eigen::symmetric_eigen;
use crate::extent::{extent, extent_along, trimmed};
use crate::outline::{calipers, convex_hull, Caliper};
use crate::OrientedBox;

/// Rectangles whose areas differ by less than this share of the smallest are told apart by how close the points lie to
/// their sides.
const SAME_AREA: f64 = 0.1;
/// At most this many points and rectangles are compared for that.
const COMPARED_POINTS: usize = 1000;
const COMPARED_RECTANGLES: usize = 32;

/// The box that stands upright: the smallest rectangle of the points as seen along `up`, times their extent along it.
///
/// `points` are relative to `origin`; `up` is of length 1.
pub(crate) fn gravity_aligned(points: &[DVec3], origin: DVec3, up: DVec3) -> OrientedBox {
    let (east, north) = plane_axes(up);
    let flat: Vec<DVec2> = (points.iter())
        .map(|p| DVec2::new(p.dot(east), p.dot(north)))
        .collect();
    let along = rectangle_direction(&trimmed(&flat));
    let sides = [along, along.perp()].map(|side| {
        let (low, high) = extent_along(&flat, side);
        (east * side.x + north * side.y, low, high)
    });
    let longer = usize::from(sides[1].2 - sides[1].1 > sides[0].2 - sides[0].1);
    let x = along_frame(sides[longer].0);
    oriented_box(points, origin, x, up)
}

/// The box along the principal axes of the points: x the longest, z the shortest, which faces the camera.
pub(crate) fn principal(points: &[DVec3], origin: DVec3, camera: DVec3) -> OrientedBox {
    let (_, axes) = symmetric_eigen(covariance(points.iter().copied(), points.len() as f64));
    let mut sides = [axes.x_axis, axes.y_axis, axes.z_axis].map(|axis| {
        let (low, high) = extent_on(points, axis);
        (high - low, axis)
    });
    // A stable sort: where extents are equal, the order of the eigenvalues holds.
    sides.sort_by(|a, b| b.0.total_cmp(&a.0));
    let z = match sides[2].1.dot(camera - origin) < 0.0 {
        true => -sides[2].1,
        false => sides[2].1,
    };
    oriented_box(points, origin, along_frame(sides[0].1), z)
}

/// The box with these axes, y completing them, around the extents of the points.
fn oriented_box(points: &[DVec3], origin: DVec3, x: DVec3, z: DVec3) -> OrientedBox {
    let y = z.cross(x).normalize();
    let axes = [y.cross(z).normalize(), y, z];
    let (mut center, mut size) = (origin, [0.0; 3]);
    for (axis, length) in axes.iter().zip(&mut size) {
        let (low, high) = extent_on(points, *axis);
        center += *axis * ((low + high) / 2.0);
        *length = high - low;
    }
    let rotation = DQuat::from_mat3(&DMat3::from_cols(axes[0], axes[1], axes[2])).normalize();
    OrientedBox {
        center,
        // Of the two quaternions of a rotation, the one with w not below 0.
        rotation: if rotation.w < 0.0 {
            -rotation
        } else {
            rotation
        },
        size: DVec3::from_array(size),
    }
}

/// The direction of the smallest rectangle around points in a plane.
///
/// Two sides of a box, seen without its top, are an L, and the triangle around it has the same area whether the rectangle
/// lies along the L or across it. Among rectangles of about the smallest area that one is taken whose sides the points lie
/// closest to (the closeness criterion of Zhang et al. 2017, "Efficient L-shape fitting for vehicle detection").
fn rectangle_direction(points: &[DVec2]) -> DVec2 {
    let mut rectangles = calipers(&convex_hull(points));
    rectangles.sort_by(|a, b| a.area().total_cmp(&b.area()));
    let Some(first) = rectangles.first().copied() else {
        return DVec2::X;
    };
    let step = points.len().div_ceil(COMPARED_POINTS).max(1);
    let distance = |rectangle: &Caliper| -> f64 {
        let sides = [rectangle.along, rectangle.along.perp()]
            .map(|side| (side, extent_along(points, side)));
        let to_side = |p: &DVec2| {
            let gaps = sides.iter().map(|(side, (low, high))| {
                let at = p.dot(*side);
                (at - low).abs().min((high - at).abs())
            });
            gaps.fold(f64::INFINITY, f64::min)
        };
        points.iter().step_by(step).map(to_side).sum()
    };
    (rectangles.iter())
        .take_while(|rectangle| rectangle.area() <= first.area() * (1.0 + SAME_AREA))
        .take(COMPARED_RECTANGLES)
        .map(|rectangle| (distance(rectangle), rectangle.along))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(first.along, |best| best.1)
}

/// How far points reach along an axis.
pub(crate) fn extent_on(points: &[DVec3], axis: DVec3) -> (f64, f64) {
    let mut values: Vec<f64> = points.iter().map(|p| p.dot(axis)).collect();
    extent(&mut values)
}

/// The covariance of vectors whose mean is 0.
pub(crate) fn covariance(vectors: impl Iterator<Item = DVec3>, count: f64) -> DMat3 {
    let product = |v: DVec3| DMat3::from_cols(v * v.x, v * v.y, v * v.z);
    vectors.map(product).fold(DMat3::ZERO, |sum, one| sum + one) * (1.0 / count)
}

/// Two axes across a direction, right-handed with it. The first is the part across of the frame's x axis, or of its y axis
/// where x is the direction itself, so that it does not depend on rounding.
pub(crate) fn plane_axes(normal: DVec3) -> (DVec3, DVec3) {
    let across = |axis: DVec3| axis - normal * normal.dot(axis);
    let start = if across(DVec3::X).length() > 0.1 {
        DVec3::X
    } else {
        DVec3::Y
    };
    let first = across(start).normalize();
    (first, normal.cross(first))
}

/// The axis or its opposite, whichever has a positive part along the frame's x axis; along y, and then z, where it has no
/// part along those before.
pub(crate) fn along_frame(axis: DVec3) -> DVec3 {
    let first = axis.to_array().into_iter().find(|part| part.abs() > 1e-6);
    match first.is_some_and(|part| part < 0.0) {
        true => -axis,
        false => axis,
    }
}
