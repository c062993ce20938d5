//! Which pictures are accepted, and the errors for all others.

use std::path::PathBuf;

use super::depth::Depth;

/// Longest side of a picture that is accepted, in pixels.
pub const MAX_SIDE: u32 = 32_768;

/// Largest number of pixels of a picture that is accepted (64 Mi). A camera's frame has one or two million.
pub const MAX_PIXELS: u64 = 64 << 20;

/// Encodings of `sensor_msgs/Image` that are accepted; upper and lower case mean the same. First stand the ROS names
/// (`sensor_msgs/image_encodings.hpp`, and `nv12`), then OpenCV's names for gray, BGR and BGRA, then V4L2's names for the two
/// orders of 4:2:2.
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

/// Whether a picture of this size is within [`MAX_SIDE`] and [`MAX_PIXELS`].
pub(super) fn size_is_accepted(width: u32, height: u32) -> bool {
    let pixels = u64::from(width) * u64::from(height);
    width <= MAX_SIDE && height <= MAX_SIDE && (1..=MAX_PIXELS).contains(&pixels)
}

/// A picture file, or bytes of one, that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file could not be opened or read.
    #[error("cannot read image {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// There are no bytes, as after an interrupted copy.
    #[error("{name} is empty (0 bytes); accepted: PNG, JPEG, WebP, BMP")]
    Empty {
        /// The file, or what the caller calls the bytes.
        name: String,
    },
    /// The content is of none of the accepted formats; the name of the file does not matter.
    #[error("{name} is {found}; accepted: PNG, JPEG, WebP, BMP")]
    Format {
        /// The file, or what the caller calls the bytes.
        name: String,
        /// What the content looks like, in words.
        found: String,
    },
    /// A side has no pixels, or the image is larger than [`MAX_SIDE`] or [`MAX_PIXELS`] allow.
    #[error("{name} is {width}x{height} pixels; accepted: sides of 1 to {MAX_SIDE} and {MAX_PIXELS} pixels in all")]
    Size {
        /// The file, or what the caller calls the bytes.
        name: String,
        /// Width, in pixels.
        width: u32,
        /// Height, in pixels.
        height: u32,
    },
    /// The content begins as an accepted format does and cannot be decoded to its end.
    #[error("{name} is a damaged {format}: {reason}")]
    Corrupt {
        /// The file, or what the caller calls the bytes.
        name: String,
        /// The format, e.g. `JPEG`.
        format: &'static str,
        /// What the decoder said, or what is missing.
        reason: String,
    },
}

/// A camera message that cannot be turned into pixels.
#[derive(Debug, thiserror::Error)]
pub enum EncodingError {
    /// The encoding is none of [`ACCEPTED_ENCODINGS`].
    #[error("encoding {encoding:?} is unknown; accepted: {}", ACCEPTED_ENCODINGS.join(", "))]
    Unknown {
        /// The first 64 characters of the encoding.
        encoding: String,
    },
    /// The width or the height is 0.
    #[error("the image is {width}x{height} pixels; both sides must be 1 or more")]
    Empty {
        /// Width, in pixels.
        width: u32,
        /// Height, in pixels.
        height: u32,
    },
    /// The image is larger than [`MAX_SIDE`] or [`MAX_PIXELS`] allow.
    #[error("the image is {width}x{height} pixels; accepted: sides of 1 to {MAX_SIDE} and {MAX_PIXELS} pixels in all")]
    TooLarge {
        /// Width, in pixels.
        width: u32,
        /// Height, in pixels.
        height: u32,
    },
    /// A Bayer image is narrower or lower than the 2×2 pixels of its pattern.
    #[error("the image is {width}x{height} pixels; {encoding} repeats every 2x2 pixels, so both sides must be 2 or more")]
    TooSmall {
        /// The encoding, as [`ACCEPTED_ENCODINGS`] spells it.
        encoding: &'static str,
        /// Width, in pixels.
        width: u32,
        /// Height, in pixels.
        height: u32,
    },
    /// An image with colour at half the resolution (`nv12`, `nv21`) has an odd width.
    #[error("the image is {width} pixels wide; {encoding} shares its colour between two neighbours, so the width must be even")]
    OddWidth {
        /// The encoding, as [`ACCEPTED_ENCODINGS`] spells it.
        encoding: &'static str,
        /// Width, in pixels.
        width: u32,
    },
    /// An image with colour at half the resolution (`nv12`, `nv21`) has an odd height.
    #[error("the image is {height} pixels high; {encoding} shares its colour between two rows, so the height must be even")]
    OddHeight {
        /// The encoding, as [`ACCEPTED_ENCODINGS`] spells it.
        encoding: &'static str,
        /// Height, in pixels.
        height: u32,
    },
    /// The step is less than the bytes of a row.
    #[error("step is {step} bytes, and a row of {width} {encoding} pixels takes {needed}; step must be {needed} or more")]
    Step {
        /// The encoding, as [`ACCEPTED_ENCODINGS`] spells it.
        encoding: &'static str,
        /// Bytes from one row to the next, as the message says.
        step: u32,
        /// Width, in pixels.
        width: u32,
        /// Bytes that a row takes without padding.
        needed: u64,
    },
    /// The message holds fewer bytes than its step and height come to.
    #[error("data holds {found} bytes, and {height} rows of {encoding} with a step of {step} take {needed}; data must hold {needed} or more")]
    Truncated {
        /// The encoding, as [`ACCEPTED_ENCODINGS`] spells it.
        encoding: &'static str,
        /// Bytes that the message holds.
        found: usize,
        /// Height, in pixels.
        height: u32,
        /// Bytes from one row to the next, as the message says.
        step: u32,
        /// Bytes that step and height come to.
        needed: u64,
    },
    /// The encoding is that of a depth map, which the model would look at as at a picture.
    #[error(
        "a depth map ({depth}), not a picture; accepted: a camera's pictures, in colour or gray"
    )]
    Depth {
        /// The kind of depth map.
        depth: Depth,
    },
    /// A compressed depth map was to be written as a picture file, and it is none that other programs read.
    #[error("a depth map that is no file of its own ({depth}); accepted of compressed depth: 16UC1 as PNG")]
    DepthFile {
        /// The kind of depth map.
        depth: Depth,
    },
    /// A `sensor_msgs/CompressedImage` does not hold a picture that can be decoded.
    #[error("the compressed image cannot be decoded: {0}")]
    Compressed(#[from] ImageError),
}
