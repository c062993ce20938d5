//! `sensor_msgs/CompressedImage`: a picture file in a message.

use ::image::RgbImage;

use super::{decode_image, Depth, EncodingError};

/// Decodes the data of a compressed image message.
///
/// `format` is what image_transport writes: `jpeg`, `png`, `rgb8; jpeg compressed bgr8`, or nothing. How the data is decoded
/// depends on its content alone; `format` helps to recognize a depth map, whose data may look like a picture.
///
/// # Errors
/// [`EncodingError::Depth`] for a depth map, [`EncodingError::Compressed`] for data that cannot be decoded.
pub fn decode_compressed(format: &str, data: &[u8]) -> Result<RgbImage, EncodingError> {
    let format: String = format.chars().take(64).collect();
    if let Some(depth) = Depth::of_compressed(&format, data) {
        return Err(EncodingError::Depth { depth });
    }
    let name = if format.is_empty() {
        "a compressed image without a format".to_owned()
    } else {
        format!("a compressed image of format {format:?}")
    };
    Ok(decode_image(&name, data)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{ImageFormat, Rgb};
    use std::io::Cursor;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        RgbImage::from_pixel(16, 8, Rgb([200, 100, 50]))
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        bytes
    }

    #[test]
    fn the_content_decides() {
        let (jpeg, png) = (encoded(ImageFormat::Jpeg), encoded(ImageFormat::Png));
        for format in [
            "jpeg",
            "png",
            "rgb8; jpeg compressed bgr8",
            "bgr8; png compressed ",
            "",
        ] {
            for data in [&jpeg, &png] {
                let image = decode_compressed(format, data).unwrap();
                let [r, g, b] = image.get_pixel(8, 4).0;
                assert_eq!(image.dimensions(), (16, 8));
                assert!(r.abs_diff(200) < 4 && g.abs_diff(100) < 4 && b.abs_diff(50) < 4);
            }
        }
    }

    #[test]
    fn depth_and_damage_are_refused() {
        let png = encoded(ImageFormat::Png);
        let with_header = [&[0; 12], &png[..]].concat();
        for (format, data, kind) in [
            (
                "16UC1; compressedDepth png",
                &with_header,
                "as PNG behind its header",
            ),
            ("png", &with_header, "as PNG behind its header"),
            (
                "16UC1; compressedDepth png",
                &png,
                "as PNG without its header",
            ),
            ("16UC1; png compressed ", &png, "as PNG without its header"),
            ("16UC1; compressedDepth rvl", &vec![0; 40], "as RVL"),
        ] {
            let error = decode_compressed(format, data).unwrap_err().to_string();
            let expected = format!("a depth map (compressedDepth: 16UC1, millimetres, {kind}");
            assert!(error.starts_with(&expected), "{format}: {error}");
            assert!(
                error.ends_with("not a picture; accepted: a camera's pictures, in colour or gray")
            );
        }
        let jpeg = encoded(ImageFormat::Jpeg);
        let cut = decode_compressed("jpeg", &jpeg[..jpeg.len() / 2])
            .unwrap_err()
            .to_string();
        assert!(
            cut.contains("a compressed image of format \"jpeg\" is a damaged JPEG"),
            "{cut}"
        );
        let junk = decode_compressed("", &[7; 100]).unwrap_err().to_string();
        assert!(junk.contains("accepted: PNG, JPEG, WebP, BMP"), "{junk}");
    }
}
