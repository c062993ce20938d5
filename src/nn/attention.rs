//! Scaled dot-product attention.

use std::cell::OnceCell;

use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Shape, Tensor, D};
use cpu_kernels::{Bias, Heads, Sizes};

use super::kernels::{self, values};
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
    if mask.is_none() && kernel_applies(q, k, v) {
        return attend_by_kernel(q, k, v, scale, Bias::None);
    }
    let tracked = [q, k, v].iter().any(|t| t.track_op());
    let (q, k, v) = (&in_rows(q)?, &in_rows(k)?, &in_rows(v)?);
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

/// The tensor as candle's products take it: the rows of a head follow each other. A view of a key cache does; heads that lie side by
/// side are copied.
fn in_rows(t: &Tensor) -> Result<Tensor> {
    match t.stride() {
        [.., row, 1] if *row == t.dim(D::Minus1)? => Ok(t.clone()),
        _ => t.contiguous(),
    }
}

/// Which keys new positions attend to.
#[derive(Clone, Copy)]
pub enum Visible<'a> {
    /// Each its own and those before it.
    Causal(&'a Causal),
    /// `(new, keys)`: 0 where a position may attend to a key, −∞ where not.
    Mask(&'a Tensor),
}

/// New positions after others, each of which attends to itself and to those before it. All layers share one: the mask is made once,
/// and only where one is needed.
pub struct Causal {
    new: usize,
    first: usize,
    mask: OnceCell<Tensor>,
}

impl Causal {
    /// `new` positions after `first` others.
    pub fn new(new: usize, first: usize) -> Self {
        Self {
            new,
            first,
            mask: OnceCell::new(),
        }
    }

    /// The mask for queries like `q`; `None` for a single new position, which attends to all.
    fn mask(&self, q: &Tensor) -> Result<Option<&Tensor>> {
        if self.new == 1 {
            return Ok(None);
        }
        if self.mask.get().is_none() {
            let mask = causal_mask(self.new, self.first, q.dtype(), q.device())?;
            let _ = self.mask.set(mask);
        }
        Ok(self.mask.get())
    }
}

/// `softmax(q · scale · kᵀ) · v` over the keys that are visible. Query heads that share a key head are neighbours.
///
/// # Shapes
/// `q` `(batch, heads, n, d)`, `k` `(batch, kv_heads, m, d)`, `v` `(batch, kv_heads, m, e)` → `(batch, heads, n, e)`.
pub fn attend_visible(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    visible: Visible<'_>,
) -> Result<Tensor> {
    match visible {
        Visible::Causal(causal) if kernel_applies(q, k, v) => {
            let first = causal.first;
            attend_by_kernel(q, k, v, scale, Bias::Causal { first })
        }
        Visible::Causal(causal) => attend_grouped(q, k, v, scale, causal.mask(q)?),
        Visible::Mask(mask) => attend_grouped(q, k, v, scale, Some(mask)),
    }
}

/// [`attend_masked`] where several query heads share a key head: they are neighbours, and are folded into rows of one head, so
/// that keys and values need not be repeated.
///
/// # Shapes
/// `q` `(batch, heads, n, d)`, `k` `(batch, kv_heads, m, d)`, `v` `(batch, kv_heads, m, e)`, `mask` `(n, m)` →
/// `(batch, heads, n, e)`.
fn attend_grouped(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let (batch, heads, new, head_dim) = q.dims4()?;
    let kv_heads = k.dim(1)?;
    let group = heads / kv_heads;
    let q = q.reshape((batch, kv_heads, group * new, head_dim))?;
    // (n, m) → (group·n, m), because the mask is the same for every head of a group.
    let mask = match mask {
        Some(mask) if group > 1 => Some(Tensor::cat(&vec![mask; group], 0)?),
        mask => mask.cloned(),
    };
    let y = attend_masked(&q, k, v, scale, mask.as_ref())?; // (batch, kv_heads, group·n, e)
    let width = y.dim(D::Minus1)?;
    y.reshape((batch, heads, new, width))
}

/// The mask of new positions after `start` others: 0 where a position may attend to another, −∞ where it may not.
///
/// # Shapes
/// `(new, start + new)`.
fn causal_mask(new: usize, start: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let total = start + new;
    let value = |i: usize, j: usize| {
        if j > start + i {
            f32::NEG_INFINITY
        } else {
            0.0
        }
    };
    let mask: Vec<f32> = (0..new)
        .flat_map(|i| (0..total).map(move |j| value(i, j)))
        .collect();
    Tensor::from_vec(mask, (new, total), device)?.to_dtype(dtype)
}

/// Fewest queries that the kernel is used for. It packs all keys and values first, which fewer queries do not pay for.
const FEWEST_QUERIES: usize = 8;

/// Whether the kernel computes attention with these tensors: many queries, and rows that are contiguous.
fn kernel_applies(q: &Tensor, k: &Tensor, v: &Tensor) -> bool {
    let fits = |t: &Tensor| t.rank() == 4 && t.stride()[3] == 1;
    kernels::apply(&[q, k, v])
        && [q, k, v].iter().all(|t| fits(t))
        && q.dims()[3] == v.dims()[3]
        && q.dims()[2] >= FEWEST_QUERIES
}

fn attend_by_kernel(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    bias: Bias<'_>,
) -> Result<Tensor> {
    let (batch, heads, queries, head_dim) = q.dims4()?;
    let (_, kv_heads, keys, _) = k.dims4()?;
    let sizes = Sizes {
        batch,
        heads,
        kv_heads,
        queries,
        keys,
        head_dim,
    };
    let (a, b, c) = (values(q), values(k), values(v));
    let strided = |t: &Tensor, data| Heads {
        data,
        batch_stride: t.stride()[0],
        head_stride: t.stride()[1],
        stride: t.stride()[2],
    };
    let (q, k, v) = (
        strided(q, a.after_start()?),
        strided(k, b.after_start()?),
        strided(v, c.after_start()?),
    );
    let Some(y) = cpu_kernels::attention((q, k, v), sizes, scale as f32, bias, &|| false) else {
        candle_core::bail!("attention stopped, and nobody asked it to")
    };
    // The heads lie side by side, as the layer after them wants them; transposing them again costs nothing.
    kernels::tensor(y, (batch, queries, heads, head_dim))?.transpose(1, 2)
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
    use crate::nn::testing::{assert_same_forward_and_gradient, random, relative_error};

    /// Plain and causal attention by the kernel, with shared key heads and strided inputs, beside the composition.
    #[test]
    fn the_kernel_equals_the_composition() {
        for (queries, keys) in [(9, 9), (60, 100), (130, 130), (250, 250)] {
            // As views of a larger cache, and of projections whose heads lie side by side.
            let q = random((2, queries, 6, 16)).transpose(1, 2).unwrap();
            let k = random((2, 3, 300, 16)).narrow(2, 0, keys).unwrap();
            let v = random((2, 3, 300, 16)).narrow(2, 0, keys).unwrap();
            let mask = causal_mask(queries, keys - queries, DType::F32, &Device::Cpu).unwrap();
            let plain = |mask: Option<&Tensor>| {
                let repeat = |t: &Tensor| {
                    let t = t.unsqueeze(2)?.broadcast_as(&[2, 3, 2, keys, 16][..])?;
                    t.reshape((2, 6, keys, 16))
                };
                let (k, v) = (repeat(&k).unwrap(), repeat(&v).unwrap());
                attend_plain(&q.contiguous().unwrap(), &k, &v, 0.3, mask).unwrap()
            };
            let causal = Causal::new(queries, keys - queries);
            let ours = attend_visible(&q, &k, &v, 0.3, Visible::Causal(&causal)).unwrap();
            assert!(relative_error(&ours, &plain(Some(&mask))) < 1e-6);
            if kernels::enabled() {
                assert!(kernel_applies(&q, &k, &v));
                let ours = attend_by_kernel(&q, &k, &v, 0.3, Bias::None).unwrap();
                assert!(relative_error(&ours, &plain(None)) < 1e-6);
            }
        }
    }

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
