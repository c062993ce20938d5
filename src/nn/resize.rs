//! Bilinear resizing as two matrix products, which is exact and differentiable.
//!
//! Bilinear interpolation is linear and separable, so a chain such as "resize, crop, resize" is `R · image · Cᵀ` with one small
//! matrix for each side. The image between the steps is never computed.

use candle_core::{DType, Device, Tensor};

use super::Result;

/// A chain of bilinear resizes and crops along one side, as a matrix.
#[derive(Clone, Debug)]
pub struct BilinearMatrix {
    rows: Vec<f32>, // (output, input), row-major
    output: usize,
    input: usize,
}

impl BilinearMatrix {
    /// PyTorch's `interpolate(mode="bilinear", align_corners=False)` along one side, `input` → `output` samples.
    pub fn resize(input: usize, output: usize) -> Self {
        let mut rows = vec![0f32; output * input];
        let scale = input as f32 / output as f32;
        for (i, row) in rows.chunks_exact_mut(input.max(1)).enumerate() {
            let source = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
            let low = (source as usize).min(input - 1);
            let high = (low + 1).min(input - 1);
            let fraction = source - low as f32;
            row[low] += 1.0 - fraction;
            row[high] += fraction;
        }
        Self {
            rows,
            output,
            input,
        }
    }

    /// Keeps the first `n` outputs, which crops padding at the end.
    pub fn crop(mut self, n: usize) -> Self {
        self.output = self.output.min(n);
        self.rows.truncate(self.output * self.input);
        self
    }

    /// Appends a resize to `output` samples to the chain.
    pub fn then_resize(&self, output: usize) -> Self {
        let second = Self::resize(self.output, output);
        let mut rows = vec![0f32; output * self.input];
        for (row, weights) in rows
            .chunks_exact_mut(self.input)
            .zip(second.rows.chunks_exact(self.output))
        {
            // At most two weights of the second resize are not zero, so the others are skipped.
            for (weight, source) in weights.iter().zip(self.rows.chunks_exact(self.input)) {
                if *weight != 0.0 {
                    row.iter_mut()
                        .zip(source)
                        .for_each(|(r, s)| *r += weight * s);
                }
            }
        }
        Self {
            rows,
            output,
            input: self.input,
        }
    }

    /// The matrix as a tensor `(output, input)`, f32.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Tensor::from_slice(&self.rows, (self.output, self.input), device)
    }
}

/// The matrix of a single resize, `(output, input)`, f32.
pub fn interpolation_matrix(input: usize, output: usize, device: &Device) -> Result<Tensor> {
    BilinearMatrix::resize(input, output).to_tensor(device)
}

/// Bilinear resize of the last two dimensions, as PyTorch's with `align_corners=False`. It computes in f32 and returns the dtype
/// of the input.
///
/// # Shapes
/// `(…, h, w)` → `(…, height, width)`.
pub fn resize_bilinear(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let rows = interpolation_matrix(x.dim(candle_core::D::Minus2)?, height, x.device())?;
    let columns = interpolation_matrix(x.dim(candle_core::D::Minus1)?, width, x.device())?;
    x.to_dtype(DType::F32)?
        .contiguous()?
        .broadcast_matmul(&columns.t()?)?
        .transpose(candle_core::D::Minus1, candle_core::D::Minus2)?
        .contiguous()?
        .broadcast_matmul(&rows.t()?)?
        .transpose(candle_core::D::Minus1, candle_core::D::Minus2)?
        .contiguous()?
        .to_dtype(x.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{random, relative_error};

    #[test]
    fn known_values() {
        // torch.nn.functional.interpolate([0, 10], size=4) gives 0, 2.5, 7.5, 10.
        let m = BilinearMatrix::resize(2, 4);
        assert_eq!(m.rows, [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);
        // Resizing [0, 1, 2, 3] to 2 samples takes the means of pairs.
        assert_eq!(
            BilinearMatrix::resize(4, 2).rows,
            [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]
        );
    }

    #[test]
    fn composition_equals_one_after_the_other() {
        let x = random((1, 7, 7));
        let composed = BilinearMatrix::resize(7, 20)
            .crop(13)
            .then_resize(31)
            .to_tensor(x.device())
            .unwrap();
        let y = composed
            .matmul(&x.squeeze(0).unwrap())
            .unwrap()
            .matmul(&composed.t().unwrap())
            .unwrap();
        let step = resize_bilinear(&x, 20, 20)
            .unwrap()
            .narrow(1, 0, 13)
            .unwrap()
            .narrow(2, 0, 13)
            .unwrap();
        let step = resize_bilinear(&step, 31, 31).unwrap().squeeze(0).unwrap();
        assert!(relative_error(&y, &step) < 1e-6);
    }

    #[test]
    fn agrees_with_candle() {
        let x = random((2, 3, 9, 5));
        let ours = resize_bilinear(&x, 17, 6).unwrap();
        let theirs = x.upsample_bilinear2d(17, 6, false).unwrap();
        assert!(relative_error(&ours, &theirs) < 1e-6);
    }
}
