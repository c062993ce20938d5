//! Layers of a transformer in f32 on a CPU, for inference.
//!
//! A general matrix product packs both matrices at every call, and what comes before and after it goes over the memory again.
//! Here the weights are [packed](Packed) once, and a [layer](linear) adds its bias, its activation and the residual while the
//! numbers are still in the cache. [Attention](attention()) keeps the scores of a block of queries in the cache too, and computes
//! SAM's relative positions there.
//!
//! The kernels are written with [`pulp`], so they are safe code that is compiled for AVX2 with FMA and for NEON, and chosen at run
//! time; [`available`] says whether this processor has one of them. AVX-512 is not used: on Zen 4 it was slower (76 against 95
//! GFLOP/s on one core). An element's sum is taken in an order that depends on the depth of the product alone, so results are the
//! same for any number of threads and rows.
//!
//! The only unsafe code is in `shared.rs`, where threads write their own parts of one result.

mod activation;
mod attention;
mod blocks;
mod exp;
mod linear;
mod narrow;
mod norm;
mod packed;
mod product;
mod shared;
mod softmax;
mod vector_unit;

pub use activation::{erf, gelu_with_slope, Activation};
pub use attention::{attention, Bias, DecomposedBias, Heads, Sizes};
pub use blocks::BlockFormat;
pub use exp::exp;
pub use linear::{linear, Epilogue};
pub use norm::{normalise_rows, Norm};
pub use packed::{Packed, Source};
pub use vector_unit::available;
