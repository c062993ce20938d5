//! Which points belong to the object: not those that fly between it and what is behind, and not the background.
//!
//! The rule has three steps. The docs of the crate explain it for who uses it.

use glam::DVec3;

use crate::grid::{Grid, Pixel};
use crate::support::Plane;

/// The steepest slope of a surface along which neighbours belong together: 5 is 79° from facing the camera.
const STEEPEST: f64 = 5.0;
/// Neighbours may differ by this many standard deviations of the difference of two measurements.
const DEVIATIONS: f64 = 3.0;
/// A part has this many pixels at least.
const SMALLEST_PART: usize = 5;
/// A part with this share of the pixels of the largest one can be the object's nearest part, from which it is built up.
const LARGE_PART: f64 = 0.25;
/// A part may begin this share of the nearest part's smaller side behind, or before, what is taken already.
const GAP: f64 = 0.25;
/// The sine of the angle between the view and the ground's normal from which distances along the ground say something (17°).
const FLATTEST: f64 = 0.3;

/// How pixels of one surface may differ in range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Continuity {
    /// The standard deviation of a depth is this times its square, metres.
    pub noise: f64,
}

impl Continuity {
    /// The standard deviation of a range, metres.
    pub fn deviation(&self, range: f64) -> f64 {
        self.noise * range * range
    }

    /// Whether two pixels may lie on one surface, from the ranges and the angle between the rays.
    pub fn joins(&self, a: &Pixel, b: &Pixel) -> bool {
        let range = a.range.min(b.range);
        let beside = a.direction.distance(b.direction) * range;
        let noise = DEVIATIONS * std::f64::consts::SQRT_2 * self.deviation(range);
        // The last term is rounding: the ranges of a plane that faces the camera differ by it.
        (a.range - b.range).abs() <= STEEPEST * beside + noise + 1e-9 * range
    }
}

/// A part of the mask within which each pixel joins a neighbour.
struct Part {
    members: Vec<usize>,
    /// The ranges that four fifths of its pixels lie between, metres.
    nearest: f64,
    farthest: f64,
}

/// What the object stands on, as far as it is known.
pub(crate) struct Ground<'a> {
    pub plane: &'a Plane,
    pub camera: DVec3,
}

impl Ground<'_> {
    /// From the camera to a part along the ground, of length 1; `None` where the camera looks down on it too steeply to say.
    fn forward(&self, grid: &Grid, part: &Part) -> Option<DVec3> {
        let directions = part.members.iter().map(|&k| grid.pixels[k].direction);
        let view = directions.sum::<DVec3>().try_normalize()?;
        let along = view - self.plane.normal * self.plane.normal.dot(view);
        along.try_normalize().filter(|_| along.length() > FLATTEST)
    }

    /// The distances along the ground that four fifths of a part lie between, metres. `None` of a part that lies on the ground, by half
    /// or more.
    fn reach(
        &self,
        grid: &Grid,
        part: &Part,
        forward: DVec3,
        continuity: &Continuity,
    ) -> Option<(f64, f64)> {
        let stands_out = |pixel: &Pixel| {
            let height = self
                .plane
                .height(self.camera + pixel.direction * pixel.range);
            height > DEVIATIONS * continuity.deviation(pixel.range) + 1e-3
        };
        let pixels = || part.members.iter().map(|&k| &grid.pixels[k]);
        let out = pixels().filter(|pixel| stands_out(pixel)).count();
        (2 * out > part.members.len())
            .then(|| four_fifths(pixels().map(|pixel| pixel.direction.dot(forward) * pixel.range)))
    }
}

/// The values at a tenth and at nine tenths.
fn four_fifths(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let tenth = values.len() / 10;
    (values[tenth], values[values.len() - 1 - tenth])
}

/// The pixels of the object. A part that stands on the `ground` right below or above the others is of the object, too, whatever its
/// range.
pub(crate) fn object_pixels(
    grid: &Grid,
    continuity: &Continuity,
    ground: Option<&Ground<'_>>,
) -> Vec<Pixel> {
    let steady: Vec<bool> = grid
        .pixels
        .iter()
        .map(|pixel| is_steady(grid, pixel, continuity))
        .collect();
    let mut parts = parts(grid, &steady, continuity);
    let largest = parts
        .iter()
        .map(|part| part.members.len())
        .max()
        .unwrap_or_default();
    let large = |part: &Part| part.members.len() as f64 >= LARGE_PART * largest as f64;
    parts.sort_by(|a, b| a.nearest.total_cmp(&b.nearest));
    let Some(first) = parts.iter().position(large) else {
        return Vec::new();
    };
    let begun = parts.remove(first);
    let gap = GAP * smaller_side(grid, &begun) + DEVIATIONS * continuity.deviation(begun.nearest);
    let forward = ground.and_then(|ground| Some((ground, ground.forward(grid, &begun)?)));
    let along_ground = |part: &Part| {
        forward.and_then(|(ground, forward)| ground.reach(grid, part, forward, continuity))
    };
    let taken_along = along_ground(&begun);
    let (mut nearest, mut farthest) = (begun.nearest, begun.farthest);
    let mut members = begun.members;
    // A large part that is taken may bring another one within reach. Small ones do not, for the background beside an object
    // shows in many small parts that follow each other into the depth.
    let reaches = |part: &Part, nearest: f64, farthest: f64| match large(part) {
        true => part.nearest <= farthest + gap && part.farthest >= nearest - gap,
        false => part.farthest <= farthest + gap && part.nearest >= nearest - gap,
    };
    let stands_there = |part: &Part| match (taken_along, along_ground(part)) {
        (Some((near, far)), Some((from, to))) if large(part) => {
            from <= far + gap && to >= near - gap
        }
        (Some((near, far)), Some((from, to))) => to <= far + gap && from >= near - gap,
        _ => false,
    };
    let mut stands: Vec<bool> = parts.iter().map(stands_there).collect();
    while let Some(next) = (parts.iter().zip(&stands))
        .position(|(part, stands)| *stands || reaches(part, nearest, farthest))
    {
        stands.remove(next);
        let part = parts.remove(next);
        if large(&part) {
            nearest = nearest.min(part.nearest);
            farthest = farthest.max(part.farthest);
        }
        members.extend(part.members);
    }
    members.sort_unstable();
    members.iter().map(|&k| grid.pixels[k]).collect()
}

/// Whether a pixel joins two of its neighbours at least, or all that it has.
fn is_steady(grid: &Grid, pixel: &Pixel, continuity: &Continuity) -> bool {
    let (mut all, mut joined) = (0, 0);
    for k in grid.around(pixel) {
        all += 1;
        joined += usize::from(continuity.joins(pixel, &grid.pixels[k]));
    }
    joined >= 2 || (joined > 0 && joined == all)
}

/// The parts that the steady pixels make up, without the smallest ones.
fn parts(grid: &Grid, steady: &[bool], continuity: &Continuity) -> Vec<Part> {
    let mut open = steady.to_vec();
    let mut parts = Vec::new();
    for start in 0..grid.pixels.len() {
        if !std::mem::take(&mut open[start]) {
            continue;
        }
        let (mut members, mut done) = (vec![start], 0);
        while let Some(&k) = members.get(done) {
            done += 1;
            let pixel = &grid.pixels[k];
            for other in grid.around(pixel) {
                if open[other] && continuity.joins(pixel, &grid.pixels[other]) {
                    open[other] = false;
                    members.push(other);
                }
            }
        }
        if members.len() >= SMALLEST_PART {
            let (nearest, farthest) = four_fifths(members.iter().map(|&k| grid.pixels[k].range));
            parts.push(Part {
                nearest,
                farthest,
                members,
            });
        }
    }
    parts
}

/// The smaller side of a part as the camera sees it, metres: the spread of its directions at its distance.
fn smaller_side(grid: &Grid, part: &Part) -> f64 {
    let directions = || part.members.iter().map(|&k| grid.pixels[k].direction);
    let count = part.members.len() as f64;
    let mean = directions().sum::<DVec3>() / count;
    // A rectangle's side is √12 times the deviation along it. Of the three the least is that along the view, which is small.
    let covariance =
        crate::boxes::covariance(directions().map(|direction| direction - mean), count);
    let (values, _) = crate::eigen::symmetric_eigen(covariance);
    (12.0 * values.y.max(0.0)).sqrt() * part.nearest
}
