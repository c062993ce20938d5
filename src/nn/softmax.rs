//! Softmax over the last dimension.

use candle_core::{Tensor, D};

use super::Result;

use super::graft::graft;

/// Softmax over the last dimension, by the fused kernel, differentiable.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if !x.track_op() {
        return candle_nn::ops::softmax_last_dim(&x.contiguous()?);
    }
    let x = x.contiguous()?;
    let y = candle_nn::ops::softmax_last_dim(&x.detach())?;
    graft("softmax", &x, &y, |_, y, grad| {
        // dx = y · (g − Σ g·y)
        let gy = (grad * y)?;
        let sum = gy.sum_keepdim(D::Minus1)?;
        gy - y.broadcast_mul(&sum)?
    })
}

/// The same as a composition of candle's differentiable operations.
pub fn softmax_plain(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(x, D::Minus1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn fused_equals_plain() {
        let x = random((2, 3, 5, 7));
        assert_same_forward_and_gradient(&[x], |v| softmax(&v[0]), |v| softmax_plain(&v[0]), 1e-6);
    }
}
