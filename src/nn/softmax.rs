//! Softmax over the last dimension.
//!
//! In f32 on the CPU it goes over the memory once, with an exponential that the compiler vectorizes; candle's kernel calls the C
//! library for every element. In other types and on other devices candle's kernels are used.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, D};
use cpu_kernels::exp;
use rayon::prelude::*;

use super::graft::graft;
use super::storage::contiguous_f32;
use super::Result;

/// Softmax over the last dimension, by a fused kernel that is made differentiable.
///
/// # Shapes
/// `(…, n)` → the same.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    if !x.track_op() {
        return fused(&x);
    }
    let y = fused(&x.detach())?;
    graft("softmax", &x, &y, |_, y, grad| {
        // The gradient is dx = y · (g − Σ g·y).
        let gy = (grad * y)?;
        let sum = gy.sum_keepdim(D::Minus1)?;
        gy - y.broadcast_mul(&sum)?
    })
}

fn fused(x: &Tensor) -> Result<Tensor> {
    match (x.device().is_cpu(), x.dtype()) {
        (true, DType::F32) => x.apply_op1_no_bwd(&CpuSoftmax),
        // Candle's kernel sums in the type of the tensor, and a sum over thousands of keys in half precision loses most of them.
        (true, half @ (DType::F16 | DType::BF16)) => {
            fused(&x.to_dtype(DType::F32)?)?.to_dtype(half)
        }
        _ => candle_nn::ops::softmax_last_dim(x),
    }
}

/// [`softmax`] as a composition of candle's differentiable operations.
#[cfg(test)]
pub fn softmax_plain(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(x, D::Minus1)
}

struct CpuSoftmax;

impl CustomOp1 for CpuSoftmax {
    fn name(&self) -> &'static str {
        "softmax-cpu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = contiguous_f32(storage, layout)?;
        let width = layout.shape().dim(D::Minus1)?;
        let mut out = vec![0f32; scores.len()];
        if width > 0 {
            out.par_chunks_exact_mut(width)
                .zip(scores.par_chunks_exact(width))
                .for_each(|(out, scores)| {
                    out.copy_from_slice(scores);
                    normalise(out);
                });
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Softmax of one row, in place.
pub(super) fn normalise(x: &mut [f32]) {
    let max = lanes(x, f32::NEG_INFINITY, f32::max, |v| v);
    x.iter_mut().for_each(|v| *v = exp(*v - max));
    let scale = 1.0 / lanes(x, 0.0, |a, b| a + b, |v| v);
    x.iter_mut().for_each(|v| *v *= scale);
}

/// A reduction in eight independent lanes. A plain fold would stay scalar, because the compiler may not reorder float operations.
/// Eight partial sums are also more accurate than one.
fn lanes(x: &[f32], start: f32, join: impl Fn(f32, f32) -> f32, value: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [start; 8];
    let chunks = x.chunks_exact(8);
    let rest = chunks
        .remainder()
        .iter()
        .fold(start, |a, v| join(a, value(*v)));
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, value(*v));
        }
    }
    lanes.iter().fold(rest, |a, v| join(a, *v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn fused_equals_plain() {
        for shape in [(2, 3, 5, 7), (1, 1, 3, 33)] {
            assert_same_forward_and_gradient(
                &[random(shape)],
                |v| softmax(&v[0]),
                |v| softmax_plain(&v[0]),
                1e-6,
            );
        }
    }

    #[test]
    fn a_masked_position_gets_nothing() {
        let x = Tensor::new(&[[0f32, f32::NEG_INFINITY, 1.0]], &candle_core::Device::Cpu).unwrap();
        let y = softmax(&x).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(y[0][1], 0.0);
        assert!((y[0][0] + y[0][2] - 1.0).abs() < 1e-6);
    }
}
