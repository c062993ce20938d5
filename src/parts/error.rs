//! What can be wrong with parts of a run, and with reports that are compared.

use std::io;
use std::path::PathBuf;

/// A part that cannot be read, written or merged, or a report that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A part cannot be written.
    #[error("cannot write {}: {source}; give a folder that exists and can be written to", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was to be written as a part cannot be read back.
    #[error("{}: what was found out cannot be written as a part: {why}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: serde_json::Error,
    },
    /// A file is something else than a part of a run.
    #[error("{} is no part of a run; accepted: what `lisa bag eval --parts` or `lisa eval --parts` has written", path.display())]
    NotAPart {
        /// The file.
        path: PathBuf,
    },
    /// A part is not whole.
    #[error("{} is torn: {why}; run its shard again, which makes it anew", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// Where reading it ended.
        why: String,
    },
    /// Parts of a run are not there.
    #[error("of {of} shards {} missing: {}; run them, and merge again", if missing.len() == 1 { "one is" } else { "some are" }, numbers(missing))]
    Missing {
        /// How many shards the run has.
        of: usize,
        /// Those that are missing, from 1.
        missing: Vec<usize>,
    },
    /// Two parts are of the same shard, or share a run among different numbers of shards.
    #[error("{} and {} have the same inputs; accepted: each shard of a run once", one.display(), other.display())]
    Twice {
        /// A part.
        one: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// Two parts were made in different ways.
    #[error("{} and {} were made in different ways ({what}); accepted: parts with the same settings", one.display(), other.display())]
    OtherWay {
        /// A part.
        one: PathBuf,
        /// Another one.
        other: PathBuf,
        /// What is different.
        what: String,
    },
    /// A part lacks inputs of its shard, or has those of another.
    #[error("{}: it holds other inputs than shard {shard} has; run the shard again, which makes it anew", path.display())]
    OtherInputs {
        /// The part.
        path: PathBuf,
        /// Its shard.
        shard: super::super::eval::Shard,
    },
    /// There is nothing to merge.
    #[error("no part was named; accepted: the files that `lisa bag eval --parts` or `lisa eval --parts` has written")]
    Nothing,
    /// A report has no rows of instructions by recording.
    #[error("{} holds no instructions by recording ({why}); accepted: the --json of `lisa bag eval` or of `lisa report merge`", path.display())]
    NotANight {
        /// The report.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// A model directory cannot be read.
    #[error("the model in {} cannot be read: {source}", path.display())]
    Model {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A report cannot be written.
    #[error(transparent)]
    Eval(#[from] crate::eval::EvalError),
}

/// "3, 7, 9", at most twenty of them.
fn numbers(all: &[usize]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = all.iter().take(SHOWN).map(usize::to_string).collect();
    let more = all.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}
