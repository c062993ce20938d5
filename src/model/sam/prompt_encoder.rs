//! SAM's prompt encoder, as far as LISA needs it. The sparse prompt is an embedding that comes from outside, so only the dense
//! prompt of "no mask" and the positions of the image embedding are left.

use candle_core::{DType, Tensor};

use crate::nn::Result;
use crate::weights::{SamConfig, Weights, WeightsError};

/// The dense prompt, and the positions of the image embedding.
pub struct PromptEncoder {
    no_mask_embed: Tensor, // (1, dim, 1, 1)
    dense_pe: Tensor,      // (1, dim, grid, grid)
}

impl PromptEncoder {
    /// Reads `no_mask_embed` and the matrix of the positional encoding below `weights`.
    pub fn load(weights: &Weights, config: &SamConfig) -> Result<Self, WeightsError> {
        let dim = config.prompt_dim;
        let gaussian = weights.get((2, dim / 2), "pe_layer.positional_encoding_gaussian_matrix")?;
        Ok(Self {
            no_mask_embed: weights
                .get((1, dim), "no_mask_embed.weight")?
                .reshape((1, dim, 1, 1))?,
            dense_pe: dense_pe(&gaussian, config.grid())?,
        })
    }

    /// The dense prompt of "no mask", which is added to the image embedding.
    ///
    /// # Shapes
    /// `(1, dim, 1, 1)`, to be broadcast.
    pub fn dense_embedding(&self) -> &Tensor {
        &self.no_mask_embed
    }

    /// The position of every cell of the image embedding, as random Fourier features.
    ///
    /// # Shapes
    /// `(1, dim, grid, grid)`.
    pub fn dense_pe(&self) -> &Tensor {
        &self.dense_pe
    }
}

/// `[sin, cos](2π · (2c − 1) · G)` for the centres c of the cells, in 0..1, and the matrix G of the checkpoint.
fn dense_pe(gaussian: &Tensor, grid: usize) -> Result<Tensor> {
    let (dtype, device) = (gaussian.dtype(), gaussian.device());
    let coordinates: Vec<f32> = (0..grid * grid)
        .flat_map(|i| [i % grid, i / grid]) // x, then y
        .map(|c| 2.0 * ((c as f32 + 0.5) / grid as f32) - 1.0)
        .collect();
    let coordinates = Tensor::from_vec(coordinates, (grid * grid, 2), device)?;
    let angles = (coordinates.matmul(&gaussian.to_dtype(DType::F32)?)? * std::f64::consts::TAU)?;
    let pe = Tensor::cat(&[angles.sin()?, angles.cos()?], 1)?; // (grid², dim)
    pe.t()?
        .reshape((1, pe.dim(1)?, grid, grid))?
        .to_dtype(dtype)
}
