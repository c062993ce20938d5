//! The learning rate over the steps.

use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// It stays as it is.
    Constant,
    /// In a straight line to 0 after the last step: DeepSpeed's WarmupDecayLR, which the reference uses.
    Linear,
    /// Along half a cosine to 0 after the last step.
    Cosine,
}

/// The learning rate of every step: a linear warm-up, then a decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Learning rate at the end of the warm-up.
    pub lr: f64,
    /// Steps over which it rises to that.
    pub warmup: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// How it falls after the warm-up.
    pub decay: Decay,
    /// Step before which it does not fall, if that is later than the end of the warm-up.
    pub decay_from: u64,
}

impl Schedule {
    /// Learning rate of update `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let begin = self.decay_from.max(self.warmup);
        let span = self.steps.saturating_sub(begin).max(1) as f64;
        let done = (step.saturating_sub(begin) as f64 / span).min(1.0);
        self.lr
            * match self.decay {
                Decay::Constant => 1.0,
                Decay::Linear => 1.0 - done,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_and_decays() {
        let schedule = |decay| Schedule {
            lr: 1.0,
            warmup: 10,
            steps: 110,
            decay,
            decay_from: 0,
        };
        let linear = schedule(Decay::Linear);
        assert_eq!(linear.at(0), 0.1);
        assert_eq!(linear.at(9), 1.0);
        assert_eq!(linear.at(60), 0.5);
        assert_eq!(linear.at(110), 0.0);
        assert!((schedule(Decay::Cosine).at(60) - 0.5).abs() < 1e-12);
        assert_eq!(schedule(Decay::Constant).at(1000), 1.0);
    }

    #[test]
    fn falls_from_a_step_on() {
        let schedule = Schedule {
            lr: 1.0,
            warmup: 10,
            steps: 110,
            decay: Decay::Linear,
            decay_from: 60,
        };
        assert_eq!(schedule.at(9), 1.0);
        assert_eq!(schedule.at(60), 1.0);
        assert_eq!(schedule.at(85), 0.5);
        assert_eq!(schedule.at(110), 0.0);
        let within_the_warmup = Schedule {
            decay_from: 5,
            ..schedule
        };
        assert_eq!(within_the_warmup.at(60), 0.5);
    }
}
