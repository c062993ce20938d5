//! Why bytes are no depth image.

use crate::rvl::RvlError;
use crate::size::MAX_PIXELS;

/// A depth image that cannot be read. Its `Display` is one line that says what was wrong and what is accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DepthError {
    /// The encoding is not one of a depth image.
    #[error("encoding {encoding:?} is not one of a depth image; accepted: 16UC1 or mono16 (millimetres), 32FC1 (metres)")]
    Encoding {
        /// The encoding, at most 64 characters of it.
        encoding: String,
    },
    /// A side has no pixels, or there are more pixels than [`MAX_PIXELS`].
    #[error("a depth image of {width}x{height} pixels; accepted: 1 to {MAX_PIXELS} pixels")]
    Size {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// A row is shorter than its pixels.
    #[error("a row of the depth image has {step} bytes; its pixels need {needed}")]
    Step {
        /// Bytes of a row, as the message says.
        step: u32,
        /// Bytes that the pixels of a row need.
        needed: u64,
    },
    /// There are fewer values than pixels.
    #[error("the depth image has {length} bytes; its size needs {needed}")]
    Length {
        /// Bytes that are there.
        length: u64,
        /// Bytes that the rows need.
        needed: u64,
    },
    /// The values handed in are not one for each pixel.
    #[error("{values} values for a depth image of {width}x{height} pixels; accepted: one for each pixel")]
    Values {
        /// The number of values.
        values: usize,
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// The format of a compressed message is not one of a depth image.
    #[error(
        "format {format:?} is not one of a depth image; accepted: 16UC1 or 32FC1, alone or before \"; compressedDepth\", \
         \"; compressedDepth png\" or \"; compressedDepth rvl\", and \"16UC1; png compressed\""
    )]
    Format {
        /// The format, at most 64 characters of it.
        format: String,
    },
    /// The data of a compressed message end before the picture begins.
    #[error("the compressed depth image has {length} bytes, which is less than its header")]
    Short {
        /// Bytes that are there.
        length: usize,
    },
    /// Metres were quantized, and the numbers that undo it are missing.
    #[error("the compressed 32FC1 depth image lacks the header of 12 bytes that says how its metres were quantized")]
    NoHeader,
    /// The numbers that undo the quantization cannot be right.
    #[error("the compressed depth image was quantized with a = {a}, b = {b}; accepted: a above 0, b below 1")]
    Quantization {
        /// The numerator of `z = a / (v - b)`, metres.
        a: f32,
        /// The offset of `z = a / (v - b)`.
        b: f32,
    },
    /// The content is no PNG, or a damaged one.
    #[error("the PNG of the depth image cannot be read: {reason}")]
    Png {
        /// What the decoder says.
        reason: String,
    },
    /// The PNG is a picture in colours or of other numbers than 16 bits.
    #[error(
        "the PNG of the depth image has pixels of {found}; accepted: one gray value of 16 bits"
    )]
    PngPixels {
        /// Colour type and bits of a sample.
        found: String,
    },
    /// The run lengths (RVL) are damaged.
    #[error("the RVL data of the depth image cannot be read: {0}")]
    Rvl(#[from] RvlError),
}

/// What an error repeats of a text that was sent: the text can be as long as a message, and a log line should not be.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}
