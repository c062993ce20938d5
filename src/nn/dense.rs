//! A linear layer as one node of the graph, for training on the CPU.
//!
//! Candle's backward adds the gradient of every node to a tensor of zeros. A product, a transposition, two reshapes and a bias
//! are five nodes, which move five times as much memory as the one gradient that is wanted.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};

use super::storage::contiguous_f32;
use super::Result;

/// Whether [`dense`] is used: the weight is trained, and `x` is f32 on the CPU.
pub fn trains_on_cpu_f32(x: &Tensor, weight: &Tensor) -> bool {
    weight.track_op() && x.device().is_cpu() && x.dtype() == DType::F32 && x.elem_count() > 0
}

/// `x Wᵀ + b`, as one node of the graph.
///
/// # Shapes
/// `x` `(…, in)`, `weight` `(out, in)`, `bias` `(out)` → `(…, out)`.
pub fn dense(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let x = x.contiguous()?;
    let product = rows(&x.detach())?.matmul(&weight.detach().t()?)?;
    let op = Dense { product };
    match bias {
        Some(bias) => x.apply_op3(weight, bias, op),
        None => x.apply_op2(weight, op),
    }
}

struct Dense {
    product: Tensor, // (rows, out)
}

/// `(…, dim)` → `(rows, dim)`.
fn rows(x: &Tensor) -> Result<Tensor> {
    let dim = x.dim(candle_core::D::Minus1)?;
    x.contiguous()?.reshape((x.elem_count() / dim, dim))
}

impl Dense {
    fn shape(&self, x: &Layout) -> Result<Shape> {
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.product.dim(1)?;
        }
        Ok(dims.into())
    }

    fn input_and_weight(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Gradients {
        let flat = rows(grad)?;
        let dx = match x.track_op() {
            true => Some(flat.matmul(&weight.detach())?.reshape(x.shape())?),
            false => None,
        };
        let dw = match weight.track_op() {
            true => Some(flat.t()?.matmul(&rows(&x.detach())?)?),
            false => None,
        };
        Ok((dx, dw))
    }
}

type Gradients = Result<(Option<Tensor>, Option<Tensor>)>;

impl CustomOp2 for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        x: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let product = self.product.flatten_all()?.to_vec1::<f32>()?;
        Ok((CpuStorage::F32(product), self.shape(x)?))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Gradients {
        self.input_and_weight(x, weight, grad)
    }
}

impl CustomOp3 for Dense {
    fn name(&self) -> &'static str {
        "dense-with-bias"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        x: &Layout,
        _: &CpuStorage,
        _: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = contiguous_f32(bias, bias_layout)?;
        let mut y = self.product.flatten_all()?.to_vec1::<f32>()?;
        for line in y.chunks_exact_mut(bias.len()) {
            line.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
        Ok((CpuStorage::F32(y), self.shape(x)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.input_and_weight(x, weight, grad)?;
        let db = match bias.track_op() {
            true => {
                let flat = rows(grad)?;
                let ones = Tensor::ones((1, flat.dim(0)?), DType::F32, flat.device())?;
                Some(ones.matmul(&flat)?.flatten_all()?)
            }
            false => None,
        };
        Ok((dx, dw, db))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    fn plain(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        x.broadcast_matmul(&weight.t()?)
    }

    #[test]
    fn one_node_equals_the_composition() {
        assert_same_forward_and_gradient(
            &[random((2, 5, 8)), random((3, 8)), random(3)],
            |v| dense(&v[0], &v[1], Some(&v[2])),
            |v| plain(&v[0], &v[1])?.broadcast_add(&v[2]),
            1e-6,
        );
        assert_same_forward_and_gradient(
            &[random((2, 5, 8)), random((3, 8))],
            |v| dense(&v[0], &v[1], None),
            |v| plain(&v[0], &v[1]),
            1e-6,
        );
    }
}
