//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) with parameter groups, in f32.

use std::collections::BTreeMap;

use candle_core::Tensor;

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
    moments: BTreeMap<String, (Tensor, Tensor)>,
    /// Updates made.
    step: u64,
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
        let AdamWConfig { beta1, beta2, eps } = self.config;
        let steps = i32::try_from(self.step).unwrap_or(i32::MAX);
        let (correction1, correction2) = (1.0 - beta1.powi(steps), 1.0 - beta2.powi(steps));
        for (name, var) in parameters.trained() {
            let (Some(grad), Some((m, v))) = (gradients.get(name), self.moments.get_mut(name))
            else {
                continue;
            };
            let group = self.groups[name];
            let lr = lr * group.lr_scale;
            let m_next = ((&*m * beta1)? + (grad * (1.0 - beta1))?)?;
            let v_next = ((&*v * beta2)? + (grad.sqr()? * (1.0 - beta2))?)?;
            let denominator = ((&v_next / correction2)?.sqrt()? + eps)?;
            let update = ((&m_next / correction1)? / denominator)?;
            let decayed = (var.as_tensor() * (1.0 - lr * group.weight_decay))?;
            var.set(&(decayed.detach() - (update * lr)?)?)?;
            (*m, *v) = (m_next, v_next);
        }
        Ok(())
    }

    /// Updates made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Everything that a resumed run needs: the first moment of each tensor as `NAME.m` and the second as `NAME.v`.
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
            (*m, *v) = (
                get("m")?.to_device(m.device())?,
                get("v")?.to_device(v.device())?,
            );
        }
        self.step = steps;
        Ok(())
    }
}
