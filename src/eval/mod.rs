//! How good the answers are: overlap with the truth, rates of `[SEG]`, latency, and reports of them.
//!
//! A runner asks the model and hands every question in as a [`Case`]; [`Tally`] scores it, [`Gallery`] keeps the
//! best, the median and the worst ones as pictures. What comes out is a [`Report`] (JSON, and a table for the
//! terminal) and one HTML page. Only `run` asks the model.
//!
//! | file | what it is |
//! |---|---|
//! | `metrics` | intersection and union of a mask with the truth |
//! | `case` | one question, what was answered, what is true |
//! | `record` | what the scores of a case are computed from, as a part of a run keeps it |
//! | `tally`, `report`, `numbers` | cases to scores; their definitions; latencies |
//! | `image_reliance` | scores that tell looking from answering by the words |
//! | `delivery` | of a recording: what became of its instructions |
//! | `metres` | places of objects against the scenes that they are in |
//! | `gallery`, `worst`, `case_image` | which cases are shown, and their overlays and attention |
//! | `picture_folder` | every case as files in a folder |
//! | `file` | a report is written whole or not at all |
//! | `shard` | which part of a run a process does |
//! | `table` | a report as text for the terminal |
//! | `html`, with `cards` and `report.css` | a report as a page |

mod cards;
mod case;
mod case_image;
mod delivery;
mod error;
mod file;
mod gallery;
mod html;
mod image_reliance;
pub mod metres;
mod metrics;
mod numbers;
mod picture_folder;
mod record;
mod report;
pub mod run;
mod shard;
mod table;
mod tally;
#[cfg(test)]
mod testing;
mod worst;

pub use case::{Case, Distractors, Latency, Verdict};
pub use delivery::Delivery;
pub use error::EvalError;
pub use file::write_whole;
pub use gallery::Gallery;
pub(crate) use html::render_parts_html;
pub use html::{write_html, write_worst_html};
pub use image_reliance::{
    BySize, ImageReliance, Refusals, SizeScore, IMAGE_RELIANCE_DEFINITIONS, LARGE, SMALL,
};
pub use metrics::Overlap;
pub use numbers::LatencyMs;
pub(crate) use numbers::{duration, latency, share};
pub use picture_folder::PictureFolder;
pub(crate) use record::nanoseconds;
pub use record::{CaseRecord, LatencyRecord};
pub use report::{Protocol, Quality, Report, Run, Scores, Timing, DEFINITIONS, HISTOGRAM_BINS};
pub use shard::{Shard, ShardError};
pub use tally::Tally;
pub use worst::{WorstCase, WorstCases, WORST};
