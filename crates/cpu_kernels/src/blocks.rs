//! The block formats of ggml, taken apart.

use half::f16;

/// Numbers of a row that share a scale, in all formats.
pub(crate) const SHARED: usize = 32;

/// How the rows of a matrix are stored in blocks. The names are ggml's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockFormat {
    /// 32 numbers: a scale in f16, then 32 integers of 8 bits. `d · q`.
    Q8_0,
    /// 32 numbers: a scale and an offset in f16, then 32 integers of 4 bits. `d · q + m`.
    Q4_1,
    /// 256 numbers: a scale and an offset in f16, 6 bits for a multiple of each for every 32 numbers, then 256 integers of 4 bits.
    /// `d · s · q − dmin · m`.
    Q4K,
}

impl BlockFormat {
    /// Numbers of a block. Rows have a multiple of them.
    pub const fn numbers(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4_1 => SHARED,
            Self::Q4K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Q8_0 => 34,
            Self::Q4_1 => 20,
            Self::Q4K => 144,
        }
    }

    /// Bytes of a row of so many numbers; `None` where a block does not fit in whole.
    pub const fn row_bytes(self, numbers: usize) -> Option<usize> {
        match numbers % self.numbers() {
            0 => Some(numbers / self.numbers() * self.bytes()),
            _ => None,
        }
    }
}

/// A block that is read: the part of it that shares a scale is asked for by its number, 0 for the first 32 numbers.
pub(crate) struct Block<'a> {
    format: BlockFormat,
    bytes: &'a [u8],
}

impl<'a> Block<'a> {
    /// `bytes` are as many as the format says.
    pub fn new(format: BlockFormat, bytes: &'a [u8]) -> Self {
        Self { format, bytes }
    }

    fn half(&self, at: usize) -> f16 {
        f16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// d, and what e is in `d · s · q + e · m`.
    pub fn scale_and_offset(&self) -> (f16, f16) {
        let offset = match self.format {
            BlockFormat::Q8_0 => f16::ZERO,
            BlockFormat::Q4_1 => self.half(2),
            BlockFormat::Q4K => -self.half(2),
        };
        (self.half(0), offset)
    }

    /// s and m of a part. Q4_K has 8 pairs of 6 bits in 12 bytes: the first four pairs have the lower bits of bytes 0 to 7, the
    /// others bytes 8 to 11 and the two upper bits that are left.
    pub fn multiples(&self, part: usize) -> (u8, u8) {
        if self.format != BlockFormat::Q4K {
            return (1, 1);
        }
        let bytes = &self.bytes[4..16];
        match part {
            0..4 => (bytes[part] & 63, bytes[part + 4] & 63),
            _ => {
                let (lower, s, m) = (bytes[part + 4], bytes[part - 4] >> 6, bytes[part] >> 6);
                (lower & 15 | s << 4, lower >> 4 | m << 4)
            }
        }
    }

    /// Integer `i` of a part: q, and of Q8_0, whose integers have a sign, q + 128.
    pub fn integer(&self, part: usize, i: usize) -> u8 {
        let (byte, upper) = match self.format {
            BlockFormat::Q8_0 => return self.bytes[2 + i] ^ 128,
            // Numbers i and i + 16 of 32 share a byte.
            BlockFormat::Q4_1 => (self.bytes[4 + i % 16], i >= 16),
            // Numbers i and i + 32 of 64 share a byte.
            BlockFormat::Q4K => (self.bytes[16 + part / 2 * SHARED + i], part % 2 == 1),
        };
        if upper {
            byte >> 4
        } else {
            byte & 15
        }
    }
}
