//! The names of the encodings of `sensor_msgs/Image`, and how each lays out its bytes.

use super::depth::Depth;
use super::error::EncodingError;
use super::{bayer, yuv};

/// Encodings that are accepted, by their ROS names (`sensor_msgs/image_encodings.hpp`, and `nv12`), then OpenCV's names for
/// gray, BGR and BGRA, then other names of the two 4:2:2 orders. Upper and lower case mean the same.
pub const ACCEPTED_ENCODINGS: [&str; 31] = [
    "rgb8",
    "bgr8",
    "rgba8",
    "bgra8",
    "rgb16",
    "bgr16",
    "rgba16",
    "bgra16",
    "mono8",
    "mono16",
    "yuv422",
    "yuv422_yuy2",
    "nv12",
    "nv21",
    "nv24",
    "bayer_rggb8",
    "bayer_bggr8",
    "bayer_gbrg8",
    "bayer_grbg8",
    "bayer_rggb16",
    "bayer_bggr16",
    "bayer_gbrg16",
    "bayer_grbg16",
    "8UC1",
    "8UC3",
    "8UC4",
    "16UC3",
    "16UC4",
    "uyvy",
    "yuyv",
    "yuy2",
];

/// How the bytes of a row stand for pixels.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// A sample a channel; where red, green and blue stand in the pixel.
    Packed {
        channels: usize,
        rgb: [usize; 3],
        depth: Bits,
    },
    Mono(Bits),
    /// Two neighbours share their colour.
    Yuv422(yuv::Order422),
    /// Below the brightness a plane with the colour, U and V in turn.
    Planar(yuv::Planes),
    Bayer(bayer::Pattern, Bits),
}

/// Of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bits {
    Eight,
    Sixteen,
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
    /// The layout and the name that errors call it by.
    ///
    /// # Errors
    /// [`EncodingError::Depth`], [`EncodingError::Unknown`].
    pub fn of(encoding: &str) -> Result<(Self, &'static str), EncodingError> {
        let named = |name: &&str| name.eq_ignore_ascii_case(encoding);
        let Some(name) = ACCEPTED_ENCODINGS.into_iter().find(named) else {
            return Err(match Depth::of_encoding(encoding) {
                Some(depth) => EncodingError::Depth { depth },
                None => EncodingError::Unknown {
                    // A name can be as long as the message; the log line need not be.
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
            "yuv422" | "uyvy" => Self::Yuv422(yuv::Order422::Uyvy),
            "yuv422_yuy2" | "yuyv" | "yuy2" => Self::Yuv422(yuv::Order422::Yuyv),
            "nv12" => Self::Planar(yuv::Planes::Nv12),
            "nv21" => Self::Planar(yuv::Planes::Nv21),
            "nv24" => Self::Planar(yuv::Planes::Nv24),
            "bayer_rggb8" | "bayer_rggb16" => bayer(bayer::Pattern::Rggb),
            "bayer_bggr8" | "bayer_bggr16" => bayer(bayer::Pattern::Bggr),
            "bayer_gbrg8" | "bayer_gbrg16" => bayer(bayer::Pattern::Gbrg),
            "bayer_grbg8" | "bayer_grbg16" => bayer(bayer::Pattern::Grbg),
            _ => Self::Mono(depth),
        };
        Ok((layout, name))
    }

    /// In the plane of brightness, where there are several.
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

    /// Rows of data, those of colour below the picture included.
    pub fn rows(self, height: u32) -> u64 {
        let height = u64::from(height);
        match self {
            Self::Planar(yuv::Planes::Nv12 | yuv::Planes::Nv21) => height * 3 / 2,
            // Its rows of colour are as wide as two of brightness.
            Self::Planar(yuv::Planes::Nv24) => height * 3,
            _ => height,
        }
    }

    /// Whether two neighbours, and two rows, share their colour, so that the sides must be even.
    pub fn shares_colour(self) -> bool {
        matches!(self, Self::Planar(yuv::Planes::Nv12 | yuv::Planes::Nv21))
    }
}
