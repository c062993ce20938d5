//! A product with a weight in blocks, where the packed kernels do not apply: on a GPU, in training, and to compare with.

use std::sync::Arc;

use candle_core::quantized::QMatMul;
use candle_core::{DType, Device, Module, Tensor};

use super::graft::graft;
use super::Result;
use crate::weights::BlockMatrix;

/// The weight `(out, in)` of a linear layer, in blocks. It is frozen: gradients go through it to the input.
#[derive(Clone, Debug)]
pub(super) struct Quantized {
    blocks: BlockMatrix,
    /// Candle's own product with blocks on a GPU. On a CPU it would round the input to 8 bits, and the network would be another one
    /// than that of the packed kernels.
    on_gpu: Option<Arc<QMatMul>>,
}

impl Quantized {
    pub fn new(blocks: BlockMatrix, device: &Device) -> Result<Self> {
        let on_gpu = match device.is_cpu() {
            true => None,
            false => Some(Arc::new(QMatMul::from_qtensor(blocks.tensor(device)?)?)),
        };
        Ok(Self { blocks, on_gpu })
    }

    /// Outputs and inputs.
    pub fn shape(&self) -> (usize, usize) {
        self.blocks.shape()
    }

    /// `x Wᵀ`.
    ///
    /// # Shapes
    /// `(rows, in)` → `(rows, out)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.track_op() {
            let y = x.detach().matmul(&self.numbers(x)?.t()?)?;
            // The numbers are made again in the backward pass: keeping them would take the memory that blocks save.
            let this = self.clone();
            return graft("quantized-linear", x, &y, move |_, _, grad| {
                grad.matmul(&this.numbers(grad)?)
            });
        }
        match &self.on_gpu {
            // Candle's kernels take f32.
            Some(product) => product
                .forward(&x.to_dtype(DType::F32)?)?
                .to_dtype(x.dtype()),
            None => x.matmul(&self.numbers(x)?.t()?),
        }
    }

    /// The weight in the type and on the device of `like`.
    fn numbers(&self, like: &Tensor) -> Result<Tensor> {
        let numbers = match &self.on_gpu {
            Some(product) => match product.as_ref() {
                QMatMul::QTensor(blocks) => blocks.dequantize(like.device())?,
                QMatMul::Tensor(numbers) | QMatMul::TensorF16(numbers) => numbers.clone(),
            },
            None => self.blocks.dequantize()?,
        };
        numbers.to_dtype(like.dtype())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use cpu_kernels::BlockFormat;

    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random, relative_error};
    use crate::nn::Linear;
    use crate::weights::{LoraUse, Weights};

    const INPUT: usize = 256;
    const OUTPUT: usize = 70;

    /// A layer with a weight in blocks and, if asked for, an adapter; and the numbers of the weight.
    fn weights(format: BlockFormat) -> (Weights, Tensor) {
        let blocks = BlockMatrix::quantize(&random((OUTPUT, INPUT)), format).unwrap();
        let numbers = blocks.dequantize().unwrap();
        let tensors = HashMap::from([
            ("lora_A.weight".to_owned(), random((4, INPUT))),
            ("lora_B.weight".to_owned(), random((OUTPUT, 4))),
            ("bias".to_owned(), random(OUTPUT)),
        ]);
        let blocks = HashMap::from([("weight".to_owned(), blocks)]);
        let weights = Weights::from_parts(tensors, blocks, DType::F32, &Device::Cpu);
        (weights, numbers)
    }

    #[test]
    fn a_quantized_layer_and_its_gradient_are_those_of_its_numbers() {
        for format in [BlockFormat::Q8_0, BlockFormat::Q4_1, BlockFormat::Q4K] {
            let (weights, numbers) = weights(format);
            let layer = Linear::load(&weights, INPUT, OUTPUT).unwrap();
            let bias = weights.get(OUTPUT, "bias").unwrap();
            let plain = Linear::new(numbers, Some(bias));
            assert_same_forward_and_gradient(
                &[random((2, 3, INPUT))],
                |v| layer.forward(&v[0]),
                |v| plain.forward(&v[0]),
                1e-6,
            );
        }
    }

    /// The packed kernel, candle's product with the numbers, and both with an adapter.
    #[test]
    fn inference_gives_what_training_gives() {
        for format in [BlockFormat::Q8_0, BlockFormat::Q4_1, BlockFormat::Q4K] {
            let lora = LoraUse {
                scale: 0.5,
                dropout: None,
            };
            let (weights, _) = weights(format);
            for weights in [weights.clone(), weights.with_lora(lora)] {
                let load = |weights: &Weights| Linear::load(weights, INPUT, OUTPUT).unwrap();
                let (trained, used) = (load(&weights), load(&weights.clone().for_inference()));
                for rows in [1, 9] {
                    let x = random((rows, INPUT));
                    let (ours, theirs) = (used.forward(&x).unwrap(), trained.forward(&x).unwrap());
                    assert!(relative_error(&ours, &theirs) < 2e-6, "{format:?}");
                }
            }
        }
    }
}
