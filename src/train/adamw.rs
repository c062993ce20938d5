//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) with parameter groups, in f32.
//!
//! On the CPU tensors are updated in place, in three passes over their memory. Candle's operations take a dozen, each of which makes a
//! new tensor, and an embedding table of a language model has some hundred megabytes.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Tensor, Var};
use rayon::prelude::*;

use super::{Gradients, Parameters, TrainError};

/// Settings that are the same for all tensors. Ranges and defaults: [`OptimizerConfig`](super::OptimizerConfig).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment for each step.
    pub beta1: f64,
    /// Decay of the second moment for each step.
    pub beta2: f64,
    /// Added to the root of the second moment, so that nothing is divided by 0.
    pub eps: f64,
}

/// Settings of one tensor, which it has from its group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupSettings {
    /// Multiplies the schedule's learning rate.
    pub lr_scale: f64,
    /// Decoupled weight decay; the learning rate multiplies it.
    pub weight_decay: f64,
}

/// The optimizer: first and second moment of every trained tensor, all f32.
pub struct AdamW {
    config: AdamWConfig,
    groups: BTreeMap<String, GroupSettings>,
    /// First and second moment of each tensor, in its shape. No tensor shares its memory with them.
    moments: BTreeMap<String, (Tensor, Tensor)>,
    /// Updates made.
    step: u64,
}

/// The numbers of one update that are the same for all elements of a tensor.
#[derive(Clone, Copy)]
struct Update {
    config: AdamWConfig,
    /// 1 − βᵗ of each moment.
    corrections: [f64; 2],
    /// The learning rate, the tensor's group included.
    lr: f64,
    weight_decay: f64,
}

impl Update {
    /// By candle's operations, on any device.
    fn by_tensors(
        &self,
        var: &Var,
        grad: &Tensor,
        (m, v): (&Tensor, &Tensor),
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let AdamWConfig { beta1, beta2, eps } = self.config;
        let [correction1, correction2] = self.corrections;
        let m_next = ((m * beta1)? + (grad * (1.0 - beta1))?)?;
        let v_next = ((v * beta2)? + (grad.sqr()? * (1.0 - beta2))?)?;
        let denominator = ((&v_next / correction2)?.sqrt()? + eps)?;
        let update = ((&m_next / correction1)? / denominator)?;
        let decayed = (var.as_tensor() * (1.0 - self.lr * self.weight_decay))?;
        var.set(&(decayed.detach() - (update * self.lr)?)?)?;
        Ok((m_next, v_next))
    }

    /// In place, for f32 on the CPU. Each element has the same operations in the same order as by candle, and so the same bits.
    fn in_place(
        &self,
        var: &Var,
        grad: &Tensor,
        (m, v): (&Tensor, &Tensor),
    ) -> candle_core::Result<()> {
        let grad = grad.contiguous()?;
        let moment = |beta: f64, squared| Moment {
            kept: beta as f32,
            rest: (1.0 - beta) as f32,
            squared,
        };
        m.inplace_op2(&grad, &moment(self.config.beta1, false))?;
        v.inplace_op2(&grad, &moment(self.config.beta2, true))?;
        let [scale_m, scale_v] = self.corrections.map(|correction| (1.0 / correction) as f32);
        let update = Move {
            scale_m,
            scale_v,
            eps: self.config.eps as f32,
            lr: self.lr as f32,
            kept: (1.0 - self.lr * self.weight_decay) as f32,
        };
        var.inplace_op3(m, v, &update)
    }
}

/// Elements of a task.
const TASK: usize = 1 << 14;

/// `kept · moment + rest · g`, or with `g²`.
struct Moment {
    kept: f32,
    rest: f32,
    squared: bool,
}

impl InplaceOp2 for Moment {
    fn name(&self) -> &'static str {
        "adamw-moment"
    }

    fn cpu_fwd(
        &self,
        moment: &mut CpuStorage,
        moment_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> candle_core::Result<()> {
        let moment = numbers_mut(moment, moment_layout)?;
        let grad = numbers(grad, grad_layout)?;
        let Self {
            kept,
            rest,
            squared,
        } = *self;
        moment
            .par_chunks_mut(TASK)
            .zip(grad.par_chunks(TASK))
            .for_each(|(moment, grad)| {
                for (m, g) in moment.iter_mut().zip(grad) {
                    let g = if squared { g * g } else { *g };
                    *m = *m * kept + g * rest;
                }
            });
        Ok(())
    }
}

/// The step of a tensor along its corrected moments.
struct Move {
    scale_m: f32,
    scale_v: f32,
    eps: f32,
    lr: f32,
    kept: f32,
}

impl InplaceOp3 for Move {
    fn name(&self) -> &'static str {
        "adamw-move"
    }

    fn cpu_fwd(
        &self,
        var: &mut CpuStorage,
        var_layout: &Layout,
        m: &CpuStorage,
        m_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> candle_core::Result<()> {
        let var = numbers_mut(var, var_layout)?;
        let (m, v) = (numbers(m, m_layout)?, numbers(v, v_layout)?);
        var.par_chunks_mut(TASK)
            .zip(m.par_chunks(TASK).zip(v.par_chunks(TASK)))
            .for_each(|(var, (m, v))| {
                for (x, (m, v)) in var.iter_mut().zip(m.iter().zip(v)) {
                    let update = m * self.scale_m / ((v * self.scale_v).sqrt() + self.eps);
                    *x = *x * self.kept - update * self.lr;
                }
            });
        Ok(())
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let range = range(layout)?;
    match storage {
        CpuStorage::F32(numbers) => Ok(&numbers[range]),
        _ => candle_core::bail!("f32 was promised"),
    }
}

fn numbers_mut<'a>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a mut [f32]> {
    let range = range(layout)?;
    match storage {
        CpuStorage::F32(numbers) => Ok(&mut numbers[range]),
        _ => candle_core::bail!("f32 was promised"),
    }
}

fn range(layout: &Layout) -> candle_core::Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => candle_core::bail!("a contiguous tensor was promised"),
    }
}

impl AdamW {
    /// An optimizer that has made no update yet. `group` gives each tensor's settings by its name.
    ///
    /// # Errors
    /// There is not enough memory for the moments.
    pub fn new(
        parameters: &Parameters,
        config: AdamWConfig,
        group: impl Fn(&str) -> GroupSettings,
    ) -> Result<Self, TrainError> {
        let mut moments = BTreeMap::new();
        let mut groups = BTreeMap::new();
        for (name, var) in parameters.trained() {
            moments.insert(name.clone(), (var.zeros_like()?, var.zeros_like()?));
            groups.insert(name.clone(), group(name));
        }
        Ok(Self {
            config,
            groups,
            moments,
            step: 0,
        })
    }

    /// Makes one update: moves every tensor that has a gradient, with the learning rate `lr` times its group's.
    ///
    /// # Errors
    /// An operation that failed, e.g. for memory.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        lr: f64,
    ) -> Result<(), TrainError> {
        self.step += 1;
        let steps = i32::try_from(self.step).unwrap_or(i32::MAX);
        let corrections = [self.config.beta1, self.config.beta2].map(|beta| 1.0 - beta.powi(steps));
        for (name, var) in parameters.trained() {
            let (Some(grad), Some((m, v))) = (gradients.get(name), self.moments.get_mut(name))
            else {
                continue;
            };
            let group = self.groups[name];
            let update = Update {
                config: self.config,
                corrections,
                lr: lr * group.lr_scale,
                weight_decay: group.weight_decay,
            };
            // The variables are f32 on every device.
            match var.device().is_cpu() {
                true => update.in_place(var, grad, (m, v))?,
                false => (*m, *v) = update.by_tensors(var, grad, (m, v))?,
            }
        }
        Ok(())
    }

    /// Updates made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Everything that a resumed run needs: the first moment of each tensor as `NAME.m` and the second as `NAME.v`. The next update
    /// may change these tensors.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.moments
            .iter()
            .flat_map(|(name, (m, v))| {
                [
                    (format!("{name}.m"), m.clone()),
                    (format!("{name}.v"), v.clone()),
                ]
            })
            .collect()
    }

    /// Goes on from what [`AdamW::state`] gave after `steps` updates.
    ///
    /// # Errors
    /// A moment that is missing.
    pub fn restore(
        &mut self,
        state: &std::collections::HashMap<String, Tensor>,
        steps: u64,
    ) -> Result<(), TrainError> {
        for (name, (m, v)) in &mut self.moments {
            let get = |suffix: &str| {
                state.get(&format!("{name}.{suffix}")).cloned().ok_or_else(|| {
                    TrainError::Unusable(format!(
                        "the checkpoint lacks the optimizer's {name}.{suffix}: it is of a run that trained other tensors"
                    ))
                })
            };
            // Copies, because an update would change the tensors that they come from.
            (*m, *v) = (
                get("m")?.to_device(m.device())?.copy()?,
                get("v")?.to_device(v.device())?.copy()?,
            );
        }
        self.step = steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::random;

    #[test]
    fn in_place_gives_the_bits_of_candle_s_operations() {
        let config = AdamWConfig {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
        };
        let start = random((5, TASK));
        let var = || Var::from_tensor(&start.copy().unwrap()).unwrap();
        let (ours, plain) = (var(), var());
        let zeros = || (ours.zeros_like().unwrap(), ours.zeros_like().unwrap());
        let ((m, v), mut moments) = (zeros(), zeros());
        for step in 1..4 {
            let update = Update {
                config,
                corrections: [config.beta1, config.beta2].map(|beta| 1.0 - beta.powi(step)),
                lr: 3e-4,
                weight_decay: 0.01,
            };
            let grad = random((5, TASK));
            update.in_place(&ours, &grad, (&m, &v)).unwrap();
            moments = update
                .by_tensors(&plain, &grad, (&moments.0, &moments.1))
                .unwrap();
        }
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(numbers(&ours) != numbers(&start));
        assert!(numbers(&ours) == numbers(&plain));
        assert!(numbers(&m) == numbers(&moments.0) && numbers(&v) == numbers(&moments.1));
    }
}
