//! Layer norm and RMS norm over the last dimension: candle's fused kernels, made differentiable.

use candle_core::{DType, Tensor, D};
use cpu_kernels::Norm;

use super::Result;

use super::graft::graft;
use super::kernels::{self, values};
use super::trained_norm::TrainedNorm;
use crate::weights::{Weights, WeightsError};

/// Layer normalisation with weight and bias.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias`, both `(dim)`.
    pub fn load(weights: &Weights, dim: usize, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get(dim, "weight")?,
            bias: weights.get(dim, "bias")?,
            eps,
        })
    }

    /// Normalises the last dimension.
    ///
    /// # Shapes
    /// `(…, dim)` → the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        let eps = self.eps as f32;
        if !(x.track_op() || self.weight.track_op() || self.bias.track_op()) {
            if kernels::apply(&[&x, &self.weight, &self.bias]) {
                return self.forward_kernel(&x);
            }
            return candle_nn::ops::layer_norm(&x, &self.weight, &self.bias, eps);
        }
        if x.device().is_cpu() && x.dtype() == DType::F32 {
            return x.apply_op3(&self.weight, &self.bias, TrainedNorm { eps });
        }
        // The kernel only normalises. Weight and bias are ordinary operations after it, so that they get their gradients too.
        let (ones, zeros) = (self.weight.ones_like()?, self.bias.zeros_like()?);
        let normalised = candle_nn::ops::layer_norm(&x.detach(), &ones, &zeros, eps)?;
        let eps = self.eps;
        let normalised = graft("layer-norm", &x, &normalised, move |x, y, grad| {
            // dx = (g − mean(g) − y · mean(g·y)) / σ
            let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
            let sigma = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
            let along = y.broadcast_mul(&(grad * y)?.mean_keepdim(D::Minus1)?)?;
            (grad.broadcast_sub(&grad.mean_keepdim(D::Minus1)?)? - along)?.broadcast_div(&sigma)
        })?;
        normalised
            .broadcast_mul(&self.weight)?
            .broadcast_add(&self.bias)
    }

    fn forward_kernel(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.weight.contiguous()?, self.bias.contiguous()?);
        let (weight, bias) = (values(&weight), values(&bias));
        let norm = Norm::Layer {
            weight: weight.contiguous()?,
            bias: bias.contiguous()?,
            eps: self.eps as f32,
        };
        normalise(x, &norm)
    }

    /// [`forward`](Self::forward) as a composition of candle's differentiable operations.
    #[cfg(test)]
    pub fn forward_plain(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm_slow(x, &self.weight, &self.bias, self.eps as f32)
    }
}

/// Root-mean-square normalisation with weight.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Reads `weight`, `(dim)`.
    pub fn load(weights: &Weights, dim: usize, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get(dim, "weight")?,
            eps,
        })
    }

    /// Normalises the last dimension.
    ///
    /// # Shapes
    /// `(…, dim)` → the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        let eps = self.eps as f32;
        if !(x.track_op() || self.weight.track_op()) {
            if kernels::apply(&[&x, &self.weight]) {
                let weight = self.weight.contiguous()?;
                let weight = values(&weight);
                let norm = Norm::Rms {
                    weight: weight.contiguous()?,
                    eps,
                };
                return normalise(&x, &norm);
            }
            return candle_nn::ops::rms_norm(&x, &self.weight, eps);
        }
        if x.device().is_cpu() && x.dtype() == DType::F32 {
            return x.apply_op2(&self.weight, TrainedNorm { eps });
        }
        let normalised = candle_nn::ops::rms_norm(&x.detach(), &self.weight.ones_like()?, eps)?;
        let eps = self.eps;
        let normalised = graft("rms-norm", &x, &normalised, move |x, y, grad| {
            // dx = (g − y · mean(g·y)) / rms
            let rms = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
            let along = y.broadcast_mul(&(grad * y)?.mean_keepdim(D::Minus1)?)?;
            (grad - along)?.broadcast_div(&rms)
        })?;
        normalised.broadcast_mul(&self.weight)
    }

    /// [`forward`](Self::forward) as a composition of candle's differentiable operations.
    #[cfg(test)]
    pub fn forward_plain(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm_slow(x, &self.weight, self.eps as f32)
    }
}

fn normalise(x: &Tensor, norm: &Norm<'_>) -> Result<Tensor> {
    let y = cpu_kernels::normalise_rows(values(x).contiguous()?, norm);
    kernels::tensor(y, x.shape())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random, relative_error};

    #[test]
    fn layer_norm_equals_plain() {
        let norm = |v: &[Tensor]| LayerNorm {
            weight: v[1].clone(),
            bias: v[2].clone(),
            eps: 1e-6,
        };
        assert_same_forward_and_gradient(
            &[random((2, 5, 8)), random(8), random(8)],
            |v| norm(v).forward(&v[0]),
            |v| norm(v).forward_plain(&v[0]),
            1e-5,
        );
        let v = [random((3, 7, 200)), random(200), random(200)];
        let (ours, plain) = (norm(&v).forward(&v[0]), norm(&v).forward_plain(&v[0]));
        assert!(relative_error(&ours.unwrap(), &plain.unwrap()) < 1e-6);
    }

    #[test]
    fn rms_norm_equals_plain() {
        let norm = |v: &[Tensor]| RmsNorm {
            weight: v[1].clone(),
            eps: 1e-6,
        };
        assert_same_forward_and_gradient(
            &[random((2, 5, 8)), random(8)],
            |v| norm(v).forward(&v[0]),
            |v| norm(v).forward_plain(&v[0]),
            1e-5,
        );
        let v = [random((3, 7, 200)), random(200)];
        let (ours, plain) = (norm(&v).forward(&v[0]), norm(&v).forward_plain(&v[0]));
        assert!(relative_error(&ours.unwrap(), &plain.unwrap()) < 1e-6);
    }
}
