//! The image that a request is about, with an identity that caches go by.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use image::RgbImage;

/// An image that questions are asked about; several questions may share it.
///
/// Cloning is cheap. The [`FrameKey`] is what the engine's caches go by: two questions about clones of the
/// same frame encode the picture once.
#[derive(Clone)]
pub struct Frame {
    key: FrameKey,
    pixels: Arc<RgbImage>,
}

/// Identity of a [`Frame`], unique within the process. It is not the `frame_id` of a message, which names a coordinate frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameKey(u64);

impl Frame {
    /// Takes 8-bit RGB pixels of any size; gives them an identity of their own.
    pub fn new(pixels: RgbImage) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            key: FrameKey(NEXT.fetch_add(1, Ordering::Relaxed)),
            pixels: Arc::new(pixels),
        }
    }

    /// The identity that all clones share.
    pub fn key(&self) -> FrameKey {
        self.key
    }

    /// 8-bit RGB.
    pub fn pixels(&self) -> &RgbImage {
        &self.pixels
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.pixels.width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.pixels.height()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Frame({}, {}x{})",
            self.key.0,
            self.width(),
            self.height()
        )
    }
}
