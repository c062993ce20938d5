//! Where the vision tower's square input lies on a picture, which says what part of the picture each patch sees.

use super::{ClipFit, ClipPreprocessor};

/// The rectangle of a picture that the tower's square input covers, in pixels of the picture, whose upper left corner is (0, 0).
/// What lies beyond the picture's sides is padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipView {
    /// Left side.
    pub left: f64,
    /// Upper side.
    pub top: f64,
    /// Width of what the input covers.
    pub width: f64,
    /// Height of what the input covers.
    pub height: f64,
}

impl ClipView {
    /// The rectangle that [`preprocess`](ClipPreprocessor::preprocess) takes from a picture of this `(width, height)`.
    pub fn new(clip: &ClipPreprocessor, (width, height): (u32, u32), fit: ClipFit) -> Self {
        let ((left, width), (top, height)) = clip.covered(width as usize, height as usize, fit);
        Self {
            left,
            top,
            width,
            height,
        }
    }

    /// `[left, top, right, bottom]` of a patch, in pixels of the picture, where `grid` patches stand along each side.
    pub fn patch(&self, grid: usize, row: usize, column: usize) -> [f64; 4] {
        let at = |start: f64, length: f64, i: usize| start + length * i as f64 / grid as f64;
        [
            at(self.left, self.width, column),
            at(self.top, self.height, row),
            at(self.left, self.width, column + 1),
            at(self.top, self.height, row + 1),
        ]
    }

    /// The share of each patch's area that is covered by the pixels for which `inside` holds. `width` is the picture's, in
    /// pixels.
    ///
    /// # Shapes
    /// `pixels` `(height, width)` → shares in 0..=1, `(grid, grid)`, both row by row.
    pub fn shares<T>(
        &self,
        grid: usize,
        width: usize,
        pixels: &[T],
        inside: impl Fn(&T) -> bool,
    ) -> Vec<f64> {
        let mut shares = vec![0.0; grid * grid];
        // For every column the number of pixels to its left in this line that are inside. Differences of these sums give the part
        // of a line that a patch covers, without a loop over its pixels.
        let mut before = vec![0.0; width + 1];
        for (y, line) in pixels.chunks_exact(width.max(1)).enumerate() {
            let mut any = false;
            for (x, pixel) in line.iter().enumerate() {
                let inside = inside(pixel);
                any |= inside;
                before[x + 1] = before[x] + f64::from(u8::from(inside));
            }
            if !any {
                continue;
            }
            let up_to = |x: f64| {
                let x = x.clamp(0.0, width as f64);
                let whole = (x as usize).min(width - 1);
                before[whole] + (x - whole as f64) * (before[whole + 1] - before[whole])
            };
            let (above, below) = (y as f64, y as f64 + 1.0);
            for row in 0..grid {
                let [_, top, _, bottom] = self.patch(grid, row, 0);
                let overlap = below.min(bottom) - above.max(top);
                if overlap <= 0.0 {
                    continue;
                }
                for column in 0..grid {
                    let [left, _, right, _] = self.patch(grid, row, column);
                    shares[row * grid + column] += overlap * (up_to(right) - up_to(left));
                }
            }
        }
        let area = self.width * self.height / (grid * grid) as f64;
        shares.iter_mut().for_each(|share| *share /= area);
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{Rgb, RgbImage};

    fn clip(size: usize, crop: usize) -> ClipPreprocessor {
        ClipPreprocessor {
            size,
            crop,
            ..ClipPreprocessor::default()
        }
    }

    fn round(shares: &[f64]) -> Vec<f64> {
        shares.iter().map(|s| (s * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn a_patch_s_share_is_the_area_that_is_covered() {
        // The right half of a picture of 8 × 4, seen by 2 × 2 patches.
        let right: Vec<u8> = (0..32).map(|i| u8::from(i % 8 >= 4)).collect();
        let shares = |fit| {
            let view = ClipView::new(&clip(4, 4), (8, 4), fit);
            round(&view.shares(2, 8, &right, |p| *p == 1))
        };
        assert_eq!(shares(ClipFit::Squash), [0.0, 1.0, 0.0, 1.0]);
        // The view is the middle 4 × 4.
        assert_eq!(shares(ClipFit::Crop), [0.0, 1.0, 0.0, 1.0]);
        // The view is 8 × 8, with two lines of padding above and below.
        assert_eq!(shares(ClipFit::Pad), [0.0, 0.5, 0.0, 0.5]);
    }

    #[test]
    fn a_pixel_is_divided_among_the_patches_it_lies_in() {
        let view = ClipView::new(&clip(2, 2), (3, 3), ClipFit::Squash);
        let middle: Vec<u8> = (0..9).map(|i| u8::from(i == 4)).collect();
        let quarter = 0.25 / 2.25;
        let shares = view.shares(2, 3, &middle, |p| *p == 1);
        assert!(shares.iter().all(|s| (s - quarter).abs() < 1e-12));
    }

    /// A bright block is where the view says it is: its centre of mass in the preprocessor's output, placed by the view, is its
    /// centre.
    #[test]
    fn the_view_is_where_the_preprocessor_looks() {
        for (width, height) in [(640, 480), (333, 517), (90, 60), (61, 200)] {
            for fit in ClipFit::ALL {
                for size in [224, 256] {
                    let clip = clip(size, 224);
                    // The block lies off the middle, and within the square that `crop` sees.
                    let near = |length: u32, share: f64| {
                        let side = f64::from(width.min(height));
                        (f64::from(length) / 2.0 + share * side) as u32
                    };
                    let block = [
                        near(width, -0.3),
                        near(height, -0.1),
                        near(width, 0.1),
                        near(height, 0.35),
                    ];
                    let lit = |x, y| {
                        (block[0]..block[2]).contains(&x) && (block[1]..block[3]).contains(&y)
                    };
                    // Everything else is black, so that padding has no weight.
                    let image = RgbImage::from_fn(width, height, |x, y| {
                        Rgb([if lit(x, y) { 255 } else { 0 }; 3])
                    });
                    let pixels = clip.preprocess(&image, fit);
                    let value = |x: usize, y: usize| {
                        let v = pixels[(0, y, x)] * clip.std[0] + clip.mean[0];
                        // Values below 0.75 are left out, because the padding of `pad` is the mean colour and not black.
                        f64::from(if v > 0.75 { v } else { 0.0 })
                    };
                    let view = ClipView::new(&clip, (width, height), fit);
                    let (mut sum, mut sx, mut sy) = (0.0, 0.0, 0.0);
                    for y in 0..224 {
                        for x in 0..224 {
                            let v = value(x, y);
                            let [left, top, right, bottom] = view.patch(224, y, x);
                            sum += v;
                            sx += v * (left + right) / 2.0;
                            sy += v * (top + bottom) / 2.0;
                        }
                    }
                    let want = [
                        f64::from(block[0] + block[2]) / 2.0,
                        f64::from(block[1] + block[3]) / 2.0,
                    ];
                    let pixel = (view.width / 224.0).max(view.height / 224.0);
                    let off = (sx / sum - want[0]).abs().max((sy / sum - want[1]).abs());
                    assert!(
                        off < 0.5 * pixel.max(1.0),
                        "{width}×{height} {fit} {size}: {off} pixels off"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_cut_off_has_no_share() {
        let view = ClipView::new(&clip(4, 4), (12, 4), ClipFit::Crop);
        let left: Vec<u8> = (0..48).map(|i| u8::from(i % 12 < 4)).collect();
        let shares = view.shares(4, 12, &left, |p| *p == 1);
        assert!(shares.iter().all(|s| *s == 0.0));
    }
}
