//! The product of a matrix with a packed one, for one thread: a block of rows and some panels at a time.

use pulp::{Simd, WithSimd};

use crate::packed::{slices, Packed};

/// The left-hand matrix: row `r` is `data[r · stride..][..depth]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub rows: usize,
}

/// The place of the result: row `r` is `data[r · stride..]`, of which the columns of the chosen panels are written.
pub(crate) trait Destination {
    /// Columns `first..first + count` of a row.
    fn row(&mut self, row: usize, first: usize, count: usize) -> &mut [f32];
}

/// A result that lies in a slice.
pub(crate) struct SliceDestination<'a> {
    pub data: &'a mut [f32],
    pub stride: usize,
}

impl Destination for SliceDestination<'_> {
    #[inline(always)]
    fn row(&mut self, row: usize, first: usize, count: usize) -> &mut [f32] {
        &mut self.data[row * self.stride + first..][..count]
    }
}

/// `destination = rows · right` for the panels `panels` of `right`.
pub(crate) struct Product<'a, D> {
    pub left: Rows<'a>,
    pub right: &'a Packed,
    pub panels: std::ops::Range<usize>,
    pub destination: &'a mut D,
}

impl<D: Destination> WithSimd for Product<'_, D> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The numbers of rows and registers that fill the register file: 16 registers of AVX2, 32 of NEON.
        match S::F32_LANES {
            8 => self.run::<S, 6, 2>(simd),
            4 => self.run::<S, 6, 4>(simd),
            _ => unreachable!("Packed is not made for this processor"),
        }
    }
}

impl<D: Destination> Product<'_, D> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const REGISTERS: usize>(self, simd: S) {
        let (left, right) = (self.left, self.right);
        let mut buffer = Vec::new();
        for (start, depth) in slices(right.depth()) {
            for panel in self.panels.clone() {
                let b = right.panel(start, depth, panel, &mut buffer);
                let first = panel * right.width();
                let columns = right.width().min(right.columns() - first);
                let mut row = 0;
                while row < left.rows {
                    let mut tile = Tile {
                        a: &left.data[row * left.stride + start..],
                        stride: left.stride,
                        b,
                        depth,
                        add: start > 0,
                        row,
                        first,
                        columns,
                        destination: &mut *self.destination,
                    };
                    // What is left over at the lower edge goes through smaller kernels, so that no row is computed for nothing.
                    row += match left.rows - row {
                        n if n >= ROWS => tile.compute::<S, ROWS, REGISTERS>(simd),
                        n if n >= 4 => tile.compute::<S, 4, REGISTERS>(simd),
                        n if n >= 2 => tile.compute::<S, 2, REGISTERS>(simd),
                        _ => tile.compute::<S, 1, REGISTERS>(simd),
                    };
                }
            }
        }
    }
}

/// A few rows of the result in the columns of one panel.
struct Tile<'a, D> {
    a: &'a [f32],
    stride: usize,
    b: &'a [f32],
    depth: usize,
    add: bool,
    row: usize,
    first: usize,
    columns: usize,
    destination: &'a mut D,
}

impl<D: Destination> Tile<'_, D> {
    /// Computes `ROWS` rows; returns their number.
    #[inline(always)]
    fn compute<S: Simd, const ROWS: usize, const REGISTERS: usize>(&mut self, simd: S) -> usize {
        let depth = self.depth;
        let a: [&[f32]; ROWS] = std::array::from_fn(|r| &self.a[r * self.stride..][..depth]);
        let (b, _) = S::as_simd_f32s(self.b);
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; REGISTERS]; ROWS];
        for (k, b) in b.chunks_exact(REGISTERS).enumerate().take(depth) {
            for r in 0..ROWS {
                let value = simd.splat_f32s(a[r][k]);
                for c in 0..REGISTERS {
                    sums[r][c] = simd.mul_add_f32s(value, b[c], sums[r][c]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let to = self.destination.row(self.row + r, self.first, self.columns);
            let (whole, tail) = S::as_mut_simd_f32s(to);
            for (to, sum) in whole.iter_mut().zip(sums) {
                *to = if self.add {
                    simd.add_f32s(*to, *sum)
                } else {
                    *sum
                };
            }
            // The columns of the last panel that do not fill a register.
            if let Some(sum) = sums.get(whole.len()) {
                let before = simd.partial_load_f32s(tail);
                let sum = if self.add {
                    simd.add_f32s(before, *sum)
                } else {
                    *sum
                };
                simd.partial_store_f32s(tail, sum);
            }
        }
        ROWS
    }
}
