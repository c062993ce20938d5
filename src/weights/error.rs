//! [`WeightsError`]: what can be wrong with a checkpoint or a model directory.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A checkpoint or model directory that cannot be used or written. Messages say what is accepted instead.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A model directory, or a file that has to lie in it or beside a checkpoint, does not exist.
    #[error("{what} not found: {path}; {accepted}")]
    Missing {
        /// What was looked for, in words, e.g. `model file`.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What has to lie there instead.
        accepted: &'static str,
    },
    /// A model directory does not exist, and its name may be one of a model on the hub.
    #[error("model directory not found: {name}; if this is a model on the hub, `lisa pull {name} --out DIR` downloads it and makes the directory DIR")]
    NotPulled {
        /// The name.
        name: String,
    },
    /// A file exists and could not be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A model directory or one of its files could not be written, or may not be put where it was asked for.
    #[error("cannot write {path}: {reason}")]
    Write {
        /// The file or folder that was to be written.
        path: PathBuf,
        /// Why not, in words.
        reason: String,
    },
    /// A file can be read, and its content is not what a file of that name has to hold.
    #[error("{path} is not valid: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, in words.
        reason: String,
    },
    /// A `lisa.json` was written in a version of the format that this program does not read.
    #[error("{path} has format version {found}; this program reads version {expected}: convert the checkpoint again with `lisa convert`")]
    Version {
        /// The `lisa.json`.
        path: PathBuf,
        /// The version that it names.
        found: u64,
        /// The version that this program reads, [`CONFIG_VERSION`](super::CONFIG_VERSION).
        expected: u64,
    },
    /// A safetensors file is shorter than its header says, as after a copy that was cut short.
    #[error("{path} is truncated: its header describes {expected} bytes, the file has {found}; copy or convert it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Length that the header describes, in bytes.
        expected: u64,
        /// Length of the file, in bytes.
        found: u64,
    },
    /// A repository was cloned without Git LFS, so that a small text file stands in the place of the weights.
    #[error(
        "{path} is a Git LFS pointer, which stands for the file itself; {}",
        lisa_files::lfs::WAY_OUT
    )]
    Pointer {
        /// The pointer file.
        path: PathBuf,
    },
    /// A checkpoint lacks a tensor that the network needs.
    #[error("{path}: tensor {name} is missing; {hint}")]
    Incomplete {
        /// The checkpoint.
        path: PathBuf,
        /// Full name of the tensor.
        name: String,
        /// What may be the cause, in words.
        hint: String,
    },
    /// A checkpoint's tensor has another shape than its `config.json` leads to.
    #[error("{path}: tensor {name} has shape {found:?}, and config.json beside it wants {expected:?}; accepted: the two of one checkpoint")]
    Contradiction {
        /// The checkpoint.
        path: PathBuf,
        /// Full name of the tensor.
        name: String,
        /// The shape that `config.json` leads to.
        expected: Vec<usize>,
        /// The shape of the tensor.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that holds no plain floating-point numbers, as in quantized checkpoints.
    #[error("{path}: tensor {name} is stored as {found}; accepted: f16, bf16, f32, f64. Quantized weights (bitsandbytes, GPTQ, AWQ, float8) are not read: take the checkpoint they were made of")]
    Element {
        /// The checkpoint.
        path: PathBuf,
        /// Full name of the tensor.
        name: String,
        /// The type, as the file names it.
        found: String,
    },
    /// The work was ended from outside before it was done, and left nothing behind.
    #[error("interrupted")]
    Interrupted,
    /// A network was loaded from weights that lack one of its tensors.
    #[error("tensor {name} is missing from the weights")]
    MissingTensor {
        /// Full name of the tensor.
        name: String,
    },
    /// A network was loaded from weights in which a tensor has another shape than the configuration leads to.
    #[error("tensor {name} has shape {found:?}, the configuration wants {expected:?}")]
    Shape {
        /// Full name of the tensor.
        name: String,
        /// The shape that the configuration leads to.
        expected: Vec<usize>,
        /// The shape of the tensor.
        found: Vec<usize>,
    },
    /// A checkpoint's configuration asks for something that the network here does not have.
    #[error("{path}: {name} is {found}; accepted: {accepted}")]
    Unsupported {
        /// The configuration file, or the place of the option.
        path: PathBuf,
        /// Name of the field or option.
        name: &'static str,
        /// Its value.
        found: String,
        /// The values that are accepted.
        accepted: &'static str,
    },
    /// An attention map was asked for, and the model has no [`GuidedHead`](super::GuidedHead).
    #[error("{path} names no guided_head, so the model {model} does not say where it looks; accepted: a model trained with objective.attend, in whose lisa.json `lisa merge` has named the head")]
    NoGuidedHead {
        /// The model's `lisa.json`.
        path: PathBuf,
        /// The model's name.
        model: String,
    },
    /// The checkpoint's or the model directory's tokenizer cannot be used.
    #[error("the checkpoint's tokenizer: {0}")]
    Text(#[from] crate::text::TextError),
    /// Candle could not load, convert or compute one tensor.
    #[error("tensor {name}: {source}")]
    Tensor {
        /// Full name of the tensor.
        name: String,
        /// What candle said.
        source: candle_core::Error,
    },
    /// Candle failed at something that concerns no single tensor.
    #[error("{0}")]
    Candle(#[from] candle_core::Error),
}

/// A [`WeightsError::Write`].
pub(super) fn cannot_write(path: &Path, reason: impl Display) -> WeightsError {
    WeightsError::Write {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
