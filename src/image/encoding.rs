//! Camera images as `sensor_msgs/Image` carries them, without naming ROS.
//!
//! The fields of a message are checked once, here, so that the converters only see rows of the right length. Conversions are
//! traits of the crate cv-convert: `message.try_to_cv()` gives pixels, and `pixels.to_cv()` gives the fields of a message.

use ::image::{GrayImage, RgbImage};
use cv_convert::{ToCv, TryToCv};
use ndarray::Array3;

use super::error::{size_is_accepted, EncodingError};
use super::layout::{Bits, Layout, Rows};
use super::{bayer, packed, yuv};

/// A camera image, borrowed from its message.
///
/// `try_to_cv()` gives an [`RgbImage`], or an `Array3<u8>` of shape (height, width, 3). Alpha is dropped, 16-bit samples keep
/// their upper byte, YUV is converted as BT.601 in limited range, which is what OpenCV's `cvtColor` does, and Bayer patterns are
/// interpolated bilinearly.
///
/// # Errors
/// [`EncodingError`] where the fields do not describe an image. No content of the fields makes it panic.
#[derive(Clone, Copy, Debug)]
pub struct RosImage<'a> {
    /// Width, in pixels.
    pub width: u32,
    /// Height, in pixels.
    pub height: u32,
    /// Name of the encoding, one of [`ACCEPTED_ENCODINGS`](super::ACCEPTED_ENCODINGS).
    pub encoding: &'a str,
    /// Whether the upper of the two bytes of a 16-bit sample comes first.
    pub is_bigendian: bool,
    /// Bytes from one row to the next, padding included.
    pub step: u32,
    /// `step * height` bytes or more. `nv12` and `nv21` have half as many rows of colour after that, `nv24` as many of two steps
    /// each.
    pub data: &'a [u8],
}

/// The fields of a `sensor_msgs/Image` that pixels make: rows without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedImage {
    /// Width, in pixels.
    pub width: u32,
    /// Height, in pixels.
    pub height: u32,
    /// `rgb8` or `mono8`.
    pub encoding: &'static str,
    /// Bytes of a row, which is also the distance to the next.
    pub step: u32,
    /// `step * height` bytes.
    pub data: Vec<u8>,
}

impl<'a> RosImage<'a> {
    /// Checks all fields before a byte of the data is read.
    fn check(&self) -> Result<(Layout, Rows<'a>), EncodingError> {
        let (width, height) = (self.width, self.height);
        let (layout, encoding) = Layout::of(self.encoding)?;
        self.check_size()?;
        match layout {
            _ if layout.shares_colour() && width % 2 != 0 => {
                return Err(EncodingError::OddWidth { encoding, width });
            }
            _ if layout.shares_colour() && height % 2 != 0 => {
                return Err(EncodingError::OddHeight { encoding, height });
            }
            Layout::Bayer(..) if width < 2 || height < 2 => {
                return Err(EncodingError::TooSmall {
                    encoding,
                    width,
                    height,
                });
            }
            _ => {}
        }
        let rows = self.rows(encoding, layout.bytes_per_pixel(), layout.rows(height))?;
        Ok((layout, rows))
    }

    pub(super) fn check_size(&self) -> Result<(), EncodingError> {
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 {
            return Err(EncodingError::Empty { width, height });
        }
        if !size_is_accepted(width, height) {
            return Err(EncodingError::TooLarge { width, height });
        }
        Ok(())
    }

    /// The first `rows` rows of the data, without their padding.
    ///
    /// # Errors
    /// [`EncodingError::Step`], [`EncodingError::Truncated`].
    pub(super) fn rows(
        &self,
        encoding: &'static str,
        bytes_per_pixel: usize,
        rows: u64,
    ) -> Result<Rows<'a>, EncodingError> {
        let Self {
            width,
            height,
            step,
            ..
        } = *self;
        let row_bytes = u64::from(width) * bytes_per_pixel as u64;
        if u64::from(step) < row_bytes {
            return Err(EncodingError::Step {
                encoding,
                step,
                width,
                needed: row_bytes,
            });
        }
        let needed = u64::from(step) * rows;
        let data = usize::try_from(needed).ok();
        match data.and_then(|needed| self.data.get(..needed)) {
            Some(data) => Ok(Rows::new(data, step as usize, row_bytes as usize)),
            None => Err(EncodingError::Truncated {
                encoding,
                found: self.data.len(),
                height,
                step,
                needed,
            }),
        }
    }

    /// The pixels as RGB.
    ///
    /// # Shapes
    /// → (height, width, 3), row by row.
    fn rgb_bytes(&self) -> Result<Vec<u8>, EncodingError> {
        let (layout, rows) = self.check()?;
        let (width, height) = (self.width as usize, self.height as usize);
        let mut rgb = vec![0; 3 * width * height];
        let big = self.is_bigendian;
        match layout {
            Layout::Packed {
                channels,
                rgb: order,
                depth,
            } => match depth {
                Bits::Eight => packed::colour(rows, channels, order, &mut rgb),
                Bits::Sixteen => packed::colour16(rows, channels, order, big, &mut rgb),
            },
            Layout::Mono(Bits::Eight) => packed::mono8(rows, &mut rgb),
            Layout::Mono(Bits::Sixteen) => packed::mono16(rows, big, &mut rgb),
            Layout::Yuv422(order) => yuv::yuv422(rows, width, order, &mut rgb),
            Layout::Planar(planes) => yuv::planar(rows, planes, height, &mut rgb),
            Layout::Bayer(pattern, Bits::Eight) => {
                bayer::demosaic(rows, pattern, width, height, &mut rgb);
            }
            Layout::Bayer(pattern, Bits::Sixteen) => {
                let upper = packed::upper_bytes(rows, big);
                let rows = Rows::plain(&upper, width);
                bayer::demosaic(rows, pattern, width, height, &mut rgb);
            }
        }
        Ok(rgb)
    }
}

impl TryToCv<RgbImage> for RosImage<'_> {
    type Error = EncodingError;

    fn try_to_cv(&self) -> Result<RgbImage, EncodingError> {
        let rgb = self.rgb_bytes()?;
        RgbImage::from_raw(self.width, self.height, rgb).ok_or(EncodingError::Empty {
            width: self.width,
            height: self.height,
        })
    }
}

impl TryToCv<Array3<u8>> for RosImage<'_> {
    type Error = EncodingError;

    fn try_to_cv(&self) -> Result<Array3<u8>, EncodingError> {
        let shape = (self.height as usize, self.width as usize, 3);
        Array3::from_shape_vec(shape, self.rgb_bytes()?).map_err(|_| EncodingError::Empty {
            width: self.width,
            height: self.height,
        })
    }
}

impl ToCv<EncodedImage> for RgbImage {
    /// The fields of an `rgb8` message.
    fn to_cv(&self) -> EncodedImage {
        EncodedImage {
            width: self.width(),
            height: self.height(),
            encoding: "rgb8",
            step: 3 * self.width(),
            data: self.as_raw().clone(),
        }
    }
}

impl ToCv<EncodedImage> for GrayImage {
    /// The fields of a `mono8` message.
    fn to_cv(&self) -> EncodedImage {
        EncodedImage {
            width: self.width(),
            height: self.height(),
            encoding: "mono8",
            step: self.width(),
            data: self.as_raw().clone(),
        }
    }
}

#[cfg(test)]
#[path = "encoding_tests.rs"]
mod tests;
