//! A published checkpoint becomes one model directory, and a model directory opens in seconds.
//!
//! | file of a model directory | what it is |
//! |---|---|
//! | `lisa.json` | [`LisaConfig`]: dimensions, template, token ids, preprocessing, source; versioned |
//! | `model.safetensors` | every tensor, under the checkpoints' names; memory-mapped |
//! | `tokenizer.json` | for the `tokenizers` crate |
//!
//! **Invariant:** nothing outside this module knows how a checkpoint is stored.

mod checkpoint;
mod config;
mod convert;
mod error;
mod model_dir;
mod published;
mod sam_dims;
mod save;
mod shipped;
mod source;

pub use config::{
    Activation, ClipConfig, ClipPreprocess, DType, FeatureSelection, GuidedHead, LisaConfig,
    LlamaConfig, ProjectorKind, SamConfig, SamPreprocess, SpecialTokens, CONFIG_VERSION,
};
pub use convert::{convert, ConvertOptions, ConvertReport};
pub use error::WeightsError;
pub use model_dir::ModelDir;
pub use save::save_model_dir;
pub use shipped::{shipped_model, SHIPPED_MODEL};
pub use source::{LoraUse, Weights};

/// Where the vision tower's tensors stand among the others.
pub const VISION_TOWER_PREFIX: &str = "model.vision_tower.vision_tower";
