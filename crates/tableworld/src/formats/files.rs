//! Files: a scene's picture, which several layouts want, and what else is written whole.

use std::cell::{OnceCell, RefCell};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError, RgbImage};

use super::WriteError;

/// A scene's JPEG, made once, written where it is first wanted and linked from there.
pub(super) struct SceneJpeg<'a> {
    pixels: &'a RgbImage,
    quality: u8,
    jpeg: OnceCell<Vec<u8>>,
    first: RefCell<Option<PathBuf>>,
}

impl<'a> SceneJpeg<'a> {
    /// `quality` 1 to 100.
    pub fn new(pixels: &'a RgbImage, quality: u8) -> Self {
        Self {
            pixels,
            quality,
            jpeg: OnceCell::new(),
            first: RefCell::new(None),
        }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Result<&[u8], ImageError> {
        if let Some(jpeg) = self.jpeg.get() {
            return Ok(jpeg);
        }
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, self.quality).encode_image(self.pixels)?;
        Ok(self.jpeg.get_or_init(|| bytes))
    }

    /// Makes the picture be at `path`, whose folder exists.
    pub fn place(&self, path: &Path) -> Result<(), WriteError> {
        let mut first = self.first.borrow_mut();
        if let Some(first) = first.as_deref() {
            remove(path)?;
            return fs::hard_link(first, path)
                .or_else(|_| fs::copy(first, path).map(drop))
                .map_err(WriteError::io(path));
        }
        write(path, self.bytes().map_err(WriteError::encode(path))?)?;
        *first = Some(path.into());
        Ok(())
    }
}

/// Writes a file anew: one that is there is unlinked first, since its other names may be pictures of other scenes.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    remove(path)?;
    fs::write(path, bytes).map_err(WriteError::io(path))
}

/// # Shapes
/// `bytes` holds `width · height` pixels of `colour`, row by row, 16-bit values in the machine's byte order.
pub(super) fn write_png(
    path: &Path,
    (width, height): (u32, u32),
    bytes: &[u8],
    colour: ExtendedColorType,
) -> Result<(), WriteError> {
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(bytes, width, height, colour)
        .map_err(WriteError::encode(path))?;
    write(path, &file)
}

pub(super) fn make_folder(path: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(path).map_err(WriteError::io(path))
}

/// Whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool, WriteError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(WriteError::io(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_one_file_and_replacing_one_name_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a.jpg", "b.jpg"].map(|name| folder.path().join(name));
        let grey = RgbImage::from_pixel(16, 8, image::Rgb([90, 90, 90]));
        let jpeg = SceneJpeg::new(&grey, 92);
        jpeg.place(&a).unwrap();
        jpeg.place(&b).unwrap();
        let written = fs::read(&a).unwrap();
        assert_eq!(fs::read(&b).unwrap(), written);
        write(&a, b"another").unwrap();
        assert_eq!(fs::read(&b).unwrap(), written);
        assert_eq!(image::open(&b).unwrap().to_rgb8().dimensions(), (16, 8));
    }
}
