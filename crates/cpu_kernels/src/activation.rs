//! Activation functions, element by element and without branches.

use crate::exp::exp;

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
