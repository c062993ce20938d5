//! What the engine opens, on which device, and the bounds it keeps.

use std::path::PathBuf;

use crate::compute::{ComputeError, DTypeSpec, DeviceSpec};
use crate::weights::WeightsError;

/// What the engine opens and the bounds it keeps.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Model directory, as `lisa convert` writes it.
    pub model: PathBuf,
    pub device: DeviceSpec,
    pub dtype: DTypeSpec,
    /// Requests that may wait; one more is [`RequestError::Overloaded`](super::RequestError::Overloaded). Default 8.
    pub max_pending: usize,
    /// Conversations remembered; the one longest unused leaves first. Default 16.
    pub max_conversations: usize,
    /// Turns remembered in a conversation; the oldest leave first, and the answer's notes say so. Default 8.
    pub max_turns: usize,
    /// Frames whose embeddings are kept. Default 4.
    pub max_frames: usize,
    /// Answer one throw-away request before reporting ready. Default true.
    pub warm_up: bool,
}

impl EngineConfig {
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            device: DeviceSpec::Auto,
            dtype: DTypeSpec::Auto,
            max_pending: 8,
            max_conversations: 16,
            max_turns: 8,
            max_frames: 4,
            warm_up: true,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Compute(#[from] ComputeError),
    #[error("the first, throw-away request failed: {0}")]
    WarmUp(super::RequestError),
    #[error("cannot start the model thread: {0}")]
    Thread(std::io::Error),
    #[error("loading the model panicked: {0}")]
    Panicked(String),
}
