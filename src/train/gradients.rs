//! Gradients by name: summed over samples in a fixed order, measured, clipped.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};

use crate::nn::Result;

/// One gradient for each trained tensor that the loss depends on, by the tensor's name; all f32.
#[derive(Debug, Default)]
pub struct Gradients {
    by_name: BTreeMap<String, Tensor>,
}

impl Gradients {
    /// Takes the gradients of the variables out of what a backward pass left.
    pub fn take(store: &mut GradStore, variables: &BTreeMap<String, Var>) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for (name, var) in variables {
            if let Some(grad) = store.remove(var) {
                by_name.insert(name.clone(), grad.to_dtype(DType::F32)?.detach());
            }
        }
        Ok(Self { by_name })
    }

    /// Adds the other's gradients; a tensor that only one of them reached has that one's.
    pub fn add(&mut self, other: Self) -> Result<()> {
        for (name, grad) in other.by_name {
            let sum = match self.by_name.get(&name) {
                Some(sum) => (sum + grad)?,
                None => grad,
            };
            self.by_name.insert(name, sum);
        }
        Ok(())
    }

    /// Puts a gradient (f32) in the place of that of the tensor of that name.
    pub(super) fn insert(&mut self, name: String, gradient: Tensor) {
        self.by_name.insert(name, gradient);
    }

    /// Whether no tensor has a gradient.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The gradient of a tensor; `None` where the loss does not depend on it.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// Names of the tensors that have a gradient, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// L2 norm of all gradients together, as one vector.
    pub fn norm(&self) -> Result<f64> {
        let mut sum = 0.0;
        for grad in self.by_name.values() {
            sum += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        Ok(sum.sqrt())
    }

    /// Multiplies every gradient by `factor`.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        for grad in self.by_name.values_mut() {
            *grad = (&*grad * factor)?;
        }
        Ok(())
    }

    /// Scales all gradients down so that their norm is at most `max_norm`, as PyTorch's `clip_grad_norm_`. Returns the norm
    /// that they had before.
    pub fn clip(&mut self, max_norm: f64) -> Result<f64> {
        let norm = self.norm()?;
        let factor = max_norm / (norm + 1e-6);
        if factor < 1.0 {
            self.scale(factor)?;
        }
        Ok(norm)
    }
}
