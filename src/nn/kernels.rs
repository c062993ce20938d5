//! Where the kernels of the crate `cpu_kernels` take the place of candle's: f32 on a CPU, off the path of a gradient.
//!
//! `LISA_KERNELS=plain` in the environment turns them off, to compare and to find faults. The results are the same up to rounding.

use std::ops::Deref;
use std::sync::OnceLock;

use candle_core::{CpuStorage, DType, Device, Layout, Shape, Storage, Tensor};
use cpu_kernels::{Packed, Source};

use super::Result;
use crate::weights::{BlockMatrix, Weights};

/// Whether this process uses the kernels at all: the processor has a vector unit that they are written for, and nobody turned
/// them off.
pub fn enabled() -> bool {
    static ENABLED: OnceLock<bool> = OnceLock::new();
    *ENABLED.get_or_init(|| {
        let plain = std::env::var_os("LISA_KERNELS").is_some_and(|value| value == "plain");
        !plain && cpu_kernels::available()
    })
}

/// Whether the kernels can compute with these tensors.
pub(super) fn apply(tensors: &[&Tensor]) -> bool {
    let f32_on_cpu = |t: &&Tensor| {
        t.device().is_cpu() && t.dtype() == DType::F32 && !t.track_op() && t.elem_count() > 0
    };
    enabled() && tensors.iter().all(f32_on_cpu)
}

/// Whether the kernels can compute with what is loaded from `weights`, and need no gradient of it.
pub(super) fn apply_to(weights: &Weights) -> bool {
    let computes = weights.device().is_cpu() && weights.dtype() == DType::F32;
    enabled() && weights.is_for_inference() && computes
}

/// Packs the weight of a linear layer. One of 16 bits stays so, which loses nothing.
///
/// # Shapes
/// `(out, in)`, in any type of numbers, on the CPU.
pub(super) fn pack(weight: &Tensor) -> Result<Packed> {
    let (output, input) = weight.dims2()?;
    let weight = match weight.dtype() {
        DType::F16 | DType::BF16 => weight.contiguous()?,
        _ => weight.to_dtype(DType::F32)?.contiguous()?,
    };
    let (storage, layout) = weight.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a contiguous tensor was promised")
    };
    let source = match &*storage {
        Storage::Cpu(CpuStorage::F32(numbers)) => Source::F32(&numbers[start..end]),
        Storage::Cpu(CpuStorage::F16(numbers)) => Source::F16(&numbers[start..end]),
        Storage::Cpu(CpuStorage::BF16(numbers)) => Source::Bf16(&numbers[start..end]),
        _ => candle_core::bail!("a tensor on the CPU was promised"),
    };
    Ok(Packed::transposed(source, output, input))
}

/// Packs the weight `(out, in)` of a linear layer that is stored in blocks.
pub(super) fn pack_blocks(weight: &BlockMatrix) -> Packed {
    let (output, input) = weight.shape();
    let source = Source::Blocks(weight.format(), weight.bytes());
    Packed::transposed(source, output, input)
}

/// The numbers behind a tensor, borrowed.
pub(super) struct Values<'a, Guard> {
    storage: Guard,
    layout: &'a Layout,
}

/// Borrows the numbers of a tensor.
pub(super) fn values(tensor: &Tensor) -> Values<'_, impl Deref<Target = Storage> + '_> {
    let (storage, layout) = tensor.storage_and_layout();
    Values { storage, layout }
}

impl<Guard: Deref<Target = Storage>> Values<'_, Guard> {
    /// The elements of a contiguous tensor.
    pub fn contiguous(&self) -> Result<&[f32]> {
        match self.layout.contiguous_offsets() {
            Some((start, end)) => Ok(&self.all()?[start..end]),
            None => candle_core::bail!("a contiguous tensor was promised"),
        }
    }

    /// The numbers from the tensor's first element on; its strides lead from there.
    pub fn after_start(&self) -> Result<&[f32]> {
        Ok(&self.all()?[self.layout.start_offset()..])
    }

    fn all(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => Ok(values),
            _ => candle_core::bail!("f32 on the CPU was promised"),
        }
    }
}

/// The result of a kernel as a tensor.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}
