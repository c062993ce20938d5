//! Uploaded pictures, decoded, and the last ones of them, which further questions may name by their ids.
//!
//! The engine keeps what it has computed of a picture by the identity of its [`Frame`]. So the same file sent twice becomes the
//! same frame, and a second question about it costs no encoder.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use image::ImageReader;
use tokio::sync::Semaphore;

use super::backend::{CameraPicture, Taken};
use super::error::ApiError;
use super::limits::Limits;
use crate::engine::Frame;
use crate::image::decode_image;

/// A picture that questions may be asked about.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Cannot be guessed.
    pub id: String,
    pub frame: Frame,
    /// Which camera took it, if one did.
    pub taken: Option<Taken>,
}

struct Kept {
    picture: Picture,
    /// The file that it was decoded from; empty for a frame of the camera.
    file: Bytes,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.file.len() + self.picture.frame.pixels().as_raw().len()
    }
}

/// The last pictures, the newest at the end.
pub struct Pictures {
    limits: Limits,
    decoding: Semaphore,
    kept: Mutex<VecDeque<Kept>>,
}

impl Pictures {
    pub fn new(limits: Limits) -> Self {
        Self {
            decoding: Semaphore::new(limits.decodes),
            kept: Mutex::default(),
            limits,
        }
    }

    /// Decodes a picture file and keeps it, unless the same file is kept already.
    ///
    /// # Errors
    /// 400 for what is no picture, 413 for one of too many pixels.
    pub async fn decode(self: &Arc<Self>, file: Bytes) -> Result<Picture, ApiError> {
        if let Some(known) = self.use_again(|kept| !file.is_empty() && kept.file == file) {
            return Ok(known);
        }
        // It is never closed, so that acquiring cannot fail.
        let _turn = self.decoding.acquire().await;
        let (pictures, copy) = (Arc::clone(self), file.clone());
        let decoded = tokio::task::spawn_blocking(move || pictures.pixels(&copy)).await;
        let pixels = decoded.map_err(|_| {
            let message = "the picture could not be decoded";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "picture", message)
        })??;
        Ok(self.keep(Frame::new(pixels), None, file))
    }

    /// Keeps a frame of the camera.
    pub fn keep_frame(&self, shown: CameraPicture) -> Picture {
        match self.use_again(|kept| kept.picture.frame.key() == shown.frame.key()) {
            Some(known) => known,
            None => self.keep(shown.frame, Some(shown.taken), Bytes::new()),
        }
    }

    /// A picture that is kept.
    ///
    /// # Errors
    /// 404 for one that is not.
    pub fn find(&self, id: &str) -> Result<Picture, ApiError> {
        self.use_again(|kept| kept.picture.id == id).ok_or_else(|| {
            let message = "no picture of that id is kept any more; accepted: the id in one of the last answers, or the picture itself";
            ApiError::new(StatusCode::NOT_FOUND, "picture", message)
        })
    }

    fn pixels(&self, file: &[u8]) -> Result<image::RgbImage, ApiError> {
        const NAME: &str = "the picture";
        // Decoders allocate for all pixels at once, so the size is looked at first. What has no size is refused below.
        let size = ImageReader::new(Cursor::new(file))
            .with_guessed_format()
            .ok()
            .and_then(|reader| reader.into_dimensions().ok());
        let max = self.limits.picture_pixels;
        match size {
            Some((width, height)) if u64::from(width) * u64::from(height) > max => {
                Err(ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    format!("{NAME} has {width}x{height} pixels; accepted: {max} in all"),
                ))
            }
            _ => decode_image(NAME, file)
                .map_err(|error| ApiError::bad("picture", error.to_string())),
        }
    }

    fn keep(&self, frame: Frame, taken: Option<Taken>, file: Bytes) -> Picture {
        let picture = Picture {
            id: new_id(),
            frame,
            taken,
        };
        let mut kept = self.kept();
        kept.push_back(Kept {
            picture: picture.clone(),
            file,
        });
        let bytes = |kept: &VecDeque<Kept>| kept.iter().map(Kept::bytes).sum::<usize>();
        while kept.len() > 1
            && (kept.len() > self.limits.kept_pictures || bytes(&kept) > self.limits.kept_bytes)
        {
            kept.pop_front();
        }
        picture
    }

    /// The first picture that fits, which becomes the newest.
    fn use_again(&self, fits: impl Fn(&Kept) -> bool) -> Option<Picture> {
        let mut kept = self.kept();
        let at = kept.iter().position(fits)?;
        let found = kept.remove(at)?;
        let picture = found.picture.clone();
        kept.push_back(found);
        Some(picture)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 16 hexadecimal digits that nobody can guess: the standard library's hash of nothing, keyed anew with random numbers.
fn new_id() -> String {
    let keyed = std::collections::hash_map::RandomState::new();
    format!("{:016x}", keyed.hash_one(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;
    use rosbag2::Header;

    fn pictures(kept_pictures: usize, kept_bytes: usize) -> Pictures {
        Pictures::new(Limits {
            kept_pictures,
            kept_bytes,
            ..Limits::default()
        })
    }

    fn frame(side: u32) -> CameraPicture {
        CameraPicture {
            frame: Frame::new(RgbImage::new(side, side)),
            taken: Taken {
                camera: 0,
                header: Header::default(),
            },
        }
    }

    #[test]
    fn the_last_pictures_are_kept_within_count_and_bytes() {
        let few = pictures(2, usize::MAX);
        let ids: Vec<String> = (0..3).map(|_| few.keep_frame(frame(4)).id).collect();
        assert!(few.find(&ids[0]).is_err() && few.find(&ids[1]).is_ok());
        // The one that was used last stays.
        few.keep_frame(frame(4));
        assert!(few.find(&ids[1]).is_ok() && few.find(&ids[2]).is_err());

        let small = pictures(100, 100);
        let first = small.keep_frame(frame(4));
        let large = small.keep_frame(frame(40));
        assert!(
            small.find(&first.id).is_err(),
            "48 and 4800 bytes are too many"
        );
        assert!(small.find(&large.id).is_ok(), "the newest is kept");
    }

    #[test]
    fn the_same_frame_has_the_same_id() {
        let pictures = pictures(4, usize::MAX);
        let shown = frame(4);
        let id = pictures.keep_frame(shown.clone()).id;
        assert_eq!(pictures.keep_frame(shown).id, id);
        assert_ne!(pictures.keep_frame(frame(4)).id, id);
    }
}
