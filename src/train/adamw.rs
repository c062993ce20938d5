//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) with parameter groups, in f32.
//!
//! On the CPU a tensor is updated in one pass over its memory. Candle's operations take a dozen, each of which makes a new tensor, and
//! an embedding table of a language model has some hundred megabytes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var};
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
    moments: BTreeMap<String, Moments>,
    /// Updates made.
    step: u64,
}

/// First and second moment of a tensor, in its shape.
enum Moments {
    /// Of a tensor on the CPU.
    Numbers(Mutex<[Vec<f32>; 2]>),
    /// Of one on another device.
    Tensors([Tensor; 2]),
}

impl Moments {
    fn zeros(var: &Var) -> candle_core::Result<Self> {
        Self::new([var.zeros_like()?, var.zeros_like()?])
    }

    fn new(tensors: [Tensor; 2]) -> candle_core::Result<Self> {
        if !(tensors[0].device().is_cpu() && tensors[0].dtype() == DType::F32) {
            return Ok(Self::Tensors(tensors));
        }
        let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let [m, v] = &tensors;
        Ok(Self::Numbers(Mutex::new([numbers(m)?, numbers(v)?])))
    }

    fn tensors(&self, var: &Var) -> candle_core::Result<[Tensor; 2]> {
        match self {
            Self::Numbers(numbers) => {
                let [m, v] = &*numbers.lock().unwrap_or_else(|p| p.into_inner());
                let tensor = |n: &Vec<f32>| Tensor::from_slice(n, var.shape(), &Device::Cpu);
                Ok([tensor(m)?, tensor(v)?])
            }
            Self::Tensors(tensors) => Ok(tensors.clone()),
        }
    }
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
    /// By candle's operations.
    fn by_tensors(
        &self,
        var: &Var,
        grad: &Tensor,
        [m, v]: [&Tensor; 2],
    ) -> candle_core::Result<[Tensor; 2]> {
        let AdamWConfig { beta1, beta2, eps } = self.config;
        let [correction1, correction2] = self.corrections;
        let m_next = ((m * beta1)? + (grad * (1.0 - beta1))?)?;
        let v_next = ((v * beta2)? + (grad.sqr()? * (1.0 - beta2))?)?;
        let denominator = ((&v_next / correction2)?.sqrt()? + eps)?;
        let update = ((&m_next / correction1)? / denominator)?;
        let decayed = (var.as_tensor() * (1.0 - self.lr * self.weight_decay))?;
        var.set(&(decayed.detach() - (update * self.lr)?)?)?;
        Ok([m_next, v_next])
    }
}

/// Elements of a task.
const TASK: usize = 1 << 14;

/// An update in place, in one pass.
struct InPlace<'a> {
    update: Update,
    moments: &'a Mutex<[Vec<f32>; 2]>,
}

impl InplaceOp2 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        var: &mut CpuStorage,
        var_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(var), CpuStorage::F32(grad)) = (var, grad) else {
            candle_core::bail!("f32 was promised")
        };
        let place = |layout: &Layout| match layout.contiguous_offsets() {
            Some((start, end)) => Ok(start..end),
            None => candle_core::bail!("a contiguous tensor was promised"),
        };
        let (var, grad) = (&mut var[place(var_layout)?], &grad[place(grad_layout)?]);
        let [m, v] = &mut *self.moments.lock().unwrap_or_else(|p| p.into_inner());
        // The same operations in the same order as by candle, so that the numbers are the same.
        let Update {
            config,
            corrections,
            lr,
            weight_decay,
        } = self.update;
        let [beta1, beta2, eps, lr] =
            [config.beta1, config.beta2, config.eps, lr].map(|x| x as f32);
        let [rest1, rest2] = [config.beta1, config.beta2].map(|beta| (1.0 - beta) as f32);
        let [scale1, scale2] = corrections.map(|correction| (1.0 / correction) as f32);
        let kept = (1.0 - self.update.lr * weight_decay) as f32;
        var.par_chunks_mut(TASK)
            .zip(grad.par_chunks(TASK))
            .zip(m.par_chunks_mut(TASK).zip(v.par_chunks_mut(TASK)))
            .for_each(|((var, grad), (m, v))| {
                for ((x, g), (m, v)) in var.iter_mut().zip(grad).zip(m.iter_mut().zip(v)) {
                    *m = *m * beta1 + g * rest1;
                    *v = *v * beta2 + g * g * rest2;
                    let update = *m * scale1 / ((*v * scale2).sqrt() + eps);
                    *x = *x * kept - update * lr;
                }
            });
        Ok(())
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
            moments.insert(name.clone(), Moments::zeros(var)?);
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
            let (Some(grad), Some(moments)) = (gradients.get(name), self.moments.get_mut(name))
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
            match moments {
                Moments::Numbers(moments) => {
                    let op = InPlace { update, moments };
                    var.inplace_op2(&grad.contiguous()?, &op)?;
                }
                Moments::Tensors([m, v]) => [*m, *v] = update.by_tensors(var, grad, [m, v])?,
            }
        }
        Ok(())
    }

    /// Updates made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Everything that a resumed run needs: the first moment of each of the `parameters` as `NAME.m` and the second as `NAME.v`.
    ///
    /// # Errors
    /// There is not enough memory for copies.
    pub fn state(&self, parameters: &Parameters) -> Result<Vec<(String, Tensor)>, TrainError> {
        let mut state = Vec::with_capacity(2 * self.moments.len());
        for (name, var) in parameters.trained() {
            if let Some(moments) = self.moments.get(name) {
                let [m, v] = moments.tensors(var)?;
                state.extend([(format!("{name}.m"), m), (format!("{name}.v"), v)]);
            }
        }
        Ok(state)
    }

    /// Goes on from what [`AdamW::state`] gave after `steps` updates of the `parameters`.
    ///
    /// # Errors
    /// A moment that is missing.
    pub fn restore(
        &mut self,
        parameters: &Parameters,
        state: &std::collections::HashMap<String, Tensor>,
        steps: u64,
    ) -> Result<(), TrainError> {
        for (name, moments) in &mut self.moments {
            let get = |suffix: &str| {
                state.get(&format!("{name}.{suffix}")).cloned().ok_or_else(|| {
                    TrainError::Unusable(format!(
                        "the checkpoint lacks the optimizer's {name}.{suffix}: it is of a run that trained other tensors"
                    ))
                })
            };
            let device = parameters.device();
            *moments = Moments::new([get("m")?.to_device(device)?, get("v")?.to_device(device)?])?;
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
    fn one_pass_gives_the_bits_of_candle_s_operations() {
        let config = AdamWConfig {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
        };
        let start = random((5, TASK));
        let var = || Var::from_tensor(&start.copy().unwrap()).unwrap();
        let (ours, plain) = (var(), var());
        let Moments::Numbers(moments) = Moments::zeros(&ours).unwrap() else {
            panic!("it is on the CPU");
        };
        let mut tensors = [plain.zeros_like().unwrap(), plain.zeros_like().unwrap()];
        for step in 1..4 {
            let update = Update {
                config,
                corrections: [config.beta1, config.beta2].map(|beta| 1.0 - beta.powi(step)),
                lr: 3e-4,
                weight_decay: 0.01,
            };
            let grad = random((5, TASK));
            let op = InPlace {
                update,
                moments: &moments,
            };
            ours.inplace_op2(&grad, &op).unwrap();
            let [m, v] = &tensors;
            tensors = update.by_tensors(&plain, &grad, [m, v]).unwrap();
        }
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(numbers(&ours) != numbers(&start));
        assert!(numbers(&ours) == numbers(&plain));
        let [m, v] = Moments::Numbers(moments).tensors(&ours).unwrap();
        assert!(numbers(&m) == numbers(&tensors[0]) && numbers(&v) == numbers(&tensors[1]));
    }
}
