//! What can be wrong with a checkpoint or a model directory.

use std::path::PathBuf;

/// A checkpoint or model directory that cannot be used, and what is accepted instead.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("{what} not found: {path}; {accepted}")]
    Missing {
        what: &'static str,
        path: PathBuf,
        accepted: &'static str,
    },
    #[error("cannot read {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {path}: {reason}")]
    Write { path: PathBuf, reason: String },
    #[error("{path} is not valid: {reason}")]
    Invalid { path: PathBuf, reason: String },
    #[error("{path} has format version {found}; this program reads version {expected}: convert the checkpoint again with `lisa convert`")]
    Version {
        path: PathBuf,
        found: u64,
        expected: u64,
    },
    #[error("{path} is truncated: its header describes {expected} bytes, the file has {found}; copy or convert it again")]
    Truncated {
        path: PathBuf,
        expected: u64,
        found: u64,
    },
    #[error(
        "{path} is a Git LFS pointer, which stands for the file itself; {}",
        lisa_files::lfs::WAY_OUT
    )]
    Pointer { path: PathBuf },
    #[error("{path}: tensor {name} is missing; {hint}")]
    Incomplete {
        path: PathBuf,
        name: String,
        hint: String,
    },
    #[error("{path}: tensor {name} has shape {found:?}, and config.json beside it wants {expected:?}; accepted: the two of one checkpoint")]
    Contradiction {
        path: PathBuf,
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("{path}: tensor {name} is stored as {found}; accepted: f16, bf16, f32, f64. Quantized weights (bitsandbytes, GPTQ, AWQ, float8) are not read: take the checkpoint they were made of")]
    Element {
        path: PathBuf,
        name: String,
        found: String,
    },
    #[error("interrupted")]
    Interrupted,
    #[error("tensor {name} is missing from the weights")]
    MissingTensor { name: String },
    #[error("tensor {name} has shape {found:?}, the configuration wants {expected:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("{path}: {name} is {found}; accepted: {accepted}")]
    Unsupported {
        path: PathBuf,
        name: &'static str,
        found: String,
        accepted: &'static str,
    },
    #[error("{path} names no guided_head, so the model {model} does not say where it looks; accepted: a model trained with objective.attend, in whose lisa.json `lisa merge` has named the head")]
    NoGuidedHead { path: PathBuf, model: String },
    #[error("the checkpoint's tokenizer: {0}")]
    Text(#[from] crate::text::TextError),
    #[error("tensor {name}: {source}")]
    Tensor {
        name: String,
        source: candle_core::Error,
    },
    #[error("{0}")]
    Candle(#[from] candle_core::Error),
}
