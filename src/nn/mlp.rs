//! Stacks of linear layers.

use candle_core::Tensor;

use super::Result;

use super::Linear;
use crate::weights::{Activation, Weights, WeightsError};

/// Linear layers with an activation between them (none after the last).
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    activation: Activation,
}

impl Mlp {
    /// Reads one layer per name; `dims` has one entry more than `names`.
    pub fn load(
        weights: &Weights,
        names: &[&str],
        dims: &[usize],
        activation: Activation,
    ) -> Result<Self, WeightsError> {
        let layers = names
            .iter()
            .zip(dims.windows(2))
            .map(|(name, dims)| Linear::load(&weights.pp(name), dims[0], dims[1]))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { layers, activation })
    }

    /// # Shapes
    /// `(…, first dim)` → `(…, last dim)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                x = self.activation.forward(&x)?;
            }
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}
