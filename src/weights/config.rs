//! [`LisaConfig`], the content of `lisa.json`: everything about a model that its tensors do not say.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Quantization, WeightsError};
use crate::image::{ClipFit, ClipPreprocessor};
use crate::text::Template;

/// Version of `lisa.json` that this program writes and reads.
pub const CONFIG_VERSION: u64 = 1;

/// Typed form of `lisa.json`. [`LisaConfig::read`] refuses unknown fields and sizes that contradict each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LisaConfig {
    /// Version of the format; always [`CONFIG_VERSION`].
    pub version: u64,
    /// Name of the model, e.g. `LISA-7B-v1`.
    pub name: String,
    /// Where the weights came from, in words for a person.
    pub source: String,
    /// Licence of the weights, e.g. `Apache-2.0`, where it is known.
    pub licence: Option<String>,
    /// The type that `model.safetensors` stores floating-point tensors in.
    pub dtype: DType,
    /// Which of its weights are stored in blocks of small integers instead; left out where none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// The conversation template that the model was trained with.
    pub template: Template,
    /// Ids of the special tokens in `tokenizer.json`.
    pub tokens: SpecialTokens,
    /// Sizes of the CLIP vision tower.
    pub clip: ClipConfig,
    /// How a frame becomes the input of the vision tower.
    pub clip_preprocess: ClipPreprocess,
    /// What lies between the vision tower and the language model.
    pub projector: ProjectorKind,
    /// Sizes of the language model.
    pub llama: LlamaConfig,
    /// Width of the embedding that prompts the mask decoder (256, `out_dim` of LISA's `config.json`); equal to
    /// [`SamConfig::prompt_dim`].
    pub out_dim: usize,
    /// Sizes of Segment Anything.
    pub sam: SamConfig,
    /// How a frame becomes SAM's input.
    pub sam_preprocess: SamPreprocess,
    /// The head whose attention was guided in training. Published models have none, and the field is left out of their files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guided_head: Option<GuidedHead>,
}

/// The attention head of the language model that was guided in training. In the row that predicts the first word of an answer it
/// attends to the image tokens of the object that is asked for, or to `<s>` where the object is not in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuidedHead {
    /// Index of the layer in the language model, from 0.
    pub layer: usize,
    /// Index of the query head in that layer, from 0.
    pub head: usize,
}

impl GuidedHead {
    /// Checks that the language model has this layer and head.
    ///
    /// # Errors
    /// A message that names the number and the accepted range. It begins with `prefix`, which says where the head was named,
    /// e.g. `guided_head.`.
    pub fn check(&self, llama: &LlamaConfig, prefix: &str) -> Result<(), String> {
        for (name, value, count) in [
            ("layer", self.layer, llama.num_hidden_layers),
            ("head", self.head, llama.num_attention_heads),
        ] {
            if value >= count {
                return Err(format!(
                    "{prefix}{name} is {value}, and the language model has {count} {name}s; accepted: 0 to {}",
                    count.saturating_sub(1)
                ));
            }
        }
        Ok(())
    }
}

/// The type that floating-point tensors are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32 bits, IEEE 754 binary32.
    F32,
    /// 16 bits, IEEE 754 binary16: 10 bits of fraction, at most 65504.
    F16,
    /// 16 bits, the upper half of an f32: 7 bits of fraction and the range of f32.
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

/// Ids of the tokens that the program treats specially. They differ between checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecialTokens {
    /// `<s>`, which begins a prompt.
    pub bos: u32,
    /// `</s>`, which ends a turn.
    pub eos: u32,
    /// `[SEG]`, whose hidden state prompts the mask decoder.
    pub seg: u32,
    /// `<im_start>`, which stands before the image where the checkpoint's `mm_use_im_start_end` is true.
    pub im_start: Option<u32>,
    /// `<im_end>`, which stands after the image where `<im_start>` stands before it.
    pub im_end: Option<u32>,
}

/// Sizes of the CLIP vision tower. Fields without another source bear the names of `vision_config` in CLIP's `config.json`;
/// the examples are those of `clip-vit-large-patch14`, the tower of the published models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipConfig {
    /// Side of the square input, in pixels (224), a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of a patch, in pixels (14).
    pub patch_size: usize,
    /// Width of a hidden state (1024), a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Width of the hidden layer in each MLP (4096).
    pub intermediate_size: usize,
    /// Transformer layers of the checkpoint (24), of which [`layers_needed`](Self::layers_needed) run.
    pub num_hidden_layers: usize,
    /// Attention heads of each layer (16).
    pub num_attention_heads: usize,
    /// What layer normalization adds to the variance (1e-5), 0 to 0.01.
    pub layer_norm_eps: f64,
    /// Non-linearity of the MLPs.
    pub hidden_act: Activation,
    /// Which hidden state is the feature (`mm_vision_select_layer` of LLaVA's `config.json`, −2), counted as transformers does:
    /// 0 is the embeddings, −1 the output of the last layer.
    pub select_layer: i64,
    /// Which rows of that hidden state are the feature (`mm_vision_select_feature` of LLaVA's `config.json`).
    pub select_feature: FeatureSelection,
    /// Whether neighbouring patches become one on the way; published towers have no such layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<PatchMerge>,
}

/// A layer inside the tower that makes one patch of several, as Swin Transformer does (Liu et al. 2021): the first layers see small
/// patches and tell small things apart, the others and the language model have few. The states of `side²` neighbours, row by row,
/// are concatenated and mapped back to the width of one by the tensors `vision_model.merge.weight` and `.bias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchMerge {
    /// How many layers run before it, 1 or more, and fewer than run in all.
    pub after: usize,
    /// How many patches become one along a side, 2 or more; it divides the patches of a side.
    pub side: usize,
}

/// An element-wise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// GELU with the error function, x · Φ(x), which SAM's image encoder and the projector use.
    Gelu,
    /// x · σ(1.702 x), which OpenAI's CLIP uses.
    QuickGelu,
    /// x · σ(x), which Llama uses.
    Silu,
    /// max(x, 0), which SAM's mask decoder uses.
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
    /// Patches along a side that the first layer sees.
    pub fn embedded_grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches along a side of the feature: fewer than were embedded where they are merged.
    pub fn grid(&self) -> usize {
        self.embedded_grid() / self.merge.map_or(1, |merge| merge.side)
    }

    /// Number of features before the first patch: 1 with the class token, otherwise 0.
    pub fn first_patch(&self) -> usize {
        self.num_features() - self.num_patches()
    }

    /// Patches of the feature.
    pub fn num_patches(&self) -> usize {
        self.grid().pow(2)
    }

    /// Rows of the feature that the projector maps, which are the positions of an image in a prompt.
    pub fn num_features(&self) -> usize {
        match self.select_feature {
            FeatureSelection::Patch => self.num_patches(),
            FeatureSelection::ClsPatch => self.num_patches() + 1,
        }
    }

    /// Range of [`select_layer`](Self::select_layer). There is one hidden state more than there are layers, the embeddings.
    pub fn hidden_states(&self) -> std::ops::RangeInclusive<i64> {
        let layers = self.num_hidden_layers as i64;
        -layers - 1..=layers
    }

    /// Number of transformer layers that have to run to give the selected hidden state.
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

/// How a frame becomes the vision tower's input. The names in brackets are those of `preprocessor_config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipPreprocess {
    /// Length to which the short side is resized, in pixels (`size.shortest_edge`).
    pub size: usize,
    /// Side of the centred square that is cut out, in pixels (`crop_size`); equal to [`ClipConfig::image_size`].
    pub crop: usize,
    /// How an image that is not square was fitted to the square in training; `crop` where `lisa.json` does not say it.
    #[serde(default)]
    pub fit: ClipFit,
    /// What is subtracted from red, green and blue in 0..=1 (`image_mean`).
    pub mean: [f32; 3],
    /// What the differences are divided by (`image_std`).
    pub std: [f32; 3],
}

impl ClipPreprocess {
    /// The preprocessor that turns an image into the tower's input.
    pub fn preprocessor(&self) -> ClipPreprocessor {
        ClipPreprocessor {
            size: self.size,
            crop: self.crop,
            mean: self.mean,
            std: self.std,
        }
    }
}

/// The projector, which maps vision features to the width of the language model (`mm_projector_type` of LLaVA's `config.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProjectorKind {
    /// One linear layer (LLaVA 1.0, and LISA's published models).
    #[serde(rename = "linear")]
    Linear,
    /// Two linear layers with a GELU between them (LLaVA 1.5).
    #[serde(rename = "mlp2x_gelu")]
    Mlp2xGelu,
}

/// Sizes of the language model, a Llama. The fields have the names of its `config.json` unless their docs say otherwise; the
/// examples are those of the published 7B models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlamaConfig {
    /// Rows of the embedding table: as many as the tokenizer has tokens, or more where the table was padded (32004 in
    /// LISA-7B-v1).
    pub vocab_size: usize,
    /// Width of a hidden state (4096), a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Width of the hidden layer in each MLP (11008).
    pub intermediate_size: usize,
    /// Transformer layers (32).
    pub num_hidden_layers: usize,
    /// Query heads of each layer (32), a multiple of `num_key_value_heads`.
    pub num_attention_heads: usize,
    /// Heads of keys and values of each layer (32); fewer than query heads in grouped-query attention.
    pub num_key_value_heads: usize,
    /// What RMS normalization adds to the mean square, 0 to 0.01.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding's wavelengths (10000).
    pub rope_theta: f64,
    /// Positions are divided by this (`rope_scaling` of type `linear`); 1 without scaling.
    pub rope_scale: f64,
    /// Longest sequence, in positions (2048); the features of an image take one each.
    pub max_position_embeddings: usize,
    /// Precision of the rotary tables. The reference holds them in the precision of its checkpoint, and so rounds their
    /// cosines and sines whatever it computes in. Not a field of `config.json`.
    pub rope_table_dtype: DType,
}

impl LlamaConfig {
    /// Width of a head, an even number: rotary embeddings turn its numbers in pairs.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

/// Sizes of Segment Anything: image encoder, prompt encoder and mask decoder. Published checkpoints have no configuration of
/// it, so `lisa convert` infers them from the shapes of the tensors. The names are those of `build_sam.py`; the examples are
/// those of ViT-H.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamConfig {
    /// Side of the square input, in pixels (1024). Where it is not the side that the weights were trained at, positions are
    /// interpolated.
    pub image_size: usize,
    /// Side of a patch, in pixels (16).
    pub patch_size: usize,
    /// Width of the image encoder's hidden state (1280), a multiple of `num_heads`.
    pub embed_dim: usize,
    /// Transformer layers of the image encoder (32).
    pub depth: usize,
    /// Attention heads of each layer of the image encoder (16).
    pub num_heads: usize,
    /// Width of the hidden layer in each MLP of the image encoder (5120).
    pub mlp_dim: usize,
    /// Side of an attention window, in patches (14).
    pub window_size: usize,
    /// Layers of the image encoder that attend globally, from 0 (7, 15, 23, 31); the others attend within windows.
    pub global_attn_indexes: Vec<usize>,
    /// Width of the image embedding, the prompts and the mask decoder (256).
    pub prompt_dim: usize,
    /// Layers of the mask decoder's two-way transformer (2).
    pub decoder_depth: usize,
    /// Attention heads of each layer of the mask decoder (8).
    pub decoder_heads: usize,
    /// Width of the hidden layer in each MLP of the mask decoder (2048).
    pub decoder_mlp_dim: usize,
    /// The mask decoder's cross attention works in a width of `prompt_dim` divided by this (2).
    pub attention_downsample_rate: usize,
    /// Mask tokens of the mask decoder (4): the first predicts the single mask that LISA uses, the others alternatives.
    pub num_mask_tokens: usize,
    /// Linear layers of the head that predicts each mask's IoU (3).
    pub iou_head_depth: usize,
    /// Width of the hidden layers of that head (256).
    pub iou_head_hidden_dim: usize,
}

impl SamConfig {
    /// Patches along a side of the input.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// How a frame becomes SAM's input, after its longer side is resized to [`SamConfig::image_size`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamPreprocess {
    /// What is subtracted from red, green and blue in 0..=255 (`pixel_mean`).
    pub mean: [f32; 3],
    /// What the differences are divided by (`pixel_std`).
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
    /// The guided head, for a caller that cannot do without one. `path` is the file this configuration was read from.
    ///
    /// # Errors
    /// [`WeightsError::NoGuidedHead`] where the model has none.
    pub fn needs_guided_head(&self, path: &Path) -> Result<GuidedHead, WeightsError> {
        self.guided_head.ok_or_else(|| WeightsError::NoGuidedHead {
            path: path.to_owned(),
            model: self.name.clone(),
        })
    }

    /// Reads and checks `lisa.json`.
    ///
    /// # Errors
    /// [`WeightsError::Io`], [`WeightsError::Version`], or [`WeightsError::Invalid`], which names the field that is missing or
    /// unknown or the sizes that contradict each other.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Io {
            path: path.to_owned(),
            source,
        })?;
        let invalid = |reason: String| WeightsError::Invalid {
            path: path.to_owned(),
            reason,
        };
        // The version is read first: in another version the fields may be others, and an error about them would mislead.
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
}
