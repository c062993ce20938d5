//! γ: from the hidden state that predicts `[SEG]` to the mask decoder's prompt.

use candle_core::Tensor;

use crate::nn::Mlp;
use crate::nn::Result;
use crate::weights::{Activation, LisaConfig, Weights, WeightsError};

/// `text_hidden_fcs.0`: Linear(h, h), ReLU, Linear(h, out). The reference's dropout has rate 0.
pub struct TextHiddenFcs(Mlp);

impl TextHiddenFcs {
    /// Reads `0.0` and `0.2` below `weights`.
    pub fn load(weights: &Weights, config: &LisaConfig) -> Result<Self, WeightsError> {
        let hidden = config.llama.hidden_size;
        let dims = [hidden, hidden, config.out_dim];
        Ok(Self(Mlp::load(
            &weights.pp(0),
            &["0", "2"],
            &dims,
            Activation::Relu,
        )?))
    }

    /// # Shapes
    /// `(objects, hidden)` → `(objects, out_dim)`.
    pub fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        self.0.forward(hidden)
    }
}
