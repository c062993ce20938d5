//! The report of many recordings as a page: the scores, then group by group, then the worst cases.

use std::path::Path;

use maud::{html, Markup};

use super::night::{GroupRow, GROUPS};
use super::NightReport;
use crate::eval::{duration, render_parts_html, share, write_whole, EvalError, WorstCases};
use crate::replay::BagRow;

/// Rows of a table. What is beyond is in the JSON.
const MOST_ROWS: usize = 100;

/// Writes the page to a file, replacing what is there.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_night_html(
    report: &NightReport,
    worst: &WorstCases,
    path: &Path,
) -> Result<(), EvalError> {
    let more = html! {
        (recordings(&report.bags.bags))
        @for by in GROUPS {
            @if let Some(rows) = report.by.get(by) {
                (group(by, rows.iter().map(|(name, row)| (name.as_str(), row)).collect()))
            }
        }
    };
    let page = render_parts_html(&report.bags.report, &more, worst);
    write_whole(path, page.as_bytes()).map_err(|source| EvalError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The recordings that were not measured, and those of which something is missing.
fn recordings(bags: &[BagRow]) -> Markup {
    let unmeasured = bags
        .iter()
        .filter_map(|bag| Some((bag, bag.fault.as_ref()?)));
    let partly = bags
        .iter()
        .filter(|bag| bag.fault.is_none() && !bag.notes.is_empty());
    let (count, partly_count) = (unmeasured.clone().count(), partly.clone().count());
    html! {
        h2 { "Recordings" }
        p.note {
            (bags.len()) " recordings, " (count) " of them could not be measured, "
            (partly_count) " were read as far as they go."
        }
        @if count > 0 {
            details open {
                summary { "Not measured" }
                dl {
                    @for (bag, fault) in unmeasured.take(MOST_ROWS) { dt { (bag.bag) } dd { (fault) } }
                }
            }
        }
        @if partly_count > 0 {
            details {
                summary { "Damaged or incomplete, and measured" }
                dl {
                    @for bag in partly.take(MOST_ROWS) { dt { (bag.bag) } dd { (bag.notes.join("; ")) } }
                }
            }
        }
    }
}

/// A table of groups, those of the lowest gIoU first where they are many.
fn group(by: &str, mut rows: Vec<(&str, &GroupRow)>) -> Markup {
    let all = rows.len();
    if all > MOST_ROWS {
        let giou = |row: &GroupRow| row.giou.unwrap_or(f64::INFINITY);
        rows.sort_by(|a, b| giou(a.1).total_cmp(&giou(b.1)));
        rows.truncate(MOST_ROWS);
    }
    html! {
        h2 { "By " (by) }
        @if all > MOST_ROWS {
            p.note { "The " (MOST_ROWS) " of " (all) " with the lowest gIoU." }
        }
        div.panel {
            table {
                thead {
                    tr {
                        th scope="col" { (by) }
                        @for head in ["bags", "asked", "answered", "gIoU", "cIoU", "P@0.5", "refused", "missed", "p50", "p99"] {
                            th scope="col" { (head) }
                        }
                    }
                }
                tbody {
                    @for (name, row) in rows {
                        tr {
                            th scope="row" dir="auto" { (name) }
                            @for count in [row.bags, row.instructions, row.answered] { td { (count) } }
                            @for value in [row.giou, row.ciou, row.precision_at_50, row.refusal_rate, row.false_refusal_rate] {
                                td { (share(value)) }
                            }
                            @for ms in [row.latency_ms.map(|l| l.p50), row.latency_ms.map(|l| l.p99)] {
                                td { (ms.map_or_else(|| "-".to_owned(), duration)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
