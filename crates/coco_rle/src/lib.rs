//! COCO's run-length encoding of masks (cocodataset/cocoapi, `common/maskApi.c`), as it stands in JSON:
//! `{"size": [height, width], "counts": …}`.
//!
//! The pixels are counted down the columns, and the first run is one of background, which may be 0 long. `counts` is either
//! the list of run lengths or a text of them, five bits in each letter. [`Rle::encode`] writes the text. [`Rle::runs`] and
//! [`Rle::decode`] read both.
//!
//! Nothing that is read is trusted. The caller says of which size the picture is, so that no file decides how much memory is
//! taken: the text is bounded by its own length, and the mask by the picture.
//!
//! ```
//! use coco_rle::Rle;
//!
//! let inside = [false, true, true, false, true, true]; // two rows of three pixels
//! let rle = Rle::encode(3, 2, &inside)?;
//! assert_eq!(rle.decode(3, 2)?, inside);
//! # Ok::<(), coco_rle::RleError>(())
//! ```

mod letters;

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use letters::{pack, unpack};

/// A mask as COCO's JSON holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle {
    /// Height and width of the picture, pixels.
    pub size: [usize; 2],
    /// The lengths of the runs.
    pub counts: Counts,
}

/// Lengths of runs in one of COCO's two forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Counts {
    /// A list of numbers, which COCO calls uncompressed.
    Plain(Vec<u32>),
    /// A text, which COCO calls compressed: see [`pack`].
    Packed(String),
}

/// Why a mask cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RleError {
    /// The text holds a byte that no number begins or goes on with, or a number of more than 60 bits.
    #[error("run lengths hold a letter that COCO's packing does not")]
    Letter,
    /// The last number of the text is not complete.
    #[error("run lengths end in the middle of a number")]
    Cut,
    /// A run is negative, or longer than 32 bits hold.
    #[error("a run is {length} long")]
    Run {
        /// The length that the text gives.
        length: i64,
    },
    /// The mask is of another size than the picture.
    #[error("run lengths are of {}×{} pixels, the picture has {width}×{height}", size[1], size[0])]
    Size {
        /// Height and width of the mask, pixels.
        size: [usize; 2],
        /// Width of the picture, pixels.
        width: u32,
        /// Height of the picture, pixels.
        height: u32,
    },
    /// The runs do not cover the picture, or go beyond it.
    #[error("run lengths add up to {total}, the picture has {pixels}")]
    Total {
        /// The sum of the run lengths.
        total: u64,
        /// The number of pixels of the picture.
        pixels: u64,
    },
    /// The picture has more pixels than a run can count.
    #[error(
        "a mask of {width}×{height} pixels; accepted: {} pixels in all",
        u32::MAX
    )]
    Area {
        /// Width of the picture, pixels.
        width: u32,
        /// Height of the picture, pixels.
        height: u32,
    },
}

impl Rle {
    /// Encodes a mask, with its run lengths as text.
    ///
    /// # Shapes
    /// `inside` holds for each of the `width · height` pixels, row by row, whether the mask has it. Pixels that are missing at
    /// the end count as background.
    ///
    /// # Errors
    /// [`RleError::Area`].
    pub fn encode(width: u32, height: u32, inside: &[bool]) -> Result<Self, RleError> {
        if u64::from(width) * u64::from(height) > u64::from(u32::MAX) {
            return Err(RleError::Area { width, height });
        }
        let (width, height) = (width as usize, height as usize);
        let (mut runs, mut value, mut length) = (Vec::new(), false, 0u32);
        for x in 0..width {
            for y in 0..height {
                let here = inside.get(y * width + x).copied().unwrap_or_default();
                if here != value {
                    runs.push(length);
                    (value, length) = (here, 0);
                }
                length += 1;
            }
        }
        runs.push(length);
        Ok(Self {
            size: [height, width],
            counts: Counts::Packed(pack(&runs)),
        })
    }

    /// The lengths of the runs, which cover a picture of this size exactly. The first, third, … are runs of background.
    ///
    /// # Errors
    /// [`RleError`], unless it is a mask of this size.
    pub fn runs(&self, width: u32, height: u32) -> Result<Cow<'_, [u32]>, RleError> {
        if self.size != [height as usize, width as usize] {
            let size = self.size;
            return Err(RleError::Size {
                size,
                width,
                height,
            });
        }
        let runs = match &self.counts {
            Counts::Plain(runs) => Cow::Borrowed(runs.as_slice()),
            Counts::Packed(letters) => Cow::Owned(unpack(letters)?),
        };
        let total = runs.iter().map(|run| u64::from(*run)).sum();
        let pixels = u64::from(width) * u64::from(height);
        match total == pixels {
            true => Ok(runs),
            false => Err(RleError::Total { total, pixels }),
        }
    }

    /// Whether the mask has each pixel of a picture of this size, row by row.
    ///
    /// # Shapes
    /// `width · height` values.
    ///
    /// # Errors
    /// [`RleError`], unless it is a mask of this size.
    pub fn decode(&self, width: u32, height: u32) -> Result<Vec<bool>, RleError> {
        let runs = self.runs(width, height)?;
        let (width, height) = (width as usize, height as usize);
        let mut inside = vec![false; width * height];
        for at in spans(&runs).flatten() {
            if let Some(pixel) = inside.get_mut(at % height * width + at / height) {
                *pixel = true;
            }
        }
        Ok(inside)
    }
}

/// Where the mask is: for each run inside it, its first pixel and the one after its last, counted down the columns.
pub fn spans(runs: &[u32]) -> impl Iterator<Item = Range<usize>> + '_ {
    let ends = runs.iter().scan(0usize, |end, run| {
        let start = *end;
        *end = end.saturating_add(*run as usize);
        Some(start..*end)
    });
    ends.skip(1).step_by(2)
}
