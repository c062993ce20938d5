//! Reads the JSON files beside a published checkpoint, which describe the network.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::agreement::RedundantConfig;
use super::check::Shapes;
use super::folder::read_json;
use super::options::ConvertOptions;
use super::rope::Rope;
use super::sam_dims;
use crate::image::ClipFit;
use crate::text::{tokenizer_json_from_checkpoint, LisaTokenizer};
use crate::weights::{
    Activation, ClipConfig, ClipPreprocess, DType, FeatureSelection, LisaConfig, LlamaConfig,
    SamPreprocess, SpecialTokens, WeightsError, CONFIG_VERSION,
};

/// What a model directory says of its making.
const CONVERTED: &str = concat!("converted by lisa_ros ", env!("CARGO_PKG_VERSION"));

/// The fields of a LISA checkpoint's `config.json` that are used. They are those of Llama and LLaVA.
#[derive(Deserialize)]
struct LlavaJson {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    rms_norm_eps: f64,
    head_dim: Option<usize>,
    tie_word_embeddings: Option<bool>,
    max_position_embeddings: Option<usize>,
    max_sequence_length: Option<usize>,
    hidden_act: Option<String>,
    mm_vision_select_layer: Option<i64>,
    mm_vision_select_feature: Option<String>,
    mm_use_im_start_end: Option<bool>,
    #[serde(rename = "_name_or_path")]
    name_or_path: Option<String>,
}

/// `config.json` of a CLIP folder, which is that of the vision tower alone or that of a whole CLIP.
#[derive(Deserialize)]
#[serde(untagged)]
enum ClipJson {
    Whole { vision_config: ClipVisionJson },
    Vision(ClipVisionJson),
}

/// The configuration of a vision tower. Fields that a file leaves out have the defaults of transformers' `CLIPVisionConfig`.
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

/// `preprocessor_config.json`. Older versions of transformers write sizes as numbers, newer ones as objects.
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
    /// The side of the square; `None` for a size that is no square.
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

/// The tokenizer of a checkpoint, as the text of `tokenizer.json` and ready for use.
pub(super) struct PublishedTokenizer {
    pub json: String,
    pub tokenizer: LisaTokenizer,
}

/// The content of the JSON files, checked as far as that is possible without the tensors.
pub(super) struct Published {
    /// Path of LISA's `config.json`.
    pub path: PathBuf,
    json: LlavaJson,
    redundant: RedundantConfig,
    rope: Rope,
    /// Whether the output table is the embedding table (`tie_word_embeddings`).
    pub tied: bool,
    pub clip: ClipConfig,
    clip_preprocess: ClipPreprocess,
    pub tokenizer: PublishedTokenizer,
}

impl Published {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that is missing, or has a value that is not accepted.
    pub fn read(options: &ConvertOptions) -> Result<Self, WeightsError> {
        let path = beside_weights(&options.lisa, "config.json")?;
        let value: serde_json::Value = read_json(&path)?;
        let invalid = |reason: String| WeightsError::Invalid {
            path: path.clone(),
            reason,
        };
        let rope = Rope::read(&value).map_err(invalid)?;
        let redundant = RedundantConfig::read(&value).map_err(|e| invalid(e.to_string()))?;
        let json: LlavaJson = serde_json::from_value(value).map_err(|e| invalid(e.to_string()))?;
        let clip_path = beside_weights(&options.clip, "config.json")?;
        let preprocessor = beside_weights(&options.clip, "preprocessor_config.json")?;
        Ok(Self {
            redundant,
            rope,
            tied: json.tie_word_embeddings.unwrap_or(false),
            clip: clip(&clip_path, &path, &json)?,
            clip_preprocess: clip_preprocess(&preprocessor)?,
            tokenizer: tokenizer(&options.lisa)?,
            json,
            path,
        })
    }

    /// The content of `lisa.json`. `precision` is the type that the checkpoint was published in; the model may be stored in
    /// another.
    ///
    /// # Errors
    /// Files and tensors that contradict each other, and sizes that no network can have.
    pub fn config(
        &self,
        options: &ConvertOptions,
        shapes: &Shapes,
        precision: DType,
    ) -> Result<LisaConfig, WeightsError> {
        let (path, json) = (&self.path, &self.json);
        let mut sam = sam_dims::infer(shapes)?;
        if let Some(side) = options.sam_image_size {
            if side == 0 || side % sam.patch_size.max(1) != 0 {
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
        let origin = options.origin.as_ref();
        let folder = options
            .lisa
            .file_name()
            .map(|n| n.to_string_lossy().into_owned());
        let config = LisaConfig {
            version: CONFIG_VERSION,
            name: origin
                .map(|origin| origin.name.clone())
                .or(folder)
                .or(name.map(str::to_owned))
                .unwrap_or_else(|| "LISA".into()),
            source: match origin {
                Some(origin) => format!("{CONVERTED} from {}", origin.source),
                None => CONVERTED.to_owned(),
            },
            licence: origin.and_then(|origin| origin.licence.clone()),
            dtype: options.dtype.unwrap_or(precision),
            quantization: options.quantization.of(None),
            template: options.template,
            tokens: tokens(path, json, &self.tokenizer.tokenizer)?,
            clip: self.clip.clone(),
            clip_preprocess: self.clip_preprocess.clone(),
            projector: self.redundant.projector(path, shapes)?,
            out_dim: sam.prompt_dim,
            llama: self.llama(shapes, precision)?,
            sam,
            sam_preprocess: SamPreprocess::default(),
            guided_head: None,
        };
        self.redundant.check(path, &config)?;
        config.check().map_err(|reason| WeightsError::Invalid {
            path: path.clone(),
            reason: format!("with it and the tensors, {reason}"),
        })?;
        Ok(config)
    }

    /// Checks that the tokenizer has the tokens of a LISA.
    ///
    /// # Errors
    /// [`WeightsError::Invalid`] with the token that is missing.
    pub fn check_tokens(&self) -> Result<(), WeightsError> {
        tokens(&self.path, &self.json, &self.tokenizer.tokenizer).map(drop)
    }

    /// A note if the embedding table has more rows than there are tokens, as a table has that was padded.
    ///
    /// # Errors
    /// The table has fewer rows than there are tokens, so that some words would have no embedding.
    pub fn check_rows(&self, rows: usize, weights: &Path) -> Result<Option<String>, WeightsError> {
        let tokens = self.tokenizer.tokenizer.vocab_size();
        match rows.cmp(&tokens) {
            std::cmp::Ordering::Equal => Ok(None),
            std::cmp::Ordering::Greater => Ok(Some(format!(
                "the embedding table has {rows} rows, the tokenizer {tokens} tokens: the last rows are of no word"
            ))),
            std::cmp::Ordering::Less => Err(WeightsError::Invalid {
                path: weights.to_owned(),
                reason: format!(
                    "its embedding table has {rows} rows, and the tokenizer beside it {tokens} tokens; accepted: the tokenizer's files of the same checkpoint"
                ),
            }),
        }
    }
}

/// The CLIP that a LISA checkpoint's `config.json` names (`mm_vision_tower`, or `vision_tower`): a repository of a hub, or a
/// folder of whoever trained it. `None` where it names none.
///
/// # Errors
/// A file that is missing or cannot be read.
pub fn named_clip(lisa: &Path) -> Result<Option<String>, WeightsError> {
    let config: serde_json::Value = read_json(&beside_weights(lisa, "config.json")?)?;
    let mut named = ["mm_vision_tower", "vision_tower"]
        .into_iter()
        .filter_map(|field| config.get(field)?.as_str());
    Ok(named.next().map(str::to_owned))
}

/// The path of a file that has to lie beside the weights.
///
/// # Errors
/// [`WeightsError::Missing`].
fn beside_weights(folder: &Path, name: &'static str) -> Result<PathBuf, WeightsError> {
    let path = folder.join(name);
    match path.exists() {
        true => Ok(path),
        false => Err(WeightsError::Missing {
            what: name,
            path,
            accepted: match folder.join("lisa.json").exists() {
                true => "lisa.json lies there, so the folder is a model directory already: give it to --model as it is",
                false => "a checkpoint folder holds it beside the weights; download the checkpoint again, whole",
            },
        }),
    }
}

/// Reads `tokenizer.model` and `added_tokens.json`, or `tokenizer.json`.
fn tokenizer(folder: &Path) -> Result<PublishedTokenizer, WeightsError> {
    let json = tokenizer_json_from_checkpoint(folder)?;
    let tokenizer = LisaTokenizer::from_bytes(json.as_bytes())?;
    Ok(PublishedTokenizer { json, tokenizer })
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

impl Published {
    fn llama(&self, shapes: &Shapes, precision: DType) -> Result<LlamaConfig, WeightsError> {
        let json = &self.json;
        let unsupported = |name, found: String, accepted| WeightsError::Unsupported {
            path: self.path.clone(),
            name,
            found,
            accepted,
        };
        match json.hidden_act.as_deref() {
            None | Some("silu") => {}
            Some(other) => return Err(unsupported("hidden_act", other.into(), "silu")),
        }
        let heads = json.num_attention_heads;
        if let Some(head_dim) = json
            .head_dim
            .filter(|d| d.checked_mul(heads) != Some(json.hidden_size))
        {
            let accepted = "hidden_size divided by num_attention_heads";
            return Err(unsupported("head_dim", head_dim.to_string(), accepted));
        }
        let embed = "model.embed_tokens.weight";
        // The number of rows is taken from the table and not from config.json, whose vocab_size is stale in some published
        // models.
        let vocab_size = match shapes.get(embed).map(Vec::as_slice) {
            Some([rows, _]) => *rows,
            _ => return Err(WeightsError::MissingTensor { name: embed.into() }),
        };
        Ok(LlamaConfig {
            vocab_size,
            hidden_size: json.hidden_size,
            intermediate_size: json.intermediate_size,
            num_hidden_layers: json.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: json.num_key_value_heads.unwrap_or(heads),
            rms_norm_eps: json.rms_norm_eps,
            rope_theta: self.rope.theta,
            rope_scale: self.rope.scale,
            rope_table_dtype: precision,
            max_position_embeddings: json
                .max_position_embeddings
                .or(json.max_sequence_length)
                .unwrap_or(2048),
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
        merge: None,
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
