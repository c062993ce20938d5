//! A linear layer with what follows it, over many rows and on all threads.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::activation::Activation;
use crate::packed::Packed;
use crate::product::{Destination, Product, Rows};
use crate::shared::{written, Block};
use crate::vector_unit::vectorised;

/// What is done to each element of a product before it is stored the last time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Added to every row: `(columns)`.
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Activation,
    /// Multiplied after the activation, element by element: `(rows, columns)`.
    pub factor: Option<&'a [f32]>,
    /// Added at the end, element by element: `(rows, columns)`.
    pub residual: Option<&'a [f32]>,
}

/// Rows of a task. With a slice of the depth they fill about an eighth of a second-level cache.
const TASK_ROWS: usize = 96;
/// Columns of a task, at most.
const TASK_COLUMNS: usize = 256;

/// `activation(x · right + bias) · factor + residual`.
///
/// # Shapes
/// `x` `(rows, depth)` contiguous → `(rows, columns)`.
///
/// # Panics
/// Where a length does not fit.
pub fn linear(x: &[f32], right: &Packed, epilogue: &Epilogue<'_>) -> Vec<f32> {
    let (depth, columns) = (right.depth(), right.columns());
    let rows = x.len() / depth.max(1);
    assert_eq!(x.len(), rows * depth, "whole rows of the input");
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), columns, "one bias a column");
    }
    for like_output in [epilogue.factor, epilogue.residual].into_iter().flatten() {
        assert_eq!(like_output.len(), rows * columns, "as large as the output");
    }
    let panels = right.panels();
    let task_panels = (TASK_COLUMNS / right.width()).max(1);
    let (across, down) = (panels.div_ceil(task_panels), rows.div_ceil(TASK_ROWS));
    written(rows, columns, |shared| {
        (0..across * down).into_par_iter().for_each(|task| {
            let (row, panel) = (task / across * TASK_ROWS, task % across * task_panels);
            let rows = TASK_ROWS.min(rows - row);
            let panels = panel..(panel + task_panels).min(panels);
            let end = (panels.end * right.width()).min(columns);
            let columns_here = panels.start * right.width()..end;
            let mut block = shared.block(row, 0);
            vectorised(Product {
                left: Rows {
                    data: &x[row * depth..],
                    stride: depth,
                    rows,
                },
                right,
                panels,
                destination: &mut block,
            });
            vectorised(Finish {
                epilogue,
                block: &mut block,
                rows: row..row + rows,
                columns: columns_here,
                stride: columns,
            });
        });
    })
}

/// The epilogue of a task.
struct Finish<'a> {
    epilogue: &'a Epilogue<'a>,
    block: &'a mut Block,
    rows: Range<usize>,
    columns: Range<usize>,
    stride: usize,
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (first, count) = (self.columns.start, self.columns.len());
        for (row, place) in self.rows.enumerate() {
            let at = place * self.stride + first;
            let y = self.block.row(row, first, count);
            if let Some(bias) = self.epilogue.bias {
                for (y, b) in y.iter_mut().zip(&bias[first..first + count]) {
                    *y += b;
                }
            }
            self.epilogue.activation.apply(y);
            if let Some(factor) = self.epilogue.factor {
                for (y, f) in y.iter_mut().zip(&factor[at..at + count]) {
                    *y *= f;
                }
            }
            if let Some(residual) = self.epilogue.residual {
                for (y, r) in y.iter_mut().zip(&residual[at..at + count]) {
                    *y += r;
                }
            }
        }
    }
}
