//! The reasoner that ships: it loads a model directory, and answers a request by encoding its frame, building the prompt and
//! generating text with masks (`generate.rs`).

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};

use super::prefix_cache::{PositionKey, PrefixCache};
use super::request_state::{failed, Generated, RequestState};
use super::service::{Reasoner, RequestContext};
use super::session::{Exchange, Sessions};
use super::vision::Vision;
use super::{
    Answer, AnswerOptions, AnswerStatus, CacheLoad, EngineConfig, EngineError, Frame, ModelInfo,
    Request, RequestError, RequestId,
};
use crate::image::{ClipFit, ClipView};
use crate::model::Lisa;
use crate::text::{Instruction, LisaTokenizer, PromptBuilder, PromptToken, IMAGE_TOKEN_INDEX};
use crate::weights::{LisaConfig, ModelDir};

/// A LISA model, and everything that is kept between requests: frames, the last prompt's keys and values, conversations.
pub struct LisaReasoner {
    pub(super) lisa: Lisa,
    pub(super) config: LisaConfig,
    pub(super) tokenizer: Arc<LisaTokenizer>,
    pub(super) device: Device,
    dtype: DType,
    info: ModelInfo,
    pub(super) vision: Vision,
    pub(super) prefix: PrefixCache,
    sessions: Sessions,
}

impl LisaReasoner {
    /// Opens the model directory and loads every tensor.
    ///
    /// # Errors
    /// The file, tensor or device that cannot be used.
    pub fn load(config: &EngineConfig) -> Result<Self, EngineError> {
        let device = config.device.open()?;
        config.dtype.check(&device)?;
        let dir = ModelDir::open(&config.model)?;
        let dtype = config.dtype.resolve(dir.config.dtype.into(), &device);
        let lisa = Lisa::load(&dir.weights(dtype, &device)?, &dir.config)?;
        let info = ModelInfo {
            model: dir.config.name.clone(),
            device: match device.location() {
                candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
                candle_core::DeviceLocation::Cpu => "cpu".into(),
            },
            dtype: dtype.as_str().into(),
            parameters: dir.parameters,
            guided_head: dir.config.guided_head,
        };
        Ok(Self {
            vision: Vision::new(&dir.config, config.max_frames, dtype, &device),
            prefix: PrefixCache::new(&lisa.llama),
            sessions: Sessions::new(config.max_conversations, config.max_turns),
            lisa,
            config: dir.config,
            tokenizer: Arc::new(dir.tokenizer),
            device,
            dtype,
            info,
        })
    }

    /// Which model was loaded, and onto what.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Answers a throw-away request about a grey frame and decodes a mask, so that the first real request finds every kernel
    /// compiled and every buffer allocated. Leaves nothing in the caches.
    ///
    /// # Errors
    /// Why the model cannot answer.
    pub fn warm_up(&mut self) -> Result<(), RequestError> {
        let frame = Frame::new(::image::RgbImage::from_pixel(
            64,
            48,
            ::image::Rgb([128; 3]),
        ));
        let request = Request {
            instruction: "warm up".into(),
            frame: frame.clone(),
            conversation_id: None,
            options: AnswerOptions {
                max_new_tokens: 2,
                ..AnswerOptions::default()
            },
        };
        let cancel = super::CancelToken::new();
        let mut ignore = |_| {};
        let mut context = RequestContext::new(RequestId(0), &cancel, Instant::now(), &mut ignore);
        self.answer(&request, &mut context)?;
        // The answer may have named no object, and a mask has to be decoded once all the same.
        let mut state = RequestState::new(&request, &context);
        let hidden = Tensor::zeros((1, self.config.llama.hidden_size), self.dtype, &self.device)
            .map_err(failed)?;
        self.segment(&hidden, 0, &mut state, &mut context)?;
        self.clear_caches();
        self.vision.lookups = Default::default();
        self.prefix.positions = Default::default();
        Ok(())
    }

    /// The prompt, position by position, and how many of the conversation's oldest turns had to be left out so that it fits the
    /// model's context.
    fn prompt(
        &self,
        instruction: &Instruction,
        request: &Request,
        features: usize,
    ) -> Result<(Vec<PositionKey>, usize), RequestError> {
        let tokens = &self.config.tokens;
        let builder = PromptBuilder::new(
            &self.tokenizer,
            self.config.template,
            tokens.im_start.is_some(),
        )
        .map_err(|e| RequestError::Model(e.to_string()))?;
        let turns = match &request.conversation_id {
            Some(id) => self.sessions.turns(id),
            None => &[],
        };
        let context = self.config.llama.max_position_embeddings;
        let reserve = request.options.max_new_tokens.min(context / 2);
        let mut needed = 0;
        for dropped in 0..=turns.len() {
            let mut prompt = Vec::new();
            let questions = turns[dropped..]
                .iter()
                .map(|t| (&t.instruction, Some(&t.answer)));
            for (i, (question, answer)) in questions.chain([(instruction, None)]).enumerate() {
                prompt.extend(if i == 0 {
                    builder.first_turn(question)
                } else {
                    builder.next_turn(question)
                });
                if let Some(answer) = answer {
                    prompt.extend(answer.iter().map(|id| PromptToken::Text(*id)));
                    prompt.push(PromptToken::Text(builder.end_of_turn()));
                }
            }
            needed = prompt.len() - 1 + features + reserve;
            if needed <= context {
                return Ok((self.keys(&prompt, request, features), dropped));
            }
        }
        Err(RequestError::PromptTooLong { needed, context })
    }

    fn fit(&self, request: &Request) -> ClipFit {
        let own = self.config.clip_preprocess.fit;
        request.options.clip_fit.unwrap_or(own)
    }

    /// Where the vision tower looks on the request's frame.
    pub(super) fn view(&self, request: &Request) -> ClipView {
        let clip = self.config.clip_preprocess.preprocessor();
        let size = (request.frame.width(), request.frame.height());
        ClipView::new(&clip, size, self.fit(request))
    }

    fn keys(&self, prompt: &[PromptToken], request: &Request, features: usize) -> Vec<PositionKey> {
        let frame = request.frame.id();
        let fit = self.fit(request);
        let image = |row| PositionKey::Image { frame, fit, row };
        prompt
            .iter()
            .flat_map(|token| match *token {
                PromptToken::Text(id) => vec![PositionKey::Token(id)],
                PromptToken::Image => (0..features as u32).map(image).collect(),
            })
            .collect()
    }

    /// Adds the turn to its conversation; returns the notes for the person, about turns and conversations that were dropped for
    /// it.
    fn remember(
        &mut self,
        instruction: Instruction,
        generated: &Generated,
        dropped: usize,
        id: &str,
    ) -> Vec<String> {
        let eos = self.config.tokens.eos;
        let answer = generated
            .ids
            .iter()
            .copied()
            .filter(|id| *id != eos)
            .collect();
        let (surplus, forgotten) = self.sessions.push(
            id,
            Exchange {
                instruction,
                answer,
            },
            dropped,
        );
        let mut notes = Vec::new();
        if dropped > 0 {
            notes.push(format!(
                "the {dropped} oldest turns of conversation {id:?} were dropped: with them the prompt would not fit the model's {} positions",
                self.config.llama.max_position_embeddings
            ));
        }
        if surplus > 0 {
            notes.push(format!(
                "conversation {id:?} is at its longest: its oldest turn was dropped for this one"
            ));
        }
        if let Some(forgotten) = forgotten {
            notes.push(format!(
                "conversation {forgotten:?} was forgotten to make room for {id:?}"
            ));
        }
        notes
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

impl Reasoner for LisaReasoner {
    fn answer(
        &mut self,
        request: &Request,
        context: &mut RequestContext<'_>,
    ) -> Result<Answer, RequestError> {
        let instruction = Instruction::parse(&request.instruction)?;
        let mut state = RequestState::new(request, context);
        let image_tokens = self.vision.image_tokens(&self.lisa, &mut state, context)?;
        let features = image_tokens.dim(0).map_err(failed)?;
        let (prompt, dropped) = self.prompt(&instruction, request, features)?;
        let generated = self.generate(&prompt, &image_tokens, &mut state, context)?;
        if state.tracing() {
            let (embedding, _) = self
                .vision
                .image_embedding(&self.lisa, &mut state, context)?;
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
            Some(id) => self.remember(instruction, &generated, dropped, id),
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

    fn reset_conversation(&mut self, id: Option<&str>) {
        self.sessions.reset(id);
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
}
