//! What can be wrong with a picture, in numbers and with the way out.

use std::path::PathBuf;

use super::depth::Depth;
use super::layout::ACCEPTED_ENCODINGS;

/// Longest side of a picture that is accepted, in pixels.
pub const MAX_SIDE: u32 = 32_768;

/// Largest picture that is accepted, in pixels (64 Mi). A camera's frame has one or two million.
pub const MAX_PIXELS: u64 = 64 << 20;

/// Whether a picture of this size is within [`MAX_SIDE`] and [`MAX_PIXELS`].
pub(super) fn size_is_accepted(width: u32, height: u32) -> bool {
    let pixels = u64::from(width) * u64::from(height);
    width <= MAX_SIDE && height <= MAX_SIDE && (1..=MAX_PIXELS).contains(&pixels)
}

/// A picture in a file format could not be decoded. `name` is the file's path, or what the caller calls the bytes.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("cannot read image {}: {source}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{name} is empty (0 bytes); accepted: PNG, JPEG, WebP, BMP")]
    Empty { name: String },
    #[error("{name} is {found}; accepted: PNG, JPEG, WebP, BMP")]
    Format { name: String, found: String },
    #[error("{name} is {width}x{height} pixels; accepted: sides of 1 to {MAX_SIDE} and {MAX_PIXELS} pixels in all")]
    Size {
        name: String,
        width: u32,
        height: u32,
    },
    #[error("{name} is a damaged {format}: {reason}")]
    Corrupt {
        name: String,
        format: &'static str,
        reason: String,
    },
}

/// A camera message could not be turned into pixels.
#[derive(Debug, thiserror::Error)]
pub enum EncodingError {
    #[error("encoding {encoding:?} is unknown; accepted: {}", ACCEPTED_ENCODINGS.join(", "))]
    Unknown { encoding: String },
    #[error("the image is {width}x{height} pixels; both sides must be 1 or more")]
    Empty { width: u32, height: u32 },
    #[error("the image is {width}x{height} pixels; accepted: sides of 1 to {MAX_SIDE} and {MAX_PIXELS} pixels in all")]
    TooLarge { width: u32, height: u32 },
    #[error("the image is {width}x{height} pixels; {encoding} repeats every 2x2 pixels, so both sides must be 2 or more")]
    TooSmall {
        encoding: &'static str,
        width: u32,
        height: u32,
    },
    #[error("the image is {width} pixels wide; {encoding} shares its colour between two neighbours, so the width must be even")]
    OddWidth { encoding: &'static str, width: u32 },
    #[error("the image is {height} pixels high; {encoding} shares its colour between two rows, so the height must be even")]
    OddHeight { encoding: &'static str, height: u32 },
    #[error("step is {step} bytes, and a row of {width} {encoding} pixels takes {needed}; step must be {needed} or more")]
    Step {
        encoding: &'static str,
        step: u32,
        width: u32,
        needed: u64,
    },
    #[error("data holds {found} bytes, and {height} rows of {encoding} with a step of {step} take {needed}; data must hold {needed} or more")]
    Truncated {
        encoding: &'static str,
        found: usize,
        height: u32,
        step: u32,
        needed: u64,
    },
    #[error(
        "a depth map ({depth}), not a picture; accepted: a camera's pictures, in colour or gray"
    )]
    Depth { depth: Depth },
    #[error("a depth map that is no file of its own ({depth}); accepted of compressed depth: 16UC1 as PNG")]
    DepthFile { depth: Depth },
    #[error("the compressed image cannot be decoded: {0}")]
    Compressed(#[from] ImageError),
}
