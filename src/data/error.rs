//! What can be wrong with a dataset.

use std::path::{Path, PathBuf};

use crate::image::ImageError;
use crate::text::TextError;

/// An error that names the file and what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder of a dataset that is not there.
    #[error("{}: there is no such {what}; accepted: {accepted}", path.display())]
    Missing {
        /// `file` or `folder`.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// The layout that is accepted.
        accepted: String,
    },
    /// A file or folder that cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says about it.
        source: std::io::Error,
    },
    /// A file that can be read but holds something else than what is expected of it.
    #[error("{}: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in words.
        reason: String,
    },
    /// A picture that cannot be read.
    #[error("{source}")]
    Picture {
        /// The picture's file, or the labels that hold it.
        path: PathBuf,
        /// What is wrong with it; names the file.
        source: ImageError,
    },
    /// A tokenizer or a text that cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A setting that is not accepted, e.g. the name of a dataset that does not exist; in words.
    #[error("{0}")]
    Setting(String),
}

impl DataError {
    /// The file or folder that the error is about; `None` where a text or a setting is wrong.
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
