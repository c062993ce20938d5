//! How a request is answered: vision, prompt, generation, masks.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};

use super::prefix_cache::{PositionKey, PrefixCache};
use super::request_state::{failed, label, stage_span, RequestState};
use super::sampler::Sampler;
use super::service::{ModelInfo, Reasoner, RequestContext};
use super::session::{Exchange, Sessions};
use super::vision::Vision;
use super::{
    Answer, AnswerOptions, AnswerStatus, Attention, CacheLoad, EngineConfig, EngineError, Event,
    Frame, ObjectMask, Request, RequestError, RequestId, Stage,
};
use crate::image::{threshold_logit, ClipFit, ClipView, Mask};
use crate::model::{sam, Lisa, ModelError};
use crate::text::{
    Instruction, LisaTokenizer, PromptBuilder, PromptToken, TokenStream, IMAGE_TOKEN_INDEX,
};
use crate::weights::{LisaConfig, ModelDir};

/// The model and everything remembered between requests.
pub struct LisaReasoner {
    lisa: Lisa,
    config: LisaConfig,
    tokenizer: Arc<LisaTokenizer>,
    device: Device,
    dtype: DType,
    info: ModelInfo,
    vision: Vision,
    prefix: PrefixCache,
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

    /// The prompt, as positions, and how many of the conversation's oldest turns did not fit.
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
    fn view(&self, request: &Request) -> ClipView {
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

    /// Reads the prompt and writes the answer, with a mask for every `[SEG]` as soon as it is written.
    fn generate(
        &mut self,
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
            prefix.prefill(&self.lisa.llama, prompt, image_tokens, guided_head, &stop)
        })?;
        let mut generated = Generated::default();
        if let Some(scores) = &prefilled.scores {
            let view = self.view(state.request);
            generated.attention =
                Attention::read(scores, prompt, &self.config.clip, view).map_err(failed)?;
        }
        context.send(Event::Stage(Stage::Generate));
        let written = stage_span(Stage::Generate).in_scope(|| {
            self.write(
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
        let limit = options.max_new_tokens.min(room.max(1));
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
            let logits = self.lisa.llama.logits(&hidden).map_err(failed)?;
            let id = sampler.next(&logits).map_err(failed)?;
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
                let object = self.segment(&hidden, generated.seg_count, state, context)?;
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
                .step(&self.lisa.llama, id, &self.device, &stop)
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
    fn segment(
        &mut self,
        hidden: &Tensor,
        index: usize,
        state: &mut RequestState<'_>,
        context: &mut RequestContext<'_>,
    ) -> Result<Option<ObjectMask>, RequestError> {
        let (embedding, resized) = self.vision.image_embedding(&self.lisa, state, context)?;
        context.send(Event::Stage(Stage::Decode));
        let masks = state.time(Stage::Decode, || {
            self.lisa
                .masks(&embedding, hidden)
                .map_err(ModelError::from)
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
        };
        context.send(Event::Mask(object.clone()));
        Ok(Some(object))
    }

    /// Remembers the turn; returns what the person should know about it.
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

/// What generation gave.
#[derive(Default)]
struct Generated {
    /// The end-of-turn token included, where it came.
    ids: Vec<u32>,
    seg_count: usize,
    objects: Vec<ObjectMask>,
    truncated: bool,
    attention: Option<Attention>,
}
