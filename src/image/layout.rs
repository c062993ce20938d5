//! How each encoding of `sensor_msgs/Image` lays out its bytes, and the rows of bytes that the converters read.

use super::depth::Depth;
use super::error::{EncodingError, ACCEPTED_ENCODINGS};

/// How the bytes of an image stand for pixels.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Pixel after pixel, each with one sample a channel; `rgb` says which of them are red, green and blue.
    Packed {
        channels: usize,
        rgb: [usize; 3],
        depth: Bits,
    },
    /// One sample a pixel, its brightness.
    Mono(Bits),
    /// Four bytes for two neighbours, which share their colour.
    Yuv422(Order422),
    /// A plane of brightness, then one of colour.
    Planar(Planes),
    /// One sample a pixel, of the one colour that the sensor has there.
    Bayer(Pattern, Bits),
}

/// Size of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bits {
    Eight,
    Sixteen,
}

/// Order of the four bytes that two neighbours share in 4:2:2.
#[derive(Clone, Copy)]
pub(super) enum Order422 {
    /// U Y V Y, which ROS calls `yuv422`.
    Uyvy,
    /// Y U Y V, which ROS calls `yuv422_yuy2`.
    Yuyv,
}

/// Layout of the plane of colour that follows the plane of brightness.
#[derive(Clone, Copy)]
pub(super) enum Planes {
    /// U and V in turn, one pair for 2×2 pixels.
    Nv12,
    /// V and U in turn, one pair for 2×2 pixels.
    Nv21,
    /// U and V in turn, one pair for each pixel.
    Nv24,
}

/// Arrangement of the colours of a Bayer sensor: those of the first two pixels of the first row, then of the second row.
#[derive(Clone, Copy)]
pub(super) enum Pattern {
    Rggb,
    Bggr,
    Gbrg,
    Grbg,
}

impl Bits {
    fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

impl Layout {
    /// The layout of an encoding, and its name as [`ACCEPTED_ENCODINGS`] spells it.
    ///
    /// # Errors
    /// [`EncodingError::Depth`], [`EncodingError::Unknown`].
    pub fn of(encoding: &str) -> Result<(Self, &'static str), EncodingError> {
        let named = |name: &&str| name.eq_ignore_ascii_case(encoding);
        let Some(name) = ACCEPTED_ENCODINGS.into_iter().find(named) else {
            return Err(match Depth::of_encoding(encoding) {
                Some(depth) => EncodingError::Depth { depth },
                None => EncodingError::Unknown {
                    // The name can be as long as the message, and a log line should not be.
                    encoding: encoding.chars().take(64).collect(),
                },
            });
        };
        let depth = match name.contains("16") {
            true => Bits::Sixteen,
            false => Bits::Eight,
        };
        let packed = |channels, rgb| Self::Packed {
            channels,
            rgb,
            depth,
        };
        let bayer = |pattern| Self::Bayer(pattern, depth);
        let layout = match name {
            "rgb8" | "rgb16" => packed(3, [0, 1, 2]),
            "bgr8" | "bgr16" | "8UC3" | "16UC3" => packed(3, [2, 1, 0]),
            "rgba8" | "rgba16" => packed(4, [0, 1, 2]),
            "bgra8" | "bgra16" | "8UC4" | "16UC4" => packed(4, [2, 1, 0]),
            "yuv422" | "uyvy" => Self::Yuv422(Order422::Uyvy),
            "yuv422_yuy2" | "yuyv" | "yuy2" => Self::Yuv422(Order422::Yuyv),
            "nv12" => Self::Planar(Planes::Nv12),
            "nv21" => Self::Planar(Planes::Nv21),
            "nv24" => Self::Planar(Planes::Nv24),
            "bayer_rggb8" | "bayer_rggb16" => bayer(Pattern::Rggb),
            "bayer_bggr8" | "bayer_bggr16" => bayer(Pattern::Bggr),
            "bayer_gbrg8" | "bayer_gbrg16" => bayer(Pattern::Gbrg),
            "bayer_grbg8" | "bayer_grbg16" => bayer(Pattern::Grbg),
            _ => Self::Mono(depth),
        };
        Ok((layout, name))
    }

    /// Bytes of a pixel in a row; in the plane of brightness, where there are two planes.
    pub fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Packed {
                channels, depth, ..
            } => channels * depth.bytes(),
            Self::Mono(depth) | Self::Bayer(_, depth) => depth.bytes(),
            Self::Yuv422(_) => 2,
            Self::Planar(_) => 1,
        }
    }

    /// Rows of data of an image so high, those of the plane of colour included.
    pub fn rows(self, height: u32) -> u64 {
        let height = u64::from(height);
        match self {
            Self::Planar(Planes::Nv12 | Planes::Nv21) => height * 3 / 2,
            // A row of colour takes two steps: it holds two bytes for each pixel.
            Self::Planar(Planes::Nv24) => height * 3,
            _ => height,
        }
    }

    /// Whether 2×2 pixels share their colour, so that both sides must be even.
    pub fn shares_colour(self) -> bool {
        matches!(self, Self::Planar(Planes::Nv12 | Planes::Nv21))
    }
}

impl Pattern {
    /// Parity of the columns and of the rows that red stands in.
    pub fn red_at(self) -> (usize, usize) {
        match self {
            Pattern::Rggb => (0, 0),
            Pattern::Bggr => (1, 1),
            Pattern::Gbrg => (0, 1),
            Pattern::Grbg => (1, 0),
        }
    }
}

/// The rows of a checked message, without their padding.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    data: &'a [u8],
    step: usize,
    row_bytes: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `row_bytes` that begin every `step` bytes, which must be as many or more; `data` must hold whole steps.
    pub(super) fn new(data: &'a [u8], step: usize, row_bytes: usize) -> Self {
        Self {
            data,
            step,
            row_bytes,
        }
    }

    /// Rows without padding.
    pub(super) fn plain(data: &'a [u8], row_bytes: usize) -> Self {
        Self::new(data, row_bytes, row_bytes)
    }

    /// The same rows with part of their padding, so that they are `row_bytes` long, or as long as a step where that is less.
    pub(super) fn widened(self, row_bytes: usize) -> Self {
        Self {
            row_bytes: row_bytes.min(self.step),
            ..self
        }
    }

    /// The first `bytes` of two rows that are read as one, padding included.
    pub(super) fn pair(self, row: usize, bytes: usize) -> &'a [u8] {
        &self.data[row * self.step..][..bytes]
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.data
            .chunks(self.step)
            .map(move |row| &row[..self.row_bytes])
    }

    pub(super) fn get(self, row: usize) -> &'a [u8] {
        &self.data[row * self.step..][..self.row_bytes]
    }
}
