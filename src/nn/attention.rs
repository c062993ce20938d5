//! Scaled dot-product attention.

use candle_core::Tensor;

use super::Result;

use super::softmax;

/// softmax(q·scale kᵀ) v, head by head.
///
/// # Shapes
/// `q` `(batch, heads, n, d)`, `k` `(batch, heads, m, d)`, `v` `(batch, heads, m, e)` → `(batch, heads, n, e)`.
pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    softmax(&(q * scale)?.matmul(&k.t()?)?)?.matmul(v)
}
