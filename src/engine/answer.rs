//! How [`LisaReasoner`] answers a request: it encodes the frame, builds the prompt, and generates text with masks.

use candle_core::{DType, Device, Tensor};

use super::lisa_reasoner::LisaReasoner;
use super::prefix_cache::PositionKey;
use super::request_state::{failed, Generated, RequestState};
use super::session::SessionKey;
use super::{
    Answer, AnswerStatus, CacheLoad, Reasoner, Request, RequestContext, RequestError, Source,
};
use crate::compute::give_back_free_memory;
use crate::model::Lisa;
use crate::text::{Instruction, IMAGE_TOKEN_INDEX};

impl Reasoner for LisaReasoner {
    fn answer(
        &mut self,
        request: &Request,
        context: &mut RequestContext<'_>,
    ) -> Result<Answer, RequestError> {
        let instruction = Instruction::parse(&request.instruction)?;
        let mut state = RequestState::new(request, context);
        state.settle = self.settled.then(|| self.device.clone());
        let lisa = self.loaded()?;
        if !request.options.find_again.is_empty() {
            return self.find_again(&lisa, state, context);
        }
        let image_tokens = self.vision.image_tokens(&lisa, &mut state, context)?;
        let features = image_tokens.dim(0).map_err(failed)?;
        let (prompt, dropped) = self.prompt(&instruction, request, context.source, features)?;
        let generated = self.generate(&lisa, &prompt, &image_tokens, &mut state, context)?;
        if state.tracing() {
            let (embedding, _) = self.vision.image_embedding(&lisa, &mut state, context)?;
            state.trace("sam_embedding", || embedding.squeeze(0))?;
            self.finish_trace(&prompt, &generated, &mut state)?;
        }

        let mut ids = generated.ids.clone();
        ids.retain(|id| *id != self.config.tokens.eos);
        let text = self.tokenizer.decode(&ids).trim().to_owned();
        let status = match (generated.seg_count, generated.objects.len()) {
            (0, _) => AnswerStatus::TextOnly,
            (_, 0) => AnswerStatus::EmptyMask,
            _ => AnswerStatus::Segmented,
        };
        let notes = match &request.conversation_id {
            Some(id) => {
                let (source, id) = (context.source, id.clone());
                self.remember(instruction, &generated, dropped, SessionKey { source, id })
            }
            None => Vec::new(),
        };
        let mut timings = state.timings;
        timings.total = context.submitted.elapsed();
        Ok(Answer {
            status,
            text,
            objects: generated.objects,
            tokens: generated.ids.len(),
            truncated: generated.truncated,
            notes,
            timings,
            attention: generated.attention,
            trace: state.trace,
        })
    }

    fn reset_conversation(&mut self, source: Source, id: Option<&str>) {
        self.sessions.reset(source, id);
    }

    fn caches(&self) -> CacheLoad {
        CacheLoad {
            conversations: self.sessions.len(),
            frames: self.vision.frames(),
            clip: self.vision.lookups.clip,
            sam: self.vision.lookups.sam,
            prompt: self.prefix.positions,
        }
    }

    fn clear_caches(&mut self) {
        self.vision.clear();
        self.prefix.clear();
    }

    fn is_loaded(&self) -> bool {
        self.lisa.is_some()
    }

    fn unload(&mut self) {
        self.clear_caches();
        self.lisa = None;
        give_back_free_memory();
    }

    fn load_again(&mut self) -> Result<(), RequestError> {
        self.reload()
            .map_err(|error| RequestError::Load(error.to_string()))
    }
}

impl LisaReasoner {
    /// Finds the objects of [`AnswerOptions::find_again`](super::AnswerOptions::find_again) in the request's frame: one run of
    /// the image encoder, which the next request about the frame finds in the cache, and one of the mask decoder for each.
    fn find_again(
        &mut self,
        lisa: &Lisa,
        mut state: RequestState<'_>,
        context: &mut RequestContext<'_>,
    ) -> Result<Answer, RequestError> {
        let (request, mut objects) = (state.request, Vec::new());
        for (index, prompt) in request.options.find_again.iter().enumerate() {
            if context.cancel.is_cancelled() {
                return Err(RequestError::Cancelled { tokens: 0 });
            }
            let size = self.config.llama.hidden_size;
            let hidden = prompt.hidden(size, self.dtype, &self.device)?;
            objects.extend(self.segment(lisa, &hidden, index, &mut state, context)?);
        }
        let mut timings = state.timings;
        timings.total = context.submitted.elapsed();
        Ok(Answer {
            status: match objects.is_empty() {
                true => AnswerStatus::EmptyMask,
                false => AnswerStatus::Segmented,
            },
            text: String::new(),
            objects,
            tokens: 0,
            truncated: false,
            notes: Vec::new(),
            timings,
            attention: None,
            trace: state.trace,
        })
    }

    /// `input_ids`, `output_ids` and `mask_logits` under the golden names.
    fn finish_trace(
        &self,
        prompt: &[PositionKey],
        generated: &Generated,
        state: &mut RequestState<'_>,
    ) -> Result<(), RequestError> {
        let mut ids: Vec<i64> = prompt
            .iter()
            .filter_map(|key| match key {
                PositionKey::Token(id) => Some(i64::from(*id)),
                PositionKey::Image { row: 0, .. } => Some(IMAGE_TOKEN_INDEX),
                PositionKey::Image { .. } => None,
            })
            .collect();
        let to_tensor = |ids: &[i64]| Tensor::from_slice(ids, ids.len(), &Device::Cpu);
        state.trace("input_ids", || to_tensor(&ids))?;
        ids.extend(generated.ids.iter().map(|id| i64::from(*id)));
        state.trace("output_ids", || to_tensor(&ids))?;
        let masks = std::mem::take(&mut state.mask_logits);
        let (width, height) = (
            state.request.frame.width() as usize,
            state.request.frame.height() as usize,
        );
        state.trace("mask_logits", || match masks.is_empty() {
            true => Tensor::zeros((0, height, width), DType::F32, &Device::Cpu),
            false => Tensor::cat(&masks, 0),
        })
    }
}
