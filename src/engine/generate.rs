//! Generation: the language model writes the answer token by token, and every `[SEG]` becomes a mask as soon as it is written.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};

use super::lisa_reasoner::LisaReasoner;
use super::prefix_cache::PositionKey;
use super::request_state::{failed, label, stage_span, Generated, RequestState};
use super::{
    AnswerOptions, AttentionMap, Event, ObjectMask, RequestContext, RequestError, SegPrompt, Stage,
};
use crate::image::{threshold_logit, Mask};
use crate::model::{sam, Lisa, ModelError};
use crate::text::TokenStream;

impl LisaReasoner {
    /// Reads the prompt and writes the answer, with a mask for every `[SEG]` as soon as it is written.
    pub(super) fn generate(
        &mut self,
        lisa: &Lisa,
        prompt: &[PositionKey],
        image_tokens: &Tensor,
        state: &mut RequestState<'_>,
        context: &mut RequestContext<'_>,
    ) -> Result<Generated, RequestError> {
        let options = &state.request.options;
        let cancel = context.cancel.clone();
        let stop = || cancel.is_cancelled();
        context.send(Event::Stage(Stage::Prefill));
        let guided_head = self.config.guided_head.filter(|_| options.attention);
        let prefilled = state.time(Stage::Prefill, || {
            let prefix = &mut self.prefix;
            prefix.prefill(&lisa.llama, prompt, image_tokens, guided_head, &stop)
        })?;
        let mut generated = Generated::default();
        if let Some(scores) = &prefilled.scores {
            let view = self.view(state.request);
            generated.attention =
                AttentionMap::read(scores, prompt, &self.config.clip, view).map_err(failed)?;
        }
        context.send(Event::Stage(Stage::Generate));
        let written = stage_span(Stage::Generate).in_scope(|| {
            self.write(
                lisa,
                prefilled.hidden,
                prompt.len(),
                &mut generated,
                state,
                context,
            )
        });
        state.log_generate();
        written.map(|()| generated)
    }

    /// Samples tokens until the answer ends. `hidden` `(1, hidden)` is the state of the prompt's last position.
    fn write(
        &mut self,
        lisa: &Lisa,
        mut hidden: Tensor,
        prompt: usize,
        generated: &mut Generated,
        state: &mut RequestState<'_>,
        context: &mut RequestContext<'_>,
    ) -> Result<(), RequestError> {
        let options = &state.request.options;
        let cancel = context.cancel.clone();
        let stop = || cancel.is_cancelled();
        let room = self
            .config
            .llama
            .max_position_embeddings
            .saturating_sub(prompt);
        let mut limit = options.max_new_tokens.min(room.max(1));
        if !self.dictated.is_empty() {
            limit = limit.min(self.dictated.len());
        }
        let tokens = self.config.tokens;
        let mut sampler = Sampler::new(options);
        // A handle of its own, because `self` is borrowed by the model while the stream decodes.
        let tokenizer = Arc::clone(&self.tokenizer);
        let mut stream = TokenStream::new(&tokenizer);
        loop {
            if cancel.is_cancelled() {
                return Err(RequestError::Cancelled {
                    tokens: generated.ids.len(),
                });
            }
            let started = Instant::now();
            let logits = lisa.llama.logits(&hidden).map_err(failed)?;
            let chosen = sampler.next(&logits).map_err(failed)?;
            let dictated = self.dictated.get(generated.ids.len());
            let id = dictated.copied().unwrap_or(chosen);
            generated.ids.push(id);
            if id == tokens.eos {
                state.token(started.elapsed());
                break;
            }
            if let Some(text) = stream.push(id) {
                context.send(Event::TextDelta {
                    text,
                    tokens: generated.ids.len(),
                });
            }
            state.token(started.elapsed());
            if id == tokens.seg {
                // [SEG]'s embedding is the state that predicted it, which is the one at hand, and not the state at [SEG].
                let object = self.segment(lisa, &hidden, generated.seg_count, state, context)?;
                generated.seg_count += 1;
                generated.objects.extend(object);
            }
            if generated.ids.len() >= limit {
                generated.truncated = true;
                break;
            }
            let started = Instant::now();
            hidden = self
                .prefix
                .step(&lisa.llama, id, &self.device, &stop)
                .map_err(|e| state.stopped(e))?;
            state.extend_token(started.elapsed());
        }
        if let Some(text) = stream.finish() {
            context.send(Event::TextDelta {
                text,
                tokens: generated.ids.len(),
            });
        }
        Ok(())
    }

    /// The mask of the object that `hidden` `(1, hidden)` predicts; `None` where it came out empty.
    pub(super) fn segment(
        &mut self,
        lisa: &Lisa,
        hidden: &Tensor,
        index: usize,
        state: &mut RequestState<'_>,
        context: &mut RequestContext<'_>,
    ) -> Result<Option<ObjectMask>, RequestError> {
        let (embedding, resized) = self.vision.image_embedding(lisa, state, context)?;
        context.send(Event::Stage(Stage::Decode));
        let masks = state.time(Stage::Decode, || {
            lisa.masks(&embedding, hidden).map_err(ModelError::from)
        })?;
        context.send(Event::Stage(Stage::Postprocess));
        let (width, height) = (state.request.frame.width(), state.request.frame.height());
        let options = &state.request.options;
        let threshold = threshold_logit(options.mask_threshold)
            .map_err(|e| RequestError::Model(e.to_string()))?;
        let (logits, iou, mask) = state.time(Stage::Postprocess, || {
            let size = self.config.sam.image_size;
            let logits = sam::mask_logits_at(
                &masks.logits,
                size,
                resized,
                (height as usize, width as usize),
            )?;
            let values = logits.flatten_all()?.to_vec1::<f32>()?;
            let iou = masks.iou.to_dtype(DType::F32)?.get(0)?.to_scalar::<f32>()?;
            let mask = Mask::from_logits(&values, width, height, threshold)
                .map_err(candle_core::Error::wrap)?;
            Ok((logits, iou, mask))
        })?;
        state.trace_mask(logits);
        if mask.area() < options.min_mask_area.max(1) {
            return Ok(None);
        }
        let area = mask.area();
        let (roi, pixels) = mask.into_parts();
        let object = ObjectMask {
            index,
            label: label(&state.request.instruction),
            score: if iou.is_nan() {
                0.0
            } else {
                iou.clamp(0.0, 1.0)
            },
            roi,
            mask: Arc::new(pixels),
            area,
            prompt: SegPrompt::of(hidden)?,
        };
        context.send(Event::Mask(object.clone()));
        Ok(Some(object))
    }
}

/// Chooses the next token: the likeliest one at temperature 0, otherwise one drawn from the whole distribution with the request's
/// seed.
struct Sampler(LogitsProcessor);

impl Sampler {
    fn new(options: &AnswerOptions) -> Self {
        let sampling = if options.temperature <= 0.0 {
            Sampling::ArgMax
        } else {
            Sampling::All {
                temperature: options.temperature,
            }
        };
        Self(LogitsProcessor::from_sampling(options.seed, sampling))
    }

    /// # Shapes
    /// `logits` `(1, vocab)`.
    fn next(&mut self, logits: &Tensor) -> candle_core::Result<u32> {
        self.0.sample(&logits.squeeze(0)?.to_dtype(DType::F32)?)
    }
}
