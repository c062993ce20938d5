//! From vision features to the language model's width.

use candle_core::Tensor;

use crate::nn::Result;
use crate::nn::{Linear, Mlp};
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

    /// # Shapes
    /// `(batch, features, vision hidden)` → `(batch, features, hidden)`.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        match self {
            Self::Linear(linear) => linear.forward(features),
            Self::Mlp2xGelu(mlp) => mlp.forward(features),
        }
    }
}
