//! The whole network, LISA.

use std::sync::Arc;

use candle_core::Tensor;

use super::sam::{DecodedMasks, ImageEncoder, MaskDecoder, PromptEncoder};
use super::stop::{ModelError, Stop};
use super::{ClipVisionTower, Llama, MmProjector, TextHiddenFcs};
use crate::nn::Result;
use crate::weights::{
    LisaConfig, Weights, WeightsError, IMAGE_ENCODER_PREFIX, VISION_TOWER_PREFIX,
};

/// The two image encoders, where they are loaded already. Networks may share them.
#[derive(Clone, Default)]
pub struct Encoders {
    /// SAM's image encoder.
    pub image_encoder: Option<Arc<ImageEncoder>>,
    /// CLIP.
    pub vision_tower: Option<Arc<ClipVisionTower>>,
}

impl Encoders {
    /// Reads SAM's image encoder, under its name in the checkpoints.
    ///
    /// # Errors
    /// As [`Lisa::load`].
    pub fn load_image_encoder(
        weights: &Weights,
        config: &LisaConfig,
    ) -> Result<Arc<ImageEncoder>, WeightsError> {
        let encoder = ImageEncoder::load(&weights.pp(IMAGE_ENCODER_PREFIX), &config.sam)?;
        Ok(Arc::new(encoder))
    }

    /// Reads the vision tower, under its name in the checkpoints.
    ///
    /// # Errors
    /// As [`Lisa::load`].
    pub fn load_vision_tower(
        weights: &Weights,
        config: &LisaConfig,
    ) -> Result<Arc<ClipVisionTower>, WeightsError> {
        let tower = ClipVisionTower::load(&weights.pp(VISION_TOWER_PREFIX), &config.clip)?;
        Ok(Arc::new(tower))
    }
}

/// The whole network. The parts are public because the engine decides when each of them runs.
pub struct Lisa {
    /// CLIP: image → vision features.
    pub vision_tower: Arc<ClipVisionTower>,
    /// Vision features → image tokens of the language model's width.
    pub mm_projector: MmProjector,
    /// The language model: tokens → hidden states and logits.
    pub llama: Llama,
    /// γ: hidden state that predicts `[SEG]` → prompt of the mask decoder.
    pub text_hidden_fcs: TextHiddenFcs,
    /// SAM's image encoder: image → image embedding.
    pub image_encoder: Arc<ImageEncoder>,
    /// SAM's prompt encoder: the constant parts of a prompt.
    pub prompt_encoder: PromptEncoder,
    /// SAM's mask decoder: image embedding and prompts → mask logits.
    pub mask_decoder: MaskDecoder,
}

impl Lisa {
    /// Reads every tensor, under the names of the checkpoints.
    ///
    /// # Errors
    /// A [`WeightsError`] about the first tensor that is missing or has another shape than the configuration leads to.
    pub fn load(weights: &Weights, config: &LisaConfig) -> Result<Self, WeightsError> {
        Self::load_with(weights, config, &Encoders::default())
    }

    /// [`load`](Self::load), except for the encoders that are loaded already.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        weights: &Weights,
        config: &LisaConfig,
        encoders: &Encoders,
    ) -> Result<Self, WeightsError> {
        let model = weights.pp("model");
        let sam = model.pp("visual_model");
        Ok(Self {
            vision_tower: match &encoders.vision_tower {
                Some(tower) => tower.clone(),
                None => Encoders::load_vision_tower(weights, config)?,
            },
            mm_projector: MmProjector::load(&model.pp("mm_projector"), config)?,
            llama: Llama::load(weights, &config.llama)?,
            text_hidden_fcs: TextHiddenFcs::load(&model.pp("text_hidden_fcs"), config)?,
            image_encoder: match &encoders.image_encoder {
                Some(encoder) => encoder.clone(),
                None => Encoders::load_image_encoder(weights, config)?,
            },
            prompt_encoder: PromptEncoder::load(&sam.pp("prompt_encoder"), &config.sam)?,
            mask_decoder: MaskDecoder::load(&sam.pp("mask_decoder"), &config.sam)?,
        })
    }

    /// The features of an image, and the image tokens that the language model reads in their place.
    ///
    /// # Shapes
    /// CLIP pixels `(1, 3, size, size)` → vision features `(features, vision hidden)` and the same projected,
    /// `(features, hidden)`.
    pub fn image_tokens(
        &self,
        pixels: &Tensor,
        stop: Stop<'_>,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let features = self.vision_tower.forward(pixels, stop)?;
        let projected = self.mm_projector.forward(&features)?;
        Ok((features.squeeze(0)?, projected.squeeze(0)?))
    }

    /// The last hidden states of a whole sequence, in which `image_tokens` take the place of the id `image_token`. Gradients flow
    /// through it.
    ///
    /// # Shapes
    /// ids → `(positions, hidden)`, and for every id its position, which for the image is the first of its positions.
    pub fn hidden_states(
        &self,
        ids: &[i64],
        image_token: i64,
        image_tokens: &Tensor,
    ) -> Result<(Tensor, Vec<usize>), ModelError> {
        let mut parts = Vec::new();
        let mut positions = Vec::with_capacity(ids.len());
        let mut next = 0;
        for run in ids.chunk_by(|a, b| *a != image_token && *b != image_token) {
            if run == [image_token] {
                positions.push(next);
                next += image_tokens.dim(0)?;
                parts.push(image_tokens.clone());
            } else {
                positions.extend(next..next + run.len());
                next += run.len();
                let run: Vec<u32> = run.iter().map(|id| *id as u32).collect();
                parts.push(self.llama.embed(&run, image_tokens.device())?);
            }
        }
        let embeddings = Tensor::cat(&parts, 0)?.unsqueeze(0)?;
        let hidden = self.llama.forward(&embeddings, None, &|| false)?;
        Ok((hidden.squeeze(0)?, positions))
    }

    /// The masks of the objects whose `[SEG]` these hidden states predict.
    ///
    /// # Shapes
    /// `image_embedding` `(1, dim, grid, grid)`, `hidden` `(objects, hidden)`.
    pub fn masks(&self, image_embedding: &Tensor, hidden: &Tensor) -> Result<DecodedMasks> {
        let text_embeds = self.text_hidden_fcs.forward(hidden)?;
        self.mask_decoder
            .forward(image_embedding, &self.prompt_encoder, &text_embeds)
    }
}
