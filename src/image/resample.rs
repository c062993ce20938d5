//! Antialiased resizing, equal to Pillow's to the last bit.
//!
//! Both encoders were trained on pictures that Pillow resized, and the reference's numbers depend on its rounding: filter weights
//! with 22 fractional bits, the horizontal pass first, and 8 bits between the two passes. `fast_image_resize`, which does the
//! same with SIMD, has weights of 16 bits and makes the vertical pass first. That moves three values in a hundred by a gray
//! level, a relative error of 3e-3 where the golden tests allow 1e-4.

use ::image::RgbImage;
use rayon::prelude::*;

/// Fractional bits of a weight: 32, less 8 for the sample and 2 for weights outside 0..=1.
const BITS: u32 = 32 - 8 - 2;

#[derive(Clone, Copy, Debug)]
pub(super) enum Filter {
    /// A triangle of radius 1.
    Bilinear,
    /// Keys' cubic function with a = −0.5, of radius 2.
    Bicubic,
}

impl Filter {
    fn radius(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// A part of the resized picture, in pixels of the resized picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// A picture on a larger sheet of one colour. The sheet is never stored; only one row at a time is put together.
#[derive(Clone, Copy)]
pub(super) struct Canvas<'a> {
    image: &'a RgbImage,
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    colour: [u8; 3],
}

impl<'a> Canvas<'a> {
    /// A sheet of the size of the picture.
    pub fn new(image: &'a RgbImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self {
            image,
            left: 0,
            top: 0,
            width,
            height,
            colour: [0; 3],
        }
    }

    /// A square sheet whose side is the long side of the picture, which lies in its middle.
    pub fn square(image: &'a RgbImage, colour: [u8; 3]) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let side = width.max(height);
        let (left, top) = ((side - width) / 2, (side - height) / 2);
        Self {
            image,
            left,
            top,
            width: side,
            height: side,
            colour,
        }
    }

    /// Row `y` of the sheet. It is put together in `line` where it is not a row of the picture; `line` must be kept from row to
    /// row.
    fn row<'b>(&'b self, y: usize, line: &'b mut Vec<u8>) -> &'b [u8] {
        let width = self.image.width() as usize;
        let inside = y
            .checked_sub(self.top)
            .filter(|&y| y < self.image.height() as usize)
            .map(|y| &self.image.as_raw()[3 * width * y..][..3 * width]);
        if let (Some(row), true) = (inside, width == self.width) {
            return row;
        }
        if line.len() != 3 * self.width {
            *line = self.colour.repeat(self.width);
        }
        // A sheet is wider than its picture or higher, never both. So a row above or below the picture finds a line of the colour
        // alone: where there are such rows, rows of the picture are returned above and never copied into the line.
        if let Some(row) = inside {
            line[3 * self.left..][..3 * width].copy_from_slice(row);
        }
        line
    }
}

/// Resizes the canvas to `width` × `height` and returns the `window` of the result.
///
/// The window must lie within the result. A picture without pixels gives black.
pub(super) fn resize(
    canvas: Canvas<'_>,
    width: usize,
    height: usize,
    window: Window,
    filter: Filter,
) -> RgbImage {
    let out_row = 3 * window.width;
    let mut out = RgbImage::new(window.width as u32, window.height as u32);
    if canvas.width == 0 || canvas.height == 0 || out.is_empty() {
        return out;
    }
    let columns = Taps::new(canvas.width, width, window.left, window.width, filter);
    let rows = Taps::new(canvas.height, height, window.top, window.height, filter);

    // The rows of the canvas that the window needs, resized to the width of the window.
    let first = rows.first();
    let mut narrow = vec![0; out_row * (rows.end() - first)];
    narrow
        .par_chunks_exact_mut(out_row)
        .enumerate()
        .for_each_init(Vec::new, |line, (y, to)| {
            columns.across(canvas.row(first + y, line), to);
        });
    out.par_chunks_exact_mut(out_row).enumerate().for_each_init(
        || vec![0; out_row],
        |sums, (y, to)| rows.down(y, first, &narrow, sums, to),
    );
    out
}

/// Resizes a whole picture.
pub(super) fn resize_whole(
    image: &RgbImage,
    width: usize,
    height: usize,
    filter: Filter,
) -> RgbImage {
    let window = Window {
        left: 0,
        top: 0,
        width,
        height,
    };
    resize(Canvas::new(image), width, height, window, filter)
}

/// The resizing of one axis: which source samples each output sample is made of, and their weights.
struct Taps {
    /// For each output sample its first source sample and its range of `weights`.
    spans: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<i32>,
}

impl Taps {
    /// The output samples `skip..skip + take` of an axis that is resized from `from` to `to` samples.
    fn new(from: usize, to: usize, skip: usize, take: usize, filter: Filter) -> Self {
        let scale = from as f64 / to as f64;
        // Where the axis shrinks, the filter is widened by the scale, which is what avoids aliasing.
        let stretch = scale.max(1.0);
        let radius = filter.radius() * stretch;
        let (mut spans, mut weights) = (Vec::with_capacity(take), Vec::new());
        let mut exact = Vec::new();
        for i in skip..skip + take {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - radius + 0.5).max(0.0) as usize;
            let end = ((centre + radius + 0.5) as usize).min(from);
            exact.clear();
            exact.extend(
                (first..end).map(|s| filter.at((s as f64 - centre + 0.5) * (1.0 / stretch))),
            );
            let sum: f64 = exact.iter().sum();
            let start = weights.len();
            weights.extend(exact.iter().map(|w| {
                let w = if sum == 0.0 { *w } else { w / sum };
                (w * f64::from(1 << BITS)).round() as i32
            }));
            spans.push((first, start..weights.len()));
        }
        Self { spans, weights }
    }

    fn first(&self) -> usize {
        self.spans
            .iter()
            .map(|(first, _)| *first)
            .min()
            .unwrap_or(0)
    }

    fn end(&self) -> usize {
        self.spans
            .iter()
            .map(|(first, span)| first + span.len())
            .max()
            .unwrap_or(0)
    }

    /// Resizes a row of RGB pixels.
    fn across(&self, row: &[u8], out: &mut [u8]) {
        for (to, (first, span)) in out.chunks_exact_mut(3).zip(&self.spans) {
            let weights = &self.weights[span.clone()];
            let mut sums = [1 << (BITS - 1); 3];
            for (pixel, weight) in row[3 * first..].chunks_exact(3).zip(weights) {
                for (sum, &sample) in sums.iter_mut().zip(pixel) {
                    *sum += weight * i32::from(sample);
                }
            }
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = clip(sum);
            }
        }
    }

    /// Makes output row `y` of rows of the same length, of which the first is source row `offset`.
    fn down(&self, y: usize, offset: usize, rows: &[u8], sums: &mut [i32], out: &mut [u8]) {
        let (first, span) = &self.spans[y];
        let weights = &self.weights[span.clone()];
        sums.fill(1 << (BITS - 1));
        for (row, weight) in rows
            .chunks_exact(out.len())
            .skip(first - offset)
            .zip(weights)
        {
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(sample);
            }
        }
        for (to, &sum) in out.iter_mut().zip(&*sums) {
            *to = clip(sum);
        }
    }
}

fn clip(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let value = |c: u32| ((x * x * 13 + y * 29 + c * 71 + x * y * 7) % 256) as u8;
            ::image::Rgb([value(0), value(1), value(2)])
        })
    }

    fn checksum(image: &RgbImage) -> u32 {
        let weighted = image
            .as_raw()
            .iter()
            .enumerate()
            .map(|(i, &v)| (i as u32 % 65521 + 1).wrapping_mul(v.into()));
        weighted.fold(0, u32::wrapping_add)
    }

    /// The expected sums over the bytes were computed of Pillow's `Image.resize` of the same picture.
    #[test]
    fn equal_to_pillow() {
        for (w, h, to_w, to_h, bilinear, bicubic) in [
            (11, 7, 5, 4, 0x38b57, 0x38bd0),
            (320, 240, 298, 224, 0x114a6729, 0xf68cfcfa),
            (1280, 720, 398, 224, 0xbd91381e, 0xc0bb8b49),
            (1280, 720, 1024, 576, 0xd979b617, 0x5831c1a4),
            (40, 30, 64, 48, 0x41fbf4f6, 0x41836ea4),
            (640, 480, 224, 224, 0xd9d389e2, 0xd603f29b),
            (5, 300, 3, 1024, 0x434d9f42, 0x4335ab33),
            (101, 77, 101, 30, 0x38b1db5c, 0x38b2ae13),
            (101, 77, 30, 77, 0xb5bf8b9b, 0xb5c153f6),
            (64, 48, 64, 48, 0x4209df00, 0x4209df00),
        ] {
            let image = picture(w, h);
            for (filter, expected) in [(Filter::Bilinear, bilinear), (Filter::Bicubic, bicubic)] {
                let got = checksum(&resize_whole(&image, to_w, to_h, filter));
                assert_eq!(got, expected, "{w}x{h} to {to_w}x{to_h}, {filter:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_window_is_a_part_of_the_whole(
            w in 1u32..40, h in 1u32..40, to in (1usize..40, 1usize..40), at in (0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0),
        ) {
            let part = |length: usize, a: f64, b: f64| {
                let skip = (a * length as f64) as usize;
                (skip, 1 + (b * (length - skip) as f64) as usize)
            };
            let ((left, width), (top, height)) = (part(to.0, at.0, at.1), part(to.1, at.2, at.3));
            let (width, height) = (width.min(to.0 - left), height.min(to.1 - top));
            let image = picture(w, h);
            let window = Window { left, top, width, height };
            let got = resize(Canvas::new(&image), to.0, to.1, window, Filter::Bicubic);
            let whole = resize_whole(&image, to.0, to.1, Filter::Bicubic);
            let view = ::image::imageops::crop_imm(&whole, left as u32, top as u32, width as u32, height as u32);
            prop_assert_eq!(got, view.to_image());
        }

        #[test]
        fn one_colour_stays_that_colour(colour: [u8; 3], w in 1u32..60, h in 1u32..60, to_w in 1usize..90, to_h in 1usize..90) {
            let image = RgbImage::from_pixel(w, h, ::image::Rgb(colour));
            for filter in [Filter::Bilinear, Filter::Bicubic] {
                let resized = resize_whole(&image, to_w, to_h, filter);
                prop_assert!(resized.pixels().all(|p| p.0 == colour));
            }
        }
    }
}
