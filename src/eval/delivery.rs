//! What became of the instructions of a recording: answered, refused, or lost on the way.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::numbers::{duration, latency};
use super::LatencyMs;

/// Counts of the instructions that were asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Delivery {
    /// All instructions in the recording.
    pub asked: usize,
    /// Instructions with an answer: their status is SEGMENTED, TEXT_ONLY or EMPTY_MASK.
    pub answered: usize,
    /// Instructions with the status OVERLOADED: too many were waiting.
    pub overloaded: usize,
    /// Instructions with the status NO_IMAGE: the frame that they were about had not come.
    pub no_image: usize,
    /// Instructions with the status CANCELLED.
    pub cancelled: usize,
    /// Instructions with the status ERROR.
    pub failed: usize,
    /// Instructions without any result.
    pub dropped: usize,
    /// Instructions that were answered about another frame than the recording has for them.
    pub other_frame: usize,
    /// Instructions that were answered, but about which nothing in the recording says what is true.
    pub without_truth: usize,
    /// Results of instructions that are not in the recording.
    pub unasked: usize,
    /// Age of the frame when its result came, on the robot's clock, in milliseconds; `None` where no result was recorded
    /// while the node ran.
    pub frame_age_ms: Option<LatencyMs>,
    #[serde(skip)]
    ages: Vec<Duration>,
}

impl Delivery {
    /// Takes in the age of one more frame.
    pub fn add_age(&mut self, age: Duration) {
        self.ages.push(age);
        self.frame_age_ms = latency(&self.ages);
    }

    /// What is counted and the count, as text; counts of zero are left out.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let counts = [
            ("answered", self.answered),
            ("overloaded", self.overloaded),
            ("without an image", self.no_image),
            ("cancelled", self.cancelled),
            ("failed", self.failed),
            ("dropped", self.dropped),
            ("about another frame", self.other_frame),
            ("without truth", self.without_truth),
            ("never asked", self.unasked),
        ];
        let counts = counts.into_iter().filter(|(_, n)| *n > 0);
        let mut lines = vec![("instructions", self.asked.to_string())];
        lines.extend(counts.map(|(name, n)| (name, n.to_string())));
        if let Some(age) = &self.frame_age_ms {
            let ms = duration;
            let ages = format!(
                "p50 {}, p90 {}, p99 {}",
                ms(age.p50),
                ms(age.p90),
                ms(age.p99)
            );
            lines.push(("age of the frame", ages));
        }
        lines
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.lines().into_iter();
        if let Some((name, asked)) = lines.next() {
            write!(f, "{asked} {name}")?;
        }
        for (name, value) in lines {
            match name {
                "age of the frame" => write!(f, "; {name}: {value}")?,
                _ => write!(f, ", {value} {name}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_said() {
        let mut delivery = Delivery {
            asked: 3,
            answered: 2,
            dropped: 1,
            ..Delivery::default()
        };
        assert_eq!(
            delivery.to_string(),
            "3 instructions, 2 answered, 1 dropped"
        );
        delivery.add_age(Duration::from_millis(120));
        assert!(delivery
            .to_string()
            .ends_with("age of the frame: p50 120 ms, p90 120 ms, p99 120 ms"));
        let json = serde_json::to_value(&delivery).unwrap();
        assert_eq!(
            (&json["dropped"], &json["overloaded"]),
            (&1.into(), &0.into())
        );
        assert!(json.get("ages").is_none());
    }
}
