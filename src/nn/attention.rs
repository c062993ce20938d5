//! Scaled dot-product attention.

use candle_core::Tensor;

use super::Result;

use super::softmax;

/// softmax(q·scale kᵀ + mask) v, head by head.
///
/// # Shapes
/// `q` `(batch, heads, n, d)`, `k` `(batch, heads, m, d)`, `v` `(batch, heads, m, e)`, `mask` broadcastable to
/// `(batch, heads, n, m)` → `(batch, heads, n, e)`.
pub fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let scores = (q * scale)?.matmul(&k.t()?)?;
    let scores = match mask {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores,
    };
    softmax(&scores)?.matmul(v)
}
