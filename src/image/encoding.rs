//! Camera images as `sensor_msgs/Image` carries them, without naming ROS.
//!
//! A message's fields are checked once, here; the converters behind it only see rows of the right length. The
//! vocabulary of conversions is cv-convert's: `message.try_to_cv()` reads, `pixels.to_cv()` writes.

use ::image::{GrayImage, RgbImage};
use cv_convert::{ToCv, TryToCv};
use ndarray::Array3;

use super::error::{size_is_accepted, EncodingError};
use super::{bayer, packed, yuv};

/// Encodings that are accepted, by their ROS names (`sensor_msgs/image_encodings.hpp`), then OpenCV's names for
/// gray, BGR and BGRA, then other names of the two 4:2:2 orders. Upper and lower case mean the same.
pub const ACCEPTED_ENCODINGS: [&str; 19] = [
    "rgb8",
    "bgr8",
    "rgba8",
    "bgra8",
    "mono8",
    "mono16",
    "yuv422",
    "yuv422_yuy2",
    "nv12",
    "bayer_rggb8",
    "bayer_bggr8",
    "bayer_gbrg8",
    "bayer_grbg8",
    "8UC1",
    "8UC3",
    "8UC4",
    "uyvy",
    "yuyv",
    "yuy2",
];

/// A camera image, borrowed from its message.
///
/// `try_to_cv()` gives an [`RgbImage`], or an `Array3<u8>` of shape (height, width, 3). Alpha is dropped, 16-bit
/// gray keeps its upper byte, YUV is BT.601 in limited range as OpenCV's `cvtColor` takes it, and Bayer patterns
/// are interpolated bilinearly.
///
/// # Errors
/// [`EncodingError`] where the fields do not describe an image; never a panic, whatever they hold.
#[derive(Clone, Copy, Debug)]
pub struct RosImage<'a> {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// One of [`ACCEPTED_ENCODINGS`].
    pub encoding: &'a str,
    /// Order of the two bytes of a 16-bit sample.
    pub is_bigendian: bool,
    /// Bytes from one row to the next, padding included.
    pub step: u32,
    /// `step * height` bytes or more; nv12 has half as many rows of colour below.
    pub data: &'a [u8],
}

/// Pixels as a message wants them: rows without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedImage {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `rgb8` or `mono8`.
    pub encoding: &'static str,
    /// Bytes of a row.
    pub step: u32,
    /// `step * height` bytes.
    pub data: Vec<u8>,
}

/// How the bytes of a row stand for pixels.
#[derive(Clone, Copy)]
enum Layout {
    /// A byte a channel; where red, green and blue stand in the pixel.
    Packed {
        channels: usize,
        rgb: [usize; 3],
    },
    Mono8,
    Mono16,
    Yuv422(yuv::Order422),
    Nv12,
    Bayer(bayer::Pattern),
}

impl Layout {
    /// The layout and the name that errors call it by.
    fn of(encoding: &str) -> Result<(Self, &'static str), EncodingError> {
        let name = ACCEPTED_ENCODINGS
            .into_iter()
            .find(|name| name.eq_ignore_ascii_case(encoding))
            .ok_or_else(|| EncodingError::Unknown {
                // A name can be as long as the message; the log line need not be.
                encoding: encoding.chars().take(64).collect(),
            })?;
        let packed = |channels, rgb| Layout::Packed { channels, rgb };
        let layout = match name {
            "rgb8" => packed(3, [0, 1, 2]),
            "bgr8" | "8UC3" => packed(3, [2, 1, 0]),
            "rgba8" => packed(4, [0, 1, 2]),
            "bgra8" | "8UC4" => packed(4, [2, 1, 0]),
            "mono16" => Layout::Mono16,
            "yuv422" | "uyvy" => Layout::Yuv422(yuv::Order422::Uyvy),
            "yuv422_yuy2" | "yuyv" | "yuy2" => Layout::Yuv422(yuv::Order422::Yuyv),
            "nv12" => Layout::Nv12,
            "bayer_rggb8" => Layout::Bayer(bayer::Pattern::Rggb),
            "bayer_bggr8" => Layout::Bayer(bayer::Pattern::Bggr),
            "bayer_gbrg8" => Layout::Bayer(bayer::Pattern::Gbrg),
            "bayer_grbg8" => Layout::Bayer(bayer::Pattern::Grbg),
            _ => Layout::Mono8,
        };
        Ok((layout, name))
    }

    fn bytes_per_pixel(self) -> usize {
        match self {
            Layout::Packed { channels, .. } => channels,
            Layout::Mono16 | Layout::Yuv422(_) => 2,
            Layout::Mono8 | Layout::Nv12 | Layout::Bayer(_) => 1,
        }
    }

    /// Rows of data, those of colour below the picture included.
    fn rows(self, height: u32) -> u64 {
        match self {
            Layout::Nv12 => u64::from(height) * 3 / 2,
            _ => u64::from(height),
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
    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.data
            .chunks(self.step)
            .map(move |row| &row[..self.row_bytes])
    }

    pub(super) fn get(self, row: usize) -> &'a [u8] {
        &self.data[row * self.step..][..self.row_bytes]
    }
}

impl<'a> RosImage<'a> {
    /// Everything that can be wrong with the fields, found before a byte is touched.
    fn check(&self) -> Result<(Layout, Rows<'a>), EncodingError> {
        let (width, height) = (self.width, self.height);
        let (layout, encoding) = Layout::of(self.encoding)?;
        self.check_size()?;
        match layout {
            Layout::Yuv422(_) | Layout::Nv12 if width % 2 != 0 => {
                return Err(EncodingError::OddWidth { encoding, width });
            }
            Layout::Nv12 if height % 2 != 0 => {
                return Err(EncodingError::OddHeight { encoding, height });
            }
            Layout::Bayer(_) if width < 2 || height < 2 => {
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

    /// So many rows of data, without their padding.
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
            Some(data) => Ok(Rows {
                data,
                step: step as usize,
                row_bytes: row_bytes as usize,
            }),
            None => Err(EncodingError::Truncated {
                encoding,
                found: self.data.len(),
                height,
                step,
                needed,
            }),
        }
    }

    /// (height, width, 3), row after row.
    fn rgb_bytes(&self) -> Result<Vec<u8>, EncodingError> {
        let (layout, rows) = self.check()?;
        let (width, height) = (self.width as usize, self.height as usize);
        let mut rgb = vec![0; 3 * width * height];
        match layout {
            Layout::Packed {
                channels,
                rgb: order,
            } => packed::colour(rows, channels, order, &mut rgb),
            Layout::Mono8 => packed::mono8(rows, &mut rgb),
            Layout::Mono16 => packed::mono16(rows, self.is_bigendian, &mut rgb),
            Layout::Yuv422(order) => yuv::yuv422(rows, order, &mut rgb),
            Layout::Nv12 => yuv::nv12(rows, height, &mut rgb),
            Layout::Bayer(pattern) => bayer::demosaic(rows, pattern, width, height, &mut rgb),
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
    /// `rgb8`.
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
    /// `mono8`.
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
