//! Decoding a camera's message of either type, once and whatever is in it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::OnceLock;

use cv_convert::TryToCv;
use image::RgbImage;

use crate::engine::Frame;
use crate::image::{decode_compressed, EncodingError, RosImage};

/// What a camera's message holds of pixels, borrowed from the type that its driver has for messages.
#[derive(Clone, Copy, Debug)]
pub enum CameraPixels<'m> {
    /// Those of a `sensor_msgs/Image`.
    Raw(RosImage<'m>),
    /// Those of a `sensor_msgs/CompressedImage`.
    Compressed {
        /// As the message names it, e.g. `rgb8; jpeg compressed bgr8`.
        format: &'m str,
        /// The file.
        data: &'m [u8],
    },
}

impl CameraPixels<'_> {
    /// How many bytes they have, as they were sent.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Raw(image) => image.data.len(),
            Self::Compressed { data, .. } => data.len(),
        }
    }

    /// Decodes them to RGB.
    ///
    /// # Errors
    /// What is wrong with the message and what is accepted.
    pub fn decode(&self) -> Result<RgbImage, EncodingError> {
        match self {
            Self::Raw(image) => image.try_to_cv(),
            Self::Compressed { format, data } => decode_compressed(format, data),
        }
    }
}

/// Why a camera's message has no pixels.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It does not hold what its fields say, or nothing that is accepted.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// The decoder panicked.
    #[error("the image decoder panicked on this message")]
    Panicked,
}

/// Runs a decoder. A message may come from anywhere, and one that makes a decoder panic must not end the work on the others.
///
/// # Errors
/// That of the decoder, and [`DecodeError::Panicked`].
pub fn decode_guarded<T>(
    decode: impl FnOnce() -> Result<T, EncodingError>,
) -> Result<T, DecodeError> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(pixels) => Ok(pixels?),
        Err(_) => Err(DecodeError::Panicked),
    }
}

/// The frame of a camera's message, which is decoded when it is first asked for, and kept.
#[derive(Debug, Default)]
pub struct DecodeOnce(OnceLock<Result<Frame, String>>);

impl DecodeOnce {
    /// The frame. All calls return the same one, so that the engine encodes it once.
    ///
    /// # Errors
    /// What is wrong with the message and what is accepted, in words.
    pub fn frame(&self, pixels: CameraPixels<'_>) -> Result<Frame, String> {
        self.decoded(|| pixels.decode())
    }

    fn decoded(
        &self,
        decode: impl FnOnce() -> Result<RgbImage, EncodingError>,
    ) -> Result<Frame, String> {
        let frame = || match decode_guarded(decode) {
            Ok(pixels) => Ok(Frame::new(pixels)),
            Err(error) => Err(error.to_string()),
        };
        self.0.get_or_init(frame).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_decoded_once_and_a_decoder_that_panics_is_an_error() {
        let once = DecodeOnce::default();
        let first = once.decoded(|| Ok(RgbImage::new(2, 1))).unwrap();
        let again = once.decoded(|| panic!("decoded twice")).unwrap();
        assert_eq!(first.key(), again.key());
        let why = DecodeOnce::default()
            .decoded(|| panic!("a bug"))
            .unwrap_err();
        assert_eq!(why, "the image decoder panicked on this message");
    }
}
