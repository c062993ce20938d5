//! RVL, the run lengths and differences in which depth cameras send 16-bit pictures (Wilson, "Fast Lossless Depth Image
//! Compression", ISS 2017), as `compressed_depth_image_transport` packs them.
//!
//! Two numbers of 32 bits come first, columns and rows, little-endian. Then come little-endian words of 32 bits, each of eight
//! nibbles, the uppermost first. A number is three bits a nibble, its lowest bits first, and the nibble's fourth bit says that
//! more follow. The numbers are, until all pixels are there: the length of a run of zeros, the length of a run of other values,
//! and for each of these its difference `d` from the one before (0 at the start, the last one before a run of zeros after it), as
//! `2d` where it is not negative, else `−2d − 1`.

use crate::size::{pixel_count, MAX_PIXELS};

/// Bytes before the words: columns and rows.
const SIZE_BYTES: usize = 8;

/// The largest difference of two 16-bit values, as it is packed.
const MAX_DIFFERENCE: u32 = 2 * 65535;

/// Why bytes are no RVL picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RvlError {
    /// The bytes end before the size does.
    #[error("{length} bytes; the size alone takes {SIZE_BYTES}")]
    Short {
        /// Bytes that are there.
        length: usize,
    },
    /// A side has no pixels, or there are more pixels than [`MAX_PIXELS`].
    #[error("{width}x{height} pixels; accepted: 1 to {MAX_PIXELS} pixels")]
    Size {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The words end before the picture is complete.
    #[error("the data end after {done} of {pixels} pixels")]
    Cut {
        /// Pixels that were read.
        done: usize,
        /// Pixels of the picture.
        pixels: usize,
    },
    /// A run goes beyond the picture.
    #[error(
        "after {done} pixels a run of {run} follows; accepted: at most the {left} that are left"
    )]
    Run {
        /// Pixels before the run.
        done: usize,
        /// Length of the run.
        run: u64,
        /// Pixels that are left.
        left: usize,
    },
    /// Two values differ by more than 16 bits hold.
    #[error("after {done} pixels stands the difference {difference}; accepted: at most {MAX_DIFFERENCE}, packed")]
    Difference {
        /// Pixels before it.
        done: usize,
        /// The difference, as it is packed.
        difference: u64,
    },
}

/// A picture of 16-bit values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// `width · height` values, row by row.
    pub values: Vec<u16>,
}

/// Reads an RVL picture. Nothing in it is trusted: the size is bounded by [`MAX_PIXELS`], each run by the pixels that are left.
///
/// The upstream decoder also refuses more than five pixels a byte. A picture in which nothing was measured is shorter than that
/// (12 bytes at 640x480), and cameras send such pictures, so it is accepted here.
///
/// # Errors
/// [`RvlError`].
pub fn decode(bytes: &[u8]) -> Result<Values, RvlError> {
    let Some((size, words)) = bytes.split_at_checked(SIZE_BYTES) else {
        let length = bytes.len();
        return Err(RvlError::Short { length });
    };
    let side = |at: usize| u32::from_le_bytes([size[at], size[at + 1], size[at + 2], size[at + 3]]);
    let (width, height) = (side(0), side(4));
    let pixels = pixel_count(width, height).ok_or(RvlError::Size { width, height })?;
    let mut nibbles = Nibbles::new(words);
    let mut values = Vec::with_capacity(pixels);
    let mut previous = 0u16;
    while values.len() < pixels {
        let zeros = run(&mut nibbles, values.len(), pixels)?;
        values.resize(values.len() + zeros, 0);
        let others = run(&mut nibbles, values.len(), pixels)?;
        for _ in 0..others {
            let done = values.len();
            let packed = nibbles.number().ok_or(RvlError::Cut { done, pixels })?;
            if packed > u64::from(MAX_DIFFERENCE) {
                let difference = packed;
                return Err(RvlError::Difference { done, difference });
            }
            let packed = packed as i32;
            let difference = (packed >> 1) ^ -(packed & 1);
            // Upstream adds in 16 bits, too.
            previous = previous.wrapping_add(difference as u16);
            values.push(previous);
        }
    }
    Ok(Values {
        width,
        height,
        values,
    })
}

/// The length of a run that fits the pixels that are left.
fn run(nibbles: &mut Nibbles<'_>, done: usize, pixels: usize) -> Result<usize, RvlError> {
    let run = nibbles.number().ok_or(RvlError::Cut { done, pixels })?;
    let left = pixels - done;
    match run <= left as u64 {
        true => Ok(run as usize),
        false => Err(RvlError::Run { done, run, left }),
    }
}

/// Writes values as an RVL picture. Values that are missing at the end count as 0, those beyond the size are left out.
///
/// # Errors
/// [`RvlError::Size`].
pub fn encode(width: u32, height: u32, values: &[u16]) -> Result<Vec<u8>, RvlError> {
    let pixels = pixel_count(width, height).ok_or(RvlError::Size { width, height })?;
    let mut bytes = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let mut packer = Packer::default();
    let mut rest = values.get(..pixels).unwrap_or(values);
    let mut left = pixels;
    let mut previous = 0u16;
    while left > 0 {
        let zeros = rest.iter().take_while(|value| **value == 0).count();
        rest = &rest[zeros..];
        let others = rest.iter().take_while(|value| **value != 0).count();
        let (run, after) = rest.split_at(others);
        // Where the values end early, the last run of zeros goes on to the end of the picture.
        let zeros = if rest.is_empty() { left } else { zeros };
        packer.number(zeros as u32, &mut bytes);
        packer.number(others as u32, &mut bytes);
        for value in run {
            let difference = i32::from(*value) - i32::from(previous);
            packer.number(((difference << 1) ^ (difference >> 31)) as u32, &mut bytes);
            previous = *value;
        }
        rest = after;
        left -= zeros + others;
    }
    packer.finish(&mut bytes);
    Ok(bytes)
}

/// Reads numbers from words.
struct Nibbles<'a> {
    words: std::slice::ChunksExact<'a, u8>,
    word: u32,
    left: u32,
}

impl<'a> Nibbles<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            words: bytes.chunks_exact(4),
            word: 0,
            left: 0,
        }
    }

    /// The next number; `None` where the words end. What does not fit into 63 bits becomes the largest number, which no run and
    /// no difference may be.
    fn number(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            if self.left == 0 {
                let word = self.words.next()?;
                self.word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                self.left = 8;
            }
            let nibble = self.word >> 28;
            self.word <<= 4;
            self.left -= 1;
            match shift < 63 {
                true => value |= u64::from(nibble & 7) << shift,
                false => value = u64::MAX,
            }
            shift += 3;
            if nibble & 8 == 0 {
                return Some(value);
            }
        }
    }
}

/// Writes numbers into words.
#[derive(Default)]
struct Packer {
    word: u32,
    filled: u32,
}

impl Packer {
    fn number(&mut self, mut value: u32, bytes: &mut Vec<u8>) {
        loop {
            let more = if value > 7 { 8 } else { 0 };
            self.word = self.word << 4 | value & 7 | more;
            self.filled += 1;
            if self.filled == 8 {
                bytes.extend(self.word.to_le_bytes());
                *self = Self::default();
            }
            value >>= 3;
            if more == 0 {
                break;
            }
        }
    }

    fn finish(self, bytes: &mut Vec<u8>) {
        if self.filled > 0 {
            bytes.extend((self.word << (4 * (8 - self.filled))).to_le_bytes());
        }
    }
}
