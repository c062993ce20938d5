//! Reading the picture of a sample, or only its size.

use std::io::{Cursor, Read};
use std::path::Path;

use image::{ImageDecoder, ImageReader, RgbImage};

use super::files::{broken, io, open, regular, size_is_accepted};
use super::labelme::image_data;
use super::DataError;
use crate::image::{decode_image, picture_format, read_image, ImageError, MAX_PIXELS};

/// Bytes of a file that are read at first. Header and orientation are nearly always within them.
const HEAD: u64 = 256 << 10;

/// Reads the picture of a [`Sample`](super::Sample), as [`read_image`] does: a picture's file, or LabelMe's JSON that
/// holds one as `imageData`.
///
/// # Errors
/// A picture that is missing or broken, by its path.
pub fn read_picture(path: &Path) -> Result<RgbImage, DataError> {
    match is_labels(path) {
        true => decode_image(&held_in(path), &image_data(path)?),
        false => {
            regular(path)?;
            read_image(path)
        }
    }
    .map_err(picture(path))
}

fn is_labels(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("json"))
}

/// The name that errors give to a picture that is held by its labels.
fn held_in(labels: &Path) -> String {
    format!("{}: its imageData", labels.display())
}

fn picture(path: &Path) -> impl FnOnce(ImageError) -> DataError + '_ {
    move |source| DataError::Picture {
        path: path.to_owned(),
        source,
    }
}

/// Width and height of a picture in pixels, with its EXIF orientation applied. No pixel is decoded.
///
/// # Errors
/// A file that is missing, is not a picture, or is larger than accepted.
pub(super) fn picture_size(path: &Path) -> Result<(u32, u32), DataError> {
    let size = match is_labels(path) {
        true => header(&held_in(path), &image_data(path)?),
        false => {
            let mut file = open(path)?;
            let mut bytes = Vec::new();
            let mut more = |bytes: &mut Vec<u8>, most: u64| {
                let read = file.by_ref().take(most).read_to_end(bytes);
                read.map(|count| count > 0).map_err(io(path))
            };
            more(&mut bytes, HEAD)?;
            let name = path.display().to_string();
            match header(&name, &bytes) {
                // Some files have a long colour profile before their header, or state their size at their end.
                Err(HeaderError::Unread(_)) if more(&mut bytes, 8 * MAX_PIXELS)? => {
                    header(&name, &bytes)
                }
                read => read,
            }
        }
    };
    size.map_err(|wrong| match wrong {
        HeaderError::Unread(reason) => broken(path)(reason),
        HeaderError::Refused(source) => picture(path)(source),
    })
}

/// The error about a picture whose header cannot be read or has another size than `size`, if that is known.
pub(super) fn check_picture(path: &Path, size: Option<(u32, u32)>) -> Option<DataError> {
    match (picture_size(path), size) {
        (Err(error), _) => Some(error),
        (Ok(found), Some(wanted)) if found != wanted => Some(broken(path)(format!(
            "it is {}×{}, and its annotations are of {}×{}",
            found.0, found.1, wanted.0, wanted.1
        ))),
        _ => None,
    }
}

/// Why a header gave no size.
enum HeaderError {
    /// The header is not within these bytes.
    Unread(String),
    /// The picture is refused, and reading more bytes would not help.
    Refused(ImageError),
}

fn header(name: &str, bytes: &[u8]) -> Result<(u32, u32), HeaderError> {
    let unread = |e: image::ImageError| HeaderError::Unread(format!("its header: {e}"));
    let format = picture_format(name, bytes).map_err(HeaderError::Refused)?;
    let reader = ImageReader::with_format(Cursor::new(bytes), format.into());
    let mut decoder = reader.into_decoder().map_err(unread)?;
    let (width, height) = decoder.dimensions();
    if !size_is_accepted(width, height) {
        return Err(HeaderError::Refused(ImageError::Size {
            name: name.to_owned(),
            width,
            height,
        }));
    }
    use image::metadata::Orientation::{Rotate270, Rotate270FlipH, Rotate90, Rotate90FlipH};
    // A picture with a damaged orientation tag is not refused, but taken as it is stored.
    Ok(match decoder.orientation() {
        Ok(Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH) => (height, width),
        _ => (width, height),
    })
}
