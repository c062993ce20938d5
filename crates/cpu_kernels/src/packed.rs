//! The right-hand matrix of a product, stored in the order in which the micro-kernel reads it.

use half::{bf16, f16};
use pulp::Simd;

use crate::blocks::BlockFormat;
use crate::narrow::{Narrow, Sink};
use crate::vector_unit::{lanes, panel_width};

/// Rows of the right-hand matrix that are multiplied before the sums go back to memory. One panel of so many rows fills most of a
/// first-level cache. It is the same on all processors and for all shapes, so a sum is always taken in the same order.
pub(crate) const DEPTH: usize = 384;

/// A matrix of `depth` rows and `columns` columns. It is cut into slices of [`DEPTH`] rows, each slice into panels as wide as the
/// micro-kernel, and a panel is stored row after row. The last panel is filled up with zeros.
///
/// Numbers of 16 bits and quantized ones stay [narrow](Narrow) in memory. They are made f32, exactly, when a block of rows is
/// multiplied with them, so that a product of many rows costs little more and one of few rows, which waits for memory, less.
#[derive(Clone, Debug)]
pub struct Packed {
    numbers: Numbers,
    order: Order,
}

#[derive(Clone, Debug)]
enum Numbers {
    F32(Vec<f32>),
    Narrow(Narrow),
}

/// The numbers of a matrix that is to be packed.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// 32 bits.
    F32(&'a [f32]),
    /// 16 bits, IEEE 754 binary16.
    F16(&'a [f16]),
    /// 16 bits, the upper half of an f32.
    Bf16(&'a [bf16]),
    /// Rows of blocks, one after the other.
    Blocks(BlockFormat, &'a [u8]),
}

impl Packed {
    /// Packs the transpose of `weight`, the weight `(outputs, inputs)` of a linear layer, which is contiguous.
    ///
    /// # Panics
    /// Where `weight` has another length, or no kernel is [available](crate::available).
    pub fn transposed(weight: Source<'_>, outputs: usize, inputs: usize) -> Self {
        let order = Order::new(inputs, outputs);
        let numbers = match weight {
            Source::F32(weight) => Numbers::F32(order.transposed(weight)),
            // Infinity and NaN, which no weight of use has, are only widened here.
            Source::F16(weight) if !weight.iter().all(|w| w.is_finite()) => {
                let wide: Vec<f32> = weight.iter().map(|w| w.to_f32()).collect();
                Numbers::F32(order.transposed(&wide))
            }
            Source::F16(weight) => Numbers::Narrow(Narrow::of_f16(order.checked(weight), order)),
            Source::Bf16(weight) => Numbers::Narrow(Narrow::of_bf16(order.checked(weight), order)),
            Source::Blocks(format, bytes) => {
                Numbers::Narrow(Narrow::of_blocks(format, bytes, order))
            }
        };
        Self { numbers, order }
    }

    /// Packs a matrix whose element (row, column) is `source[column · stride + row]`.
    pub(crate) fn of_columns(source: &[f32], stride: usize, depth: usize, columns: usize) -> Self {
        let order = Order::new(depth, columns);
        let mut numbers = vec![0.0; order.len()];
        order.fill_transposed(&mut numbers, source, stride);
        Self {
            numbers: Numbers::F32(numbers),
            order,
        }
    }

    /// Packs a matrix whose element (row, column) is `source[row · stride + column]`.
    pub(crate) fn of_rows(source: &[f32], stride: usize, depth: usize, columns: usize) -> Self {
        let order = Order::new(depth, columns);
        let mut numbers = vec![0.0; order.len()];
        order.fill(&mut numbers, source, stride);
        Self {
            numbers: Numbers::F32(numbers),
            order,
        }
    }

    /// Rows of the matrix, which are the inputs of a linear layer.
    pub fn depth(&self) -> usize {
        self.order.depth
    }

    /// Columns of the matrix, which are the outputs of a linear layer.
    pub fn columns(&self) -> usize {
        self.order.columns
    }

    /// Columns of a panel.
    pub(crate) fn width(&self) -> usize {
        self.order.width
    }

    pub(crate) fn panels(&self) -> usize {
        self.order.panels()
    }

    /// Bytes of memory that the matrix takes.
    pub fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F32(numbers) => std::mem::size_of_val(&numbers[..]),
            Numbers::Narrow(narrow) => narrow.bytes(),
        }
    }

    /// The numbers where they are narrow, and how they are ordered.
    #[inline(always)]
    pub(crate) fn narrow(&self) -> Option<(&Narrow, Order)> {
        match &self.numbers {
            Numbers::F32(_) => None,
            Numbers::Narrow(narrow) => Some((narrow, self.order)),
        }
    }

    /// A panel of the slice that begins at row `start` and has `rows` rows: `(rows, width)`. Where it has to be widened it lies in
    /// `buffer`.
    #[inline(always)]
    pub(crate) fn panel<'a, S: Simd, const REGISTERS: usize>(
        &'a self,
        simd: S,
        start: usize,
        rows: usize,
        panel: usize,
        buffer: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        match &self.numbers {
            Numbers::F32(numbers) => {
                let at = self.order.panel_start(start, rows, panel);
                &numbers[at..at + rows * self.order.width]
            }
            Numbers::Narrow(narrow) => {
                buffer.resize(rows * self.order.width, 0.0);
                let mut sink = Buffer {
                    numbers: &mut *buffer,
                };
                narrow.each_row::<S, REGISTERS>(simd, self.order, panel, (start, rows), &mut sink);
                buffer
            }
        }
    }
}

/// Rows that are written one after the other.
struct Buffer<'a> {
    numbers: &'a mut [f32],
}

impl<S: Simd, const REGISTERS: usize> Sink<S, REGISTERS> for Buffer<'_> {
    #[inline(always)]
    fn take(&mut self, _: S, row: usize, numbers: [S::f32s; REGISTERS]) {
        let (all, _) = S::as_mut_simd_f32s(self.numbers);
        if let Some(to) = all.get_mut(row * REGISTERS..(row + 1) * REGISTERS) {
            to.copy_from_slice(&numbers);
        }
    }
}

/// Where an element of a matrix lies in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub depth: usize,
    pub columns: usize,
    pub width: usize,
}

impl Order {
    fn new(depth: usize, columns: usize) -> Self {
        let width = panel_width(lanes());
        assert!(width > 0, "there are no kernels for this processor");
        Self {
            depth,
            columns,
            width,
        }
    }

    /// Numbers in memory, with those that fill up the last panel.
    fn len(self) -> usize {
        self.depth * self.panels() * self.width
    }

    pub fn panels(self) -> usize {
        self.columns.div_ceil(self.width)
    }

    #[inline(always)]
    fn panel_start(self, start: usize, rows: usize, panel: usize) -> usize {
        (start * self.panels() + rows * panel) * self.width
    }

    /// Each panel in memory: the first row and the number of rows of its slice, its first column, and where it lies.
    fn places(self) -> impl Iterator<Item = (usize, usize, usize, std::ops::Range<usize>)> {
        slices(self.depth).flat_map(move |(start, rows)| {
            (0..self.panels()).map(move |panel| {
                let at = self.panel_start(start, rows, panel);
                (start, rows, panel * self.width, at..at + rows * self.width)
            })
        })
    }

    /// `weight`, whose length is checked.
    fn checked<T>(self, weight: &[T]) -> &[T] {
        let length = self.depth * self.columns;
        assert_eq!(weight.len(), length, "the weight's length");
        weight
    }

    fn transposed(self, weight: &[f32]) -> Vec<f32> {
        let mut numbers = vec![0.0; self.len()];
        self.fill_transposed(&mut numbers, self.checked(weight), self.depth);
        numbers
    }

    /// Element (row, column) is `source[column · stride + row]`.
    fn fill_transposed(self, numbers: &mut [f32], source: &[f32], stride: usize) {
        for (start, rows, first, place) in self.places() {
            let panel = &mut numbers[place];
            for column in 0..self.width.min(self.columns - first) {
                let from = &source[(first + column) * stride + start..][..rows];
                for (to, value) in panel[column..].iter_mut().step_by(self.width).zip(from) {
                    *to = *value;
                }
            }
        }
    }

    /// Element (row, column) is `source[row · stride + column]`.
    fn fill(self, numbers: &mut [f32], source: &[f32], stride: usize) {
        for (start, _, first, place) in self.places() {
            let count = self.width.min(self.columns - first);
            for (row, to) in numbers[place].chunks_exact_mut(self.width).enumerate() {
                to[..count].copy_from_slice(&source[(start + row) * stride + first..][..count]);
            }
        }
    }
}

/// The slices of a matrix of `depth` rows: first row and number of rows.
#[inline(always)]
pub(crate) fn slices(depth: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..depth)
        .step_by(DEPTH)
        .map(move |start| (start, DEPTH.min(depth - start)))
}
