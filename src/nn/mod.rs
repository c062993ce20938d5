//! The layers that the network is made of.
//!
//! Each is written once, for inference and for training. Candle's fused kernels have no backward, so where the input is on the
//! path of a gradient, [`graft`] gives them one; elsewhere they run as they are, without extra cost. Every fused operation keeps
//! its plain composition beside it, and a test that both agree, forward and backward.

mod activation;
mod affine;
mod attention;
mod conv;
mod dense;
mod graft;
mod grid_attention;
mod kernels;
mod kv_cache;
mod linear;
mod lora;
mod norm;
mod quantized;
mod resize;
mod rope;
mod softmax;
mod storage;
mod trained_norm;

pub(crate) use activation::gelu;
pub(crate) use attention::{attend, attend_visible, Causal, Visible};
pub(crate) use conv::{Conv3x3, PatchEmbed, Upsample2x};
pub(crate) use graft::graft;
pub(crate) use grid_attention::PackedPositions;
pub(crate) use kernels::enabled as kernels_enabled;
pub(crate) use kv_cache::KvCache;
pub(crate) use linear::Embedding;
pub use linear::{After, Linear, Mlp};
pub(crate) use norm::{LayerNorm, RmsNorm};
pub(crate) use resize::{interpolation_matrix, resize_bilinear, BilinearMatrix};
pub(crate) use rope::{RotaryEmbedding, Rotation};
pub use softmax::softmax;

/// Result of tensor arithmetic, whose error is candle's unless another one is named.
pub type Result<T, E = candle_core::Error> = std::result::Result<T, E>;

#[cfg(test)]
pub(crate) mod testing;
