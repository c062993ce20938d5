//! Whether two sets of answers to the same instructions are equal, pixel by pixel.

use serde::Serialize;

use super::{RecordedResults, ReplayError};

/// The outcome of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Instructions that are answered in both.
    pub compared: usize,
    /// How many of these have the same instruction, frame, status, words and masks in both.
    pub equal: usize,
    /// The ids of those that differ, each with what differs.
    pub different: Vec<String>,
    /// The ids of instructions that have a result in only one of them.
    pub alone: Vec<String>,
    /// The ids of instructions that were refused in at least one of them: overloaded, without an image, cancelled or failed.
    pub refused: Vec<String>,
}

/// Compares the first result of every instruction.
///
/// # Errors
/// A bag that can no longer be read.
pub fn compare(
    one: &RecordedResults<'_>,
    other: &RecordedResults<'_>,
) -> Result<Comparison, ReplayError> {
    let mut found = Comparison::default();
    let mut ids: Vec<&str> = one.ids().chain(other.ids()).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let (Some(a), Some(b)) = (one.result(id)?, other.result(id)?) else {
            found.alone.push(id.to_owned());
            continue;
        };
        if !(a.is_answer() && b.is_answer()) {
            found.refused.push(id.to_owned());
            continue;
        }
        found.compared += 1;
        let differs = [
            ("instruction", !a.answers(&b.instruction)),
            ("frame", a.stamp != b.stamp),
            ("status", a.status != b.status),
            ("words", a.answer != b.answer),
            ("masks", a.objects != b.objects),
        ];
        let differs: Vec<&str> = differs
            .iter()
            .filter(|(_, d)| *d)
            .map(|(w, _)| *w)
            .collect();
        match differs.is_empty() {
            true => found.equal += 1,
            false => found
                .different
                .push(format!("{id} ({})", differs.join(", "))),
        }
    }
    Ok(found)
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} answers are equal", self.equal, self.compared)?;
        if !self.different.is_empty() {
            write!(f, "; different: {}", self.different.join(", "))?;
        }
        if !self.refused.is_empty() {
            write!(
                f,
                "; refused in one of the bags: {}",
                self.refused.join(", ")
            )?;
        }
        if !self.alone.is_empty() {
            write!(f, "; in one of the bags only: {}", self.alone.join(", "))?;
        }
        Ok(())
    }
}
