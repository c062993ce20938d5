//! Model directories: opening one, whose tensors are read one by one, and writing one, whole or not at all.
//!
//! | file of a model directory | what it is |
//! |---|---|
//! | `lisa.json` | [`LisaConfig`]: version of the format, sizes, template, token ids, preprocessing, source |
//! | `model.safetensors` | all tensors, under the names of the checkpoints |
//! | `tokenizer.json` | the tokenizer, in the format of the `tokenizers` crate |
//!
//! [`Gguf`] opens a language model by itself, as llama.cpp has it.
//!
//! [`convert`](crate::convert) makes a model directory of a published checkpoint.

mod config;
mod config_check;
mod error;
mod fingerprint;
mod gguf;
mod model_dir;
mod quantized;
mod save;
mod shipped;
mod source;
mod staging;
mod tensor_file;
mod write;

pub use config::{
    Activation, ClipConfig, ClipPreprocess, DType, FeatureSelection, GuidedHead, LisaConfig,
    LlamaConfig, PatchMerge, ProjectorKind, SamConfig, SamPreprocess, SpecialTokens,
    CONFIG_VERSION,
};
pub use error::WeightsError;
pub use fingerprint::Fingerprint;
pub use gguf::Gguf;
pub use model_dir::ModelDir;
pub use quantized::{BlockMatrix, BlockType, Quantization, QuantizationChange};
pub use save::{save_model_dir, write_safetensors};
pub use shipped::{find_model, shipped_model, SHIPPED_MODEL};
pub use source::{LoraUse, Weights};

pub(crate) use model_dir::check_header;
pub(crate) use save::{write_model_dir, write_texts};
pub(crate) use staging::Staging;
pub(crate) use write::{write_tensors, Loaded, Storage, TensorSource};

/// Prefix of the names of the vision tower's tensors in a model directory.
pub const VISION_TOWER_PREFIX: &str = "model.vision_tower.vision_tower";
/// Prefix of the names of SAM's tensors (image encoder, prompt encoder and mask decoder) in a model directory.
pub const SAM_PREFIX: &str = "model.visual_model";
/// Prefix of the names of the tensors of SAM's image encoder.
pub const IMAGE_ENCODER_PREFIX: &str = "model.visual_model.image_encoder";
