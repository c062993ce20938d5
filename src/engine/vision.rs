//! What the encoders make of a frame: computed once, kept for the next question about it.

use candle_core::{DType, Device, Tensor};
use ndarray::Array3;

use super::frame_cache::FrameCache;
use super::service::Reply;
use super::work::Work;
use super::{Event, RequestError, Stage};
use crate::image::{ClipFit, ClipPreprocessor, SamPreprocessor};
use crate::model::{Lisa, ModelError};
use crate::weights::LisaConfig;

/// Preprocessing for both encoders, and the frames' features.
pub(super) struct Vision {
    clip_preprocessor: ClipPreprocessor,
    /// Where a request leaves it to the model.
    clip_fit: ClipFit,
    sam_preprocessor: SamPreprocessor,
    frames: FrameCache,
    dtype: DType,
    device: Device,
}

impl Vision {
    pub fn new(config: &LisaConfig, max_frames: usize, dtype: DType, device: &Device) -> Self {
        let (clip, sam) = (&config.clip_preprocess, &config.sam_preprocess);
        Self {
            clip_preprocessor: clip.preprocessor(),
            clip_fit: clip.fit,
            sam_preprocessor: SamPreprocessor {
                target: config.sam.image_size,
                mean: sam.mean,
                std: sam.std,
            },
            frames: FrameCache::new(max_frames),
            dtype,
            device: device.clone(),
        }
    }

    /// Forgets every frame.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// The image's tokens `(features, hidden)`, from the frame's cache where it has them.
    pub fn image_tokens(
        &mut self,
        lisa: &Lisa,
        work: &mut Work<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<Tensor, RequestError> {
        let frame = &work.request.frame;
        let fit = work.request.options.clip_fit.unwrap_or(self.clip_fit);
        let known = self.frames.entry(frame.id()).clip.clone();
        let (features, tokens) = match known {
            Some((known_fit, features, tokens)) if known_fit == fit => (features, tokens),
            _ => {
                reply.send(Event::Stage(Stage::Preprocess));
                let pixels = work.time(Stage::Preprocess, || {
                    self.to_tensor(self.clip_preprocessor.preprocess(frame.pixels(), fit))
                })?;
                reply.send(Event::Stage(Stage::Clip));
                let stop = || reply.cancel.is_cancelled();
                let (features, tokens) =
                    work.time(Stage::Clip, || lisa.image_tokens(&pixels, &stop))?;
                work.trace("clip_pixels", || pixels.squeeze(0))?;
                self.frames.entry(frame.id()).clip = Some((fit, features.clone(), tokens.clone()));
                (features, tokens)
            }
        };
        work.trace("clip_features", || Ok(features.clone()))?;
        work.trace("projected", || Ok(tokens.clone()))?;
        Ok(tokens)
    }

    /// SAM's embedding of the frame `(1, dim, grid, grid)` and the frame's size inside the padded input.
    pub fn image_embedding(
        &mut self,
        lisa: &Lisa,
        work: &mut Work<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(Tensor, (usize, usize)), RequestError> {
        let frame = &work.request.frame;
        if let Some(known) = self.frames.entry(frame.id()).sam.clone() {
            return Ok(known);
        }
        let (pixels, resized) = work.time(Stage::Preprocess, || {
            let input = self.sam_preprocessor.preprocess(frame.pixels());
            Ok::<_, ModelError>((self.to_tensor(input.pixels)?, input.resized))
        })?;
        reply.send(Event::Stage(Stage::Sam));
        let stop = || reply.cancel.is_cancelled();
        let embedding = work.time(Stage::Sam, || lisa.image_encoder.forward(&pixels, &stop))?;
        work.trace("sam_pixels", || pixels.squeeze(0))?;
        self.frames.entry(frame.id()).sam = Some((embedding.clone(), resized));
        Ok((embedding, resized))
    }

    fn to_tensor(&self, pixels: Array3<f32>) -> Result<Tensor, ModelError> {
        let shape = pixels.dim();
        let (values, _) = pixels.into_raw_vec_and_offset();
        let tensor = Tensor::from_vec(values, (1, shape.0, shape.1, shape.2), &self.device)?;
        Ok(tensor.to_dtype(self.dtype)?)
    }
}
