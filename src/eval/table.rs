//! A report as text: the cells that a terminal and a page show, why some of them are empty, and the whole of it for a terminal.

use std::collections::BTreeMap;
use std::fmt;

use super::image_reliance;
use super::numbers::{duration, share};
use super::{LatencyMs, Report, Scores};

/// Heads of a table's columns after the kind, and the scores below them.
pub(super) const COLUMNS: [(&str, &str); 11] = [
    ("n", "count"),
    ("gIoU", "giou"),
    ("cIoU", "ciou"),
    ("P@0.5", "precision_at_50"),
    ("SEG", "seg_rate"),
    ("refused", "refusal_rate"),
    ("missed", "false_refusal_rate"),
    ("named", "explanation_rate"),
    ("p50", "latency_ms"),
    ("p90", "latency_ms"),
    ("p99", "latency_ms"),
];

/// What the abbreviated heads stand for.
pub(super) const LEGEND: &str = "SEG: [SEG] written where due; refused: absent objects answered \
     without [SEG]; missed: present ones answered without; named: explanations that name the right object";

/// A number as text, `-` where there was no question to measure it by, or the reason why it was not measured.
pub(super) type Cell = Result<String, &'static str>;

/// The report's numbers as text. Columns in which no kind has a number are left out; those that were not measured stay, with
/// empty cells.
pub(super) struct Table<'a> {
    pub heads: Vec<&'static str>,
    /// A kind and its cells, one for each head.
    pub rows: Vec<(&'a str, Vec<Cell>)>,
}

impl<'a> Table<'a> {
    pub fn of(report: &'a Report) -> Self {
        Self::with(report, COLUMNS.map(|(head, _)| head), cells)
    }

    /// The scores that tell whether the model looks. Rows without a number are left out too.
    pub fn image_reliance(report: &'a Report) -> Self {
        let mut table = Self::with(report, image_reliance::HEADS, |s| {
            let cells = s.quality.image_reliance.cells();
            cells.map(|(score, text)| s.not_measured.get(score).map_or(Ok(text), |why| Err(*why)))
        });
        table
            .rows
            .retain(|(_, cells)| cells.iter().any(|c| c.as_deref() != Ok("-")));
        table
    }

    fn with<const N: usize>(
        report: &'a Report,
        heads: [&'static str; N],
        cells: fn(&Scores) -> [Cell; N],
    ) -> Self {
        let all: Vec<_> = report.rows().map(|(kind, s)| (kind, cells(s))).collect();
        let nothing = |cell: &Cell| cell.as_deref() == Ok("-");
        let filled = |column: &usize| all.iter().any(|(_, cells)| !nothing(&cells[*column]));
        let columns: Vec<usize> = (0..N).filter(filled).collect();
        let row = |(kind, cells): &(&'a str, [Cell; N])| {
            (*kind, columns.iter().map(|c| cells[*c].clone()).collect())
        };
        Self {
            heads: columns.iter().map(|c| heads[*c]).collect(),
            rows: all.iter().map(row).collect(),
        }
    }

    /// A line for each reason why cells are empty: first the columns that have no number at all, then the others with the
    /// kinds whose cells are empty.
    pub fn notes(&self) -> Vec<String> {
        #[derive(Default)]
        struct Empty<'a> {
            columns: Vec<&'static str>,
            kinds: BTreeMap<&'a str, Vec<&'static str>>,
        }
        let mut reasons: BTreeMap<&str, Empty> = BTreeMap::new();
        for (column, head) in self.heads.iter().enumerate() {
            let cells = || {
                self.rows
                    .iter()
                    .map(|(kind, cells)| (*kind, &cells[column]))
            };
            let measured = cells().any(|(_, cell)| cell.as_ref().is_ok_and(|text| text != "-"));
            let mut empty = cells().filter_map(|(kind, cell)| Some((kind, *cell.as_ref().err()?)));
            if measured {
                for (kind, reason) in empty {
                    let kinds = &mut reasons.entry(reason).or_default().kinds;
                    kinds.entry(kind).or_default().push(head);
                }
            } else if let Some((_, reason)) = empty.next() {
                reasons.entry(reason).or_default().columns.push(head);
            }
        }
        let line = |(reason, empty): (&str, Empty)| {
            let columns = empty.columns.iter().map(|head| (*head).to_owned());
            let kinds = empty.kinds.iter();
            let kinds = kinds.map(|(kind, heads)| format!("{} of {kind}", heads.join(", ")));
            let all: Vec<String> = columns.chain(kinds).collect();
            format!("not measured: {}: {reason}", all.join(", "))
        };
        reasons.into_iter().map(line).collect()
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|(kind, _)| kind.chars().count());
        let first = names.max().unwrap_or(0);
        write!(f, "{:first$}", "")?;
        for head in &self.heads {
            write!(f, "  {head:>8}")?;
        }
        writeln!(f)?;
        for (kind, cells) in &self.rows {
            write!(f, "{kind:first$}")?;
            for cell in cells {
                let cell = cell.as_deref().unwrap_or_default();
                write!(f, "  {cell:>8}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = &self.run;
        write!(
            f,
            "{} {}, {}, {}",
            run.dataset, run.split, run.protocol, run.model
        )?;
        match run.seed {
            Some(seed) => writeln!(f, ", seed {seed}")?,
            None => writeln!(f)?,
        }
        let table = Table::of(self);
        write!(f, "{table}")?;
        writeln!(f, "{LEGEND}")?;
        for note in table.notes() {
            writeln!(f, "{note}")?;
        }
        if let Some(note) = self.without_absent() {
            writeln!(f, "{note}")?;
        }
        let table = Table::image_reliance(self);
        if !table.rows.is_empty() {
            writeln!(f, "{table}{}", image_reliance::LEGEND)?;
            for note in table.notes() {
                writeln!(f, "{note}")?;
            }
        }
        if let Some(near) = self.overall.quality.image_reliance.near_misses() {
            writeln!(f, "{near}")?;
        }
        if let Some(places) = &self.places {
            write!(f, "{places}")?;
        }
        match &self.delivery {
            Some(delivery) => writeln!(f, "{delivery}"),
            None => Ok(()),
        }
    }
}

fn cells(scores: &Scores) -> [Cell; COLUMNS.len()] {
    let q = &scores.quality;
    let time = |of: fn(&LatencyMs) -> f64| match &scores.timing.latency_ms {
        Some(latency) => duration(of(latency)),
        None => "-".to_owned(),
    };
    let values = [
        q.count.to_string(),
        share(q.giou),
        share(q.ciou),
        share(q.precision_at_50),
        share(q.seg_rate),
        share(q.refusal_rate),
        share(q.false_refusal_rate),
        share(q.explanation_rate),
        time(|l| l.p50),
        time(|l| l.p90),
        time(|l| l.p99),
    ];
    let mut columns = COLUMNS.iter();
    values.map(|value| {
        match columns
            .next()
            .and_then(|(_, name)| scores.not_measured.get(name))
        {
            Some(reason) => Err(*reason),
            None => Ok(value),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{case, given, report, run};
    use super::super::Tally;
    use super::*;

    #[test]
    fn the_table_has_a_row_for_all_and_one_for_each_kind() {
        let table = report().to_string();
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(
            table.lines().next().unwrap(),
            "reason_seg val, generated, tiny, seed 7"
        );
        assert_eq!(rows[1], COLUMNS.map(|(head, _)| head));
        assert_eq!(rows[2][..4], ["all", "2", "0.500", "0.500"]);
        assert_eq!(rows[3][..4], ["absent", "1", "1.000", "-"]);
        assert_eq!(rows[4][..4], ["short", "1", "0.500", "0.500"]);
        assert!(rows[6]
            .join(" ")
            .contains("over the 1 questions with a target, not the 1"));
        let widths: Vec<usize> = table
            .lines()
            .skip(1)
            .take(4)
            .map(|l| l.chars().count())
            .collect();
        assert!(widths.iter().all(|w| *w == widths[0]), "{table}");
    }

    #[test]
    fn columns_without_a_number_are_left_out() {
        let mut tally = Tally::default();
        tally.add(&case("a", "absent")).unwrap();
        let report = tally.report(run());
        let heads = Table::of(&report).heads;
        assert_eq!(heads[..4], ["n", "gIoU", "P@0.5", "refused"]);
        assert_eq!(heads[4..], ["p50", "p90", "p99"]);
    }

    #[test]
    fn what_was_not_measured_is_an_empty_cell_with_its_reason_below() {
        let table = given().to_string();
        let lines: Vec<&str> = table.lines().collect();
        let heads: Vec<&str> = lines[1].split_whitespace().collect();
        let expected = [
            "n", "gIoU", "cIoU", "P@0.5", "SEG", "refused", "missed", "p50", "p90", "p99",
        ];
        assert_eq!(heads, expected);
        let cells = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(cells(lines[2]), ["all", "2", "0.500", "0.500", "1.000"]);
        assert_eq!(cells(lines[3]), ["absent", "1", "-", "-"]);
        assert_eq!(
            cells(lines[4]),
            ["short", "1", "0.500", "0.500", "1.000", "-"]
        );
        let width = lines[1].chars().count();
        assert!(
            lines[2..5].iter().all(|l| l.chars().count() == width),
            "{table}"
        );
        let notes: Vec<&&str> = lines
            .iter()
            .filter(|l| l.starts_with("not measured: "))
            .collect();
        assert_eq!(notes.len(), 4, "{table}");
        let note = |start: &str| notes.iter().any(|n| n.starts_with(start));
        assert!(
            note("not measured: refused, gIoU, cIoU, P@0.5 of absent: questions"),
            "{table}"
        );
        assert!(
            note("not measured: SEG, missed, p50, p90, p99: the answer was given"),
            "{table}"
        );
        assert!(
            note("not measured: near: questions about absent")
                && note("not measured: presence: the answer was given"),
            "{table}"
        );
    }
}
