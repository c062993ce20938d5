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
