//! Activation functions, element by element and without branches.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::exp::exp;
use crate::vector_unit::vectorised;

/// An activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// x
    #[default]
    None,
    /// x · Φ(x), with the error function.
    Gelu,
    /// x · sigmoid(1.702 x), that of CLIP.
    QuickGelu,
    /// x · sigmoid(x), also called swish.
    Silu,
    /// max(x, 0)
    Relu,
}

impl Activation {
    /// Applies the function to every element.
    #[inline(always)]
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Gelu => {
                for x in values {
                    *x *= 0.5 * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
                }
            }
            Self::QuickGelu => {
                for x in values {
                    *x *= sigmoid(1.702 * *x);
                }
            }
            Self::Silu => {
                for x in values {
                    *x *= sigmoid(*x);
                }
            }
            Self::Relu => {
                for x in values {
                    *x = x.max(0.0);
                }
            }
        }
    }
}

/// Elements of a task.
const TASK: usize = 1 << 14;

/// GELU of every element of `x`, and its derivative there, on all threads.
pub fn gelu_with_slope(x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut value, mut slope) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    value
        .par_chunks_mut(TASK)
        .zip(slope.par_chunks_mut(TASK))
        .zip(x.par_chunks(TASK))
        .for_each(|((value, slope), x)| vectorised(GeluWithSlope { x, value, slope }));
    (value, slope)
}

struct GeluWithSlope<'a> {
    x: &'a [f32],
    value: &'a mut [f32],
    slope: &'a mut [f32],
}

impl WithSimd for GeluWithSlope<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((x, value), slope) in self.x.iter().zip(self.value).zip(self.slope) {
            let phi = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
            let density = 0.398_942_3 * exp(-0.5 * x * x);
            *value = x * phi;
            *slope = phi + x * density;
        }
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function by Abramowitz and Stegun 7.1.26, which has an error of 1.5e-7 at most and needs no branch.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let poly = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t
        + 0.254_829_6)
        * t;
    (1.0 - poly * exp(-a * a)).copysign(x)
}
