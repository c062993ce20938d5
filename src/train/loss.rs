//! The training objective: cross-entropy of the answers, BCE and DICE of the masks.
//!
//! Each term is a sum that the caller divides by what the whole batch holds (labelled tokens, masks), so that a
//! batch may go through image by image and still give the reference's averages.

use candle_core::{DType, Tensor, D};
use cpu_kernels::exp;

use crate::data::TruthMask;
use crate::nn::{graft, Result};

/// Added to the number of masks before the masks' losses are divided by it, as in the reference.
pub const MASK_COUNT_EPS: f64 = 1e-8;

const DICE_SCALE: f64 = 1000.0;
const DICE_EPS: f64 = 1e-6;

/// Sum over the rows of −log softmax(logits)[target].
///
/// # Shapes
/// `logits` `(rows, vocab)`, one target id for each row → a scalar, f32.
pub fn cross_entropy_sum(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    let targets = Tensor::from_slice(targets, (targets.len(), 1), logits.device())?;
    let max = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&max)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    (log_sum - shifted.gather(&targets, 1)?)?.sum_all()
}

/// Truth of several masks of one image, as tensors beside the logits.
#[derive(Clone, Debug)]
pub struct MaskTargets {
    /// `(masks, height · width)`: 1 where a pixel is object, else 0.
    truth: Tensor,
    /// `(masks, height · width)`: 0 where a pixel is ignored, else 1.
    valid: Tensor,
}

impl MaskTargets {
    /// Copies the masks to `device`.
    ///
    /// # Errors
    /// Masks of different sizes, or none.
    pub fn new(masks: &[TruthMask], device: &candle_core::Device) -> Result<Self> {
        let Some(first) = masks.first() else {
            candle_core::bail!("there is no mask to compare with");
        };
        let size = first.pixels.len();
        if masks.iter().any(|m| m.pixels.len() != size) {
            candle_core::bail!("the masks of one image differ in size");
        }
        let collect = |value: fn(u8) -> f32| {
            let values: Vec<f32> = masks
                .iter()
                .flat_map(|m| m.pixels.iter().map(move |p| value(*p)))
                .collect();
            Tensor::from_vec(values, (masks.len(), size), device)
        };
        Ok(Self {
            truth: collect(|p| f32::from(u8::from(p == 1)))?,
            valid: collect(|p| f32::from(u8::from(p != TruthMask::IGNORED)))?,
        })
    }
}

/// BCE and DICE loss of every mask. Ignored pixels count in neither.
///
/// # Shapes
/// `logits` `(masks, height, width)`, f32 → `(masks, 2)`: the mean BCE over a mask's pixels, and its DICE loss.
pub fn mask_losses(logits: &Tensor, targets: &MaskTargets) -> Result<Tensor> {
    if !logits.device().is_cpu() || logits.dtype() != DType::F32 {
        return mask_losses_plain(logits, targets);
    }
    // One pass over the pixels forward and one backward, instead of a dozen tensors as large as the image.
    let flat = logits.flatten_from(1)?.contiguous()?;
    let values = flat.detach().to_vec2::<f32>()?;
    let (truth, valid) = (
        targets.truth.to_vec2::<f32>()?,
        targets.valid.to_vec2::<f32>()?,
    );
    let sums: Vec<Sums> = values
        .iter()
        .zip(truth.iter().zip(&valid))
        .map(|(z, (t, w))| Sums::of(z, t, w))
        .collect();
    let result: Vec<f32> = sums
        .iter()
        .flat_map(|s| [s.bce() as f32, s.dice() as f32])
        .collect();
    let result = Tensor::from_vec(result, (sums.len(), 2), logits.device())?;
    graft("mask-losses", &flat, &result, move |z, _, grad| {
        let (masks, size) = z.dims2()?;
        let z = z.to_vec2::<f32>()?;
        let grad = grad.to_vec2::<f32>()?;
        let mut out = vec![0f32; masks * size];
        for (i, (s, out)) in sums
            .iter()
            .zip(out.chunks_exact_mut(size.max(1)))
            .enumerate()
        {
            let bce = f64::from(grad[i][0]) / s.pixels.max(1.0);
            let (a, b) = s.dice_slopes();
            let (bce, a, b) = (
                bce as f32,
                f64::from(grad[i][1]) as f32 * a as f32,
                f64::from(grad[i][1]) as f32 * b as f32,
            );
            for (((out, z), t), w) in out.iter_mut().zip(&z[i]).zip(&truth[i]).zip(&valid[i]) {
                let p = sigmoid(*z);
                *out = w * (bce * (p - t) + (a * t + b) * p * (1.0 - p));
            }
        }
        Tensor::from_vec(out, (masks, size), &candle_core::Device::Cpu)
    })
}

/// [`mask_losses`] as a composition of candle's differentiable operations, for any device.
pub fn mask_losses_plain(logits: &Tensor, targets: &MaskTargets) -> Result<Tensor> {
    let z = logits.to_dtype(DType::F32)?.flatten_from(1)?;
    let (t, w) = (&targets.truth, &targets.valid);
    // max(z, 0) − z·t + log(1 + exp(−|z|))
    let soft = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let bce = ((z.relu()? - (&z * t)?)? + soft)?;
    let pixels = w.sum_keepdim(1)?.clamp(1.0, f64::MAX)?;
    let bce = (bce * w)?.sum_keepdim(1)?.div(&pixels)?;
    let p = (candle_nn::ops::sigmoid(&z)? * w)?;
    let overlap = (&p * t)?.sum_keepdim(1)?;
    let total = (p.sum_keepdim(1)? + (t * w)?.sum_keepdim(1)?)?;
    let numerator = ((overlap * (2.0 / DICE_SCALE))? + DICE_EPS)?;
    let denominator = ((total / DICE_SCALE)? + DICE_EPS)?;
    let dice = (numerator.div(&denominator)?.neg()? + 1.0)?;
    Tensor::cat(&[bce, dice], 1)
}

/// The sums over a mask's pixels from which its two losses are computed.
struct Sums {
    pixels: f64,
    bce: f64,
    overlap: f64,
    total: f64,
}

impl Sums {
    fn of(z: &[f32], t: &[f32], w: &[f32]) -> Self {
        let mut sums = Self {
            pixels: 0.0,
            bce: 0.0,
            overlap: 0.0,
            total: 0.0,
        };
        // Sixteen lanes of f32, which vectorise, for a few thousand pixels at a time; those are summed in f64.
        const LANES: usize = 16;
        for ((z, t), w) in z.chunks(4096).zip(t.chunks(4096)).zip(w.chunks(4096)) {
            let mut lanes = [[0f32; LANES]; 4];
            for ((z, t), w) in z.chunks(LANES).zip(t.chunks(LANES)).zip(w.chunks(LANES)) {
                for (i, ((z, t), w)) in z.iter().zip(t).zip(w).enumerate() {
                    let e = exp(-z.abs());
                    let p = if *z >= 0.0 { 1.0 } else { e } / (1.0 + e);
                    lanes[0][i] += w;
                    lanes[1][i] += w * (z.max(0.0) - z * t + ln_1p(e));
                    lanes[2][i] += w * p * t;
                    lanes[3][i] += w * (p + t);
                }
            }
            let [pixels, bce, overlap, total] =
                lanes.map(|lanes| lanes.iter().map(|v| f64::from(*v)).sum::<f64>());
            sums.pixels += pixels;
            sums.bce += bce;
            sums.overlap += overlap;
            sums.total += total;
        }
        sums
    }

    fn bce(&self) -> f64 {
        self.bce / self.pixels.max(1.0)
    }

    fn dice(&self) -> f64 {
        let (numerator, denominator) = self.fraction();
        1.0 - numerator / denominator
    }

    fn fraction(&self) -> (f64, f64) {
        (
            2.0 * self.overlap / DICE_SCALE + DICE_EPS,
            self.total / DICE_SCALE + DICE_EPS,
        )
    }

    /// `(a, b)` of the DICE loss's derivative by a pixel's probability, `a · truth + b`.
    fn dice_slopes(&self) -> (f64, f64) {
        let (numerator, denominator) = self.fraction();
        (
            -2.0 / DICE_SCALE / denominator,
            numerator / (denominator * denominator) / DICE_SCALE,
        )
    }
}

/// ln(1 + e) for 0 ≤ e ≤ 1, to 1e-7, without a call: 2 artanh(e / (2 + e)) as a series.
#[inline]
fn ln_1p(e: f32) -> f32 {
    let s = e / (2.0 + e);
    let q = s * s;
    let p = 1.0 / 11.0;
    let p = p * q + 1.0 / 9.0;
    let p = p * q + 1.0 / 7.0;
    let p = p * q + 1.0 / 5.0;
    let p = p * q + 1.0 / 3.0;
    2.0 * s * (p * q + 1.0)
}

#[inline]
fn sigmoid(z: f32) -> f32 {
    let e = exp(-z.abs());
    (if z >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};
    use candle_core::Device;

    fn targets() -> MaskTargets {
        let mask = |seed: u32| TruthMask {
            width: 30,
            height: 20,
            pixels: (0..600u32)
                .map(|i| match (i * 7 + seed) % 11 {
                    0..=3 => 1,
                    4 => TruthMask::IGNORED,
                    _ => 0,
                })
                .collect(),
        };
        MaskTargets::new(&[mask(0), mask(5)], &Device::Cpu).unwrap()
    }

    #[test]
    fn one_pass_equals_the_composition() {
        let targets = targets();
        assert_same_forward_and_gradient(
            &[random((2, 20, 30))],
            |v| mask_losses(&v[0], &targets),
            |v| mask_losses_plain(&v[0], &targets),
            1e-5,
        );
    }

    #[test]
    fn ignored_pixels_do_not_count() {
        let targets = targets();
        let logits = random((2, 20, 30));
        let valid = targets.valid.reshape((2, 20, 30)).unwrap();
        let ignored = (&valid - 1.0).unwrap();
        let loss = |which: &Tensor, offset: f64| {
            let moved = (&logits + (which * offset).unwrap()).unwrap();
            mask_losses(&moved, &targets)
                .unwrap()
                .to_vec2::<f32>()
                .unwrap()
        };
        assert_eq!(loss(&ignored, 0.0), loss(&ignored, 50.0));
        assert_ne!(loss(&valid, 0.0), loss(&valid, 0.5), "the others do");
    }

    #[test]
    fn cross_entropy_of_equal_logits_is_the_logarithm_of_the_vocabulary() {
        let logits = Tensor::zeros((3, 10), DType::F32, &Device::Cpu).unwrap();
        let sum = cross_entropy_sum(&logits, &[1, 2, 3]).unwrap();
        let sum = sum.to_scalar::<f32>().unwrap();
        assert!((sum - 3.0 * 10f32.ln()).abs() < 1e-5);
    }
}
