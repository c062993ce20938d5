//! Draws attention as colours over the picture that the model looked at.

use ::image::RgbImage;

use super::paint::mix;
use super::ClipView;

/// Colours from the least to the most attention: dark blue, magenta, orange, pale yellow. The lightness rises all the way, so
/// that the picture can be read without colours too.
pub const RAMP: [[u8; 3]; 4] = [[0, 0, 40], [140, 30, 130], [250, 130, 40], [255, 250, 180]];

/// Draws the weights of a grid of cells on a copy of the picture, which keeps its size. A larger weight is brighter; between the
/// centres of cells, weights are interpolated bilinearly.
///
/// The largest weight gets the brightest colour of [`RAMP`], unless it is below `full`; then `full` would get it. So attention
/// that is spread over everything does not look like attention to something. `alpha` in 0..=1 says how much the colour covers the
/// picture. The part of the picture beyond `view`, which the model did not see, is darkened.
///
/// # Shapes
/// `weights` `(grid, grid)` over `view`, row by row, 0 or more. Nothing is drawn where the length is another, or where no weight
/// is above 0.
pub fn draw_heat(
    image: &RgbImage,
    view: &ClipView,
    grid: usize,
    weights: &[f32],
    full: f32,
    alpha: f32,
) -> RgbImage {
    let mut out = image.clone();
    let weight = |i: usize| match weights[i] {
        w if w.is_finite() => w.max(0.0),
        _ => 0.0,
    };
    let most = (0..weights.len()).map(weight).fold(full.max(0.0), f32::max);
    if grid == 0 || weights.len() != grid * grid || most <= 0.0 {
        return out;
    }
    let alpha = if alpha.is_nan() {
        0.0
    } else {
        alpha.clamp(0.0, 1.0)
    };
    let columns: Vec<_> = (0..image.width())
        .map(|x| CellPair::new(x, view.left, view.width, grid))
        .collect();
    for y in 0..image.height() {
        let row = CellPair::new(y, view.top, view.height, grid);
        for (x, column) in (0..).zip(&columns) {
            let pixel = out.get_pixel_mut(x, y);
            let (Some(row), Some(column)) = (&row, column) else {
                pixel.0 = pixel.0.map(|v| mix(v, 0, alpha));
                continue;
            };
            let line = |row: usize| {
                let (a, b) = (row * grid + column.before, row * grid + column.after);
                weight(a) + (weight(b) - weight(a)) * column.share
            };
            let (above, below) = (line(row.before), line(row.after));
            let heat = (above + (below - above) * row.share) / most;
            for (from, to) in pixel.0.iter_mut().zip(ramp(heat)) {
                *from = mix(*from, to, alpha);
            }
        }
    }
    out
}

/// The two neighbouring cells whose centres a pixel lies between, along one side of the grid.
struct CellPair {
    before: usize,
    after: usize,
    /// How far it is from the first centre to the second, in 0..=1.
    share: f32,
}

impl CellPair {
    /// The cells around column or row `pixel` of the picture; `None` beyond the view.
    fn new(pixel: u32, start: f64, length: f64, grid: usize) -> Option<Self> {
        let along = (f64::from(pixel) + 0.5 - start) / length;
        if !(0.0..1.0).contains(&along) {
            return None;
        }
        let at = (along * grid as f64 - 0.5).clamp(0.0, grid as f64 - 1.0);
        let before = at as usize;
        Some(Self {
            before,
            after: (before + 1).min(grid - 1),
            share: (at - before as f64) as f32,
        })
    }
}

/// The colour of [`RAMP`] for `heat` in 0..=1.
fn ramp(heat: f32) -> [u8; 3] {
    let at = heat.clamp(0.0, 1.0) * (RAMP.len() - 1) as f32;
    let before = (at as usize).min(RAMP.len() - 2);
    let share = at - before as f32;
    std::array::from_fn(|c| mix(RAMP[before][c], RAMP[before + 1][c], share))
}

#[cfg(test)]
mod tests {
    use super::super::{ClipFit, ClipPreprocessor};
    use super::*;
    use ::image::Rgb;

    const GREY: Rgb<u8> = Rgb([100, 100, 100]);

    fn view(size: (u32, u32), fit: ClipFit) -> ClipView {
        let clip = ClipPreprocessor {
            size: 16,
            crop: 16,
            ..ClipPreprocessor::default()
        };
        ClipView::new(&clip, size, fit)
    }

    /// Draws four weights on a gray picture of 80 × 40.
    fn drawn(fit: ClipFit, weights: [f32; 4], full: f32) -> RgbImage {
        let image = RgbImage::from_pixel(80, 40, GREY);
        draw_heat(&image, &view((80, 40), fit), 2, &weights, full, 1.0)
    }

    fn light(pixel: &Rgb<u8>) -> u32 {
        pixel.0.iter().map(|v| u32::from(*v)).sum()
    }

    #[test]
    fn it_is_brightest_where_the_weight_is() {
        for (fit, hot) in [
            (ClipFit::Squash, (60, 10)),
            (ClipFit::Crop, (50, 10)),
            // The view is 80 × 80 and begins 20 lines above the picture, so the centre of the cell lies on the picture's upper
            // edge.
            (ClipFit::Pad, (60, 0)),
        ] {
            let out = drawn(fit, [0.0, 0.9, 0.0, 0.0], 0.0);
            let brightest = out.pixels().map(light).max().unwrap();
            let there = light(out.get_pixel(hot.0, hot.1));
            assert!(there + 20 >= brightest, "{fit}: {there} of {brightest}");
            let cold = light(out.get_pixel(79 - hot.0, 39 - hot.1));
            assert!(cold + 200 < there, "{fit}: {cold} beside {there}");
        }
    }

    #[test]
    fn what_was_not_seen_is_dark_and_the_rest_of_the_frame_is_not() {
        let out = drawn(ClipFit::Crop, [1.0; 4], 0.0);
        assert_eq!(out.get_pixel(19, 20).0, [0; 3]);
        assert_eq!(out.get_pixel(20, 20).0, RAMP[3]);
        assert_eq!(out.get_pixel(59, 20).0, RAMP[3]);
        assert_eq!(out.get_pixel(60, 20).0, [0; 3]);
    }

    #[test]
    fn little_attention_does_not_look_like_much() {
        let faint = drawn(ClipFit::Squash, [0.0, 0.01, 0.0, 0.0], 0.25);
        assert!(light(faint.get_pixel(60, 10)) < 120);
        let full = drawn(ClipFit::Squash, [0.0, 0.25, 0.0, 0.0], 0.25);
        assert_eq!(full.get_pixel(79, 0).0, RAMP[3]);
    }

    #[test]
    fn weights_that_are_none_leave_the_picture() {
        let image = RgbImage::from_pixel(8, 8, GREY);
        let view = view((8, 8), ClipFit::Squash);
        for (grid, weights) in [
            (0, vec![]),
            (2, vec![0.5; 3]),
            (2, vec![0.0; 4]),
            (2, vec![f32::NAN; 4]),
        ] {
            assert_eq!(draw_heat(&image, &view, grid, &weights, 0.0, 0.5), image);
        }
        let unseen = draw_heat(&image, &view, 1, &[1.0], 0.0, 0.0);
        assert_eq!(unseen, image);
    }
}
