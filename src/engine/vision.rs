//! What the two encoders make of a frame. It is computed once and kept for the next question about the same frame.

use candle_core::{DType, Device, Tensor};
use ndarray::Array3;

use super::request_state::RequestState;
use super::{Event, FrameKey, HitCount, RequestContext, RequestError, Stage};
use crate::image::{ClipFit, ClipPreprocessor, SamPreprocessor};
use crate::model::{Lisa, ModelError};
use crate::weights::LisaConfig;

/// How often the frames' features were found in the cache.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lookups {
    pub clip: HitCount,
    pub sam: HitCount,
}

/// Preprocessing for both encoders, and the frames' features.
pub(super) struct Vision {
    clip_preprocessor: ClipPreprocessor,
    /// The model's own fit, for requests that name none.
    clip_fit: ClipFit,
    sam_preprocessor: SamPreprocessor,
    frames: FrameCache,
    pub lookups: Lookups,
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
            lookups: Lookups::default(),
            dtype,
            device: device.clone(),
        }
    }

    /// Frames whose features are kept.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Forgets every frame.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// The image's tokens `(features, hidden)`, from the frame's cache where it has them.
    pub fn image_tokens(
        &mut self,
        lisa: &Lisa,
        state: &mut RequestState<'_>,
        context: &mut RequestContext<'_>,
    ) -> Result<Tensor, RequestError> {
        let frame = &state.request.frame;
        let fit = state.request.options.clip_fit.unwrap_or(self.clip_fit);
        let known = self.frames.entry(frame.key()).clip.clone();
        let known = known.filter(|(known_fit, ..)| *known_fit == fit);
        self.lookups.clip.count(known.is_some());
        let (features, tokens) = match known {
            Some((_, features, tokens)) => (features, tokens),
            None => {
                context.send(Event::Stage(Stage::Preprocess));
                let pixels = state.time(Stage::Preprocess, || {
                    self.to_tensor(self.clip_preprocessor.preprocess(frame.pixels(), fit))
                })?;
                context.send(Event::Stage(Stage::Clip));
                let stop = || context.cancel.is_cancelled();
                let (features, tokens) =
                    state.time(Stage::Clip, || lisa.image_tokens(&pixels, &stop))?;
                state.trace("clip_pixels", || pixels.squeeze(0))?;
                self.frames.entry(frame.key()).clip = Some((fit, features.clone(), tokens.clone()));
                (features, tokens)
            }
        };
        state.trace("clip_features", || Ok(features.clone()))?;
        state.trace("projected", || Ok(tokens.clone()))?;
        Ok(tokens)
    }

    /// SAM's embedding of the frame `(1, dim, grid, grid)` and the frame's size inside the padded input.
    pub fn image_embedding(
        &mut self,
        lisa: &Lisa,
        state: &mut RequestState<'_>,
        context: &mut RequestContext<'_>,
    ) -> Result<(Tensor, (usize, usize)), RequestError> {
        let frame = &state.request.frame;
        let known = self.frames.entry(frame.key()).sam.clone();
        self.lookups.sam.count(known.is_some());
        if let Some(known) = known {
            return Ok(known);
        }
        let (pixels, resized) = state.time(Stage::Preprocess, || {
            let input = self.sam_preprocessor.preprocess(frame.pixels());
            Ok::<_, ModelError>((self.to_tensor(input.pixels)?, input.resized))
        })?;
        context.send(Event::Stage(Stage::Sam));
        let stop = || context.cancel.is_cancelled();
        let embedding = state.time(Stage::Sam, || lisa.image_encoder.forward(&pixels, &stop))?;
        state.trace("sam_pixels", || pixels.squeeze(0))?;
        self.frames.entry(frame.key()).sam = Some((embedding.clone(), resized));
        Ok((embedding, resized))
    }

    fn to_tensor(&self, pixels: Array3<f32>) -> Result<Tensor, ModelError> {
        let shape = pixels.dim();
        let (values, _) = pixels.into_raw_vec_and_offset();
        let tensor = Tensor::from_vec(values, (1, shape.0, shape.1, shape.2), &self.device)?;
        Ok(tensor.to_dtype(self.dtype)?)
    }
}

/// What the encoders have made of one frame so far. SAM runs only if the answer names an object, so each may be missing.
#[derive(Clone, Default)]
struct FrameFeatures {
    /// The fit, vision features `(features, vision hidden)` and the image's tokens `(features, hidden)`.
    clip: Option<(ClipFit, Tensor, Tensor)>,
    /// SAM's image embedding and the size the frame had inside the padded input, `(height, width)`.
    sam: Option<(Tensor, (usize, usize))>,
}

/// The features of a bounded number of frames; the one longest unused leaves first.
struct FrameCache {
    frames: Vec<(FrameKey, FrameFeatures)>,
    max: usize,
}

impl FrameCache {
    fn new(max: usize) -> Self {
        Self {
            frames: Vec::new(),
            max: max.max(1),
        }
    }

    /// The frame's features, which are empty if it is new. Makes the frame the most recently used one.
    fn entry(&mut self, id: FrameKey) -> &mut FrameFeatures {
        let features = match self.frames.iter().position(|(known, _)| *known == id) {
            Some(at) => self.frames.remove(at).1,
            None => FrameFeatures::default(),
        };
        if self.frames.len() >= self.max {
            self.frames.remove(0);
        }
        self.frames.push((id, features));
        let last = self.frames.len() - 1;
        &mut self.frames[last].1
    }

    /// Frames that are kept.
    fn len(&self) -> usize {
        self.frames.len()
    }

    fn clear(&mut self) {
        self.frames.clear();
    }
}
