//! Attention on a grid with SAM's decomposed relative positions, by the kernel.

use candle_core::Tensor;
use cpu_kernels::{Bias, DecomposedBias, Heads, Sizes};

use super::kernels::{self, values};
use super::Result;
use crate::model::{ModelError, Stop};

/// The tables of relative positions of one attention layer, as the kernel reads them.
#[derive(Debug)]
pub struct PackedPositions {
    bias: DecomposedBias,
}

impl PackedPositions {
    /// Packs the tables; `None` where the kernel cannot compute with them.
    ///
    /// # Shapes
    /// `rows` and `columns` `(side, side, head_dim)`: \[coordinate of the query, coordinate of the key\].
    pub fn new(rows: &Tensor, columns: &Tensor) -> Result<Option<Self>> {
        if !kernels::apply(&[rows, columns]) {
            return Ok(None);
        }
        let (side, _, head_dim) = rows.dims3()?;
        let (rows, columns) = (rows.contiguous()?, columns.contiguous()?);
        let (rows, columns) = (values(&rows), values(&columns));
        let bias = DecomposedBias::new(rows.contiguous()?, columns.contiguous()?, side, head_dim);
        Ok(Some(Self { bias }))
    }

    /// `softmax(q · kᵀ / √head_dim + positions) · v` for each head; `stop` is asked several times.
    ///
    /// # Errors
    /// [`ModelError::Stopped`], and [`ModelError::Candle`] where `qkv` is not f32 on the CPU.
    ///
    /// # Shapes
    /// `qkv` `(batch, side, side, 3 · heads · head_dim)` → `(batch, side, side, heads · head_dim)`.
    pub fn attend(&self, qkv: &Tensor, heads: usize, stop: Stop<'_>) -> Result<Tensor, ModelError> {
        let (batch, h, w, width) = qkv.dims4()?;
        let (positions, dim) = (h * w, width / 3);
        let head_dim = dim / heads;
        let qkv = qkv.contiguous()?;
        let numbers = values(&qkv);
        let numbers = numbers.contiguous()?;
        let part = |i: usize| Heads {
            data: &numbers[i * dim..],
            batch_stride: positions * width,
            head_stride: head_dim,
            stride: width,
        };
        let sizes = Sizes {
            batch,
            heads,
            kv_heads: heads,
            queries: positions,
            keys: positions,
            head_dim,
        };
        let scale = (head_dim as f32).powf(-0.5);
        let bias = Bias::Decomposed(&self.bias);
        let y = cpu_kernels::attention((part(0), part(1), part(2)), sizes, scale, bias, stop);
        let y = y.ok_or(ModelError::Stopped)?;
        Ok(kernels::tensor(y, (batch, h, w, dim))?)
    }
}
