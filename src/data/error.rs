//! What can be wrong with a dataset.

use std::path::{Path, PathBuf};

use crate::image::ImageError;
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
    /// A picture that cannot be read; `source` names it.
    #[error("{source}")]
    Picture { path: PathBuf, source: ImageError },
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("{0}")]
    Setting(String),
}

impl DataError {
    /// The file or folder that is wrong; none where a setting is.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Missing { path, .. }
            | Self::Io { path, .. }
            | Self::Broken { path, .. }
            | Self::Picture { path, .. } => Some(path),
            Self::Text(_) | Self::Setting(_) => None,
        }
    }
}
