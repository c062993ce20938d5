//! `lisa.json`: everything about a model that its tensors do not say.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::WeightsError;
use crate::image::{ClipFit, ClipPreprocessor};
use crate::text::Template;

/// Version of `lisa.json` that this program writes and reads.
pub const CONFIG_VERSION: u64 = 1;

/// Side of an encoder's input, in pixels, at most.
const LARGEST_SIDE: usize = 4096;
/// Patches along a side of SAM's input, at most; published models have 64.
const LARGEST_GRID: usize = 256;
/// Positions of the language model, at most.
const LONGEST_CONTEXT: usize = 1 << 20;
/// What a norm adds to a variance, at most; models have 1e-6 or 1e-5.
const LARGEST_EPS: f64 = 0.01;
/// Width of a hidden state, at most.
const LARGEST_WIDTH: usize = 1 << 20;

/// Typed form of `lisa.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LisaConfig {
    /// [`CONFIG_VERSION`].
    pub version: u64,
    /// What people call the model, e.g. `LISA-7B-v1`.
    pub name: String,
    /// Where the weights came from, in words.
    pub source: String,
    /// Licence of the weights, where known.
    pub licence: Option<String>,
    /// How `model.safetensors` stores its floating-point tensors.
    pub dtype: DType,
    pub template: Template,
    pub tokens: SpecialTokens,
    pub clip: ClipConfig,
    pub clip_preprocess: ClipPreprocess,
    pub projector: ProjectorKind,
    pub llama: LlamaConfig,
    /// Width of the embedding that prompts the mask decoder (256).
    pub out_dim: usize,
    pub sam: SamConfig,
    pub sam_preprocess: SamPreprocess,
    /// Where training guided attention; published models have none, and their files do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guided_head: Option<GuidedHead>,
}

/// The attention head of the language model that training guided: at the row that predicts an answer's first word it
/// looks at the image tokens of what is asked for, or at `<s>` where that is not in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuidedHead {
    /// Of the language model's layers, from 0.
    pub layer: usize,
    /// Of the layer's query heads, from 0.
    pub head: usize,
}

impl GuidedHead {
    /// Whether the language model has such a head.
    ///
    /// # Errors
    /// What does not exist, with the range that does; `place` says where it was named, e.g. `guided_head.`.
    pub fn check(&self, llama: &LlamaConfig, place: &str) -> Result<(), String> {
        for (name, value, count) in [
            ("layer", self.layer, llama.num_hidden_layers),
            ("head", self.head, llama.num_attention_heads),
        ] {
            if value >= count {
                return Err(format!(
                    "{place}{name} is {value}, and the language model has {count} {name}s; accepted: 0 to {}",
                    count.saturating_sub(1)
                ));
            }
        }
        Ok(())
    }
}

/// Storage type of floating-point tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    F32,
    F16,
    Bf16,
}

impl From<DType> for candle_core::DType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => candle_core::DType::F32,
            DType::F16 => candle_core::DType::F16,
            DType::Bf16 => candle_core::DType::BF16,
        }
    }
}

/// Ids of the tokens that mean something to the program. They differ by checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecialTokens {
    pub bos: u32,
    pub eos: u32,
    pub seg: u32,
    /// `<im_start>` and `<im_end>`, where the checkpoint brackets the image with them.
    pub im_start: Option<u32>,
    pub im_end: Option<u32>,
}

/// CLIP vision tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipConfig {
    pub image_size: usize,
    pub patch_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub layer_norm_eps: f64,
    pub hidden_act: Activation,
    /// Which hidden state is the feature, counted as transformers does: 0 the embeddings, −1 the last layer's.
    pub select_layer: i64,
    pub select_feature: FeatureSelection,
}

/// An element-wise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// GELU with the error function (SAM, projector).
    Gelu,
    /// x · σ(1.702 x) (OpenAI's CLIP).
    QuickGelu,
    Silu,
    Relu,
}

/// Which rows of the hidden state are features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureSelection {
    /// The patches, without the class token.
    Patch,
    /// The class token and the patches.
    ClsPatch,
}

impl ClipConfig {
    /// Patches along a side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Features before the first patch's.
    pub fn first_patch(&self) -> usize {
        self.num_features() - self.num_patches()
    }

    /// Patches per image.
    pub fn num_patches(&self) -> usize {
        self.grid().pow(2)
    }

    /// Rows of the feature the projector sees.
    pub fn num_features(&self) -> usize {
        match self.select_feature {
            FeatureSelection::Patch => self.num_patches(),
            FeatureSelection::ClsPatch => self.num_patches() + 1,
        }
    }

    /// What [`select_layer`](Self::select_layer) may be: there is one hidden state more than there are layers.
    pub fn hidden_states(&self) -> std::ops::RangeInclusive<i64> {
        let layers = self.num_hidden_layers as i64;
        -layers - 1..=layers
    }

    /// Transformer layers that have to run for the selected hidden state.
    pub fn layers_needed(&self) -> usize {
        let states = self.num_hidden_layers as i64 + 1;
        let index = if self.select_layer < 0 {
            states + self.select_layer
        } else {
            self.select_layer
        };
        index.clamp(0, self.num_hidden_layers as i64) as usize
    }
}

/// How a frame becomes the vision tower's input (`preprocessor_config.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipPreprocess {
    /// The short side is resized to this.
    pub size: usize,
    /// Side of the centred crop.
    pub crop: usize,
    /// How an image that is not square was fitted to the square in training; `crop` where nothing is said.
    #[serde(default)]
    pub fit: ClipFit,
    /// Of RGB in 0..=1.
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

impl ClipPreprocess {
    /// What turns an image into the tower's input.
    pub fn preprocessor(&self) -> ClipPreprocessor {
        ClipPreprocessor {
            size: self.size,
            crop: self.crop,
            mean: self.mean,
            std: self.std,
        }
    }
}

/// From vision features to the language model's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProjectorKind {
    #[serde(rename = "linear")]
    Linear,
    #[serde(rename = "mlp2x_gelu")]
    Mlp2xGelu,
}

/// The language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlamaConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    /// Positions are divided by this (linear rope scaling); 1 for none.
    pub rope_scale: f64,
    pub max_position_embeddings: usize,
    /// Precision of the rotary tables. The reference holds them in its checkpoint's precision, and rounds the
    /// angles' cosines accordingly whatever it computes in.
    pub rope_table_dtype: DType,
}

impl LlamaConfig {
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

/// Segment Anything: image encoder, prompt encoder, mask decoder. Inferred from tensor shapes by `lisa convert`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamConfig {
    /// Side of the square input. Where it is not the side the weights were trained at, positions are interpolated.
    pub image_size: usize,
    pub patch_size: usize,
    pub embed_dim: usize,
    pub depth: usize,
    pub num_heads: usize,
    pub mlp_dim: usize,
    /// Side of an attention window, in patches.
    pub window_size: usize,
    /// Layers that attend globally.
    pub global_attn_indexes: Vec<usize>,
    /// Width of the image embedding, the prompts and the mask decoder (256).
    pub prompt_dim: usize,
    pub decoder_depth: usize,
    pub decoder_heads: usize,
    pub decoder_mlp_dim: usize,
    /// The decoder's cross attention works in `prompt_dim` divided by this.
    pub attention_downsample_rate: usize,
    /// Mask tokens of the decoder (4: one for a single mask, three for alternatives).
    pub num_mask_tokens: usize,
    pub iou_head_depth: usize,
    pub iou_head_hidden_dim: usize,
}

impl SamConfig {
    /// Patches along a side of the input.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// How a frame becomes SAM's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamPreprocess {
    /// Of RGB in 0..=255.
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

impl Default for SamPreprocess {
    fn default() -> Self {
        Self {
            mean: [123.675, 116.28, 103.53],
            std: [58.395, 57.12, 57.375],
        }
    }
}

impl LisaConfig {
    /// The head that says where the model looks; `path` is where this configuration was read.
    ///
    /// # Errors
    /// [`WeightsError::NoGuidedHead`].
    pub fn needs_guided_head(&self, path: &Path) -> Result<GuidedHead, WeightsError> {
        self.guided_head.ok_or_else(|| WeightsError::NoGuidedHead {
            path: path.to_owned(),
            model: self.name.clone(),
        })
    }

    /// Reads and checks `lisa.json`.
    ///
    /// # Errors
    /// A version this program does not read, a field that is missing or unknown, or numbers that contradict
    /// each other, by name.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Io {
            path: path.to_owned(),
            source,
        })?;
        let invalid = |reason: String| WeightsError::Invalid {
            path: path.to_owned(),
            reason,
        };
        // The version first: another version's fields are none of our business.
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|e| invalid(e.to_string()))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(CONFIG_VERSION) => {}
            Some(found) => {
                return Err(WeightsError::Version {
                    path: path.to_owned(),
                    found,
                    expected: CONFIG_VERSION,
                })
            }
            None => {
                return Err(invalid(
                    "it has no \"version\" number; is it a lisa.json?".into(),
                ))
            }
        }
        let config: Self = serde_json::from_value(value).map_err(|e| invalid(e.to_string()))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    /// Whether a network of these sizes can be.
    ///
    /// # Errors
    /// The number and what is accepted, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = [
            ("clip.image_size", self.clip.image_size),
            ("clip.hidden_size", self.clip.hidden_size),
            ("clip.num_attention_heads", self.clip.num_attention_heads),
            ("clip.patch_size", self.clip.patch_size),
            ("clip_preprocess.crop", self.clip_preprocess.crop),
            ("llama.hidden_size", self.llama.hidden_size),
            ("llama.num_attention_heads", self.llama.num_attention_heads),
            ("llama.num_key_value_heads", self.llama.num_key_value_heads),
            (
                "llama.max_position_embeddings",
                self.llama.max_position_embeddings,
            ),
            ("sam.patch_size", self.sam.patch_size),
            ("sam.num_heads", self.sam.num_heads),
            ("sam.window_size", self.sam.window_size),
            ("sam.decoder_heads", self.sam.decoder_heads),
            (
                "sam.attention_downsample_rate",
                self.sam.attention_downsample_rate,
            ),
            ("sam.num_mask_tokens", self.sam.num_mask_tokens),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0; it must be 1 or more"));
        }
        // Tables of positions grow with these, before any tensor could contradict them.
        let bounded = [
            ("clip.image_size", self.clip.image_size, LARGEST_SIDE),
            ("sam.image_size", self.sam.image_size, LARGEST_SIDE),
            (
                "patches along a side of sam.image_size",
                self.sam.grid(),
                LARGEST_GRID,
            ),
            ("sam.window_size", self.sam.window_size, LARGEST_GRID),
            (
                "llama.max_position_embeddings",
                self.llama.max_position_embeddings,
                LONGEST_CONTEXT,
            ),
            ("clip.hidden_size", self.clip.hidden_size, LARGEST_WIDTH),
            ("llama.hidden_size", self.llama.hidden_size, LARGEST_WIDTH),
            ("sam.embed_dim", self.sam.embed_dim, LARGEST_WIDTH),
        ];
        if let Some((name, value, most)) = bounded.iter().find(|(_, value, most)| value > most) {
            return Err(format!("{name} is {value}; accepted: {most} at most"));
        }
        let divides = [
            (
                "clip.hidden_size",
                self.clip.hidden_size,
                "clip.num_attention_heads",
                self.clip.num_attention_heads,
            ),
            (
                "clip.image_size",
                self.clip.image_size,
                "clip.patch_size",
                self.clip.patch_size,
            ),
            (
                "llama.hidden_size",
                self.llama.hidden_size,
                "llama.num_attention_heads",
                self.llama.num_attention_heads,
            ),
            (
                "llama.num_attention_heads",
                self.llama.num_attention_heads,
                "llama.num_key_value_heads",
                self.llama.num_key_value_heads,
            ),
            (
                "sam.image_size",
                self.sam.image_size,
                "sam.patch_size",
                self.sam.patch_size,
            ),
            (
                "sam.embed_dim",
                self.sam.embed_dim,
                "sam.num_heads",
                self.sam.num_heads,
            ),
            (
                "sam.prompt_dim",
                self.sam.prompt_dim,
                "sam.decoder_heads",
                self.sam.decoder_heads,
            ),
        ];
        for (a, x, b, y) in divides {
            if x < y || x % y != 0 {
                return Err(format!("{a} is {x}, which is not a multiple of {b}, {y}"));
            }
        }
        if self.llama.head_dim() % 2 != 0 {
            return Err(format!(
                "llama.hidden_size is {} and llama.num_attention_heads is {}, so each head is {} wide; \
                accepted: an even width, whose numbers rotary embeddings turn in pairs",
                self.llama.hidden_size,
                self.llama.num_attention_heads,
                self.llama.head_dim()
            ));
        }
        for (name, eps) in [
            ("llama.rms_norm_eps", self.llama.rms_norm_eps),
            ("clip.layer_norm_eps", self.clip.layer_norm_eps),
        ] {
            if !(0.0..=LARGEST_EPS).contains(&eps) {
                return Err(format!("{name} is {eps:?}; accepted: 0 to {LARGEST_EPS}"));
            }
        }
        let states = self.clip.hidden_states();
        if !states.contains(&self.clip.select_layer) {
            return Err(format!(
                "clip.select_layer is {}, and clip.num_hidden_layers is {}; accepted: {} to {}",
                self.clip.select_layer,
                self.clip.num_hidden_layers,
                states.start(),
                states.end()
            ));
        }
        if self.clip_preprocess.crop != self.clip.image_size {
            return Err(format!(
                "clip_preprocess.crop is {}, and clip.image_size is {}; they must be equal",
                self.clip_preprocess.crop, self.clip.image_size
            ));
        }
        if self.out_dim != self.sam.prompt_dim {
            return Err(format!(
                "out_dim is {}, and sam.prompt_dim is {}; they must be equal",
                self.out_dim, self.sam.prompt_dim
            ));
        }
        if let Some(head) = self.guided_head {
            head.check(&self.llama, "guided_head.")?;
        }
        Ok(())
    }
}
