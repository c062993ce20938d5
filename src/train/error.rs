//! What can go wrong in training.

use std::path::{Path, PathBuf};

use crate::compute::ComputeError;
use crate::data::DataError;
use crate::model::ModelError;
use crate::text::TextError;
use crate::weights::WeightsError;

/// An error of training, in words for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{path}: {reason}")]
    Config { path: PathBuf, reason: String },
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Device(#[from] ComputeError),
    #[error("computing: {0}")]
    Compute(#[from] candle_core::Error),
    #[error("{0}")]
    Model(#[from] ModelError),
    #[error("the loss at step {step} is {loss}; a lower learning rate or a stricter clip_norm helps, and `--resume` goes on from the last checkpoint")]
    Diverged { step: u64, loss: f64 },
    /// A file of the data that cannot be learned from; the reason names it.
    #[error("{reason}")]
    Broken { path: PathBuf, reason: String },
    #[error("{0}")]
    Unusable(String),
}

impl TrainError {
    /// The single file of the data that it is about, without which the training could go on.
    pub fn broken_file(&self) -> Option<&Path> {
        match self {
            Self::Broken { path, .. } => Some(path),
            Self::Data(error) => error.path(),
            _ => None,
        }
    }

    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
