//! [`BenchError`]: why a measurement has no result.

use std::path::PathBuf;

use crate::compute::ComputeError;
use crate::engine::{EngineError, RequestError};
use crate::model::ModelError;
use crate::text::TextError;
use crate::train::TrainError;
use crate::weights::WeightsError;

/// Why a measurement has no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A name that is none of a shape.
    #[error("shape {found:?} is unknown; accepted: {accepted}")]
    Shape {
        /// The name.
        found: String,
        /// The names that there are, with commas between them.
        accepted: String,
    },
    /// A shape of encoders alone was to be trained.
    #[error("shape {shape} has no language model to train; accepted: {accepted}")]
    NoLanguageModel {
        /// Its name.
        shape: &'static str,
        /// The names of those that have one, with commas between them.
        accepted: String,
    },
    /// A token id that the model's vocabulary does not have.
    #[error("token {found} is not in the vocabulary of {size} tokens; accepted: 0 to {}", size.saturating_sub(1))]
    Token {
        /// The id.
        found: u32,
        /// Entries of the vocabulary.
        size: usize,
    },
    /// A prompt and its answer that are longer than the model's context.
    #[error("{prompt} tokens of prompt and {tokens} of answer do not fit the model's {context} positions")]
    Context {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the answer.
        tokens: usize,
        /// Positions of the model.
        context: usize,
    },
    /// A file or folder of the measurement could not be written.
    #[error("cannot write {path}: {reason}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model does not answer.
    #[error("the answer that was to be measured failed: {0}")]
    Answer(#[from] RequestError),
    /// The model cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tokenizer cannot be made.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The device is not there, or does not compute in these numbers.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The network could not be computed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The training does not run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Candle failed at an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
