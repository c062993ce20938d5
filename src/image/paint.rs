//! Draws boxes, and tints and outlines of masks, on pictures. Pixels outside the picture are left out.

use ::image::{GrayImage, Rgb, RgbImage};

use super::Roi;

/// The value at the share `alpha` of the way from one value to another.
pub(super) fn mix(from: u8, to: u8, alpha: f32) -> u8 {
    (f32::from(from) + (f32::from(to) - f32::from(from)) * alpha).round() as u8
}

/// Fills the part of a box that lies in the picture.
pub(super) fn fill(image: &mut RgbImage, part: Roi, colour: Rgb<u8>) {
    let (width, height) = image.dimensions();
    let part = part.intersection(&Roi {
        x: 0,
        y: 0,
        width,
        height,
    });
    for y in part.y..part.bottom() {
        for x in part.x..part.right() {
            image.put_pixel(x, y, colour);
        }
    }
}

/// The whole picture as a box.
fn bounds(image: &RgbImage) -> Roi {
    let (width, height) = image.dimensions();
    Roi {
        x: 0,
        y: 0,
        width,
        height,
    }
}

/// Mixes the colour, with the share `alpha`, into every pixel of the mask, whose top left pixel stands at (`roi.x`, `roi.y`).
pub(super) fn tint(
    image: &mut RgbImage,
    roi: Roi,
    mask: &GrayImage,
    Rgb(colour): Rgb<u8>,
    alpha: f32,
) {
    let (width, height) = mask.dimensions();
    let part = bounds(image).intersection(&Roi {
        width,
        height,
        ..roi
    });
    for y in part.y..part.bottom() {
        for x in part.x..part.right() {
            if mask.get_pixel(x - roi.x, y - roi.y)[0] != 0 {
                let pixel = image.get_pixel_mut(x, y);
                for (from, to) in pixel.0.iter_mut().zip(colour) {
                    *from = mix(*from, to, alpha);
                }
            }
        }
    }
}

/// Draws a line of `thick` pixels along the inside of the mask's edge, and a dark one of one pixel outside it, so that the
/// outline shows on a background of its own colour.
pub(super) fn outline(
    image: &mut RgbImage,
    roi: Roi,
    mask: &GrayImage,
    colour: Rgb<u8>,
    thick: u32,
) {
    let (width, height) = mask.dimensions();
    if width == 0 || height == 0 {
        return;
    }
    // The mask with a margin around it, so that no neighbour that is looked at lies outside the buffer.
    let margin = thick as usize + 1;
    let stride = width as usize + 2 * margin;
    let mut inside = vec![false; stride * (height as usize + 2 * margin)];
    let rows = inside.chunks_exact_mut(stride).skip(margin);
    for (to, from) in rows.zip(mask.chunks_exact(width as usize)) {
        for (to, &from) in to[margin..].iter_mut().zip(from) {
            *to = from != 0;
        }
    }
    let any_around = |at: usize, far: usize, value: bool| {
        (1..=far).any(|d| {
            let ends = [at - d, at + d, at - d * stride, at + d * stride];
            ends.into_iter().any(|at| inside[at] == value)
        })
    };

    // The mask and one pixel around it, as far as the picture reaches.
    let (x, y) = (roi.x.saturating_sub(1), roi.y.saturating_sub(1));
    let part = bounds(image).intersection(&Roi {
        x,
        y,
        width: (roi.x - x).saturating_add(width).saturating_add(1),
        height: (roi.y - y).saturating_add(height).saturating_add(1),
    });
    for y in part.y..part.bottom() {
        for x in part.x..part.right() {
            // This is never below zero: `part` begins at most one pixel before the mask, and the margin is wider than that.
            let column = x as usize + margin - roi.x as usize;
            let row = y as usize + margin - roi.y as usize;
            let at = row * stride + column;
            if inside[at] {
                if any_around(at, thick as usize, false) {
                    image.put_pixel(x, y, colour);
                }
            } else if any_around(at, 1, true) {
                let pixel = image.get_pixel_mut(x, y);
                pixel.0 = pixel.0.map(|v| mix(v, 0, 0.7));
            }
        }
    }
}
