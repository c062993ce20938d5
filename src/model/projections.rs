//! The two small networks between the large ones: vision features to the width of the language model, and its hidden states to
//! the prompts of the mask decoder.

use candle_core::Tensor;

use crate::nn::{Linear, Mlp, Result};
use crate::weights::{Activation, LisaConfig, ProjectorKind, Weights, WeightsError};

/// LLaVA's `mm_projector`: one linear layer, or two with a GELU between.
pub enum MmProjector {
    /// One linear layer (LLaVA 1.0, and the published LISA models).
    Linear(Linear),
    /// Two linear layers with a GELU between them (LLaVA 1.5).
    Mlp2xGelu(Mlp),
}

impl MmProjector {
    /// Reads `weight` and `bias`, or the same below `0` and `2`, as the configuration says.
    pub fn load(weights: &Weights, config: &LisaConfig) -> Result<Self, WeightsError> {
        let (vision, hidden) = (config.clip.hidden_size, config.llama.hidden_size);
        Ok(match config.projector {
            ProjectorKind::Linear => Self::Linear(Linear::load(weights, vision, hidden)?),
            ProjectorKind::Mlp2xGelu => Self::Mlp2xGelu(Mlp::load(
                weights,
                &["0", "2"],
                &[vision, hidden, hidden],
                Activation::Gelu,
            )?),
        })
    }

    /// Maps vision features to image tokens.
    ///
    /// # Shapes
    /// `(batch, features, vision hidden)` → `(batch, features, hidden)`.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        match self {
            Self::Linear(linear) => linear.forward(features),
            Self::Mlp2xGelu(mlp) => mlp.forward(features),
        }
    }
}

/// γ in the paper: maps the hidden state that predicts `[SEG]` to the prompt of the mask decoder. It is `text_hidden_fcs.0` of
/// the reference: Linear(hidden, hidden), ReLU, Linear(hidden, out_dim), and a dropout of rate 0.
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

    /// Maps hidden states to prompts.
    ///
    /// # Shapes
    /// `(objects, hidden)` → `(objects, out_dim)`.
    pub fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        self.0.forward(hidden)
    }
}
