//! Linear layers, with LoRA where the weights have one, stacks of them, and embeddings.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use cpu_kernels::{Epilogue, Packed};

use super::affine::add_row;
use super::dense;
use super::graft::graft;
use super::kernels::{self, values};
use super::lora::Lora;
use super::quantized::Quantized;
use super::Result;
use crate::weights::{Activation, Weights, WeightsError};

/// `y = x Wᵀ + b`, and `+ s · (x Aᵀ) Bᵀ` where the weights hold `lora_A.weight` and `lora_B.weight` beside `weight`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

/// The weight of a layer, `(out, in)`.
#[derive(Clone, Debug)]
enum Weight {
    /// As it was loaded.
    Plain(Tensor),
    /// In the order in which the kernel reads it, for inference in f32 on a CPU.
    Packed(Arc<Packed>),
    /// In blocks of small integers, where the kernel does not apply.
    Quantized(Quantized),
}

/// Numbers of a weight from which on it stays in 16 bits if it is stored so: a megabyte as f32. Smaller ones stay in the processor's
/// cache, and widening them at every product would take longer than reading them from there.
const LARGE: usize = 1 << 18;

/// What is done with the output of a layer, in the same pass where the kernels allow it: `activation(y) · factor + residual`.
#[derive(Clone, Copy, Debug, Default)]
pub struct After<'a> {
    /// Applied first.
    pub activation: Option<Activation>,
    /// In the shape of the output.
    pub factor: Option<&'a Tensor>,
    /// In the shape of the output.
    pub residual: Option<&'a Tensor>,
}

impl Linear {
    /// Reads `weight` `(out, in)` and `bias` `(out)`.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        Self::load_with(weights, input, output, true)
    }

    /// Reads `weight` `(out, in)`; the layer has no bias.
    pub fn load_no_bias(
        weights: &Weights,
        input: usize,
        output: usize,
    ) -> Result<Self, WeightsError> {
        Self::load_with(weights, input, output, false)
    }

    fn load_with(
        weights: &Weights,
        input: usize,
        output: usize,
        has_bias: bool,
    ) -> Result<Self, WeightsError> {
        let bias = || match has_bias {
            true => weights.get(output, "bias").map(Some),
            false => Ok(None),
        };
        let lora = Lora::load(weights, input, output)?;
        if let Some(blocks) = weights.get_blocks((output, input), "weight")? {
            let weight = match kernels::apply_to(weights) {
                true => Weight::Packed(Arc::new(kernels::pack_blocks(&blocks))),
                false => Weight::Quantized(Quantized::new(blocks, weights.device())?),
            };
            return Ok(Self {
                weight,
                bias: bias()?,
                lora,
            });
        }
        if lora.is_none() && input * output >= LARGE && kernels::apply_to(weights) {
            let weight = held(weights, weights.get_as_stored((output, input), "weight")?)?;
            return Ok(Self {
                weight: Weight::Packed(Arc::new(kernels::pack(&weight)?)),
                bias: bias()?,
                lora,
            });
        }
        let mut weight = weights.get((output, input), "weight")?;
        if input * output >= LARGE {
            weight = held(weights, weight)?.to_dtype(weights.dtype())?;
        }
        let layer = Self {
            weight: Weight::Plain(weight),
            bias: bias()?,
            lora,
        };
        Ok(layer.prepared_for(weights)?)
    }

    /// A layer of given tensors, `weight` `(out, in)` and `bias` `(out)`, without LoRA.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight: Weight::Plain(weight),
            bias,
            lora: None,
        }
    }

    /// The layer as it computes fastest with `weights`: packed if they are [for inference](Weights::for_inference) and the kernels
    /// can compute with them, otherwise as it is.
    pub(crate) fn prepared_for(mut self, weights: &Weights) -> Result<Self> {
        if let (Weight::Plain(weight), true, None) =
            (&self.weight, weights.is_for_inference(), &self.lora)
        {
            if kernels::apply(&[weight]) {
                self.weight = Weight::Packed(Arc::new(kernels::pack(weight)?));
            }
        }
        Ok(self)
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// `(…, in)` → `(…, out)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_then(x, After::default())
    }

    /// Applies the layer, and to its output what `after` says.
    ///
    /// # Shapes
    /// `(…, in)` → `(…, out)`.
    pub fn forward_then(&self, x: &Tensor, after: After<'_>) -> Result<Tensor> {
        let mut y = match (&self.weight, &self.lora) {
            (Weight::Packed(weight), None) => return self.forward_packed(x, weight, after),
            (Weight::Packed(weight), Some(lora)) => {
                let product = self.forward_packed(x, weight, After::default())?;
                let rows = x.elem_count() / weight.depth();
                let added = lora.forward(&x.reshape((rows, weight.depth()))?)?;
                (&product + added.reshape(product.shape())?)?
            }
            (Weight::Plain(weight), _) => self.forward_plain(x, weight)?,
            (Weight::Quantized(weight), _) => {
                self.forward_flat(x, weight.shape(), |x| weight.forward(x))?
            }
        };
        if let Some(activation) = after.activation {
            y = activation.forward(&y)?;
        }
        if let Some(factor) = after.factor {
            y = (y * factor)?;
        }
        match after.residual {
            Some(residual) => residual + y,
            None => Ok(y),
        }
    }

    fn forward_packed(&self, x: &Tensor, weight: &Packed, after: After<'_>) -> Result<Tensor> {
        if !kernels::apply(&[x]) {
            candle_core::bail!("a layer that was loaded for inference in f32 on the CPU was given {:?} on {:?}, or was asked for a gradient", x.dtype(), x.device().location());
        }
        let contiguous = |t: Option<&Tensor>| t.map(Tensor::contiguous).transpose();
        let x = x.contiguous()?;
        let (bias, factor, residual) = (
            contiguous(self.bias.as_ref())?,
            contiguous(after.factor)?,
            contiguous(after.residual)?,
        );
        let bias = bias.as_ref().map(values);
        let factor = factor.as_ref().map(values);
        let residual = residual.as_ref().map(values);
        let epilogue = Epilogue {
            bias: bias.as_ref().map(|v| v.contiguous()).transpose()?,
            activation: after
                .activation
                .map_or(cpu_kernels::Activation::None, Activation::kernel),
            factor: factor.as_ref().map(|v| v.contiguous()).transpose()?,
            residual: residual.as_ref().map(|v| v.contiguous()).transpose()?,
        };
        let y = cpu_kernels::linear(values(&x).contiguous()?, weight, &epilogue);
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = weight.columns();
        }
        kernels::tensor(y, shape)
    }

    fn forward_plain(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        if dense::trains_on_cpu_f32(x, weight) && self.lora.is_none() {
            return dense::dense(x, weight, self.bias.as_ref());
        }
        self.forward_flat(x, weight.dims2()?, |x| {
            if weight.track_op() || !x.track_op() {
                x.matmul(&weight.t()?)
            } else {
                frozen_matmul(x, weight)
            }
        })
    }

    /// Bias and adapter around `product`, which is given `(rows, in)`. One flat product is faster than a batched one with a
    /// broadcast weight.
    fn forward_flat(
        &self,
        x: &Tensor,
        (output, input): (usize, usize),
        product: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / input;
        let x = x.reshape((rows, input))?;
        let y = product(&x)?;
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

/// A large weight, rounded to the type that weights are held in.
fn held(weights: &Weights, weight: Tensor) -> Result<Tensor> {
    match weights.held() {
        Some(dtype) => weight.to_dtype(dtype),
        None => Ok(weight),
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
        self.forward_onto(x, None)
    }

    /// [`forward`](Self::forward), and adds `residual`, which has the shape of the output.
    pub fn forward_onto(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let after = After {
                activation: (!last).then_some(self.activation),
                residual: residual.filter(|_| last),
                factor: None,
            };
            x = layer.forward_then(&x, after)?;
        }
        Ok(x)
    }
}

/// A table of vectors, one for each token id.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `(entries, dim)`; for inference in the type that it is stored or held in, since a row at a time is read.
    table: Tensor,
    dtype: DType,
}

impl Embedding {
    /// Reads `weight`, `(entries, dim)`.
    pub fn load(weights: &Weights, entries: usize, dim: usize) -> Result<Self, WeightsError> {
        let table = match weights.is_for_inference() {
            true => held(weights, weights.get_as_stored((entries, dim), "weight")?)?,
            false => weights.get((entries, dim), "weight")?,
        };
        Ok(Self {
            table,
            dtype: weights.dtype(),
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
        self.table.index_select(ids, 0)?.to_dtype(self.dtype)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Device;

    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random, relative_error};

    /// A large weight that is stored in 16 bits stays so, and gives what it gives in 32.
    #[test]
    fn sixteen_bits_are_kept_and_change_nothing() {
        let (input, output) = (512, 513);
        for stored in [DType::F16, DType::BF16] {
            let weight = random((output, input)).to_dtype(stored).unwrap();
            let tensors = HashMap::from([("weight".to_owned(), weight)]);
            let weights = Weights::from_tensors(tensors, DType::F32, &Device::Cpu);
            let load = |weights: &Weights| Linear::load_no_bias(weights, input, output).unwrap();
            let x = random((9, input));
            let plain = load(&weights).forward(&x).unwrap();
            let kept = load(&weights.clone().for_inference()).forward(&x).unwrap();
            assert!(relative_error(&kept, &plain) < 1e-6, "{stored:?}");
        }
    }

    /// Every way to use a packed layer, beside the plain one.
    #[test]
    fn a_packed_layer_equals_the_plain_one() {
        if !kernels::enabled() {
            return; // there is no packed layer here
        }
        let weights = Weights::from_tensors(HashMap::new(), DType::F32, &Device::Cpu);
        for (rows, input, output) in [(1, 8, 3), (7, 400, 50), (100, 33, 300)] {
            let plain = Linear::new(random((output, input)), Some(random(output)));
            let packed = plain.clone().prepared_for(&weights.clone().for_inference());
            let packed = packed.unwrap();
            assert!(matches!(packed.weight, Weight::Packed(_)));
            assert!(matches!(
                plain.clone().prepared_for(&weights).unwrap().weight,
                Weight::Plain(_)
            ));
            let x = random((2, rows, input));
            let (factor, residual) = (random((2, rows, output)), random((2, rows, output)));
            for activation in [
                None,
                Some(Activation::Gelu),
                Some(Activation::QuickGelu),
                Some(Activation::Silu),
                Some(Activation::Relu),
            ] {
                for (factor, residual) in [(None, None), (Some(&factor), Some(&residual))] {
                    let after = After {
                        activation,
                        factor,
                        residual,
                    };
                    let ours = packed.forward_then(&x, after).unwrap();
                    let theirs = plain.forward_then(&x, after).unwrap();
                    let error = relative_error(&ours, &theirs);
                    assert!(error < 2e-6, "{activation:?}: {error}");
                }
            }
            let tracked = candle_core::Var::from_tensor(&x).unwrap();
            assert!(packed.forward(&tracked).is_err(), "it has no gradient");
        }
    }

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
