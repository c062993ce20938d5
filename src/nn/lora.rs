//! Low-rank adaptation of a linear layer (Hu et al. 2021, arXiv 2106.09685).

use candle_core::{DType, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Result;

use crate::seed::seed_of;
use crate::weights::{Weights, WeightsError};

/// What LoRA adds to a linear layer: `s · (x Aᵀ) Bᵀ`.
#[derive(Clone, Debug)]
pub(super) struct Lora {
    a: Tensor, // (r, in)
    b: Tensor, // (out, r)
    scale: f64,
    dropout: Option<(f64, u64)>,
}

impl Lora {
    /// Reads `lora_A.weight` `(r, in)` and `lora_B.weight` `(out, r)` where they exist.
    pub fn load(
        weights: &Weights,
        input: usize,
        output: usize,
    ) -> Result<Option<Self>, WeightsError> {
        let (Some(lora), Some(shape)) = (weights.lora(), weights.shape("lora_A.weight")) else {
            return Ok(None);
        };
        let rank = shape.first().copied().unwrap_or(0);
        Ok(Some(Self {
            a: weights.get((rank, input), "lora_A.weight")?,
            b: weights.get((output, rank), "lora_B.weight")?,
            scale: lora.scale,
            // The seed is mixed with the layer's name, so that layers draw different masks.
            dropout: lora
                .dropout
                .map(|(p, seed)| (p, seed_of(seed, weights.prefix()))),
        }))
    }

    /// What is added to the output of the layer.
    ///
    /// # Shapes
    /// `(rows, in)` → `(rows, out)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = match self.dropout {
            Some((p, seed)) if p > 0.0 => x.mul(&keep(x, p, seed)?)?,
            _ => x.clone(),
        };
        x.matmul(&self.a.t()?)?.matmul(&self.b.t()?)? * self.scale
    }
}

/// A dropout mask in the shape of `x`: 0 with probability `p`, otherwise 1 / (1 − p), which keeps the mean.
fn keep(x: &Tensor, p: f64, seed: u64) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let kept = (1.0 / (1.0 - p)) as f32;
    let mask: Vec<f32> = (0..x.elem_count())
        .map(|_| if rng.random::<f64>() < p { 0.0 } else { kept })
        .collect();
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?;
    match x.dtype() {
        DType::F32 => Ok(mask),
        other => mask.to_dtype(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_follows_its_seed() {
        let x = Tensor::ones((100, 100), DType::F32, &candle_core::Device::Cpu).unwrap();
        let mask = keep(&x, 0.25, 7).unwrap();
        let mean = mask.mean_all().unwrap().to_scalar::<f32>().unwrap();
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        let same = |seed| {
            let other = keep(&x, 0.25, seed).unwrap();
            let difference = (&mask - other).unwrap().abs().unwrap().sum_all().unwrap();
            difference.to_scalar::<f32>().unwrap() == 0.0
        };
        assert!(same(7));
        assert!(!same(8));
    }
}
