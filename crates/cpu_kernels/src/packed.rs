//! The right-hand matrix of a product, stored in the order in which the micro-kernel reads it.

use crate::vector_unit::{lanes, panel_width};

/// Rows of the right-hand matrix that are multiplied before the sums go back to memory. One panel of so many rows fills most of a
/// first-level cache. It is the same on all processors and for all shapes, so a sum is always taken in the same order.
pub(crate) const DEPTH: usize = 384;

/// A matrix of `depth` rows and `columns` columns. It is cut into slices of [`DEPTH`] rows, each slice into panels as wide as the
/// micro-kernel, and a panel is stored row after row. The last panel is filled up with zeros.
#[derive(Clone, Debug)]
pub struct Packed {
    data: Vec<f32>,
    depth: usize,
    columns: usize,
    width: usize,
}

impl Packed {
    /// Packs the transpose of `weight`, the weight `(outputs, inputs)` of a linear layer, which is contiguous.
    ///
    /// # Panics
    /// Where `weight` has another length, or no kernel is [available](crate::available).
    pub fn transposed(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "the weight's length");
        let mut packed = Self::empty(inputs, outputs);
        packed.fill_transposed(weight, inputs);
        packed
    }

    pub(crate) fn empty(depth: usize, columns: usize) -> Self {
        let width = panel_width(lanes());
        assert!(width > 0, "there are no kernels for this processor");
        Self {
            data: vec![0.0; depth * columns.div_ceil(width) * width],
            depth,
            columns,
            width,
        }
    }

    /// Packs a matrix whose element (row, column) is `source[column · stride + row]`.
    pub(crate) fn fill_transposed(&mut self, source: &[f32], stride: usize) {
        let (depth, columns, width) = (self.depth, self.columns, self.width);
        for (start, rows) in slices(depth) {
            for (panel, first) in (0..columns).step_by(width).enumerate() {
                let count = width.min(columns - first);
                let panel = self.panel_mut(start, rows, panel);
                for column in 0..count {
                    let from = &source[(first + column) * stride + start..][..rows];
                    for (to, value) in panel[column..].iter_mut().step_by(width).zip(from) {
                        *to = *value;
                    }
                }
            }
        }
    }

    /// Packs a matrix whose element (row, column) is `source[row · stride + column]`.
    pub(crate) fn fill(&mut self, source: &[f32], stride: usize) {
        let (depth, columns, width) = (self.depth, self.columns, self.width);
        for (start, rows) in slices(depth) {
            for (panel, first) in (0..columns).step_by(width).enumerate() {
                let count = width.min(columns - first);
                let panel = self.panel_mut(start, rows, panel);
                for (row, to) in panel.chunks_exact_mut(width).enumerate() {
                    to[..count].copy_from_slice(&source[(start + row) * stride + first..][..count]);
                }
            }
        }
    }

    /// The weight `(outputs, inputs)` that [`Packed::transposed`] packed.
    pub fn unpack_transposed(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.depth * self.columns];
        for (start, rows) in slices(self.depth) {
            for (index, first) in (0..self.columns).step_by(self.width).enumerate() {
                let panel = self.panel(start, rows, index);
                for column in 0..self.width.min(self.columns - first) {
                    let to = &mut weight[(first + column) * self.depth + start..][..rows];
                    for (to, value) in to
                        .iter_mut()
                        .zip(panel[column..].iter().step_by(self.width))
                    {
                        *to = *value;
                    }
                }
            }
        }
        weight
    }

    /// Rows of the matrix, which are the inputs of a linear layer.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix, which are the outputs of a linear layer.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns of a panel.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn panels(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    /// A panel of the slice that begins at row `start` and has `rows` rows: `(rows, width)`.
    #[inline(always)]
    pub(crate) fn panel(&self, start: usize, rows: usize, panel: usize) -> &[f32] {
        let at = self.panel_start(start, rows, panel);
        &self.data[at..at + rows * self.width]
    }

    fn panel_mut(&mut self, start: usize, rows: usize, panel: usize) -> &mut [f32] {
        let at = self.panel_start(start, rows, panel);
        &mut self.data[at..at + rows * self.width]
    }

    #[inline(always)]
    fn panel_start(&self, start: usize, rows: usize, panel: usize) -> usize {
        (start * self.panels() + rows * panel) * self.width
    }
}

/// The slices of a matrix of `depth` rows: first row and number of rows.
#[inline(always)]
pub(crate) fn slices(depth: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..depth)
        .step_by(DEPTH)
        .map(move |start| (start, DEPTH.min(depth - start)))
}
