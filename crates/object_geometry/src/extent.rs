//! How far points reach, without the few that reach farthest.

use std::f64::consts::PI;

use glam::DVec2;

/// The share of the points that is left out at either end of an extent. Of fewer than 334 points none is.
pub(crate) const TAIL: f64 = 0.003;
/// Outlines are trimmed in this many directions, evenly around half a turn.
const DIRECTIONS: usize = 16;

/// From where to where values reach: the quantiles at [`TAIL`] and 1 − [`TAIL`]. There is at least one value.
pub(crate) fn extent(values: &mut [f64]) -> (f64, f64) {
    let tail = (TAIL * values.len() as f64) as usize;
    let last = values.len().saturating_sub(1);
    let mut quantile = |k: usize| *values.select_nth_unstable_by(k, f64::total_cmp).1;
    (quantile(tail), quantile(last - tail))
}

/// How far points in a plane reach in a direction.
pub(crate) fn extent_along(points: &[DVec2], direction: DVec2) -> (f64, f64) {
    let mut values: Vec<f64> = points.iter().map(|p| p.dot(direction)).collect();
    extent(&mut values)
}

/// The points that lie within the extent in each of 16 directions, so that no single one decides the outline.
pub(crate) fn trimmed(points: &[DVec2]) -> Vec<DVec2> {
    let bounds: Vec<(DVec2, (f64, f64))> = (0..DIRECTIONS)
        .map(|k| {
            let direction = DVec2::from_angle(PI * k as f64 / DIRECTIONS as f64);
            (direction, extent_along(points, direction))
        })
        .collect();
    let within = |p: &&DVec2| {
        (bounds.iter()).all(|(direction, (low, high))| (*low..=*high).contains(&p.dot(*direction)))
    };
    let kept: Vec<DVec2> = points.iter().filter(within).copied().collect();
    match kept.is_empty() {
        true => points.to_vec(),
        false => kept,
    }
}
