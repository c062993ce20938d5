//! The grasp hint: where the visible surface lies, where it faces, and how wide it is.

use glam::{DVec2, DVec3};

use crate::boxes::{along_frame, covariance, plane_axes};
use crate::eigen::symmetric_eigen;
use crate::extent::{extent_along, trimmed};
use crate::grid::Grid;
use crate::outline::{calipers, convex_hull};
use crate::reject::Continuity;
use crate::GraspHint;

/// The hint from the object's pixels. `points` are relative to `origin`, in the order of the grid's pixels.
pub(crate) fn grasp_hint(
    grid: &Grid,
    points: &[DVec3],
    origin: DVec3,
    camera: DVec3,
    continuity: &Continuity,
) -> GraspHint {
    let to_camera = (camera - origin).normalize();
    let surface = surface(grid, points, continuity);
    // A line of pixels has no surface: then it faces the camera, as far as a line can.
    let (position, normal) =
        surface.unwrap_or_else(|| (DVec3::ZERO, across_the_line(points, to_camera)));
    let normal = if normal.dot(to_camera) < 0.0 {
        -normal
    } else {
        normal
    };
    let (first, second) = plane_axes(normal);
    let flat: Vec<DVec2> = (points.iter())
        .map(|p| DVec2::new(p.dot(first), p.dot(second)))
        .collect();
    let strips = calipers(&convex_hull(&trimmed(&flat)));
    let narrowest = strips.iter().min_by(|a, b| a.width.total_cmp(&b.width));
    let across = narrowest.map_or(DVec2::Y, |strip| strip.along.perp());
    let (low, high) = extent_along(&flat, across);
    GraspHint {
        position: origin + position,
        normal,
        across: along_frame(first * across.x + second * across.y),
        width: high - low,
    }
}

/// The centroid of the surface by area, and its mean normal: the sum of the vector areas of the triangles between
/// neighbouring pixels. That sum depends on the outline of the surface alone, so that noise within it does not turn it.
fn surface(grid: &Grid, points: &[DVec3], continuity: &Continuity) -> Option<(DVec3, DVec3)> {
    let (mut vector, mut moment, mut total) = (DVec3::ZERO, DVec3::ZERO, 0.0);
    let mut add = |corners: [Option<usize>; 3]| {
        let [Some(a), Some(b), Some(c)] = corners else {
            return;
        };
        let joined = |i: usize, j: usize| continuity.joins(&grid.pixels[i], &grid.pixels[j]);
        if joined(a, b) && joined(b, c) && joined(a, c) {
            let area = (points[b] - points[a]).cross(points[c] - points[a]) / 2.0;
            vector += area;
            moment += (points[a] + points[b] + points[c]) / 3.0 * area.length();
            total += area.length();
        }
    };
    for (k, pixel) in grid.pixels.iter().enumerate() {
        // Columns go right and rows down, and so a triangle's corners go around counterclockwise as the camera sees it.
        let (right, below) = (grid.at(pixel, (1, 0)), grid.at(pixel, (0, 1)));
        add([Some(k), below, right]);
        add([right, below, grid.at(pixel, (1, 1))]);
    }
    Some((moment / total, vector.try_normalize()?)).filter(|_| total > 0.0)
}

/// The direction across the points' longest axis that is nearest to the camera's.
fn across_the_line(points: &[DVec3], to_camera: DVec3) -> DVec3 {
    let (_, axes) = symmetric_eigen(covariance(points.iter().copied(), points.len() as f64));
    let part = to_camera - axes.x_axis * axes.x_axis.dot(to_camera);
    // A line that points into the camera has no such direction, and then it is the camera's.
    part.try_normalize()
        .filter(|_| part.length() > 1e-6)
        .unwrap_or(to_camera)
}
