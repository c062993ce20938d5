//! Decomposed relative positions: a bias for each pair of patches, from one table for each axis.
//!
//! The reference adds `q · R_h` and `q · R_w` to a score matrix of shape (n, n). [`DecomposedPositions::fold`] gives the same
//! scores with one product: the biases are appended to the query as columns, and one-hot columns of the key select them, so that
//! no second (n, n) matrix is needed.

use std::sync::Arc;

use candle_core::Tensor;

use crate::model::stop::{ModelError, Stop};
use crate::nn::{interpolation_matrix, PackedPositions, Result};
use crate::weights::Weights;

/// The tables of one attention layer, for a fixed grid of patches.
pub(super) struct DecomposedPositions {
    // (side, side, head_dim): [query coordinate, key coordinate]
    rows: Tensor,
    columns: Tensor,
    // (n, side + side): one-hot row and column of every patch
    one_hot: Tensor,
    side: usize,
    /// For the kernel, where the weights are for inference and it can compute with them.
    packed: Option<Arc<PackedPositions>>,
}

impl DecomposedPositions {
    /// Expands the learned tables, `(2·learned − 1, head_dim)`, for a grid of `side` patches along each side. They are
    /// interpolated where the weights were trained at another size.
    pub fn new(rel_pos_h: &Tensor, rel_pos_w: &Tensor, side: usize) -> Result<Self> {
        let (dtype, device) = (rel_pos_h.dtype(), rel_pos_h.device());
        let mut one_hot = vec![0f32; side * side * 2 * side];
        for (i, row) in one_hot.chunks_exact_mut(2 * side).enumerate() {
            row[i / side] = 1.0;
            row[side + i % side] = 1.0;
        }
        Ok(Self {
            rows: spread(rel_pos_h, side)?,
            columns: spread(rel_pos_w, side)?,
            one_hot: Tensor::from_vec(one_hot, (side * side, 2 * side), device)?.to_dtype(dtype)?,
            side,
            packed: None,
        })
    }

    /// The tables as they compute fastest with `weights`.
    pub fn prepared_for(self, weights: &Weights) -> Result<Self> {
        let packed = match weights.is_for_inference() {
            true => PackedPositions::new(&self.rows, &self.columns)?.map(Arc::new),
            false => self.packed,
        };
        Ok(Self { packed, ..self })
    }

    /// Attention by the kernel; `None` where it cannot be used.
    ///
    /// # Errors
    /// [`ModelError::Stopped`] and [`ModelError::Candle`].
    ///
    /// # Shapes
    /// `qkv` `(batch, side, side, 3 · heads · head_dim)` → `(batch, side, side, heads · head_dim)`.
    pub fn attend(
        &self,
        qkv: &Tensor,
        heads: usize,
        stop: Stop<'_>,
    ) -> Result<Option<Tensor>, ModelError> {
        match &self.packed {
            Some(packed) => packed.attend(qkv, heads, stop).map(Some),
            None => Ok(None),
        }
    }

    /// The biases of each query for each row and for each column of keys.
    ///
    /// # Shapes
    /// `q` `(batch, heads, n, head_dim)` → two of `(batch, heads, n, side)`.
    pub fn biases(&self, q: &Tensor) -> Result<(Tensor, Tensor)> {
        let (batch, heads, n, head_dim) = q.dims4()?;
        let (bh, side) = (batch * heads, self.side);
        // For every row of queries a product (bh·w, d) × (d, side), and below the same for every column.
        let grid = q.reshape((bh, side, side, head_dim))?;
        let by_row = grid.transpose(0, 1)?.reshape((side, bh * side, head_dim))?;
        let rel_h = by_row.matmul(&self.rows.transpose(1, 2)?.contiguous()?)?; // (h, bh·w, side)
        let rel_h = rel_h.reshape((side, bh, side, side))?.transpose(0, 1)?;
        let by_column = grid
            .permute([2, 0, 1, 3])?
            .reshape((side, bh * side, head_dim))?;
        let rel_w = by_column.matmul(&self.columns.transpose(1, 2)?.contiguous()?)?; // (w, bh·h, side)
        let rel_w = rel_w
            .reshape((side, bh, side, side))?
            .permute([1, 2, 0, 3])?;
        Ok((
            rel_h.reshape((batch, heads, n, side))?,
            rel_w.reshape((batch, heads, n, side))?,
        ))
    }

    /// Queries and keys with more columns, whose product is the score matrix with its biases.
    ///
    /// # Shapes
    /// `q`, `k` `(batch, heads, n, d)` → `(batch, heads, n, d + 2·side)` each.
    pub fn fold(&self, q: &Tensor, k: &Tensor, scale: f64) -> Result<(Tensor, Tensor)> {
        let (batch, heads, n, _) = q.dims4()?;
        let (rel_h, rel_w) = self.biases(q)?;
        let one_hot = self
            .one_hot
            .broadcast_as((batch, heads, n, 2 * self.side))?;
        let q = Tensor::cat(&[&(q * scale)?, &rel_h, &rel_w], 3)?;
        let k = Tensor::cat(&[k, &one_hot.contiguous()?], 3)?;
        Ok((q, k))
    }

    /// The score matrix as the reference computes it.
    ///
    /// # Shapes
    /// `q`, `k` `(batch, heads, n, d)` → `(batch, heads, n, n)`.
    #[cfg(test)]
    pub fn scores_plain(&self, q: &Tensor, k: &Tensor, scale: f64) -> Result<Tensor> {
        let (batch, heads, n, _) = q.dims4()?;
        let (rel_h, rel_w) = self.biases(q)?;
        let side = self.side;
        (q * scale)?
            .matmul(&k.t()?)?
            .reshape(&[batch * heads, n, side, side][..])?
            .broadcast_add(&rel_h.reshape((batch * heads, n, side, 1))?)?
            .broadcast_add(&rel_w.reshape((batch * heads, n, 1, side))?)?
            .reshape((batch, heads, n, n))
    }
}

/// `(2·learned − 1, head_dim)` → `(side, side, head_dim)`, where `[q, k]` is the entry of distance `q − k`.
fn spread(table: &Tensor, side: usize) -> Result<Tensor> {
    let (entries, head_dim) = table.dims2()?;
    let needed = 2 * side - 1;
    let table = if entries == needed {
        table.clone()
    } else {
        let matrix =
            interpolation_matrix(entries, needed, table.device())?.to_dtype(table.dtype())?;
        matrix.matmul(table)?
    };
    let index: Vec<u32> = (0..side)
        .flat_map(|q| (0..side).map(move |k| (q + side - 1 - k) as u32))
        .collect();
    let index = Tensor::from_vec(index, side * side, table.device())?;
    table
        .index_select(&index, 0)?
        .reshape((side, side, head_dim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn folding_equals_the_reference() {
        for learned in [5, 4] {
            let tables = (random((2 * learned - 1, 8)), random((2 * learned - 1, 8)));
            assert_same_forward_and_gradient(
                &[
                    random((2, 3, 25, 8)),
                    random((2, 3, 25, 8)),
                    tables.0,
                    tables.1,
                ],
                |v| {
                    let (q, k) =
                        DecomposedPositions::new(&v[2], &v[3], 5)?.fold(&v[0], &v[1], 0.3)?;
                    q.matmul(&k.t()?)
                },
                |v| DecomposedPositions::new(&v[2], &v[3], 5)?.scores_plain(&v[0], &v[1], 0.3),
                1e-5,
            );
        }
    }
}
