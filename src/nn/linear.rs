//! Linear layers and embeddings.

use candle_core::Tensor;

use super::Result;

use crate::weights::{Weights, WeightsError};

/// `y = x Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor, // (out, in)
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `weight` `(out, in)` and `bias` `(out)`.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get((output, input), "weight")?,
            bias: Some(weights.get(output, "bias")?),
        })
    }

    /// Reads `weight` `(out, in)`; the layer has no bias.
    pub fn load_no_bias(
        weights: &Weights,
        input: usize,
        output: usize,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get((output, input), "weight")?,
            bias: None,
        })
    }

    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// # Shapes
    /// `(…, in)` → `(…, out)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (output, input) = self.weight.dims2()?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / input;
        // One flat (rows, in) × (in, out) instead of a batched product with a broadcast weight.
        let y = x.reshape((rows, input))?.matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        if let Some(last) = shape.last_mut() {
            *last = output;
        }
        y.reshape(shape)
    }
}

/// A table of vectors.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Tensor, // (entries, dim)
}

impl Embedding {
    /// Reads `weight`, `(entries, dim)`.
    pub fn load(weights: &Weights, entries: usize, dim: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            table: weights.get((entries, dim), "weight")?,
        })
    }

    /// # Shapes
    /// ids `(n)`, u32 → `(n, dim)`.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        self.table.index_select(ids, 0)
    }
}
