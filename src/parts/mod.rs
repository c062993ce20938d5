//! A measurement that several processes share: each writes a part, and the parts add up to the run in one piece, to the digit.
//!
//! A part holds the records of its inputs and no sums. A report is always computed from the records of all inputs in the
//! inputs' order, also of a run in one piece, so that there is one way to its numbers. Who schedules the processes (Slurm,
//! Kubernetes, Ray) does not matter here: a shard is a number, and a part a file that is there whole or not at all.
//!
//! | file | one idea |
//! |---|---|
//! | `plan.rs` | what a run is: inputs, settings, model by its content |
//! | `part.rs` | what a shard found out, as a file |
//! | `merge.rs` | parts to runs, whichever order they come in |
//! | `night.rs`, `night_page.rs` | the report of many recordings: by robot, day, instruction, model; as a page |
//! | `compare.rs` | two such reports: what got better, what worse, with confidence intervals |
//! | `error.rs` | what can be wrong with parts |

mod compare;
mod error;
mod merge;
mod night;
mod night_page;
mod part;
mod plan;

pub use compare::{compare_nights, ComparedNights, Difference, NightRows, Pairing, Verdict};
pub use error::PartError;
pub use merge::{merge, Merged, MergedRun};
pub use night::{GroupRow, NightReport};
pub use night_page::write_night_html;
pub use part::{Content, Part, PlacedBag, QuestionUnit};
pub use plan::{ModelIdentity, Plan, Work};
