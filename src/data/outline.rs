//! Filling polygons whose corners are fractions of pixels, equal to pycocotools in every pixel.
//!
//! pycocotools walks along a polygon's sides at five times the resolution and notes where they cross the middles of the
//! pixel columns. The walk is as long as the polygon: a corner that a tool has put at 100,000,000 by mistake takes gigabytes.
//! Here the crossings are computed only for the columns of the picture, with the same arithmetic as in the walk, so that they
//! are equal and time and memory are bounded by the picture's size.

const SCALE: f64 = 5.0;

/// Corners that are farther away are moved to this distance, beyond which an f64 could not hold the fine positions exactly.
const FARTHEST: i64 = 1 << 50;

/// Sets the pixels inside a polygon (by the even-odd rule) in a picture of `width · height` pixels that is stored column by
/// column.
///
/// `polygon` holds x and y in turn; `scratch` is memory of the picture's length.
pub(super) fn fill_outline(
    columns: &mut [u8],
    scratch: &mut [u8],
    polygon: &[f64],
    width: usize,
    height: usize,
) {
    let fine = |value: f64| ((SCALE * value + 0.5) as i64).clamp(-FARTHEST, FARTHEST);
    let corners: Vec<(i64, i64)> = polygon
        .chunks_exact(2)
        .map(|p| (fine(p[0]), fine(p[1])))
        .collect();
    scratch.fill(0);
    for (i, end) in corners.iter().enumerate() {
        let start = corners[(i + corners.len() - 1) % corners.len()];
        Side::new(start, *end).cross(width, |column, y| {
            let y = (y as f64 + 0.5) / SCALE - 0.5;
            let y = y.clamp(0.0, height as f64).ceil() as usize;
            // A crossing below the last pixel of a column counts for the first pixel of the next, as in run lengths.
            if let Some(toggled) = scratch.get_mut(column * height + y) {
                *toggled ^= 1;
            }
        });
    }
    let mut inside = 0;
    for (pixel, toggled) in columns.iter_mut().zip(scratch.iter()) {
        inside ^= *toggled;
        *pixel |= inside;
    }
}

/// A side of a polygon as pycocotools walks along it: one step for each fine column, or for each fine row if it is steep.
struct Side {
    /// Where the walk begins; it goes to the right, or down if the side is steep.
    start: (i64, i64),
    steep: bool,
    steps: i64,
    /// By how much the other coordinate changes with each step.
    slope: f64,
}

impl Side {
    fn new(from: (i64, i64), to: (i64, i64)) -> Self {
        let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
        let steep = dx < dy;
        let backward = if steep { from.1 > to.1 } else { from.0 > to.0 };
        let (start, end) = if backward { (to, from) } else { (from, to) };
        let slope = match (dx, dy) {
            (0, 0) => 0.0,
            _ if steep => (end.0 - start.0) as f64 / dy as f64,
            _ => (end.1 - start.1) as f64 / dx as f64,
        };
        Self {
            start,
            steep,
            steps: dx.max(dy),
            slope,
        }
    }

    /// Calls `found` with each pixel column whose middle the side crosses, and the fine row above which it does.
    fn cross(&self, width: usize, mut found: impl FnMut(usize, i64)) {
        let ends = [0, self.steps].map(|step| self.at(step).0);
        let (left, right) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        // The walk crosses the middle of column x when it goes from 5x + 2 to 5x + 3 or back.
        let first = ((left + 2) / 5).max(0);
        let last = ((right - 3).div_euclid(5)).min(width as i64 - 1);
        for column in first..=last {
            let before = 5 * column + 2;
            let step = match self.steep {
                true => self.step_over(before),
                false => before + 1 - self.start.0,
            };
            if (1..=self.steps).contains(&step) {
                let row = self.at(step - 1).1.min(self.at(step).1);
                found(column as usize, row);
            }
        }
    }

    /// Where the walk is after `step` steps.
    fn at(&self, step: i64) -> (i64, i64) {
        let other = |start: i64| (start as f64 + self.slope * step as f64 + 0.5) as i64;
        match self.steep {
            true => (other(self.start.0), self.start.1 + step),
            false => (self.start.0 + step, other(self.start.1)),
        }
    }

    /// The first step of a steep side after which the walk has crossed the border between the fine columns `before` and
    /// `before + 1`.
    fn step_over(&self, before: i64) -> i64 {
        let rises = self.slope > 0.0;
        let (mut here, mut over) = (0, self.steps + 1);
        while here + 1 < over {
            let middle = here + (over - here) / 2;
            match (self.at(middle).0 > before) == rises {
                true => over = middle,
                false => here = middle,
            }
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The walk of pycocotools itself, step by step.
    fn walked(polygon: &[f64], width: usize, height: usize) -> Vec<u8> {
        let mut corners: Vec<(i64, i64)> = polygon
            .chunks_exact(2)
            .map(|p| ((SCALE * p[0] + 0.5) as i64, (SCALE * p[1] + 0.5) as i64))
            .collect();
        corners.push(corners[0]);
        let mut outline = Vec::new();
        for side in corners.windows(2) {
            let ((mut xs, mut ys), (mut xe, mut ye)) = (side[0], side[1]);
            let (dx, dy) = ((xe - xs).abs(), (ye - ys).abs());
            let flip = (dx >= dy && xs > xe) || (dx < dy && ys > ye);
            if flip {
                std::mem::swap(&mut xs, &mut xe);
                std::mem::swap(&mut ys, &mut ye);
            }
            let long = dx.max(dy);
            let slope = match long {
                0 => 0.0,
                _ if dx >= dy => (ye - ys) as f64 / dx as f64,
                _ => (xe - xs) as f64 / dy as f64,
            };
            for step in 0..=long {
                let t = if flip { long - step } else { step };
                outline.push(if dx >= dy {
                    (t + xs, (ys as f64 + slope * t as f64 + 0.5) as i64)
                } else {
                    ((xs as f64 + slope * t as f64 + 0.5) as i64, t + ys)
                });
            }
        }
        let mut crossings: Vec<usize> = Vec::new();
        for pair in outline.windows(2) {
            let ((u0, v0), (u1, v1)) = (pair[0], pair[1]);
            if u0 == u1 {
                continue;
            }
            let x = (if u1 < u0 { u1 } else { u1 - 1 }) as f64;
            let x = (x + 0.5) / SCALE - 0.5;
            if x.floor() != x || x < 0.0 || x > width as f64 - 1.0 {
                continue;
            }
            let y = (v0.min(v1) as f64 + 0.5) / SCALE - 0.5;
            let y = y.clamp(0.0, height as f64).ceil();
            crossings.push(x as usize * height + y as usize);
        }
        crossings.sort_unstable();
        let inside = |pixel: usize| crossings.iter().filter(|c| **c <= pixel).count() % 2;
        (0..width * height).map(|p| inside(p) as u8).collect()
    }

    fn filled(polygon: &[f64], width: usize, height: usize) -> Vec<u8> {
        let (mut columns, mut scratch) = (vec![0; width * height], vec![0; width * height]);
        fill_outline(&mut columns, &mut scratch, polygon, width, height);
        columns
    }

    proptest::proptest! {
        #[test]
        fn what_is_computed_is_what_is_walked(
            corners in proptest::collection::vec(-60.0..90.0f64, 6..24),
            whole: bool,
        ) {
            let polygon: Vec<f64> = corners.iter().map(|c| if whole { c.round() } else { *c }).collect();
            assert_eq!(filled(&polygon, 30, 20), walked(&polygon, 30, 20), "{polygon:?}");
        }
    }

    #[test]
    fn a_corner_far_away_costs_nothing() {
        // A triangle so large that inside the picture only its two sides along the borders matter.
        let near = walked(&[0.0, 0.0, 4000.0, 0.0, 0.0, 4000.0], 12, 10);
        for far in [1e8, 1e18, 1e300] {
            assert_eq!(filled(&[0.0, 0.0, far, 0.0, 0.0, far], 12, 10), near);
        }
        let all = filled(
            &[-1e300, -1e300, 1e300, -1e300, 1e300, 1e300, -1e300, 1e300],
            3,
            2,
        );
        assert_eq!(all, [1; 6]);
    }
}
