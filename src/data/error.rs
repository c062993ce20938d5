//! What can be wrong with a dataset.

use std::path::PathBuf;

use crate::text::TextError;

/// An error that names the file and what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{}: there is no such {what}; accepted: {accepted}", path.display())]
    Missing {
        what: &'static str,
        path: PathBuf,
        accepted: String,
    },
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {reason}", path.display())]
    Broken { path: PathBuf, reason: String },
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("{0}")]
    Setting(String),
}
