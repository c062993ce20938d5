//! Models of random weights by the names of their shapes, so that a measurement needs no file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use candle_core::Device;

use super::{BenchError, Scratch};
use crate::compute::{give_back_free_memory, Precision};
use crate::engine::{EngineConfig, LisaReasoner};
use crate::image::ClipFit;
use crate::seed::seed_of;
use crate::text::{train_tokenizer, LisaTokenizer, Template};
use crate::train::{initial, random_weights};
use crate::weights::{
    save_model_dir, Activation, BlockMatrix, ClipConfig, ClipPreprocess, DType, FeatureSelection,
    LisaConfig, LlamaConfig, ProjectorKind, Quantization, QuantizationChange, SamConfig,
    SamPreprocess, SpecialTokens, Weights, CONFIG_VERSION,
};

/// The sizes of a network, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in words.
    pub about: &'static str,
    /// Whether its language model is worth measuring; otherwise it is a stub beside the two encoders.
    pub language: bool,
}

/// Every shape.
pub const SHAPES: [Shape; 4] = [
    Shape {
        name: "small",
        about: "SAM ViT-B at 1024, CLIP ViT-L/14, a Llama of 12 layers of 1024",
        language: true,
    },
    Shape {
        name: "sam-h",
        about: "SAM ViT-H at 1024 and CLIP ViT-L/14, without a language model",
        language: false,
    },
    Shape {
        name: "lisa-mini",
        about: "the model that comes with the project",
        language: true,
    },
    Shape {
        name: "lisa-7b",
        about: "LISA-7B-v1; 31 GB in f32, half of it with --dtype f16",
        language: true,
    },
];

impl Shape {
    /// The names of those for which `is` holds, with commas between them.
    pub(super) fn names(is: impl Fn(&Shape) -> bool) -> String {
        let names: Vec<&str> = SHAPES.iter().filter(|s| is(s)).map(|s| s.name).collect();
        names.join(", ")
    }

    /// Content of the `lisa.json` that the model would have. Its special tokens are those of [`tokenizer`](Self::tokenizer).
    pub fn config(&self) -> LisaConfig {
        let mut config = lisa_7b();
        config.name = self.name.to_owned();
        match self.name {
            "small" => {
                config.sam = sam(768, 12, 12, vec![2, 5, 8, 11]);
                config.llama = LlamaConfig {
                    hidden_size: 1024,
                    intermediate_size: 2816,
                    num_hidden_layers: 12,
                    num_attention_heads: 16,
                    num_key_value_heads: 16,
                    ..config.llama
                };
            }
            "sam-h" => {
                config.llama = LlamaConfig {
                    vocab_size: 2000,
                    hidden_size: 64,
                    intermediate_size: 128,
                    num_hidden_layers: 1,
                    num_attention_heads: 1,
                    num_key_value_heads: 1,
                    ..config.llama
                };
            }
            "lisa-mini" => mini(&mut config),
            _ => {}
        }
        config
    }

    /// A `tokenizer.json`, made of a few sentences. Its vocabulary is a part of the model's, as where an embedding table was padded.
    ///
    /// # Errors
    /// None, as long as the sentences stay as they are.
    pub fn tokenizer() -> Result<String, BenchError> {
        Ok(train_tokenizer(
            SENTENCES.into_iter().cycle().take(8 * SENTENCES.len()),
            VOCABULARY,
        )?)
    }

    /// A model of random weights, the same at each call, some of them in blocks as `quantization` says. No weight is in memory twice.
    ///
    /// # Errors
    /// A device that cannot be used, or too little memory.
    pub fn reasoner(
        &self,
        engine: &EngineConfig,
        quantization: QuantizationChange,
    ) -> Result<LisaReasoner, BenchError> {
        let device = engine.device.open()?;
        let tokenizer = LisaTokenizer::from_bytes(Self::tokenizer()?.as_bytes())?;
        let mut config = self.config();
        config.tokens = special_tokens(&tokenizer)?;
        config.quantization = quantization.of(None);
        let precision = engine.dtype.precision(config.dtype.into(), &device);
        let weights = random(precision, config.quantization.unwrap_or_default(), &device);
        let reasoner = LisaReasoner::from_weights(engine, &weights, config, tokenizer)?;
        Ok(reasoner)
    }

    /// Writes the model as a model directory, stored as f32 and in blocks as `quantization` says. Returns its place.
    ///
    /// # Errors
    /// Too little memory, or a folder that cannot be written.
    pub fn write(
        &self,
        folder: &Scratch,
        quantization: QuantizationChange,
    ) -> Result<PathBuf, BenchError> {
        let json = Self::tokenizer()?;
        let mut config = self.config();
        config.quantization = quantization.of(None);
        config.tokens = special_tokens(&LisaTokenizer::from_bytes(json.as_bytes())?)?;
        let path = folder.path().join("model");
        save_model_dir(&path, &config, &json, &random_weights(&config, SEED)?)?;
        // The tensors are read from the file from now on.
        give_back_free_memory();
        Ok(path)
    }
}

const SEED: u64 = 0;

/// Tensors are converted one by one as they are drawn, so that a model in f16 never needs the memory of one in f32.
fn random(precision: Precision, quantization: Quantization, device: &Device) -> Weights {
    let (to, stored) = (device.clone(), precision.held.unwrap_or(precision.computed));
    let make = move |name: &str, shape: &[usize]| {
        initial(name, shape, SEED)?.to_dtype(stored)?.to_device(&to)
    };
    let make_blocks = move |name: &str, shape: (usize, usize)| {
        let format = quantization.format(name, &[shape.0, shape.1]);
        format
            .map(|format| BlockMatrix::random(format, shape, seed_of(SEED, name)))
            .transpose()
    };
    Weights::made_in_blocks_by(make, make_blocks, precision.computed, device)
        .held_in(precision.held)
}

fn special_tokens(tokenizer: &LisaTokenizer) -> Result<SpecialTokens, BenchError> {
    Ok(SpecialTokens {
        bos: tokenizer.bos_id(),
        eos: tokenizer.eos_id(),
        seg: tokenizer.seg_id()?,
        im_start: Some(tokenizer.im_start_id()?),
        im_end: Some(tokenizer.im_end_id()?),
    })
}

impl FromStr for Shape {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        let found = SHAPES.into_iter().find(|shape| shape.name == name);
        found.ok_or_else(|| BenchError::Shape {
            found: name.to_owned(),
            accepted: Self::names(|_| true),
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Entries of the tokenizer's vocabulary: special tokens, bytes, and the words of the sentences.
const VOCABULARY: usize = 700;

/// What the tokenizer learns its words from: the prompt that every model gets, and the questions of the measurement.
const SENTENCES: [&str; 4] = [
    "A chat between a curious human and an artificial intelligence assistant.",
    "The assistant gives helpful, detailed, and polite answers to the human's questions. USER: ASSISTANT:",
    super::answers::FIRST_QUESTION,
    super::answers::SECOND_QUESTION,
];

fn lisa_7b() -> LisaConfig {
    LisaConfig {
        version: CONFIG_VERSION,
        name: "lisa-7b".into(),
        source: "random weights, for measurements".into(),
        licence: None,
        dtype: DType::F32,
        quantization: None,
        template: Template::LlavaV1,
        // Replaced by those of the tokenizer.
        tokens: SpecialTokens {
            bos: 1,
            eos: 2,
            seg: 32003,
            im_start: Some(32001),
            im_end: Some(32002),
        },
        clip: ClipConfig {
            image_size: 224,
            patch_size: 14,
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 24,
            num_attention_heads: 16,
            layer_norm_eps: 1e-5,
            hidden_act: Activation::QuickGelu,
            select_layer: -2,
            select_feature: FeatureSelection::Patch,
            merge: None,
        },
        clip_preprocess: ClipPreprocess {
            size: 224,
            crop: 224,
            fit: ClipFit::default(),
            mean: [0.48145466, 0.4578275, 0.40821073],
            std: [0.26862954, 0.261_302_6, 0.275_777_1],
        },
        projector: ProjectorKind::Linear,
        llama: LlamaConfig {
            vocab_size: 32004,
            hidden_size: 4096,
            intermediate_size: 11008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            rms_norm_eps: 1e-6,
            rope_theta: 10000.0,
            rope_scale: 1.0,
            max_position_embeddings: 2048,
            rope_table_dtype: DType::F32,
        },
        out_dim: 256,
        sam: sam(1280, 32, 16, vec![7, 15, 23, 31]),
        sam_preprocess: SamPreprocess::default(),
        guided_head: None,
    }
}

/// SAM at 1024 with an image encoder of this width, depth and number of heads.
fn sam(
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    global_attn_indexes: Vec<usize>,
) -> SamConfig {
    SamConfig {
        image_size: 1024,
        patch_size: 16,
        embed_dim,
        depth,
        num_heads,
        mlp_dim: 4 * embed_dim,
        window_size: 14,
        global_attn_indexes,
        prompt_dim: 256,
        decoder_depth: 2,
        decoder_heads: 8,
        decoder_mlp_dim: 2048,
        attention_downsample_rate: 2,
        num_mask_tokens: 4,
        iou_head_depth: 3,
        iou_head_hidden_dim: 256,
    }
}

/// The sizes of `models/lisa-mini/lisa.json`; a test compares them.
fn mini(config: &mut LisaConfig) {
    config.clip = ClipConfig {
        image_size: 192,
        patch_size: 24,
        hidden_size: 192,
        intermediate_size: 768,
        num_hidden_layers: 6,
        num_attention_heads: 4,
        hidden_act: Activation::Gelu,
        select_layer: -1,
        ..config.clip
    };
    (config.clip_preprocess.size, config.clip_preprocess.crop) = (192, 192);
    config.clip_preprocess.fit = ClipFit::Squash;
    config.projector = ProjectorKind::Mlp2xGelu;
    config.llama = LlamaConfig {
        vocab_size: 2000,
        hidden_size: 192,
        intermediate_size: 512,
        num_hidden_layers: 4,
        num_attention_heads: 6,
        num_key_value_heads: 6,
        rms_norm_eps: 1e-5,
        max_position_embeddings: 1024,
        ..config.llama
    };
    config.out_dim = 128;
    config.sam = SamConfig {
        image_size: 256,
        window_size: 8,
        prompt_dim: 128,
        decoder_heads: 4,
        decoder_mlp_dim: 512,
        iou_head_hidden_dim: 64,
        ..sam(128, 6, 4, (0..6).collect())
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn networks_can_be_built_of_every_shape() {
        for shape in SHAPES {
            assert_eq!(shape.name.parse::<Shape>().unwrap(), shape);
            shape.config().check().unwrap();
        }
        let error = "large".parse::<Shape>().unwrap_err().to_string();
        assert_eq!(
            error,
            "shape \"large\" is unknown; accepted: small, sam-h, lisa-mini, lisa-7b"
        );
    }

    #[test]
    fn the_small_models_sizes_are_those_of_the_one_that_is_shipped() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lisa-mini/lisa.json");
        let shipped = LisaConfig::read(&path).unwrap();
        let ours = "lisa-mini".parse::<Shape>().unwrap().config();
        assert_eq!(ours.clip, shipped.clip);
        assert_eq!(ours.llama, shipped.llama);
        assert_eq!(ours.sam, shipped.sam);
        assert_eq!(
            (ours.projector, ours.out_dim),
            (shipped.projector, shipped.out_dim)
        );
    }
}
