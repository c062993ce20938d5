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
mod exp;
mod graft;
mod kv_cache;
mod linear;
mod lora;
mod norm;
mod resize;
mod rope;
mod softmax;
mod trained_norm;

pub use activation::gelu;
pub use affine::add_row;
pub use attention::{attend, attend_masked};
pub use conv::{Conv3x3, PatchEmbed, Upsample2x};
pub(crate) use exp::exp;
pub(crate) use graft::graft;
pub use kv_cache::KvCache;
pub use linear::{Embedding, Linear, Mlp};
pub use norm::{LayerNorm, RmsNorm};
pub use resize::{interpolation_matrix, resize_bilinear, BilinearMatrix};
pub use rope::{RotaryEmbedding, Rotation};
pub use softmax::{softmax, softmax_biased, softmax_biased_applies, softmax_plain};

/// Result of tensor arithmetic, whose error is candle's unless another one is named.
pub type Result<T, E = candle_core::Error> = std::result::Result<T, E>;

#[cfg(test)]
pub(crate) mod testing;
