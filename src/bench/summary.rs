//! [`Summary`]: what several measurements of the same thing say together.

use std::time::Duration;

use serde::Serialize;

use super::{Machine, Work};

/// Several measurements of one time, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// `(max − min) / median`: how far the measurements lie apart.
    pub spread: f64,
    /// How many there are.
    pub count: usize,
}

impl Summary {
    /// `None` where nothing was measured.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        seconds.sort_by(f64::total_cmp);
        let (min, max) = (*seconds.first()?, *seconds.last()?);
        let count = seconds.len();
        let median = (seconds[(count - 1) / 2] + seconds[count / 2]) / 2.0;
        let spread = if median > 0.0 {
            (max - min) / median
        } else {
            0.0
        };
        Some(Self {
            median,
            min,
            max,
            spread,
            count,
        })
    }
}

/// One line of a report.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Its name, e.g. `clip`.
    pub stage: &'static str,
    /// How long it took.
    pub seconds: Summary,
    /// What it has to compute or to read, where one of the two says how long it has to take at least.
    #[serde(flatten)]
    pub work: Work,
    /// Its speed as a share of the machine's: of matrix products where it computes, of copying where it reads. 0 to 1, or a little
    /// above where the yardstick was disturbed.
    pub share: Option<f64>,
}

impl Stage {
    /// `None` where nothing was measured.
    pub fn new(stage: &'static str, times: &[Duration], work: Work) -> Option<Self> {
        Some(Self {
            stage,
            seconds: Summary::of(times)?,
            work,
            share: None,
        })
    }

    /// Fills in the share of what the machine can do, by the median.
    pub fn compare(&mut self, machine: &Machine) {
        self.share = match self.work {
            Work {
                gflop: Some(gflop), ..
            } => Some(gflop / self.seconds.median / machine.gemm_gflops),
            Work {
                gbytes: Some(gbytes),
                ..
            } => Some(gbytes / self.seconds.median / machine.copy_gbytes),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(times: &[u64]) -> Vec<Duration> {
        times.iter().map(|s| Duration::from_secs(*s)).collect()
    }

    #[test]
    fn the_middle_the_ends_and_how_far_they_lie_apart() {
        let odd = Summary::of(&seconds(&[9, 1, 4])).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (4.0, 1.0, 9.0));
        assert_eq!((odd.spread, odd.count), (2.0, 3));
        let even = Summary::of(&seconds(&[1, 3, 4, 9])).unwrap();
        assert_eq!(even.median, 3.5);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_share_is_work_by_time_by_what_the_machine_can_do() {
        let machine = Machine {
            gemm_gflops: 100.0,
            copy_gbytes: 20.0,
        };
        let share = |work| {
            let mut stage = Stage::new("clip", &seconds(&[2]), work).unwrap();
            stage.compare(&machine);
            stage.share
        };
        assert_eq!(share(Work::compute(50e9)), Some(0.25));
        assert_eq!(share(Work::read(10e9)), Some(0.25));
        assert_eq!(share(Work::default()), None);
    }
}
