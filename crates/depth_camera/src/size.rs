//! How large a depth image may be.

/// Largest number of pixels of a depth image that is accepted (16 Mi, 64 MiB of metres). A depth camera has one or two million.
pub const MAX_PIXELS: u64 = 16 << 20;

/// The number of pixels of a size that is accepted; `None` for one without pixels, or with more than [`MAX_PIXELS`].
pub(crate) fn pixel_count(width: u32, height: u32) -> Option<usize> {
    let pixels = u64::from(width) * u64::from(height);
    (1..=MAX_PIXELS)
        .contains(&pixels)
        .then_some(pixels as usize)
}
