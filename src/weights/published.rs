//! The JSON files beside a published checkpoint, and what they say about the network.

use std::path::Path;

use serde::Deserialize;

use super::checkpoint::{read_json, Checkpoint};
use super::config::*;
use super::{sam_dims, ConvertOptions, WeightsError};
use crate::image::ClipFit;
use crate::text::{tokenizer_json_from_checkpoint, LisaTokenizer};

/// `config.json` of a LISA (LLaVA, Llama) checkpoint.
#[derive(Deserialize)]
struct LlavaJson {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<RopeScaling>,
    max_position_embeddings: Option<usize>,
    max_sequence_length: Option<usize>,
    hidden_act: Option<String>,
    mm_vision_select_layer: Option<i64>,
    mm_vision_select_feature: Option<String>,
    mm_use_im_start_end: Option<bool>,
    mm_projector_type: Option<String>,
    #[serde(rename = "_name_or_path")]
    name_or_path: Option<String>,
}

#[derive(Deserialize)]
struct RopeScaling {
    #[serde(rename = "type", alias = "rope_type")]
    kind: String,
    #[serde(default = "one")]
    factor: f64,
}

fn one() -> f64 {
    1.0
}

/// `config.json` of a CLIP folder: the vision tower's own, or a whole CLIP's.
#[derive(Deserialize)]
#[serde(untagged)]
enum ClipJson {
    Whole { vision_config: ClipVisionJson },
    Vision(ClipVisionJson),
}

/// Fields a file leaves out have the defaults of transformers' `CLIPVisionConfig`.
#[derive(Deserialize)]
#[serde(default)]
struct ClipVisionJson {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
}

impl Default for ClipVisionJson {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
        }
    }
}

/// `preprocessor_config.json`; sizes are a number or an object, by the year of writing.
#[derive(Deserialize)]
struct PreprocessorJson {
    size: SizeJson,
    crop_size: SizeJson,
    image_mean: [f32; 3],
    image_std: [f32; 3],
    resample: Option<u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SizeJson {
    Side(usize),
    Shortest { shortest_edge: usize },
    Box { height: usize, width: usize },
}

impl SizeJson {
    /// The side, where it is a square.
    fn side(&self) -> Option<usize> {
        match *self {
            SizeJson::Side(side)
            | SizeJson::Shortest {
                shortest_edge: side,
            } => Some(side),
            SizeJson::Box { height, width } => (height == width).then_some(height),
        }
    }
}

/// A checkpoint's tokenizer, as text for the model directory and ready for use.
pub(super) struct PublishedTokenizer {
    pub json: String,
    pub tokenizer: LisaTokenizer,
}

/// `tokenizer.model` and `added_tokens.json`, or `tokenizer.json`.
pub(super) fn tokenizer(folder: &Path) -> Result<PublishedTokenizer, WeightsError> {
    let json = tokenizer_json_from_checkpoint(folder)?;
    let tokenizer = LisaTokenizer::from_bytes(json.as_bytes())?;
    Ok(PublishedTokenizer { json, tokenizer })
}

/// Everything `lisa.json` says. `precision` is what the checkpoint was published in; it may be stored in another.
pub(super) fn config(
    options: &ConvertOptions,
    lisa: &Checkpoint,
    tokenizer: &LisaTokenizer,
    precision: DType,
) -> Result<LisaConfig, WeightsError> {
    let path = options.lisa.join("config.json");
    let json: LlavaJson = read_json(&path)?;
    let mut sam = sam_dims::infer(lisa)?;
    if let Some(side) = options.sam_image_size {
        if side == 0 || side % sam.patch_size != 0 {
            return Err(WeightsError::Unsupported {
                path: options.out.clone(),
                name: "SAM's image size",
                found: side.to_string(),
                accepted: "a multiple of the patch size (16)",
            });
        }
        sam.image_size = side;
    }
    let name = json
        .name_or_path
        .as_deref()
        .and_then(|n| n.rsplit('/').next())
        .filter(|n| !n.is_empty());
    let folder = options
        .lisa
        .file_name()
        .map(|n| n.to_string_lossy().into_owned());
    Ok(LisaConfig {
        version: CONFIG_VERSION,
        name: folder
            .or(name.map(str::to_owned))
            .unwrap_or_else(|| "LISA".into()),
        source: format!("converted by lisa_ros {}", env!("CARGO_PKG_VERSION")),
        licence: None,
        dtype: options.dtype.unwrap_or(precision),
        template: options.template,
        tokens: tokens(&path, &json, tokenizer)?,
        clip: clip(&options.clip.join("config.json"), &path, &json)?,
        clip_preprocess: clip_preprocess(&options.clip.join("preprocessor_config.json"))?,
        projector: projector(&path, &json, lisa)?,
        out_dim: sam.prompt_dim,
        llama: llama(&path, &json, lisa, precision)?,
        sam,
        sam_preprocess: SamPreprocess::default(),
        guided_head: None,
    })
}

fn tokens(
    path: &Path,
    json: &LlavaJson,
    tokenizer: &LisaTokenizer,
) -> Result<SpecialTokens, WeightsError> {
    let id = |token: &str| {
        tokenizer
            .token_id(token)
            .ok_or_else(|| WeightsError::Invalid {
                path: path.with_file_name("added_tokens.json"),
                reason: format!("the tokenizer has no token {token}; is this a LISA checkpoint?"),
            })
    };
    let bracketed = json.mm_use_im_start_end.unwrap_or(false);
    Ok(SpecialTokens {
        bos: id("<s>")?,
        eos: id("</s>")?,
        seg: id("[SEG]")?,
        im_start: if bracketed {
            Some(id("<im_start>")?)
        } else {
            None
        },
        im_end: if bracketed {
            Some(id("<im_end>")?)
        } else {
            None
        },
    })
}

fn llama(
    path: &Path,
    json: &LlavaJson,
    lisa: &Checkpoint,
    precision: DType,
) -> Result<LlamaConfig, WeightsError> {
    let unsupported = |name, found: String, accepted| WeightsError::Unsupported {
        path: path.to_owned(),
        name,
        found,
        accepted,
    };
    match json.hidden_act.as_deref() {
        None | Some("silu") => {}
        Some(other) => return Err(unsupported("hidden_act", other.into(), "silu")),
    }
    let rope_scale = match &json.rope_scaling {
        None => 1.0,
        Some(scaling) if scaling.kind == "linear" && scaling.factor > 0.0 => scaling.factor,
        Some(scaling) => {
            return Err(unsupported(
                "rope_scaling",
                scaling.kind.clone(),
                "none, or linear",
            ))
        }
    };
    let embed = "model.embed_tokens.weight";
    // The table, not config.json, has the last word: vocab_size is stale in some published configurations.
    let vocab_size = match lisa.shape(embed) {
        Some([rows, _]) => *rows,
        _ => return Err(WeightsError::MissingTensor { name: embed.into() }),
    };
    Ok(LlamaConfig {
        vocab_size,
        hidden_size: json.hidden_size,
        intermediate_size: json.intermediate_size,
        num_hidden_layers: json.num_hidden_layers,
        num_attention_heads: json.num_attention_heads,
        num_key_value_heads: json.num_key_value_heads.unwrap_or(json.num_attention_heads),
        rms_norm_eps: json.rms_norm_eps,
        rope_theta: json.rope_theta.unwrap_or(10_000.0),
        rope_scale,
        rope_table_dtype: precision,
        max_position_embeddings: json
            .max_position_embeddings
            .or(json.max_sequence_length)
            .unwrap_or(2048),
    })
}

/// The tensors decide: older configurations do not name the projector, and the reference ignores the name.
fn projector(
    path: &Path,
    json: &LlavaJson,
    lisa: &Checkpoint,
) -> Result<ProjectorKind, WeightsError> {
    if lisa.shape("model.mm_projector.weight").is_some() {
        Ok(ProjectorKind::Linear)
    } else if lisa.shape("model.mm_projector.2.weight").is_some()
        && lisa.shape("model.mm_projector.4.weight").is_none()
    {
        Ok(ProjectorKind::Mlp2xGelu)
    } else if let Some(kind) = &json.mm_projector_type {
        Err(WeightsError::Unsupported {
            path: path.to_owned(),
            name: "mm_projector_type",
            found: kind.clone(),
            accepted: "linear, mlp2x_gelu",
        })
    } else {
        Err(WeightsError::MissingTensor {
            name: "model.mm_projector.weight".into(),
        })
    }
}

fn clip(path: &Path, lisa_path: &Path, json: &LlavaJson) -> Result<ClipConfig, WeightsError> {
    let (ClipJson::Whole {
        vision_config: clip,
    }
    | ClipJson::Vision(clip)) = read_json::<ClipJson>(path)?;
    let unsupported = |path: &Path, name, found: &str, accepted| WeightsError::Unsupported {
        path: path.to_owned(),
        name,
        found: found.to_owned(),
        accepted,
    };
    let hidden_act = match clip.hidden_act.as_str() {
        "quick_gelu" => Activation::QuickGelu,
        "gelu" => Activation::Gelu,
        other => return Err(unsupported(path, "hidden_act", other, "quick_gelu, gelu")),
    };
    let select_feature = match json.mm_vision_select_feature.as_deref() {
        None | Some("patch") => FeatureSelection::Patch,
        Some("cls_patch") => FeatureSelection::ClsPatch,
        Some(other) => {
            return Err(unsupported(
                lisa_path,
                "mm_vision_select_feature",
                other,
                "patch, cls_patch",
            ));
        }
    };
    Ok(ClipConfig {
        image_size: clip.image_size,
        patch_size: clip.patch_size,
        hidden_size: clip.hidden_size,
        intermediate_size: clip.intermediate_size,
        num_hidden_layers: clip.num_hidden_layers,
        num_attention_heads: clip.num_attention_heads,
        layer_norm_eps: clip.layer_norm_eps,
        hidden_act,
        select_layer: json.mm_vision_select_layer.unwrap_or(-2),
        select_feature,
    })
}

fn clip_preprocess(path: &Path) -> Result<ClipPreprocess, WeightsError> {
    let json: PreprocessorJson = read_json(path)?;
    let unsupported = |name, accepted| WeightsError::Unsupported {
        path: path.to_owned(),
        name,
        found: "something else".into(),
        accepted,
    };
    if json.resample.is_some_and(|r| r != 3) {
        return Err(unsupported("resample", "3 (bicubic)"));
    }
    Ok(ClipPreprocess {
        size: json
            .size
            .side()
            .ok_or_else(|| unsupported("size", "a number or {\"shortest_edge\": n}"))?,
        crop: json
            .crop_size
            .side()
            .ok_or_else(|| unsupported("crop_size", "a square"))?,
        fit: ClipFit::Crop,
        mean: json.image_mean,
        std: json.image_std,
    })
}
