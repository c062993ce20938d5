//! Activation functions.

use candle_core::{DType, Device, Tensor};
use cpu_kernels::gelu_with_slope;

use super::graft::graft;
use super::kernels::values;
use super::Result;
use crate::weights::Activation;

impl Activation {
    /// Applies the function to every element; the shape stays.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Gelu => gelu(x),
            Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
            Activation::Silu => x.silu(),
            Activation::Relu => x.relu(),
        }
    }

    /// The function by its name among the kernels.
    pub(super) fn kernel(self) -> cpu_kernels::Activation {
        match self {
            Activation::Gelu => cpu_kernels::Activation::Gelu,
            Activation::QuickGelu => cpu_kernels::Activation::QuickGelu,
            Activation::Silu => cpu_kernels::Activation::Silu,
            Activation::Relu => cpu_kernels::Activation::Relu,
        }
    }
}

/// GELU with the error function, `x · Φ(x)`. For training on the CPU, value and derivative are computed in one pass over the
/// data; candle's backward takes eight.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if !(x.track_op() && x.device().is_cpu() && x.dtype() == DType::F32) {
        return x.gelu_erf();
    }
    let x = x.contiguous()?;
    let (value, slope) = gelu_with_slope(values(&x).contiguous()?);
    let shape = x.shape().clone();
    let value = Tensor::from_vec(value, &shape, &Device::Cpu)?;
    let slope = Tensor::from_vec(slope, &shape, &Device::Cpu)?;
    graft("gelu", &x, &value, move |_, _, grad| grad * &slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_same_forward_and_gradient, random};

    #[test]
    fn one_pass_equals_the_composition() {
        let x = (random((3, 500)) * 4.0).unwrap();
        assert_same_forward_and_gradient(&[x], |v| gelu(&v[0]), |v| v[0].gelu_erf(), 1e-5);
    }
}
