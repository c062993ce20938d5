//! Linear layers, with LoRA where the weights have one, stacks of them, and embeddings.

use candle_core::Tensor;

use super::affine::add_row;
use super::dense;
use super::graft::graft;
use super::lora::Lora;
use super::Result;
use crate::weights::{Activation, Weights, WeightsError};

/// `y = x Wᵀ + b`, and `+ s · (x Aᵀ) Bᵀ` where the weights hold `lora_A.weight` and `lora_B.weight` beside `weight`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor, // (out, in)
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

impl Linear {
    /// Reads `weight` `(out, in)` and `bias` `(out)`.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get((output, input), "weight")?,
            bias: Some(weights.get(output, "bias")?),
            lora: Lora::load(weights, input, output)?,
        })
    }

    /// Reads `weight` `(out, in)`; the layer has no bias.
    pub fn load_no_bias(
        weights: &Weights,
        input: usize,
        output: usize,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get((output, input), "weight")?,
            bias: None,
            lora: Lora::load(weights, input, output)?,
        })
    }

    /// A layer of given tensors, `weight` `(out, in)` and `bias` `(out)`, without LoRA.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            lora: None,
        }
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// `(…, in)` → `(…, out)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if dense::trains_on_cpu_f32(x, &self.weight) && self.lora.is_none() {
            return dense::dense(x, &self.weight, self.bias.as_ref());
        }
        let (output, input) = self.weight.dims2()?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / input;
        // One flat product (rows, in) × (in, out) is faster than a batched one with a broadcast weight.
        let x = x.reshape((rows, input))?;
        let y = if self.weight.track_op() || !x.track_op() {
            x.matmul(&self.weight.t()?)?
        } else {
            frozen_matmul(&x, &self.weight)?
        };
        let y = match &self.bias {
            Some(bias) => add_row(&y, bias)?,
            None => y,
        };
        let y = match &self.lora {
            Some(lora) => (y + lora.forward(&x)?)?,
            None => y,
        };
        if let Some(last) = shape.last_mut() {
            *last = output;
        }
        y.reshape(shape)
    }
}

/// `x Wᵀ` for a weight that is not trained. The backward of candle's own product would compute a gradient for the weight, as
/// large as the weight, which nobody uses.
///
/// # Shapes
/// `x` `(rows, in)`, `weight` `(out, in)` → `(rows, out)`.
fn frozen_matmul(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let y = x.detach().matmul(&weight.t()?)?;
    let weight = weight.clone();
    graft("frozen-linear", x, &y, move |_, _, grad| {
        grad.matmul(&weight)
    })
}

/// A stack of linear layers with an activation between them, and none after the last.
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    activation: Activation,
}

impl Mlp {
    /// Reads one layer for each name, of the widths `dims`, which has one entry more than `names`.
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

    /// Applies the layers one after the other.
    ///
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

/// A table of vectors, one for each token id.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Tensor, // (entries, dim)
}

impl Embedding {
    /// Reads `weight`, `(entries, dim)`.
    pub fn load(weights: &Weights, entries: usize, dim: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            table: weights.get((entries, dim), "weight")?,
        })
    }

    /// The device that the table lies on.
    pub fn device(&self) -> &candle_core::Device {
        self.table.device()
    }

    /// Looks up the vectors of ids.
    ///
    /// # Shapes
    /// ids `(n)`, u32 → `(n, dim)`.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        self.table.index_select(ids, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn frozen_product_equals_the_plain_one_and_gives_no_weight_gradient() {
        let weight = random((4, 6));
        assert_same_forward_and_gradient(
            &[random((2, 5, 6))],
            |v| Linear::new(weight.clone(), None).forward(&v[0]),
            |v| {
                v[0].reshape((10, 6))?
                    .matmul(&weight.t()?)?
                    .reshape((2, 5, 4))
            },
            1e-6,
        );
        let x = candle_core::Var::from_tensor(&random((5, 6))).unwrap();
        let y = Linear::new(weight.clone(), None).forward(&x).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert!(grads.get(&x).is_some());
        assert!(grads.get(&weight).is_none());
    }
}
