//! The report of many recordings: of a fleet's night. All scores as of one recording, and the same by robot, by day, by
//! instruction and by model.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::eval::{write_whole, EvalError, LatencyMs, Run};
use crate::replay::{BagRecord, BagReport, InstructionRecord, RecordsTally};

/// The report of many recordings.
#[derive(Clone, Debug, Serialize)]
pub struct NightReport {
    /// The scores over all of them, a row for each, and a row for each instruction.
    #[serde(flatten)]
    pub bags: BagReport,
    /// The scores of groups: by what, and for each of its values.
    pub by: BTreeMap<&'static str, BTreeMap<String, GroupRow>>,
}

/// The scores of a group of instructions, defined as those of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupRow {
    /// Recordings that have some of them.
    pub bags: usize,
    /// The instructions.
    pub instructions: usize,
    /// Those with an answer.
    pub answered: usize,
    /// Answers about something that is in the picture, as far as the truth is known.
    pub targets: usize,
    /// Answers about something that is not.
    pub absent: usize,
    /// See [`Quality::giou`](crate::eval::Quality::giou).
    pub giou: Option<f64>,
    /// See [`Quality::ciou`](crate::eval::Quality::ciou).
    pub ciou: Option<f64>,
    /// See [`Quality::precision_at_50`](crate::eval::Quality::precision_at_50).
    pub precision_at_50: Option<f64>,
    /// See [`Quality::refusal_rate`](crate::eval::Quality::refusal_rate).
    pub refusal_rate: Option<f64>,
    /// See [`Quality::false_refusal_rate`](crate::eval::Quality::false_refusal_rate).
    pub false_refusal_rate: Option<f64>,
    /// Of the answers.
    pub latency_ms: Option<LatencyMs>,
}

/// By what instructions are grouped, in the order in which pages show them.
pub(super) const GROUPS: [&str; 4] = ["robot", "day", "model", "instruction"];

/// The name of the group of those of which it is not known.
const UNKNOWN: &str = "-";

#[derive(Default)]
struct Group {
    /// The last recording that was counted, by its place.
    last: Option<usize>,
    bags: usize,
    tally: RecordsTally,
}

impl NightReport {
    /// The report of recordings, each with the model that was asked about it, in the order of the inputs.
    pub fn of(bags: &[(&str, &BagRecord)], run: Run) -> Self {
        let mut groups: BTreeMap<&'static str, BTreeMap<String, Group>> = BTreeMap::new();
        for (at, (model, bag)) in bags.iter().enumerate() {
            let or_unknown = |name: &Option<String>| name.as_deref().unwrap_or(UNKNOWN).to_owned();
            let (robot, day) = (or_unknown(&bag.robot), or_unknown(&bag.day));
            for record in &bag.instructions {
                let words = record.instruction.trim();
                let names = [&robot, &day, *model, words];
                for (by, name) in GROUPS.into_iter().zip(names) {
                    let of_kind = groups.entry(by).or_default();
                    let group = of_kind.entry(name.to_owned()).or_default();
                    group.add(at, record, bag.has_truth);
                }
            }
        }
        let by = groups.into_iter().map(|(by, groups)| {
            let rows = groups.into_iter();
            let rows = rows.map(|(name, group)| (name, group.row(run.clone())));
            (by, rows.collect())
        });
        Self {
            by: by.collect(),
            bags: BagReport::of(bags.iter().copied(), run),
        }
    }

    /// The recordings that could not be measured, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        let bags = self.bags.bags.iter();
        bags.filter_map(|bag| Some((bag.bag.as_str(), bag.fault.as_deref()?)))
    }

    /// Writes it as JSON, replacing what is there.
    ///
    /// # Errors
    /// [`EvalError::Json`], [`EvalError::Write`].
    pub fn write_json(&self, path: &Path) -> Result<(), EvalError> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_whole(path, text.as_bytes()).map_err(|source| EvalError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

impl Group {
    fn add(&mut self, bag: usize, record: &InstructionRecord, has_truth: bool) {
        if self.last.replace(bag) != Some(bag) {
            self.bags += 1;
        }
        self.tally.add(record, has_truth);
    }

    fn row(self, run: Run) -> GroupRow {
        let report = self.tally.report(run);
        let delivery = report.delivery.unwrap_or_default();
        let quality = report.overall.quality;
        GroupRow {
            bags: self.bags,
            instructions: delivery.asked,
            answered: delivery.answered,
            targets: quality.targets,
            absent: quality.absent,
            giou: quality.giou,
            ciou: quality.ciou,
            precision_at_50: quality.precision_at_50,
            refusal_rate: quality.refusal_rate,
            false_refusal_rate: quality.false_refusal_rate,
            latency_ms: report.overall.timing.latency_ms,
        }
    }
}

impl fmt::Display for NightReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bags.report)?;
        // One recording has one of each.
        if self.bags.bags.len() > 1 {
            // Instructions may be thousands: they are in the files.
            for by in GROUPS.into_iter().filter(|by| *by != "instruction") {
                let Some(groups) = self.by.get(by) else {
                    continue;
                };
                let width = groups.keys().map(|name| name.chars().count());
                let width = width.max().unwrap_or(0).max(by.len());
                writeln!(
                    f,
                    "{by:width$} {:>6} {:>6} {:>8} {:>8} {:>8}",
                    "bags", "asked", "answered", "gIoU", "cIoU"
                )?;
                for (name, row) in groups {
                    let share = |value: Option<f64>| {
                        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
                    };
                    writeln!(
                        f,
                        "{name:width$} {:>6} {:>6} {:>8} {:>8} {:>8}",
                        row.bags,
                        row.instructions,
                        row.answered,
                        share(row.giou),
                        share(row.ciou)
                    )?;
                }
            }
        }
        for (bag, fault) in self.faults() {
            // Most errors name the recording themselves.
            match fault.contains(bag) {
                true => writeln!(f, "not measured: {fault}")?,
                false => writeln!(f, "not measured: {bag}: {fault}")?,
            }
        }
        Ok(())
    }
}
