//! Pixels of bytes to what a network reads: scaled and centred numbers, one plane for each channel.

use ::image::RgbImage;
use ndarray::{s, Array3};

/// A table of the normalised value of every byte, for each channel.
pub(super) struct Normalise([[f32; 256]; 3]);

impl Normalise {
    /// `(byte * scale − mean) / std`, the product in f64 and the rest in f32, as numpy does it for the reference.
    pub fn new(scale: f64, mean: [f32; 3], std: [f32; 3]) -> Self {
        Self(std::array::from_fn(|c| {
            std::array::from_fn(|byte| ((byte as f64 * scale) as f32 - mean[c]) / std[c])
        }))
    }

    /// The normalised value of black in each channel.
    pub fn black(&self) -> [f32; 3] {
        self.0.each_ref().map(|table| table[0])
    }

    /// Writes the picture into `out` (3, height, width) with its top left corner at (`left`, `top`). It must fit.
    pub fn write(&self, image: &RgbImage, left: usize, top: usize, out: &mut Array3<f32>) {
        let (width, height) = (image.width() as usize, image.height() as usize);
        if width == 0 {
            return;
        }
        let mut part = out.slice_mut(s![.., top..top + height, left..left + width]);
        for (c, mut plane) in part.outer_iter_mut().enumerate() {
            let table = &self.0[c];
            for (mut to, from) in plane
                .rows_mut()
                .into_iter()
                .zip(image.chunks_exact(3 * width))
            {
                for (to, pixel) in to.iter_mut().zip(from.chunks_exact(3)) {
                    *to = table[usize::from(pixel[c])];
                }
            }
        }
    }
}
