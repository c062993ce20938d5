//! Layer norm and RMS norm as one node of the graph, for training on the CPU. The value takes one pass over the data, and all
//! gradients together take another.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor, D};

use super::storage::contiguous_f32;
use super::Result;

/// The operation: layer norm where it is applied to weight and bias, RMS norm where it is applied to a weight alone. All tensors
/// must be f32, contiguous and on the CPU.
pub(super) struct TrainedNorm {
    pub eps: f32,
}

/// What a row is shifted and scaled by; RMS norm does not shift.
struct Moments {
    mean: f32,
    scale: f32,
}

impl TrainedNorm {
    fn moments(&self, row: &[f32], centred: bool) -> Moments {
        let n = row.len() as f32;
        let mean = if centred {
            sum(row.iter().copied()) / n
        } else {
            0.0
        };
        let variance = sum(row.iter().map(|v| (v - mean) * (v - mean))) / n;
        Moments {
            mean,
            scale: 1.0 / (variance + self.eps).sqrt(),
        }
    }

    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let mut out = Vec::with_capacity(x.len());
        for row in x.chunks_exact(weight.len()) {
            let Moments { mean, scale } = self.moments(row, bias.is_some());
            let line = row.iter().zip(weight).map(|(v, w)| (v - mean) * scale * w);
            match bias {
                Some(bias) => out.extend(line.zip(bias).map(|(v, b)| v + b)),
                None => out.extend(line),
            }
        }
        out
    }

    /// The gradients of input, weight and bias.
    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
        centred: bool,
    ) -> Result<[Tensor; 3]> {
        let dim = x.dim(D::Minus1)?;
        let values = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (xs, ws, gs) = (values(x)?, values(weight)?, values(grad)?);
        let n = dim as f32;
        let mut dx = Vec::with_capacity(xs.len());
        let (mut dw, mut db) = (vec![0f32; dim], vec![0f32; dim]);
        // The normalised input of one row, and its gradient.
        let (mut y, mut h) = (vec![0f32; dim], vec![0f32; dim]);
        for (x, g) in xs.chunks_exact(dim).zip(gs.chunks_exact(dim)) {
            let Moments { mean, scale } = self.moments(x, centred);
            for (((y, h), (x, g)), ((w, dw), db)) in y
                .iter_mut()
                .zip(&mut h)
                .zip(x.iter().zip(g))
                .zip(ws.iter().zip(&mut dw).zip(&mut db))
            {
                *y = (x - mean) * scale;
                *h = g * w;
                *dw += g * *y;
                *db += g;
            }
            // dx = (h − mean(h) − y · mean(h·y)) / σ; RMS norm subtracts no mean.
            let along = sum(h.iter().zip(&y).map(|(h, y)| h * y)) / n;
            let offset = if centred {
                sum(h.iter().copied()) / n
            } else {
                0.0
            };
            dx.extend(
                h.iter()
                    .zip(&y)
                    .map(|(h, y)| (h - offset - y * along) * scale),
            );
        }
        Ok([
            Tensor::from_vec(dx, x.shape(), x.device())?,
            Tensor::from_vec(dw, weight.shape(), x.device())?,
            Tensor::from_vec(db, weight.shape(), x.device())?,
        ])
    }
}

/// The sum in sixteen lanes. A single sum would stay scalar, because the compiler may not reorder float additions.
fn sum(mut values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let mut lanes = [0f32; 16];
    for _ in 0..values.len() / 16 {
        for (lane, value) in lanes.iter_mut().zip(&mut values) {
            *lane += value;
        }
    }
    let rest: f32 = values.sum();
    lanes.iter().sum::<f32>() + rest
}

/// The gradient of a tensor that is trained; a frozen one gets none.
fn gradient_if_trained(tensor: &Tensor, gradient: Tensor) -> Option<Tensor> {
    tensor.track_op().then_some(gradient)
}

impl CustomOp3 for TrainedNorm {
    fn name(&self) -> &'static str {
        "trained-layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (
            contiguous_f32(x, x_layout)?,
            contiguous_f32(weight, weight_layout)?,
        );
        let y = self.forward(x, weight, Some(contiguous_f32(bias, bias_layout)?));
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = self.backward(x, weight, grad, true)?;
        Ok((
            gradient_if_trained(x, dx),
            gradient_if_trained(weight, dw),
            gradient_if_trained(bias, db),
        ))
    }
}

impl CustomOp2 for TrainedNorm {
    fn name(&self) -> &'static str {
        "trained-rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(
            contiguous_f32(x, x_layout)?,
            contiguous_f32(weight, weight_layout)?,
            None,
        );
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = self.backward(x, weight, grad, false)?;
        Ok((gradient_if_trained(x, dx), gradient_if_trained(weight, dw)))
    }
}
