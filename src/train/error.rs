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
    /// A configuration that cannot be parsed, or a value in it that is not accepted.
    #[error("{path}: {reason}")]
    Config {
        /// The configuration file, or the checkpoint that holds the configuration.
        path: PathBuf,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// A file or folder that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says about it.
        source: std::io::Error,
    },
    /// Data that is missing or broken.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model directory that cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A tokenizer or a text that cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A device or a number format that this machine or this build does not have.
    #[error(transparent)]
    Device(#[from] ComputeError),
    /// An operation on tensors that failed, e.g. because memory ran out.
    #[error("computing: {0}")]
    Compute(#[from] candle_core::Error),
    /// A network that cannot be built from the model's tensors, or cannot compute on this input.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// A loss that is infinite or no number, so that its gradients would destroy the model.
    #[error("the loss at step {step} is {loss}; a lower learning rate or a stricter clip_norm helps, and `--resume` goes on from the last checkpoint")]
    Diverged {
        /// The update that would have followed, counted from 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// A file of the data that can be read but not learned from.
    #[error("{reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; names the file.
        reason: String,
    },
    /// Anything else that keeps a training from starting or going on, in words: settings that do not fit the model, a
    /// checkpoint of another run, threads that cannot be started.
    #[error("{0}")]
    Unusable(String),
}

impl TrainError {
    /// The one file of the data that the error is about, if it is about one: the training could go on without that file.
    pub fn broken_file(&self) -> Option<&Path> {
        match self {
            Self::Broken { path, .. } => Some(path),
            Self::Data(error) => error.path(),
            _ => None,
        }
    }

    /// For `map_err`: an [`Io`](Self::Io) about `path`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
