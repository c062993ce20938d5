//! Gives a backward to a result that was computed outside the graph.
//!
//! Candle's fused kernels (softmax, norms, rotary embedding) give no gradient, and no error either. With [`graft`] their forward
//! can be used all the same: the result is computed on detached tensors, then tied to the input by an operation whose forward
//! returns the result and whose backward is given by the caller.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, MetalStorage, Shape, Tensor};

use super::Result;

type Backward = Box<dyn Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync>;

struct Graft {
    name: &'static str,
    backward: Backward,
}

/// Returns `result` as a function of `input`, with `backward(input, result, grad) -> grad of input`.
///
/// # Shapes
/// `result` has any shape and must be contiguous; `backward` must return the shape of `input`.
pub(crate) fn graft(
    name: &'static str,
    input: &Tensor,
    result: &Tensor,
    backward: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let op = Graft {
        name,
        backward: Box::new(backward),
    };
    input.apply_op2(&result.detach(), op)
}

impl CustomOp2 for Graft {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        result: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((result.try_clone(layout)?, layout.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        result: &CudaStorage,
        layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((result.try_clone(layout)?, layout.shape().clone()))
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        result: &MetalStorage,
        layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Ok((result.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        result: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some((self.backward)(input, result, grad)?), None))
    }
}
