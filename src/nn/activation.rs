//! Activation functions, by the names checkpoints give them.

use candle_core::Tensor;

use super::Result;
use serde::{Deserialize, Serialize};

/// An element-wise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// GELU with the error function (SAM, projector).
    Gelu,
    /// x · σ(1.702 x) (OpenAI's CLIP).
    QuickGelu,
    Silu,
    Relu,
}

impl Activation {
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Gelu => x.gelu_erf(),
            Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
            Activation::Silu => x.silu(),
            Activation::Relu => x.relu(),
        }
    }
}
