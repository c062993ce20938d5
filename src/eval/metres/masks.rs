//! True masks, and masks that are off as a model's are.

use ::image::{GrayImage, Luma};

use super::images::SeenImage;

/// The visible pixels of an object.
pub fn visible(seen: &SeenImage, object: usize) -> GrayImage {
    let (width, height) = seen.size;
    GrayImage::from_fn(width, height, |x, y| {
        let at = y as usize * width as usize + x as usize;
        let is_there = usize::from(seen.instances[at]) == object + 1;
        Luma([if is_there { 255 } else { 0 }])
    })
}

/// The mask with everything up to `by` columns and rows away.
pub fn dilated(mask: &GrayImage, by: u32) -> GrayImage {
    let along = |mask: &GrayImage, is_row: bool| {
        GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
            let (at, end) = match is_row {
                true => (x, mask.width()),
                false => (y, mask.height()),
            };
            let window = at.saturating_sub(by)..(at + by + 1).min(end);
            let value = |k| match is_row {
                true => mask.get_pixel(k, y)[0],
                false => mask.get_pixel(x, k)[0],
            };
            Luma([window.map(value).max().unwrap_or(0)])
        })
    };
    along(&along(mask, true), false)
}

/// The mask without what is up to `by` columns and rows from its outline.
pub fn eroded(mask: &GrayImage, by: u32) -> GrayImage {
    let inverted = |mask: &GrayImage| {
        let mut mask = mask.clone();
        mask.iter_mut().for_each(|value| *value = 255 - *value);
        mask
    };
    inverted(&dilated(&inverted(mask), by))
}

/// The mask moved by columns and rows.
pub fn shifted(mask: &GrayImage, by: i32) -> GrayImage {
    GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
        let from = |at: u32| u32::try_from(i64::from(at) - i64::from(by)).ok();
        let value = from(x)
            .zip(from(y))
            .and_then(|(x, y)| mask.get_pixel_checked(x, y));
        *value.unwrap_or(&Luma([0]))
    })
}

/// Whether the mask reaches the picture's border, so that the object may go on outside.
pub fn is_cut(mask: &GrayImage) -> bool {
    let (right, bottom) = (mask.width() - 1, mask.height() - 1);
    let at_border = |(x, y, pixel): (u32, u32, &Luma<u8>)| {
        pixel[0] > 0 && (x == 0 || y == 0 || x == right || y == bottom)
    };
    mask.enumerate_pixels().any(at_border)
}
