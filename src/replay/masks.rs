//! Masks in messages.

use cv_convert::TryToCv;
use image::{GrayImage, RgbImage};
use rosbag2::{Header, Image};

use super::ReplayError;
use crate::image::{EncodingError, RosImage};

/// A mask as a message, rows without padding.
pub(super) fn mono8<'a>(header: &Header, mask: &'a GrayImage) -> Image<'a> {
    Image {
        header: header.clone(),
        height: mask.height(),
        width: mask.width(),
        encoding: "mono8".to_owned(),
        is_bigendian: 0,
        step: mask.width(),
        data: mask.as_raw().into(),
    }
}

/// A message's first channel, whatever its encoding and padding.
pub(super) fn first_channel(mask: &Image<'_>) -> Result<GrayImage, ReplayError> {
    let pixels: Result<RgbImage, EncodingError> = RosImage {
        width: mask.width,
        height: mask.height,
        encoding: &mask.encoding,
        is_bigendian: mask.is_bigendian != 0,
        step: mask.step,
        data: &mask.data,
    }
    .try_to_cv();
    let pixels = pixels.map_err(ReplayError::Mask)?;
    let (width, height) = pixels.dimensions();
    let gray = pixels.pixels().map(|pixel| pixel.0[0]).collect();
    Ok(GrayImage::from_raw(width, height, gray).unwrap_or_default())
}
