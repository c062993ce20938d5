//! Packed matrices whose numbers have 16 bits or less, and are made f32 in the registers of the micro-kernel.
//!
//! The rows of a panel are taken together in groups: a word of 32 bits holds the numbers of two, four or eight rows in one column.
//! A register of words then becomes as many registers of numbers by shifts and masks, which every vector unit has, where an
//! instruction for the conversion would not be in reach of portable code. All conversions are exact, so a product with such a matrix
//! is the product with its numbers in f32, bit by bit, for any number of rows.

use half::{bf16, f16};
use pulp::Simd;

use crate::blocks::{Block, BlockFormat, SHARED};
use crate::packed::{slices, Order};

/// Columns of a panel on every processor that has kernels; what belongs to a column lies in arrays of so many.
const WIDTH: usize = 16;

/// The numbers of a matrix, in words.
#[derive(Clone, Debug)]
pub(crate) struct Narrow {
    kind: Kind,
    /// Slice by slice, in each panel by panel, in each group by group: `(groups, WIDTH)`.
    words: Vec<u32>,
}

/// What the numbers in a word are.
#[derive(Clone, Debug)]
enum Kind {
    /// Two f16, the one of the earlier row below. They are finite.
    F16,
    /// Two bf16.
    Bf16,
    /// Four integers, of which 128 is subtracted.
    Bytes(Scales),
    /// Eight integers.
    Nibbles(Scales),
}

impl Kind {
    /// Rows of a group.
    #[inline(always)]
    const fn rows(&self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::Bytes(_) => 4,
            Self::Nibbles(_) => 8,
        }
    }
}

/// What integers are multiplied with, and what is added: `d · s · q + e · m`.
#[derive(Clone, Debug)]
struct Scales {
    /// d and e of every `rows` rows, `(panels, depth / rows, WIDTH)`. Without e nothing is added.
    d: Vec<f32>,
    e: Vec<f32>,
    rows: usize,
    /// s and m of 32 rows and then of the next 32, a byte each: `(panels, depth / 64, WIDTH)`. Empty where all are 1.
    multiples: Vec<u32>,
}

/// Takes the rows of a panel, in their order.
pub(crate) trait Sink<S: Simd, const REGISTERS: usize> {
    /// Row `row` of the slice.
    fn take(&mut self, simd: S, row: usize, numbers: [S::f32s; REGISTERS]);
}

impl Narrow {
    /// Packs the transpose of a weight `(order.columns, order.depth)`, whose numbers are finite.
    pub fn of_f16(weight: &[f16], order: Order) -> Self {
        Self::new(Kind::F16, order, |row, column| {
            u32::from(weight[column * order.depth + row].to_bits())
        })
    }

    /// As [`of_f16`](Self::of_f16), for any numbers.
    pub fn of_bf16(weight: &[bf16], order: Order) -> Self {
        Self::new(Kind::Bf16, order, |row, column| {
            u32::from(weight[column * order.depth + row].to_bits())
        })
    }

    /// Packs the transpose of a weight `(order.columns, order.depth)` whose rows are stored in blocks.
    ///
    /// # Panics
    /// Where `bytes` has another length than the shape asks for.
    pub fn of_blocks(format: BlockFormat, bytes: &[u8], order: Order) -> Self {
        let row_bytes = format.row_bytes(order.depth).unwrap_or_default();
        assert_eq!(
            bytes.len(),
            row_bytes * order.columns,
            "whole rows of blocks"
        );
        let block = |row: usize, column: usize| {
            let at = column * row_bytes + row / format.numbers() * format.bytes();
            Block::new(format, &bytes[at..at + format.bytes()])
        };
        let scales = Scales::new(format, order, block);
        let kind = match format {
            BlockFormat::Q8_0 => Kind::Bytes(scales),
            BlockFormat::Q4_1 | BlockFormat::Q4K => Kind::Nibbles(scales),
        };
        Self::new(kind, order, |row, column| {
            let part = row % format.numbers() / SHARED;
            u32::from(block(row, column).integer(part, row % SHARED))
        })
    }

    /// `bits(row, column)` are the bits of a number.
    fn new(kind: Kind, order: Order, bits: impl Fn(usize, usize) -> u32) -> Self {
        assert_eq!(order.width, WIDTH, "the width of a panel");
        let group = kind.rows();
        let mut words = Vec::with_capacity(order.depth.div_ceil(group) * order.panels() * WIDTH);
        for (start, rows) in slices(order.depth) {
            for panel in 0..order.panels() {
                for first in (0..rows).step_by(group) {
                    for column in panel * WIDTH..(panel + 1) * WIDTH {
                        let here = (0..group.min(rows - first)).filter(|_| column < order.columns);
                        words.push(here.fold(0, |word, i| {
                            word | bits(start + first + i, column) << (i * 32 / group)
                        }));
                    }
                }
            }
        }
        Self { kind, words }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let scales = match &self.kind {
            Kind::F16 | Kind::Bf16 => 0,
            Kind::Bytes(s) | Kind::Nibbles(s) => s.d.len() + s.e.len() + s.multiples.len(),
        };
        4 * (self.words.len() + scales)
    }

    /// Hands the `rows` rows of a panel, in the slice that begins at row `start`, to `sink`.
    #[inline(always)]
    pub fn each_row<S: Simd, const REGISTERS: usize>(
        &self,
        simd: S,
        order: Order,
        panel: usize,
        (start, rows): (usize, usize),
        sink: &mut impl Sink<S, REGISTERS>,
    ) {
        let group = self.kind.rows();
        // Whole slices have whole groups; the last row of all may be alone in its group.
        let groups = rows.div_ceil(group);
        let at = (start / group * order.panels() + groups * panel) * WIDTH;
        let (words, _) = S::as_simd_u32s(&self.words[at..at + groups * WIDTH]);
        let block = (panel * order.depth + start) / SHARED;
        match &self.kind {
            Kind::F16 => pairs::<S, F16, REGISTERS>(simd, words, rows, sink),
            Kind::Bf16 => pairs::<S, Bf16, REGISTERS>(simd, words, rows, sink),
            Kind::Bytes(scales) => {
                integers::<S, REGISTERS, 4>(simd, words, (scales, block), 128, sink);
            }
            Kind::Nibbles(scales) => {
                integers::<S, REGISTERS, 8>(simd, words, (scales, block), 0, sink);
            }
        }
    }
}

impl Scales {
    /// `block(row, column)` is the block that holds a number.
    fn new<'a>(
        format: BlockFormat,
        order: Order,
        block: impl Fn(usize, usize) -> Block<'a>,
    ) -> Self {
        let rows = format.numbers();
        // Calls `each(row, column)` for every `rows`th row of each panel; columns beyond the last are those of the padding.
        let all = |rows: usize, each: &mut dyn FnMut(usize, Option<usize>)| {
            for panel in 0..order.panels() {
                for row in (0..order.depth).step_by(rows) {
                    for column in panel * WIDTH..(panel + 1) * WIDTH {
                        each(row, (column < order.columns).then_some(column));
                    }
                }
            }
        };
        let (mut d, mut e, mut multiples) = (Vec::new(), Vec::new(), Vec::new());
        all(rows, &mut |row, column| {
            let (scale, offset) = column.map_or((f16::ZERO, f16::ZERO), |column| {
                block(row, column).scale_and_offset()
            });
            d.push(scale.to_f32());
            if format != BlockFormat::Q8_0 {
                e.push(offset.to_f32());
            }
        });
        if rows > SHARED {
            all(2 * SHARED, &mut |row, column| {
                let part = row % rows / SHARED;
                let of = |part| column.map_or((0, 0), |column| block(row, column).multiples(part));
                let ((s, m), (next_s, next_m)) = (of(part), of(part + 1));
                multiples.push(u32::from_le_bytes([s, m, next_s, next_m]));
            });
        }
        Self {
            d,
            e,
            rows,
            multiples,
        }
    }

    /// Scale and offset of the columns in block `block` of 32 rows.
    #[inline(always)]
    fn of_block<S: Simd, const REGISTERS: usize>(
        &self,
        simd: S,
        block: usize,
    ) -> [(S::f32s, S::f32s); REGISTERS] {
        let shared = block * SHARED / self.rows * WIDTH;
        let (d, _) = S::as_simd_f32s(&self.d[shared..shared + WIDTH]);
        let nothing = simd.splat_f32s(-0.0);
        let mut both = [(nothing, nothing); REGISTERS];
        for (both, d) in both.iter_mut().zip(d) {
            both.0 = *d;
        }
        if !self.e.is_empty() {
            let (e, _) = S::as_simd_f32s(&self.e[shared..shared + WIDTH]);
            for (both, e) in both.iter_mut().zip(e) {
                both.1 = *e;
            }
        }
        if !self.multiples.is_empty() {
            let at = block / 2 * WIDTH;
            let (words, _) = S::as_simd_u32s(&self.multiples[at..at + WIDTH]);
            let shift = block as u32 % 2 * 16;
            for (both, word) in both.iter_mut().zip(words) {
                // Exact: 11 and 6 bits.
                both.0 = simd.mul_f32s(both.0, integer(simd, *word, shift, 255, 0));
                both.1 = simd.mul_f32s(both.1, integer(simd, *word, shift + 8, 255, 0));
            }
        }
        both
    }
}

/// `(word >> shift) & mask`, less `minus`, as f32. The result has less than 24 bits.
#[inline(always)]
fn integer<S: Simd>(simd: S, word: S::u32s, shift: u32, mask: u32, minus: u32) -> S::f32s {
    // An integer below 2²³ in the lower bits of 2²³ is the number that it is more than that.
    const ONE: u32 = 1 << 23;
    let shifted = simd.wrapping_dyn_shr_u32s(word, simd.splat_u32s(shift));
    let integer = simd.and_u32s(shifted, simd.splat_u32s(mask));
    let bits = simd.or_u32s(integer, simd.splat_u32s((ONE as f32).to_bits()));
    let zero = simd.splat_f32s((ONE + minus) as f32);
    simd.sub_f32s(simd.transmute_f32s_u32s(bits), zero)
}

/// The rows of groups of `GROUP` integers. `scales` come with the number of their first block.
#[inline(always)]
fn integers<S: Simd, const REGISTERS: usize, const GROUP: usize>(
    simd: S,
    words: &[S::u32s],
    (scales, first): (&Scales, usize),
    minus: u32,
    sink: &mut impl Sink<S, REGISTERS>,
) {
    let bits = 32 / GROUP as u32;
    let mask = (1 << bits) - 1;
    for (i, words) in words.chunks_exact(SHARED / GROUP * REGISTERS).enumerate() {
        let scales = scales.of_block::<S, REGISTERS>(simd, first + i);
        for (group, words) in words.chunks_exact(REGISTERS).enumerate() {
            for row in 0..GROUP {
                let mut numbers = [simd.splat_f32s(0.0); REGISTERS];
                for ((number, word), (scale, offset)) in numbers.iter_mut().zip(words).zip(scales) {
                    let q = integer(simd, *word, row as u32 * bits, mask, minus);
                    // The product is exact, so that it does not matter that the sum is fused to it: at most 11, 6 and 8 bits.
                    *number = simd.mul_add_f32s(q, scale, offset);
                }
                sink.take(simd, i * SHARED + group * GROUP + row, numbers);
            }
        }
    }
}

/// Two numbers of 16 bits in a word.
trait Pair {
    fn lower<S: Simd>(simd: S, word: S::u32s) -> S::f32s;
    fn upper<S: Simd>(simd: S, word: S::u32s) -> S::f32s;
}

/// The rows of groups of two.
#[inline(always)]
fn pairs<S: Simd, P: Pair, const REGISTERS: usize>(
    simd: S,
    words: &[S::u32s],
    rows: usize,
    sink: &mut impl Sink<S, REGISTERS>,
) {
    for (group, words) in words.chunks_exact(REGISTERS).enumerate() {
        let mut numbers = [simd.splat_f32s(0.0); REGISTERS];
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = P::lower(simd, *word);
        }
        sink.take(simd, 2 * group, numbers);
        if 2 * group + 1 < rows {
            for (number, word) in numbers.iter_mut().zip(words) {
                *number = P::upper(simd, *word);
            }
            sink.take(simd, 2 * group + 1, numbers);
        }
    }
}

struct Bf16;

/// A bf16 is the upper half of an f32.
impl Pair for Bf16 {
    #[inline(always)]
    fn lower<S: Simd>(simd: S, word: S::u32s) -> S::f32s {
        let bits = simd.wrapping_dyn_shl_u32s(word, simd.splat_u32s(16));
        simd.transmute_f32s_u32s(bits)
    }

    #[inline(always)]
    fn upper<S: Simd>(simd: S, word: S::u32s) -> S::f32s {
        simd.transmute_f32s_u32s(simd.and_u32s(word, simd.splat_u32s(0xffff_0000)))
    }
}

struct F16;

impl Pair for F16 {
    #[inline(always)]
    fn lower<S: Simd>(simd: S, word: S::u32s) -> S::f32s {
        Self::upper(simd, simd.wrapping_dyn_shl_u32s(word, simd.splat_u32s(16)))
    }

    #[inline(always)]
    fn upper<S: Simd>(simd: S, word: S::u32s) -> S::f32s {
        let sign = simd.and_u32s(word, simd.splat_u32s(0x8000_0000));
        // Exponent and fraction where those of an f32 are.
        let shifted = simd.wrapping_dyn_shr_u32s(word, simd.splat_u32s(3));
        let size = simd.and_u32s(shifted, simd.splat_u32s(0x0fff_e000));
        // The exponents of f16 begin at −15 and those of f32 at −127.
        let normal = simd.add_u32s(size, simd.splat_u32s(112 << 23));
        // Below the smallest normal number, 2⁻¹⁴, the bits count in steps of 2⁻²⁴: put behind a one of that size, which is then
        // subtracted, they are the number.
        let least = simd.splat_u32s(113 << 23);
        let small = simd.sub_f32s(
            simd.transmute_f32s_u32s(simd.add_u32s(size, least)),
            simd.transmute_f32s_u32s(least),
        );
        let is_small = simd.less_than_i32s(
            simd.transmute_i32s_u32s(size),
            simd.transmute_i32s_u32s(simd.splat_u32s(1 << 23)),
        );
        let number = simd.select_u32s(is_small, simd.transmute_u32s_f32s(small), normal);
        simd.transmute_f32s_u32s(simd.or_u32s(number, sign))
    }
}
