//! Pixels: decoding, camera encodings, CLIP and SAM preprocessing, masks, overlays.

mod bayer;
mod clip;
mod compressed;
mod decode;
mod encoding;
mod error;
#[cfg(test)]
mod golden;
mod normalise;
mod packed;
mod resample;
mod sam;
mod yuv;

pub use clip::{ClipFit, ClipFitError, ClipPreprocessor};
pub use compressed::decode_compressed;
pub use decode::{decode_image, read_image};
pub use encoding::{EncodedImage, RosImage, ACCEPTED_ENCODINGS};
pub use error::{EncodingError, ImageError, MAX_PIXELS, MAX_SIDE};
pub use sam::{SamInput, SamPreprocessor};
