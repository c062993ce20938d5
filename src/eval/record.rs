//! What a case's scores are computed from, without its pixels: what a part of a run keeps, so that parts add up to the whole.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Case, EvalError, Latency, Overlap, Verdict};

/// A case as its scores need it. All that is counted is counted in integers, so that scores do not depend on who adds them up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// See [`Case::kind`].
    pub kind: String,
    /// Whether the question has a target; otherwise the object that it asks for is absent.
    pub target: bool,
    /// See [`Case::emitted`].
    pub emitted: Option<usize>,
    /// See [`Case::expected`].
    pub expected: usize,
    /// See [`Case::names_right`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names_right: Option<bool>,
    /// See [`Distractors::near_miss`](super::Distractors::near_miss).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_miss: Option<String>,
    /// How many other objects of the class the question singles its own out of.
    #[serde(default)]
    pub rivals: usize,
    /// See [`Case::singled_out`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub singled_out: Option<bool>,
    /// Pixels of the overlap with the true mask, see [`Verdict::overlap`].
    pub intersection: u64,
    /// Pixels of the union with the true mask.
    pub union: u64,
    /// Pixels of the true mask; 0 of an absent object.
    pub truth_pixels: u64,
    /// Pixels of the picture; 0 of an absent object.
    pub picture_pixels: u64,
    /// See [`Case::attended`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attended: Option<f64>,
    /// How long the answer took.
    pub latency: LatencyRecord,
}

/// How long an answer took, in whole nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyRecord {
    /// From the question to the end of the answer.
    pub total_ns: u64,
    /// Its stages by name, in the order in which they were reported.
    pub stages_ns: Vec<(String, u64)>,
}

impl CaseRecord {
    /// What is kept of a case.
    ///
    /// # Errors
    /// Those of [`Case::verdict`] and [`Case::singled_out`].
    pub fn of(case: &Case<'_>) -> Result<Self, EvalError> {
        let overlap = case.verdict()?.overlap;
        let pixels = case.truth.map_or(&[][..], |truth| &truth.pixels);
        Ok(Self {
            kind: case.kind.to_owned(),
            target: case.truth.is_some(),
            emitted: case.emitted,
            expected: case.expected,
            names_right: case.names_right,
            near_miss: case.distractors.near_miss.map(str::to_owned),
            rivals: case.distractors.rivals.len(),
            singled_out: case.singled_out()?,
            intersection: overlap.intersection,
            union: overlap.union,
            truth_pixels: pixels.iter().filter(|pixel| **pixel == 1).count() as u64,
            picture_pixels: pixels.len() as u64,
            attended: case.attended(),
            latency: LatencyRecord::of(&case.latency),
        })
    }

    /// How the case is scored.
    pub fn verdict(&self) -> Verdict {
        let overlap = Overlap {
            intersection: self.intersection,
            union: self.union,
        };
        Verdict::of(self.target, self.emitted, overlap)
    }
}

impl LatencyRecord {
    /// What is kept of a latency.
    pub fn of(latency: &Latency<'_>) -> Self {
        let stages = latency.stages.iter();
        Self {
            total_ns: nanoseconds(latency.total),
            stages_ns: stages
                .map(|(stage, time)| ((*stage).to_owned(), nanoseconds(*time)))
                .collect(),
        }
    }

    /// From the question to the end of the answer.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns)
    }

    /// The stages with their times, as they were reported.
    pub fn stages(&self) -> impl Iterator<Item = (&str, Duration)> {
        let stages = self.stages_ns.iter();
        stages.map(|(stage, time)| (stage.as_str(), Duration::from_nanos(*time)))
    }
}

/// Five centuries fit.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{attention, case, mask, truth};
    use super::*;

    #[test]
    fn a_record_survives_json_to_the_bit_and_is_scored_as_its_case() {
        let there = truth(3, 1, &[1, 1, 255]);
        let half = mask(3, 1, &[255, 0, 9]);
        let looked = attention((3, 1), [0.1, 0.3, 0.123_456_79, 0.2], 0.3);
        let stages = [("prefill", Duration::from_nanos(1_234_567_891))];
        let mut mug = case("a", "short");
        (mug.truth, mug.predicted, mug.attention) = (Some(&there), Some(&half), Some(&looked));
        (mug.emitted, mug.expected, mug.names_right) = (Some(2), 1, Some(false));
        mug.latency.stages = &stages;
        let mut absent = case("b", "absent");
        (absent.distractors.near_miss, absent.predicted) = (Some("colour"), Some(&half));
        for case in [mug, absent] {
            let record = CaseRecord::of(&case).unwrap();
            let json = serde_json::to_string(&record).unwrap();
            let read: CaseRecord = serde_json::from_str(&json).unwrap();
            assert_eq!(read, record);
            let bits = |record: &CaseRecord| record.attended.map(f64::to_bits);
            assert_eq!(bits(&read), bits(&record));
            assert_eq!(read.verdict(), case.verdict().unwrap());
        }
    }

    /// Without `float_roundtrip` serde_json reads some numbers to the neighbour of what was written.
    #[test]
    fn numbers_are_read_as_they_were_written() {
        let mut bits = 0x3fb9_9999_9999_999a_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = f64::from_bits(0x3fe0_0000_0000_0000 | (bits >> 12));
            let text = serde_json::to_string(&number).unwrap();
            let read: f64 = serde_json::from_str(&text).unwrap();
            assert_eq!(read.to_bits(), number.to_bits(), "{text}");
        }
    }
}
