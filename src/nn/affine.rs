//! Adds a row to every row of a tensor, with a backward that sums over the rows by a matrix product.
//!
//! Candle's broadcast operations sum their gradient over the leading dimensions element by element, which takes longer than the
//! matrix product of the layer. The same sum is `1ᵀ · grad`.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor};

use super::storage::contiguous_f32;
use super::Result;

/// `x + row`, with `row` broadcast over all dimensions but the last.
///
/// # Shapes
/// `x` `(…, dim)`, `row` `(dim)` → as `x`.
pub fn add_row(x: &Tensor, row: &Tensor) -> Result<Tensor> {
    if fused(x, row) {
        x.contiguous()?.apply_op2(&row.contiguous()?, AddRow)
    } else {
        x.broadcast_add(row)
    }
}

/// Whether [`AddRow`] is used: only the gradient of the row is slow otherwise, and only f32 on the CPU is implemented.
fn fused(x: &Tensor, row: &Tensor) -> bool {
    row.track_op() && x.device().is_cpu() && x.dtype() == DType::F32 && x.elem_count() > 0
}

struct AddRow;

impl CustomOp2 for AddRow {
    fn name(&self) -> &'static str {
        "add-row"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        row: &CpuStorage,
        row_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, row) = (
            contiguous_f32(x, x_layout)?,
            contiguous_f32(row, row_layout)?,
        );
        let mut out = Vec::with_capacity(x.len());
        for line in x.chunks_exact(row.len()) {
            out.extend(line.iter().zip(row).map(|(a, b)| a + b));
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        row: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dim = row.elem_count();
        let rows = x.elem_count() / dim;
        let ones = Tensor::ones((1, rows), DType::F32, x.device())?;
        let sum = ones.matmul(&grad.contiguous()?.reshape((rows, dim))?)?;
        Ok((Some(grad.clone()), Some(sum.reshape(dim)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn equal_to_the_broadcast_operation() {
        let inputs = [random((2, 5, 8)), random(8)];
        assert_same_forward_and_gradient(
            &inputs,
            |v| add_row(&v[0], &v[1]),
            |v| v[0].broadcast_add(&v[1]),
            1e-6,
        );
    }
}
