//! A moving average of the trained tensors.

use std::collections::{BTreeMap, HashMap};

use candle_core::Tensor;

use super::{Parameters, TrainError};

/// A moving average of the trained tensors: `average ← decay · average + (1 − decay) · value`.
///
/// In the first steps the decay is (1 + step) / (10 + step) where that is less, so that the random beginning is soon forgotten.
pub struct Ema {
    decay: f64,
    average: BTreeMap<String, Tensor>,
}

impl Ema {
    /// An average that begins with the tensors as they are. `decay` is 0 to below 1.
    ///
    /// # Errors
    /// There is not enough memory for the copies.
    pub fn new(parameters: &Parameters, decay: f64) -> Result<Self, TrainError> {
        let mut average = snapshot(parameters);
        for tensor in average.values_mut() {
            // A snapshot shares its memory with the variable, which each update changes.
            *tensor = tensor.copy()?;
        }
        Ok(Self { decay, average })
    }

    /// Takes in the tensors after update `step`, counted from 1.
    ///
    /// # Errors
    /// An operation that failed, e.g. for memory.
    pub fn update(&mut self, parameters: &Parameters, step: u64) -> Result<(), TrainError> {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        for (name, var) in parameters.trained() {
            if let Some(average) = self.average.get_mut(name) {
                *average = ((&*average * decay)? + (var.as_detached_tensor() * (1.0 - decay))?)?;
            }
        }
        Ok(())
    }

    /// The averaged tensors by name.
    pub fn average(&self) -> &BTreeMap<String, Tensor> {
        &self.average
    }

    /// Goes on from what a checkpoint holds as `ema.NAME`.
    ///
    /// # Errors
    /// A tensor without an average in the checkpoint, by name.
    pub fn restore(&mut self, tensors: &HashMap<String, Tensor>) -> Result<(), TrainError> {
        for (name, average) in &mut self.average {
            let held = tensors.get(&format!("ema.{name}")).ok_or_else(|| {
                TrainError::Unusable(format!(
                    "the checkpoint has no average of {name}; it was made with optimizer.ema = 0"
                ))
            })?;
            *average = held.to_device(average.device())?;
        }
        Ok(())
    }
}

/// The trained tensors without their graph. They share the variables' memory, which the next update changes: what is to stay
/// as it is needs a [`Tensor::copy`].
pub fn snapshot(parameters: &Parameters) -> BTreeMap<String, Tensor> {
    parameters
        .trained()
        .iter()
        .map(|(name, var)| (name.clone(), var.as_detached_tensor()))
        .collect()
}
