//! The product of a matrix with a packed one, for one thread: a block of rows and some panels at a time.

use pulp::{Simd, WithSimd};

use crate::narrow::{Narrow, Sink};
use crate::packed::{slices, Order, Packed};

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

/// Most rows of a product for which narrow numbers are made f32 in registers, once for all of the rows. For more of them a whole
/// panel is made f32 in the first-level cache.
const FEW_ROWS: usize = 4;

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
                let first = panel * right.width();
                let mut tile = Tile {
                    a: left,
                    start,
                    depth,
                    first,
                    columns: right.width().min(right.columns() - first),
                    destination: &mut *self.destination,
                };
                if let (Some(narrow), 1..=FEW_ROWS) = (right.narrow(), left.rows) {
                    match left.rows {
                        1 => tile.fused::<S, 1, REGISTERS>(simd, narrow, panel),
                        2 => tile.fused::<S, 2, REGISTERS>(simd, narrow, panel),
                        3 => tile.fused::<S, 3, REGISTERS>(simd, narrow, panel),
                        _ => tile.fused::<S, FEW_ROWS, REGISTERS>(simd, narrow, panel),
                    }
                    continue;
                }
                let b = right.panel::<S, REGISTERS>(simd, start, depth, panel, &mut buffer);
                let mut row = 0;
                while row < left.rows {
                    // What is left over at the lower edge goes through smaller kernels, so that no row is computed for nothing.
                    row += match left.rows - row {
                        n if n >= ROWS => tile.compute::<S, ROWS, REGISTERS>(simd, b, row),
                        n if n >= 4 => tile.compute::<S, 4, REGISTERS>(simd, b, row),
                        n if n >= 2 => tile.compute::<S, 2, REGISTERS>(simd, b, row),
                        _ => tile.compute::<S, 1, REGISTERS>(simd, b, row),
                    };
                }
            }
        }
    }
}

/// The result in the columns of one panel, for one slice of the depth.
struct Tile<'a, D> {
    a: Rows<'a>,
    start: usize,
    depth: usize,
    first: usize,
    columns: usize,
    destination: &'a mut D,
}

/// Sums of a few rows.
struct Sums<'a, S: Simd, const ROWS: usize, const REGISTERS: usize> {
    a: [&'a [f32]; ROWS],
    sums: [[S::f32s; REGISTERS]; ROWS],
}

impl<S: Simd, const ROWS: usize, const REGISTERS: usize> Sink<S, REGISTERS>
    for Sums<'_, S, ROWS, REGISTERS>
{
    #[inline(always)]
    fn take(&mut self, simd: S, row: usize, numbers: [S::f32s; REGISTERS]) {
        for r in 0..ROWS {
            let value = simd.splat_f32s(self.a[r][row]);
            for (sum, number) in self.sums[r].iter_mut().zip(numbers) {
                *sum = simd.mul_add_f32s(value, number, *sum);
            }
        }
    }
}

impl<D: Destination> Tile<'_, D> {
    /// No sums yet, of the rows from `row` on.
    #[inline(always)]
    fn sums<S: Simd, const ROWS: usize, const REGISTERS: usize>(
        &self,
        simd: S,
        row: usize,
    ) -> Sums<'_, S, ROWS, REGISTERS> {
        let a = &self.a.data[row * self.a.stride + self.start..];
        Sums {
            a: std::array::from_fn(|r| &a[r * self.a.stride..][..self.depth]),
            sums: [[simd.splat_f32s(0.0); REGISTERS]; ROWS],
        }
    }

    /// Computes `ROWS` rows with a panel `(depth, width)`; returns their number.
    #[inline(always)]
    fn compute<S: Simd, const ROWS: usize, const REGISTERS: usize>(
        &mut self,
        simd: S,
        b: &[f32],
        row: usize,
    ) -> usize {
        let mut sums = self.sums::<S, ROWS, REGISTERS>(simd, row);
        let (b, _) = S::as_simd_f32s(b);
        for (k, b) in b.chunks_exact(REGISTERS).enumerate().take(self.depth) {
            let mut numbers = [simd.splat_f32s(0.0); REGISTERS];
            numbers.copy_from_slice(b);
            sums.take(simd, k, numbers);
        }
        let sums = sums.sums;
        self.store(simd, row, &sums)
    }

    /// Computes all rows, which are `ROWS`, with numbers that become f32 one row after the other.
    #[inline(always)]
    fn fused<S: Simd, const ROWS: usize, const REGISTERS: usize>(
        &mut self,
        simd: S,
        (narrow, order): (&Narrow, Order),
        panel: usize,
    ) {
        let mut sums = self.sums::<S, ROWS, REGISTERS>(simd, 0);
        narrow.each_row(simd, order, panel, (self.start, self.depth), &mut sums);
        let sums = sums.sums;
        self.store(simd, 0, &sums);
    }

    /// Puts sums into their rows, or adds them to those of the slices before. Returns the number of rows.
    #[inline(always)]
    fn store<S: Simd, const ROWS: usize, const REGISTERS: usize>(
        &mut self,
        simd: S,
        row: usize,
        sums: &[[S::f32s; REGISTERS]; ROWS],
    ) -> usize {
        let add = self.start > 0;
        for (r, sums) in sums.iter().enumerate() {
            let to = self.destination.row(row + r, self.first, self.columns);
            let (whole, tail) = S::as_mut_simd_f32s(to);
            for (to, sum) in whole.iter_mut().zip(sums) {
                *to = match add {
                    true => simd.add_f32s(*to, *sum),
                    false => *sum,
                };
            }
            // The columns of the last panel that do not fill a register.
            if let Some(sum) = sums.get(whole.len()) {
                let before = simd.partial_load_f32s(tail);
                let sum = match add {
                    true => simd.add_f32s(before, *sum),
                    false => *sum,
                };
                simd.partial_store_f32s(tail, sum);
            }
        }
        ROWS
    }
}
