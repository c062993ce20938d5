//! What to convert and how, and the report of what was written.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use crate::text::Template;
use crate::weights::{DType, LisaConfig, QuantizationChange};

/// What to convert, and how.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// The folder of the LISA checkpoint.
    pub lisa: PathBuf,
    /// The folder of CLIP, with its weights, `config.json` and `preprocessor_config.json`.
    pub clip: PathBuf,
    /// The model directory to make. One that exists is replaced.
    pub out: PathBuf,
    /// The type that floating-point tensors are stored in; `None` keeps that of the checkpoint.
    pub dtype: Option<DType>,
    /// Which weights are stored in blocks of small integers instead.
    pub quantization: QuantizationChange,
    /// The conversation template that the checkpoint was trained with; its files do not name it.
    pub template: Template,
    /// Side of SAM's input, in pixels, a multiple of 16; `None` takes the size that the weights were trained at.
    pub sam_image_size: Option<usize>,
    /// Where the checkpoint came from, for `lisa.json`; `None` where it is a folder of which nothing is known.
    pub origin: Option<Origin>,
    /// Setting it from another thread ends the conversion at the next tensor with
    /// [`WeightsError::Interrupted`](crate::weights::WeightsError::Interrupted).
    pub stop: Arc<AtomicBool>,
}

/// Where a checkpoint came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name that the model gets.
    pub name: String,
    /// The source in words, which follow "converted by … from".
    pub source: String,
    /// The licence of the checkpoint, where it is known.
    pub licence: Option<String>,
}

impl ConvertOptions {
    /// Options with the dtype of the checkpoint, the template `llava_v1`, and SAM's input as the weights were trained.
    pub fn new(
        lisa: impl Into<PathBuf>,
        clip: impl Into<PathBuf>,
        out: impl Into<PathBuf>,
    ) -> Self {
        Self {
            lisa: lisa.into(),
            clip: clip.into(),
            out: out.into(),
            dtype: None,
            quantization: QuantizationChange::default(),
            template: Template::LlavaV1,
            sam_image_size: None,
            origin: None,
            stop: Arc::default(),
        }
    }
}

/// What was written, and what a person should know about it.
#[derive(Clone, Debug)]
pub struct ConvertReport {
    /// The `lisa.json` that was written.
    pub config: LisaConfig,
    /// Number of tensors that were written.
    pub tensors: usize,
    /// Size of `model.safetensors`, in bytes.
    pub bytes: u64,
    /// Names of tensors of the two checkpoints that the network does not use.
    pub left_out: Vec<String>,
    /// What a person should know about the origin of these weights, one sentence each: which files were taken where there were
    /// several sets, and what was filled in or merged.
    pub notes: Vec<String>,
}
