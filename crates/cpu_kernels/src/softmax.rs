//! Softmax of one row, and the reductions that it needs.

use crate::exp::exp;

/// Softmax of `scores · scale` where a row has no bias.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f32], scale: f32) {
    for v in scores.iter_mut() {
        *v *= scale;
    }
    normalise(scores);
}

/// Softmax of `scores · scale + (rows[r] + columns[c])`, where key `r · columns.len() + c` stands at row r and column c of a grid.
#[inline(always)]
pub(crate) fn softmax_decomposed(scores: &mut [f32], scale: f32, rows: &[f32], columns: &[f32]) {
    for (scores, row) in scores.chunks_exact_mut(columns.len()).zip(rows) {
        for (score, column) in scores.iter_mut().zip(columns) {
            *score = *score * scale + (row + column);
        }
    }
    normalise(scores);
}

/// Softmax of one row, in place.
#[inline(always)]
pub(crate) fn normalise(x: &mut [f32]) {
    let max = lanes(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    for v in x.iter_mut() {
        *v = exp(*v - max);
    }
    let scale = 1.0 / lanes(x, 0.0, |a, b| a + b);
    for v in x.iter_mut() {
        *v *= scale;
    }
}

/// The sum of a row.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    lanes(x, 0.0, |a, b| a + b)
}

/// The sum of the squares of a row.
#[inline(always)]
pub(crate) fn sum_of_squares(x: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += v * v;
        }
    }
    lanes.iter().fold(rest, |a, v| a + v)
}

/// Independent lanes of a reduction. A plain fold would stay scalar, because the compiler may not reorder float operations. Many
/// partial sums are also more accurate than one.
const LANES: usize = 32;

#[inline(always)]
fn lanes(x: &[f32], start: f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(start, |a, v| join(a, *v));
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, *v);
        }
    }
    lanes.iter().fold(rest, |a, v| join(a, *v))
}
