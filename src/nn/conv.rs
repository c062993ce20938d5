//! The three convolutions of the network, as matrix products where they can be.
//!
//! A convolution whose stride is the size of its kernel reads every input once, so it is a rearrangement and one matrix product.
//! That is faster than the general kernel on every device, and its backward is that of the product.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};

use super::affine::add_row;
use super::storage::contiguous_f32;
use super::{Linear, Result};
use crate::weights::{Weights, WeightsError};

/// Image → one vector for each patch, by a convolution whose stride is the size of its kernel.
#[derive(Clone, Debug)]
pub struct PatchEmbed {
    linear: Linear,
    patch: usize,
    channels: usize,
}

impl PatchEmbed {
    /// Reads `weight` `(dim, 3, patch, patch)` and, if `bias` is true, `bias` `(dim)`.
    pub fn load(
        weights: &Weights,
        patch: usize,
        dim: usize,
        bias: bool,
    ) -> Result<Self, WeightsError> {
        let channels = 3;
        let weight = weights.get((dim, channels, patch, patch), "weight")?;
        let bias = if bias {
            Some(weights.get(dim, "bias")?)
        } else {
            None
        };
        let weight = weight.reshape((dim, channels * patch * patch))?;
        Ok(Self {
            linear: Linear::new(weight, bias).prepared_for(weights)?,
            patch,
            channels,
        })
    }

    /// Embeds the patches of images.
    ///
    /// # Shapes
    /// `(batch, 3, rows·patch, columns·patch)` → `(batch, rows, columns, dim)`.
    pub fn forward(&self, image: &Tensor) -> Result<Tensor> {
        let (batch, _, height, width) = image.dims4()?;
        let (rows, columns, p) = (height / self.patch, width / self.patch, self.patch);
        let patches = image
            .reshape(&[batch, self.channels, rows, p, columns, p][..])?
            .permute([0, 2, 4, 1, 3, 5])? // (batch, rows, columns, 3, p, p)
            .reshape((batch, rows, columns, self.channels * p * p))?;
        self.linear.forward(&patches)
    }
}

/// Doubles the height and width of an image, by a transposed convolution of kernel 2 and stride 2.
#[derive(Clone, Debug)]
pub struct Upsample2x {
    weight: Tensor, // (in, 4·out), columns ordered (row, column, out)
    bias: Tensor,
    output: usize,
}

impl Upsample2x {
    /// Reads `weight` `(in, out, 2, 2)` and `bias` `(out)`.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        let weight = weights.get((input, output, 2, 2), "weight")?;
        Ok(Self {
            weight: weight.permute([0, 2, 3, 1])?.reshape((input, 4 * output))?,
            bias: weights.get(output, "bias")?,
            output,
        })
    }

    /// Applies the layer to images whose channels come last.
    ///
    /// # Shapes
    /// `(batch, h, w, in)` → `(batch, 2h, 2w, out)`, channels last.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, h, w, input) = x.dims4()?;
        let x = x
            .reshape((batch * h * w, input))?
            .matmul(&self.weight)?
            .reshape(&[batch, h, w, 2, 2, self.output][..])?
            .permute([0, 1, 3, 2, 4, 5])? // (batch, h, 2, w, 2, out)
            .reshape((batch, 2 * h, 2 * w, self.output))?;
        add_row(&x, &self.bias)
    }
}

/// A 3×3 convolution with padding 1 and without bias.
#[derive(Clone, Debug)]
pub struct Conv3x3 {
    weight: Tensor,
}

impl Conv3x3 {
    /// Reads `weight`, `(out, in, 3, 3)`.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get((output, input, 3, 3), "weight")?,
        })
    }

    /// Applies the layer to images whose channels come first.
    ///
    /// # Shapes
    /// `(batch, in, h, w)` → `(batch, out, h, w)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, input, h, w) = x.dims4()?;
        if !(self.weight.track_op() && x.device().is_cpu() && x.dtype() == DType::F32) {
            return self.forward_plain(x);
        }
        // Candle's backward is a transposed convolution, which takes several times as long as a product.
        let (output, _, _, _) = self.weight.dims4()?;
        let columns = x.contiguous()?.apply_op1(Neighbourhoods)?;
        Linear::new(self.weight.reshape((output, input * 9))?, None)
            .forward(&columns)?
            .reshape((batch, h, w, output))?
            .permute([0, 3, 1, 2])?
            .contiguous()
    }

    /// [`forward`](Self::forward) by candle's convolution.
    pub fn forward_plain(&self, x: &Tensor) -> Result<Tensor> {
        x.conv2d(&self.weight, 1, 1, 1, 1)
    }
}

/// The 3×3 neighbourhood of each pixel as a row, with zeros outside the image: `(batch, in, h, w)` → `(batch·h·w, in·9)`.
struct Neighbourhoods;

impl Neighbourhoods {
    /// Calls `f(index of the pixel, index in the rows)` for every neighbour that lies inside the image.
    fn pairs(
        (batch, channels, h, w): (usize, usize, usize, usize),
        mut f: impl FnMut(usize, usize),
    ) {
        for b in 0..batch {
            for y in 0..h {
                for x in 0..w {
                    let row = ((b * h + y) * w + x) * channels * 9;
                    for dy in usize::from(y == 0)..3 - usize::from(y + 1 == h) {
                        for dx in usize::from(x == 0)..3 - usize::from(x + 1 == w) {
                            let pixel = (b * channels * h + y + dy - 1) * w + x + dx - 1;
                            for c in 0..channels {
                                f(pixel + c * h * w, row + c * 9 + dy * 3 + dx);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl CustomOp1 for Neighbourhoods {
    fn name(&self) -> &'static str {
        "neighbourhoods"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let dims = layout.shape().dims4()?;
        let x = contiguous_f32(x, layout)?;
        let mut rows = vec![0f32; x.len() * 9];
        Self::pairs(dims, |pixel, at| rows[at] = x[pixel]);
        let (batch, channels, h, w) = dims;
        Ok((CpuStorage::F32(rows), (batch * h * w, channels * 9).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let rows = grad.flatten_all()?.to_vec1::<f32>()?;
        let mut pixels = vec![0f32; x.elem_count()];
        Self::pairs(x.dims4()?, |pixel, at| pixels[pixel] += rows[at]);
        Tensor::from_vec(pixels, x.shape(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn patch_embed_equals_convolution() {
        assert_same_forward_and_gradient(
            &[random((2, 3, 8, 12)), random((5, 3, 4, 4)), random(5)],
            |v| {
                let embed = PatchEmbed {
                    linear: Linear::new(v[1].reshape((5, 48))?, Some(v[2].clone())),
                    patch: 4,
                    channels: 3,
                };
                embed.forward(&v[0])
            },
            |v| {
                let y = v[0].conv2d(&v[1], 0, 4, 1, 1)?;
                y.permute([0, 2, 3, 1])?.broadcast_add(&v[2])
            },
            1e-5,
        );
    }

    #[test]
    fn upsample_equals_transposed_convolution() {
        assert_same_forward_and_gradient(
            &[random((2, 3, 5, 6)), random((6, 4, 2, 2)), random(4)],
            |v| {
                let up = Upsample2x {
                    weight: v[1].permute([0, 2, 3, 1])?.reshape((6, 16))?,
                    bias: v[2].clone(),
                    output: 4,
                };
                up.forward(&v[0])
            },
            |v| {
                let x = v[0].permute([0, 3, 1, 2])?.contiguous()?;
                let y = x.conv_transpose2d(&v[1], 0, 0, 2, 1)?;
                y.permute([0, 2, 3, 1])?.broadcast_add(&v[2])
            },
            1e-5,
        );
    }

    #[test]
    fn convolution_by_neighbourhoods_equals_candle_s() {
        let conv = |v: &[Tensor]| Conv3x3 {
            weight: v[1].clone(),
        };
        assert_same_forward_and_gradient(
            &[random((2, 4, 5, 6)), random((3, 4, 3, 3))],
            |v| conv(v).forward(&v[0]),
            |v| conv(v).forward_plain(&v[0]),
            1e-5,
        );
    }
}
