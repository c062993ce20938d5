//! Pictures to the input of SAM's image encoder: `ResizeLongestSide`, and the reference's normalisation.

use ::image::RgbImage;
use ndarray::Array3;

use super::normalise::Normalise;
use super::resample::{resize_whole, Filter};

/// Makes the square input of SAM's image encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct SamPreprocessor {
    /// Side of the square, in pixels; 1024 in every published SAM.
    pub target: usize,
    /// Mean of red, green and blue in 0..=255.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

/// The input of the image encoder, and the sizes that are needed to bring a mask back to the size of the picture.
#[derive(Clone, Debug)]
pub struct SamInput {
    /// (3, target, target), normalised. The picture stands at the top left, with zeros right of it and below.
    pub pixels: Array3<f32>,
    /// (height, width) of the picture within the square.
    pub resized: (usize, usize),
    /// (height, width) of the picture as it was given.
    pub original: (usize, usize),
}

impl Default for SamPreprocessor {
    fn default() -> Self {
        Self::new(1024)
    }
}

impl SamPreprocessor {
    /// SAM's normalisation, with an input of `target` pixels a side.
    pub fn new(target: usize) -> Self {
        Self {
            target,
            mean: [123.675, 116.28, 103.53],
            std: [58.395, 57.12, 57.375],
        }
    }

    /// Resizes the long side to `target` (bilinear and antialiased, as Pillow does), normalises, and pads with zeros.
    ///
    /// A short side that would be rounded to 0 pixels becomes 1 pixel. A picture without pixels gives zeros.
    ///
    /// # Shapes
    /// → `pixels` (3, `target`, `target`).
    pub fn preprocess(&self, image: &RgbImage) -> SamInput {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut pixels = Array3::zeros((3, self.target, self.target));
        let mut resized = (0, 0);
        if width > 0 && height > 0 {
            resized = self.resized(height, width);
            let small = resize_whole(image, resized.1, resized.0, Filter::Bilinear);
            Normalise::new(1.0, self.mean, self.std).write(&small, 0, 0, &mut pixels);
        }
        SamInput {
            pixels,
            resized,
            original: (height, width),
        }
    }

    /// (height, width) after the long side is resized to `target`; the short side is rounded, halves up.
    pub fn resized(&self, height: usize, width: usize) -> (usize, usize) {
        let scale = self.target as f64 / height.max(width).max(1) as f64;
        let side = |x: usize| ((x as f64 * scale + 0.5) as usize).clamp(1, self.target.max(1));
        (side(height), side(width))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_to_the_reference() {
        let (shape, expected) = golden::tensor("sam_pixels");
        let input = SamPreprocessor::new(8 * shape[1]).preprocess(&golden::image());
        let eighth = input.pixels.slice(ndarray::s![.., ..;8, ..;8]);
        assert_eq!(eighth.shape(), shape);
        let error = golden::relative_l2(eighth.iter(), &expected);
        assert!(error <= 1e-7, "relative L2 {error:e}");
    }

    #[test]
    fn sides_are_rounded_as_the_reference_does() {
        let sam = SamPreprocessor::default();
        assert_eq!(sam.resized(720, 1280), (576, 1024));
        assert_eq!(sam.resized(480, 640), (768, 1024));
        assert_eq!(sam.resized(333, 500), (682, 1024)); // 681.98
        assert_eq!(sam.resized(2000, 3), (1024, 2)); // 1.536
        assert_eq!(sam.resized(1, 5000), (1, 1024)); // the reference rounds to 0 and fails
    }

    proptest! {
        #[test]
        fn beyond_the_picture_is_zero(w in 1u32..40, h in 1u32..40, target in 1usize..50) {
            let input = SamPreprocessor::new(target).preprocess(&RgbImage::from_pixel(w, h, ::image::Rgb([1, 2, 3])));
            let (rows, columns) = input.resized;
            prop_assert_eq!(rows.max(columns), target);
            prop_assert_eq!(input.original, (h as usize, w as usize));
            for ((_, y, x), v) in input.pixels.indexed_iter() {
                prop_assert_eq!(*v == 0.0, y >= rows || x >= columns);
            }
        }
    }
}
