//! Scaled dot-product attention.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor, D};

use super::softmax;
use super::Result;

/// `softmax(q · scale · kᵀ) · v` for each head.
///
/// # Shapes
/// `q` `(batch, heads, n, d)`, `k` `(batch, heads, m, d)`, `v` `(batch, heads, m, e)` → `(batch, heads, n, e)`.
pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    attend_masked(q, k, v, scale, None)
}

/// `softmax(q · scale · kᵀ + mask) · v` for each head. The mask gets no gradient.
///
/// # Shapes
/// As [`attend`]; `mask` is broadcast to `(batch, heads, n, m)`.
pub fn attend_masked(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let tracked = [q, k, v].iter().any(|t| t.track_op());
    if !(tracked && q.device().is_cpu() && q.dtype() == DType::F32) {
        return attend_plain(q, k, v, scale, mask);
    }
    // One node of the graph instead of six, of which each would allocate a gradient as large as the scores.
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    let weights = weights(&q.detach(), &k.detach(), scale, mask)?;
    let output = weights.matmul(&v.detach())?;
    let op = AttentionOp {
        weights,
        output,
        scale,
    };
    q.apply_op3(&k, &v, op)
}

/// [`attend_masked`] as a composition of differentiable operations.
pub fn attend_plain(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    weights(q, k, scale, mask)?.matmul(v)
}

fn weights(q: &Tensor, k: &Tensor, scale: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let scores = (q * scale)?.matmul(&k.t()?)?;
    match mask {
        Some(mask) => softmax(&scores.broadcast_add(mask)?),
        None => softmax(&scores),
    }
}

struct AttentionOp {
    weights: Tensor, // (batch, heads, n, m)
    output: Tensor,  // (batch, heads, n, e)
    scale: f64,
}

impl CustomOp3 for AttentionOp {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let output = self.output.flatten_all()?.to_vec1::<f32>()?;
        Ok((CpuStorage::F32(output), self.output.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let dv = match v.track_op() {
            true => Some(self.weights.t()?.matmul(&grad)?),
            false => None,
        };
        if !(q.track_op() || k.track_op()) {
            return Ok((None, None, dv));
        }
        let along_weights = grad.matmul(&v.detach().t()?)?;
        let scores = scores_gradient(&self.weights, &along_weights, self.scale as f32)?;
        let dq = match q.track_op() {
            true => Some(scores.matmul(&k.detach())?),
            false => None,
        };
        let dk = match k.track_op() {
            true => Some(scores.t()?.matmul(&q.detach())?),
            false => None,
        };
        Ok((dq, dk, dv))
    }
}

/// The gradient of the unscaled scores from that of the softmax weights: `scale · w · (g − Σ g·w)` for each row.
fn scores_gradient(weights: &Tensor, grad: &Tensor, scale: f32) -> Result<Tensor> {
    let width = weights.dim(D::Minus1)?;
    let values = weights.flatten_all()?.to_vec1::<f32>()?;
    let mut out = grad.flatten_all()?.to_vec1::<f32>()?;
    for (g, w) in out
        .chunks_exact_mut(width.max(1))
        .zip(values.chunks_exact(width.max(1)))
    {
        let sum = dot(g, w);
        g.iter_mut()
            .zip(w)
            .for_each(|(g, w)| *g = scale * w * (*g - sum));
    }
    Tensor::from_vec(out, weights.shape(), weights.device())
}

/// The dot product in sixteen lanes. A single sum would stay scalar, because the compiler may not reorder float additions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 16];
    let (whole, rest) = (a.chunks_exact(16), a.len() / 16 * 16);
    for (a, b) in whole.zip(b.chunks_exact(16)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let tail: f32 = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn one_node_equals_the_composition() {
        let inputs = [
            random((2, 3, 5, 8)),
            random((2, 3, 21, 8)),
            random((2, 3, 21, 4)),
        ];
        let mask = random((5, 21));
        for mask in [None, Some(&mask)] {
            assert_same_forward_and_gradient(
                &inputs,
                |v| attend_masked(&v[0], &v[1], &v[2], 0.3, mask),
                |v| attend_plain(&v[0], &v[1], &v[2], 0.3, mask),
                1e-5,
            );
        }
    }
}
