//! Rotary position embedding in Llama's half-rotated form.

use candle_core::{DType, Device, Tensor};

use super::Result;

use super::graft::graft;

/// Tables of the cosines and sines of every position.
#[derive(Clone, Debug)]
pub struct RotaryEmbedding {
    cos: Tensor, // (positions, head_dim / 2)
    sin: Tensor,
}

impl RotaryEmbedding {
    /// Tables for the positions `0..positions` and heads of width `head_dim`, in `dtype` on `device`. `theta` is the base of the
    /// wavelengths, and positions are divided by `scale` (linear rope scaling; 1 for none). The tables are rounded to `precision`
    /// first, because the reference holds them in its checkpoint's precision.
    pub fn new(
        head_dim: usize,
        positions: usize,
        theta: f64,
        scale: f64,
        precision: DType,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let frequencies: Vec<f32> = (0..head_dim / 2)
            .map(|i| (1.0 / theta.powf(2.0 * i as f64 / head_dim as f64)) as f32)
            .collect();
        let frequencies = Tensor::from_vec(frequencies, (1, head_dim / 2), device)?;
        let positions: Vec<f32> = (0..positions).map(|p| (p as f64 / scale) as f32).collect();
        let count = positions.len();
        let angles =
            Tensor::from_vec(positions, (count, 1), device)?.broadcast_mul(&frequencies)?;
        Ok(Self {
            cos: angles.cos()?.to_dtype(precision)?.to_dtype(dtype)?,
            sin: angles.sin()?.to_dtype(precision)?.to_dtype(dtype)?,
        })
    }

    /// The rotation of positions `start..start + count`.
    pub fn at(&self, start: usize, count: usize) -> Result<Rotation> {
        Ok(Rotation {
            cos: self.cos.narrow(0, start, count)?.contiguous()?,
            sin: self.sin.narrow(0, start, count)?.contiguous()?,
        })
    }

    /// The rotation of the given positions, in any order.
    pub fn select(&self, positions: &[u32]) -> Result<Rotation> {
        let positions = Tensor::from_slice(positions, positions.len(), self.cos.device())?;
        Ok(Rotation {
            cos: self.cos.index_select(&positions, 0)?,
            sin: self.sin.index_select(&positions, 0)?,
        })
    }
}

/// The cosines and sines of the positions of one sequence.
#[derive(Clone, Debug)]
pub struct Rotation {
    cos: Tensor, // (seq, head_dim / 2)
    sin: Tensor,
}

impl Rotation {
    /// Rotates queries or keys.
    ///
    /// # Shapes
    /// `(batch, heads, seq, head_dim)` → the same.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        let x = x.contiguous()?;
        if !x.track_op() {
            return candle_nn::rotary_emb::rope(&x, &cos, &sin);
        }
        let y = candle_nn::rotary_emb::rope(&x.detach(), &cos, &sin)?;
        // The transpose of a rotation is the rotation by the opposite angle.
        graft("rope", &x, &y, move |_, _, grad| {
            candle_nn::rotary_emb::rope(&grad.contiguous()?, &cos, &sin.neg()?)
        })
    }

    /// [`apply`](Self::apply) as a composition of candle's differentiable operations.
    #[cfg(test)]
    pub fn apply_plain(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::rotary_emb::rope_slow(x, &self.cos, &self.sin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn fused_equals_plain() {
        let rope = RotaryEmbedding::new(8, 16, 10000.0, 1.0, DType::F32, DType::F32, &Device::Cpu)
            .unwrap();
        for rotation in [
            rope.at(3, 5).unwrap(),
            rope.select(&[0, 1, 7, 1, 2]).unwrap(),
        ] {
            assert_same_forward_and_gradient(
                &[random((1, 2, 5, 8))],
                |v| rotation.apply(&v[0]),
                |v| rotation.apply_plain(&v[0]),
                1e-5,
            );
        }
    }
}
