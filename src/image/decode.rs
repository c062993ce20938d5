//! Picture files, on disk or in memory, to RGB pixels.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use lisa_files::lfs;

use super::error::{size_is_accepted, ImageError, MAX_PIXELS};
use super::jpeg;

/// Most bytes that a decoder may allocate: eight for each pixel, which is what 16-bit RGBA takes, and 64 MiB for its tables.
const MAX_ALLOC: u64 = 8 * MAX_PIXELS + (64 << 20);

const CUT: &str = "it ends before its end marker";

/// The formats of picture files that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    /// Portable Network Graphics.
    Png,
    /// JPEG, baseline or progressive.
    Jpeg,
    /// WebP, lossy or lossless.
    WebP,
    /// Windows bitmap.
    Bmp,
}

impl PictureFormat {
    const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::WebP, Self::Bmp];

    /// The name of the format as people write it, e.g. `JPEG`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
        }
    }

    /// The extension of its files, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Bmp => "bmp",
        }
    }
}

impl From<PictureFormat> for ImageFormat {
    fn from(format: PictureFormat) -> Self {
        match format {
            PictureFormat::Png => Self::Png,
            PictureFormat::Jpeg => Self::Jpeg,
            PictureFormat::WebP => Self::WebP,
            PictureFormat::Bmp => Self::Bmp,
        }
    }
}

/// Reads a PNG, JPEG, WebP or BMP file. The format is recognised by the content, not by the name of the file. A JPEG that lacks
/// only its end marker, or has zeros in its place, is read as libjpeg, Pillow and OpenCV read it: cameras stream such JPEGs.
///
/// The EXIF orientation is applied, so the picture stands as a viewer shows it; transparency is dropped,
/// and 16-bit samples become 8-bit ones.
///
/// # Errors
/// [`ImageError`], naming the file.
pub fn read_image(path: impl AsRef<Path>) -> Result<RgbImage, ImageError> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    File::open(path)
        // No accepted picture is longer than its decoded pixels may be, and a device file would never end.
        .and_then(|file| file.take(MAX_ALLOC).read_to_end(&mut bytes))
        .map_err(|source| ImageError::Read {
            path: path.to_owned(),
            source,
        })?;
    decode_image(&path.display().to_string(), &bytes)
}

/// Decodes a PNG, JPEG, WebP or BMP held in memory, as [`read_image`] does. `name` is what an error calls it.
///
/// # Errors
/// [`ImageError`], but never [`ImageError::Read`].
pub fn decode_image(name: &str, bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let format = picture_format(name, bytes)?;
    let name = || name.to_owned();
    let corrupt = |reason: String| ImageError::Corrupt {
        name: name(),
        format: format.name(),
        reason,
    };
    let unended = format == PictureFormat::Jpeg && !jpeg::has_end(bytes);

    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.into());
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| corrupt(e.to_string()))?;

    let (width, height) = decoder.dimensions();
    if !size_is_accepted(width, height) {
        return Err(ImageError::Size {
            name: name(),
            width,
            height,
        });
    }
    // A damaged orientation tag is no reason to refuse the pixels.
    let orientation = decoder.orientation().ok();
    let exact = match format {
        // Other decoders fill missing pixels with gray and report nothing. A robot must not act on such a picture, so it is
        // refused.
        PictureFormat::Jpeg if unended => {
            let whole = jpeg::whole_without_end(bytes);
            Some(whole.ok_or_else(|| corrupt(CUT.to_owned()))?)
        }
        PictureFormat::Jpeg => jpeg::libjpeg(bytes),
        _ => None,
    };
    let mut image = match exact {
        Some(pixels) => DynamicImage::ImageRgb8(pixels),
        None => DynamicImage::from_decoder(decoder).map_err(|e| corrupt(e.to_string()))?,
    };
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(image.into_rgb8())
}

/// Tells the format of a picture file from its first bytes. `name` is what an error calls them.
///
/// # Errors
/// [`ImageError::Empty`], [`ImageError::Format`].
pub fn picture_format(name: &str, bytes: &[u8]) -> Result<PictureFormat, ImageError> {
    let name = name.to_owned();
    if bytes.is_empty() {
        return Err(ImageError::Empty { name });
    }
    let guessed = ::image::guess_format(bytes).ok();
    let known = |format| guessed == Some(ImageFormat::from(format));
    let format = PictureFormat::ALL.into_iter().find(|&format| known(format));
    format.ok_or_else(|| ImageError::Format {
        name,
        found: found(guessed, bytes),
    })
}

/// Tells the format as [`picture_format`] does, and refuses a PNG or JPEG that is cut short. Only a JPEG without its end marker
/// is decoded for that, because only decoding shows whether it lacks more.
///
/// # Errors
/// [`ImageError::Empty`], [`ImageError::Format`]; [`ImageError::Corrupt`] for a file that is cut short.
pub fn whole_picture(name: &str, bytes: &[u8]) -> Result<PictureFormat, ImageError> {
    let format = picture_format(name, bytes)?;
    let whole = match format {
        PictureFormat::Jpeg => jpeg::has_end(bytes) || decode_image(name, bytes).is_ok(),
        PictureFormat::Png => png_is_complete(bytes),
        PictureFormat::WebP | PictureFormat::Bmp => true,
    };
    match whole {
        true => Ok(format),
        false => Err(ImageError::Corrupt {
            name: name.to_owned(),
            format: format.name(),
            reason: CUT.to_owned(),
        }),
    }
}

/// Whether a PNG reaches its `IEND` chunk. The chunks are skipped by their lengths.
fn png_is_complete(bytes: &[u8]) -> bool {
    // The signature of 8 bytes comes first. A chunk is its length and type, 4 bytes each, its data, and 4 bytes of CRC.
    let mut at = 8usize;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at.saturating_add(8)) {
        if kind == b"IEND" {
            return true;
        }
        at = at.saturating_add(12 + u32::from_be_bytes([a, b, c, d]) as usize);
    }
    false
}

/// Says in words what a refused file is, as far as its first bytes tell.
fn found(guessed: Option<ImageFormat>, head: &[u8]) -> String {
    match guessed {
        None if lfs::is_pointer(head) => {
            format!(
                "a Git LFS pointer, which stands for the picture itself; {}",
                lfs::WAY_OUT
            )
        }
        Some(format) => format!("a file in {format:?} format"),
        None => {
            let first = &head[..head.len().min(8)];
            format!(
                "no known picture (it begins with {:?})",
                first.escape_ascii().to_string()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Rgb;

    fn picture() -> RgbImage {
        RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8 * 30, y as u8 * 50, 200]))
    }

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture()
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        bytes
    }

    /// A JPEG with an EXIF block that holds the orientation alone.
    fn oriented_jpeg(orientation: u8) -> Vec<u8> {
        let jpeg = encoded(ImageFormat::Jpeg);
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let mut bytes = jpeg[..2].to_vec();
        bytes.extend([0xff, 0xe1]);
        bytes.extend((exif.len() as u16 + 2).to_be_bytes());
        bytes.extend(exif);
        bytes.extend(&jpeg[2..]);
        bytes
    }

    #[test]
    fn lossless_formats_come_back_as_they_were() {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
            assert_eq!(
                decode_image("x", &encoded(format)).unwrap(),
                picture(),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_file_is_read_whatever_its_name_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("picture.jpg");
        std::fs::write(&path, encoded(ImageFormat::Png)).unwrap();
        assert_eq!(read_image(&path).unwrap(), picture());
    }

    #[test]
    fn exif_orientation_turns_the_picture() {
        let plain = decode_image("x", &oriented_jpeg(1)).unwrap();
        let turned = decode_image("x", &oriented_jpeg(6)).unwrap();
        assert_eq!(turned, ::image::imageops::rotate90(&plain));
    }

    #[test]
    fn refusals_say_what_was_found_and_what_is_accepted() {
        let say = |bytes: &[u8]| decode_image("cup.png", bytes).unwrap_err().to_string();
        assert_eq!(
            say(b""),
            "cup.png is empty (0 bytes); accepted: PNG, JPEG, WebP, BMP"
        );
        assert_eq!(
            say(b"hello, world"),
            "cup.png is no known picture (it begins with \"hello, w\"); accepted: PNG, JPEG, WebP, BMP"
        );
        assert!(say(b"GIF89a......").contains("a file in Gif format"));
        assert!(say(lfs::POINTER.as_bytes())
            .contains("is a Git LFS pointer, which stands for the picture itself; run `git lfs"));
        let missing = read_image("no/such/file.png").unwrap_err();
        assert!(missing
            .to_string()
            .starts_with("cannot read image no/such/file.png: "));
        assert!(matches!(
            read_image(std::env::temp_dir()),
            Err(ImageError::Read { .. })
        ));
    }

    #[test]
    fn damaged_files_are_refused_by_format() {
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Bmp,
        ] {
            let bytes = encoded(format);
            for keep in [12, bytes.len() / 2, bytes.len() * 3 / 4] {
                let result = decode_image("x", &bytes[..keep]);
                assert!(
                    matches!(
                        result,
                        Err(ImageError::Corrupt { .. } | ImageError::Format { .. })
                    ),
                    "{format:?} cut to {keep} of {}: {result:?}",
                    bytes.len()
                );
            }
        }
    }

    /// Decoders fill missing pixels with gray, and a robot must not act on such a picture.
    #[test]
    fn a_cut_jpeg_is_refused_even_where_it_has_a_thumbnail() {
        let large = RgbImage::from_fn(300, 200, |x, y| {
            Rgb([(x * y) as u8, (x ^ y) as u8, x as u8])
        });
        let mut jpeg = Vec::new();
        large
            .write_to(&mut Cursor::new(&mut jpeg), ImageFormat::Jpeg)
            .unwrap();
        let thumbnail = encoded(ImageFormat::Jpeg);
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1];
        bytes.extend((thumbnail.len() as u16 + 2).to_be_bytes());
        bytes.extend(thumbnail);
        bytes.extend(&jpeg[2..]);
        assert_eq!(decode_image("x", &bytes).unwrap().dimensions(), (300, 200));
        for keep in [bytes.len() / 3, bytes.len() * 9 / 10, bytes.len() - 8] {
            let error = decode_image("x", &bytes[..keep]).unwrap_err().to_string();
            assert!(error.starts_with("x is a damaged JPEG: "), "{error}");
        }
    }

    #[test]
    fn whole_files_are_told_from_cut_ones_without_decoding() {
        for (format, picture) in [
            (ImageFormat::Png, PictureFormat::Png),
            (ImageFormat::Jpeg, PictureFormat::Jpeg),
        ] {
            let bytes = encoded(format);
            assert_eq!(whole_picture("x", &bytes).unwrap(), picture);
            for keep in [9, bytes.len() / 2, bytes.len() - 13] {
                let error = whole_picture("x", &bytes[..keep]).unwrap_err().to_string();
                assert!(error.ends_with("it ends before its end marker"), "{error}");
            }
        }
        let junk = whole_picture("x", b"hello").unwrap_err();
        assert!(matches!(junk, ImageError::Format { .. }));
    }

    #[test]
    fn a_picture_too_large_is_refused_before_it_is_decoded() {
        let mut bmp = encoded(ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&20_000_i32.to_le_bytes());
        bmp[22..26].copy_from_slice(&10_000_i32.to_le_bytes());
        let error = decode_image("wide.bmp", &bmp).unwrap_err();
        assert_eq!(
            error.to_string(),
            "wide.bmp is 20000x10000 pixels; accepted: sides of 1 to 32768 and 67108864 pixels in all"
        );
    }
}
