//! Pixels to picture files.

use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};
use turbojpeg::{PixelFormat, Subsamp};

use super::pixels::Pixels;

/// Pixels that cannot be written as a picture file.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The pixels have more bits than the format can hold.
    #[error("{what} has 16 bits a pixel, and a JPEG has 8; accepted: png")]
    Bits {
        /// The kind of pixels, `mono16` or `depth`.
        what: &'static str,
    },
    /// The PNG encoder failed.
    #[error("cannot be written as a PNG: {0}")]
    Png(#[from] ::image::ImageError),
    /// The JPEG encoder failed.
    #[error("cannot be written as a JPEG: {0}")]
    Jpeg(#[from] turbojpeg::Error),
}

/// Encodes a PNG: RGB or gray of 8 bits a channel, gray and depth of 16 bits. The compression is the encoder's fast default.
///
/// # Errors
/// [`EncodeError::Png`].
pub fn encode_png(pixels: &Pixels) -> Result<Vec<u8>, EncodeError> {
    let (width, height) = pixels.dimensions();
    let sixteen;
    let (bytes, colour): (&[u8], _) = match pixels {
        Pixels::Rgb(image) => (image.as_raw(), ExtendedColorType::Rgb8),
        Pixels::Gray(image) => (image.as_raw(), ExtendedColorType::L8),
        Pixels::Gray16(image) | Pixels::Depth(image) => {
            // The encoder expects the byte order of the machine and turns it into that of the file.
            sixteen = image
                .as_raw()
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect::<Vec<u8>>();
            (&sixteen, ExtendedColorType::L16)
        }
    };
    let mut file = Vec::with_capacity(bytes.len() / 2);
    PngEncoder::new(&mut file).write_image(bytes, width, height, colour)?;
    Ok(file)
}

/// Encodes a JPEG by libjpeg-turbo, with colour at half the resolution (4:2:0), as cameras write it.
///
/// `quality` is 1 (worst) to 100; other numbers are brought into that range.
///
/// # Errors
/// [`EncodeError::Bits`] for 16 bits a pixel, [`EncodeError::Jpeg`].
pub fn encode_jpeg(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let (bytes, format, subsamp) = match pixels {
        Pixels::Rgb(image) => (image.as_raw(), PixelFormat::RGB, Subsamp::Sub2x2),
        Pixels::Gray(image) => (image.as_raw(), PixelFormat::GRAY, Subsamp::Gray),
        Pixels::Gray16(_) => return Err(EncodeError::Bits { what: "mono16" }),
        Pixels::Depth(_) => return Err(EncodeError::Bits { what: "depth" }),
    };
    let (width, height) = pixels.dimensions();
    let (width, height) = (width as usize, height as usize);
    let image = turbojpeg::Image {
        pixels: bytes.as_slice(),
        width,
        pitch: width * format.size(),
        height,
        format,
    };
    let jpeg = turbojpeg::compress(image, i32::from(quality.clamp(1, 100)), subsamp)?;
    Ok(jpeg.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{decode_image, Gray16Image};
    use ::image::{GrayImage, Luma, Rgb, RgbImage};

    fn rgb() -> RgbImage {
        RgbImage::from_fn(33, 17, |x, y| Rgb([x as u8 * 7, y as u8 * 15, 90]))
    }

    #[test]
    fn png_loses_nothing() {
        let png = encode_png(&Pixels::Rgb(rgb())).unwrap();
        assert_eq!(decode_image("x", &png).unwrap(), rgb());
        let gray = GrayImage::from_fn(5, 3, |x, y| Luma([(x * 50 + y) as u8]));
        let png = encode_png(&Pixels::Gray(gray.clone())).unwrap();
        let read = ::image::load_from_memory(&png).unwrap();
        assert_eq!(read, ::image::DynamicImage::ImageLuma8(gray));
        let depth = Gray16Image::from_fn(5, 3, |x, y| Luma([(x * 9_000 + y) as u16]));
        for pixels in [Pixels::Depth(depth.clone()), Pixels::Gray16(depth.clone())] {
            let read = ::image::load_from_memory(&encode_png(&pixels).unwrap()).unwrap();
            assert_eq!(read, ::image::DynamicImage::ImageLuma16(depth.clone()));
        }
    }

    #[test]
    fn jpeg_is_close_and_refuses_depth() {
        let jpeg = encode_jpeg(&Pixels::Rgb(rgb()), 95).unwrap();
        let read = decode_image("x", &jpeg).unwrap();
        let difference = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
        let sum: f64 = read.iter().zip(rgb().iter()).map(difference).sum();
        assert!(sum / (read.len() as f64) < 4.0);
        let gray = GrayImage::from_pixel(16, 16, Luma([77]));
        let jpeg = encode_jpeg(&Pixels::Gray(gray), 90).unwrap();
        let read = ::image::load_from_memory(&jpeg).unwrap();
        assert_eq!(read.color(), ::image::ColorType::L8);
        let error = encode_jpeg(&Pixels::Depth(Gray16Image::new(2, 2)), 90).unwrap_err();
        assert_eq!(
            error.to_string(),
            "depth has 16 bits a pixel, and a JPEG has 8; accepted: png"
        );
    }
}
