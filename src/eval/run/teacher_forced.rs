//! The reference's protocol: the answer "[SEG]." is given, and only its mask is the model's.
//!
//! So nothing is learned here about what the model would say: whether it writes `[SEG]`, refuses, or names the right object,
//! nor how long it takes. A question about an absent object has no answer with `[SEG]` and is not asked.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};

use super::super::EvalError;
use super::{Answerer, EvalQuestion, Reply};
use crate::data::{Conversation, Encoder, Turn, IGNORED_LABEL, IMAGE_TOKEN};
use crate::engine::FrameKey;
use crate::image::{Mask, SamPreprocessor};
use crate::model::{sam, Lisa};
use crate::text::LisaTokenizer;
use crate::weights::{LisaConfig, ModelDir};

/// Asks a model by giving it the true answer.
pub struct TeacherForced {
    lisa: Lisa,
    config: LisaConfig,
    encoder: Encoder,
    dtype: DType,
    device: Device,
    /// Features of the last frame: questions about one picture follow each other.
    seen: Option<(FrameKey, EncodedImage)>,
}

#[derive(Clone)]
struct EncodedImage {
    tokens: Tensor,
    embedding: Tensor,
    resized: (usize, usize),
}

impl TeacherForced {
    /// Loads the model. `dtype` is the number format in which it computes.
    ///
    /// # Errors
    /// A model directory that cannot be loaded.
    pub fn load(model: &ModelDir, dtype: DType, device: &Device) -> Result<Self, EvalError> {
        let weights = model.weights(dtype, device)?;
        let tokenizer = LisaTokenizer::from_file(&model.path().join("tokenizer.json"))?;
        Ok(Self {
            lisa: Lisa::load(&weights, &model.config)?,
            encoder: Encoder::new(
                Arc::new(tokenizer),
                &model.config,
                model.config.llama.max_position_embeddings,
            )?,
            config: model.config.clone(),
            dtype,
            device: device.clone(),
            seen: None,
        })
    }

    fn encode_image(&mut self, question: &EvalQuestion) -> Result<EncodedImage, EvalError> {
        if let Some((id, seen)) = &self.seen {
            if *id == question.frame.key() {
                return Ok(seen.clone());
            }
        }
        let (config, pixels) = (&self.config, question.frame.pixels());
        let clip = &config.clip_preprocess;
        let sam = SamPreprocessor {
            target: config.sam.image_size,
            mean: config.sam_preprocess.mean,
            std: config.sam_preprocess.std,
        }
        .preprocess(pixels);
        let clip = self.tensor(clip.preprocessor().preprocess(pixels, clip.fit))?;
        let resized = sam.resized;
        let sam = self.tensor(sam.pixels)?;
        let (_, tokens) = self.lisa.image_tokens(&clip, &|| false)?;
        let embedding = self.lisa.image_encoder.forward(&sam, &|| false)?;
        let seen = EncodedImage {
            tokens,
            embedding,
            resized,
        };
        self.seen = Some((question.frame.key(), seen.clone()));
        Ok(seen)
    }

    fn tensor(&self, pixels: ndarray::Array3<f32>) -> Result<Tensor, EvalError> {
        let (c, h, w) = pixels.dim();
        let values = pixels.into_raw_vec_and_offset().0;
        let tensor = Tensor::from_vec(values, (1, c, h, w), &self.device)?;
        Ok(tensor.to_dtype(self.dtype)?)
    }
}

impl Answerer for TeacherForced {
    fn answer(&mut self, question: &EvalQuestion) -> Result<Option<Reply>, EvalError> {
        let started = Instant::now();
        if question.truth.is_none() {
            return Ok(None);
        }
        let answer = "[SEG].".to_owned();
        let seen = self.encode_image(question)?;
        let mut turns = question.history.clone();
        turns.push(Turn::new(question.instruction.clone(), answer.clone()));
        let encoded = self.encoder.encode(&Conversation {
            turns,
            masks: Vec::new(),
            phrases: Vec::new(),
        })?;
        let (hidden, positions) =
            self.lisa
                .hidden_states(&encoded.ids, IMAGE_TOKEN, &seen.tokens)?;
        let seg = i64::from(self.config.tokens.seg);
        let at = |i: &usize| encoded.labels[*i] == seg && encoded.labels[*i] != IGNORED_LABEL;
        // A token is predicted by the row before it. Earlier turns have `[SEG]` too; the last one is this question's.
        let row = (1..encoded.labels.len())
            .rfind(at)
            .map(|i| positions[i] - 1);
        let Some(row) = row else {
            return Err(EvalError::Answer {
                case: question.name.clone(),
                reason: "its question leaves no room for the answer".to_owned(),
            });
        };
        let hidden = hidden.narrow(0, row, 1)?.contiguous()?;
        let decoded = self.lisa.masks(&seen.embedding, &hidden)?;
        let (width, height) = (question.frame.width(), question.frame.height());
        let logits = sam::mask_logits_at(
            &decoded.logits,
            self.config.sam.image_size,
            seen.resized,
            (height as usize, width as usize),
        )?;
        let values = logits.flatten_all()?.to_vec1::<f32>()?;
        let mask =
            Mask::from_logits(&values, width, height, 0.0).map_err(|e| EvalError::Answer {
                case: question.name.clone(),
                reason: e.to_string(),
            })?;
        let mut frame = image::GrayImage::new(width, height);
        crate::image::paste_mask(&mut frame, mask.roi(), mask.pixels());
        Ok(Some(Reply {
            answer,
            predicted: Some(frame),
            emitted: None,
            attention: None,
            total: started.elapsed(),
            stages: Vec::new(),
        }))
    }
}
