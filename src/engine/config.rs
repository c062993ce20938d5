//! Which model the engine loads, on which device, and how much it keeps between requests.

use std::fmt;
use std::path::PathBuf;

use crate::compute::{DTypeSpec, DeviceSpec};
use crate::weights::GuidedHead;

/// Which model the engine loads, on which device, and how much it keeps between requests.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Model directory, as `lisa convert` writes it.
    pub model: PathBuf,
    /// Where the network computes. Default: a GPU if there is one.
    pub device: DeviceSpec,
    /// In which numbers it computes. Default: f32 on a CPU, as stored on a GPU.
    pub dtype: DTypeSpec,
    /// How many requests may wait; one more is refused with [`RequestError::Overloaded`](super::RequestError::Overloaded).
    /// Default 8.
    pub max_pending: usize,
    /// How many conversations are kept; the one longest unused leaves first. Default 16.
    pub max_conversations: usize,
    /// How many turns of a conversation are kept; the oldest leave first, and the answer's notes say so. Default 8.
    pub max_turns: usize,
    /// How many frames' embeddings are kept. Default 4.
    pub max_frames: usize,
    /// Answer one throw-away request before reporting ready. Default true.
    pub warm_up: bool,
}

impl EngineConfig {
    /// The defaults, for the model in that directory.
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

/// Which model was loaded, on which device and in which numbers.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Name from the model's `lisa.json`.
    pub model: String,
    /// "cpu" or "cuda:0".
    pub device: String,
    /// "f32", "f16" or "bf16".
    pub dtype: String,
    /// Numbers in all tensors of the model.
    pub parameters: u64,
    /// The attention head that says where the model looks; `None` if training guided none.
    pub guided_head: Option<GuidedHead>,
}

/// "lisa-mini on cpu in f32, 5700676 parameters, guided head 0 of layer 2".
impl fmt::Display for ModelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            model,
            device,
            dtype,
            parameters,
            guided_head,
        } = self;
        write!(f, "{model} on {device} in {dtype}, {parameters} parameters")?;
        match guided_head {
            Some(GuidedHead { layer, head }) => write!(f, ", guided head {head} of layer {layer}"),
            None => Ok(()),
        }
    }
}
