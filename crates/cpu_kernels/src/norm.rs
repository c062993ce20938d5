//! Layer norm and RMS norm over the last dimension.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::product::Destination;
use crate::shared::{written, Block};
use crate::softmax::{sum, sum_of_squares};
use crate::vector_unit::vectorised;

/// A normalisation of each row.
#[derive(Clone, Copy, Debug)]
pub enum Norm<'a> {
    /// `(x − mean) / √(variance + eps) · weight + bias`
    Layer {
        /// `(columns)`
        weight: &'a [f32],
        /// `(columns)`
        bias: &'a [f32],
        /// Added to the variance.
        eps: f32,
    },
    /// `x / √(mean of x² + eps) · weight`
    Rms {
        /// `(columns)`
        weight: &'a [f32],
        /// Added to the mean of the squares.
        eps: f32,
    },
}

/// Elements of a task.
const TASK: usize = 1 << 15;

/// Normalises every row.
///
/// # Shapes
/// `x` `(rows, columns)` contiguous → the same, with as many columns as the norm has weights.
///
/// # Panics
/// Where a length does not fit.
pub fn normalise_rows(x: &[f32], norm: &Norm<'_>) -> Vec<f32> {
    let columns = match norm {
        Norm::Layer { weight, bias, .. } => {
            assert_eq!(weight.len(), bias.len(), "as many biases as weights");
            weight.len()
        }
        Norm::Rms { weight, .. } => weight.len(),
    };
    let rows = x.len() / columns.max(1);
    assert_eq!(x.len(), rows * columns, "whole rows of the input");
    let task = (TASK / columns.max(1)).max(1);
    written(rows, columns, |shared| {
        (0..rows.div_ceil(task)).into_par_iter().for_each(|index| {
            let first = index * task;
            let count = task.min(rows - first);
            vectorised(Normalise {
                x: &x[first * columns..][..count * columns],
                columns,
                norm,
                block: shared.block(first, 0),
            });
        });
    })
}

struct Normalise<'a> {
    x: &'a [f32],
    columns: usize,
    norm: &'a Norm<'a>,
    block: Block,
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let scale = 1.0 / self.columns as f32;
        for (row, x) in self.x.chunks_exact(self.columns).enumerate() {
            let y = self.block.row(row, 0, self.columns);
            match *self.norm {
                Norm::Layer { weight, bias, eps } => {
                    let mean = sum(x) * scale;
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = x - mean;
                    }
                    let factor = 1.0 / (sum_of_squares(y) * scale + eps).sqrt();
                    for ((y, w), b) in y.iter_mut().zip(weight).zip(bias) {
                        *y = *y * factor * w + b;
                    }
                }
                Norm::Rms { weight, eps } => {
                    let factor = 1.0 / (sum_of_squares(x) * scale + eps).sqrt();
                    for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                        *y = x * factor * w;
                    }
                }
            }
        }
    }
}
