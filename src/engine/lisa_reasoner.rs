//! The reasoner that ships: a loaded model with what it keeps between requests, the prompts that it builds from a conversation,
//! and the turns that it remembers. `generate.rs` and `answer.rs` add how it writes text with masks, and how it answers.

use std::sync::Arc;

use candle_core::{DType, Device};

use super::prefix_cache::{PositionKey, PrefixCache};
use super::request_state::Generated;
use super::session::{Exchange, SessionKey, Sessions};
use super::vision::Vision;
use super::{EngineConfig, EngineError, ModelInfo, Request, RequestError, Source};
use crate::image::{ClipFit, ClipView};
use crate::model::Lisa;
use crate::text::{Instruction, LisaTokenizer, PromptBuilder, PromptToken};
use crate::weights::{LisaConfig, ModelDir, Weights};

/// A LISA model, and everything that is kept between requests: frames, the last prompt's keys and values, conversations.
pub struct LisaReasoner {
    /// `None` while the memory of the weights is given back.
    pub(super) lisa: Option<Arc<Lisa>>,
    /// What [`reload`](Self::reload) loads.
    source: EngineConfig,
    pub(super) config: LisaConfig,
    pub(super) tokenizer: Arc<LisaTokenizer>,
    pub(super) device: Device,
    pub(super) dtype: DType,
    info: ModelInfo,
    pub(super) vision: Vision,
    pub(super) prefix: PrefixCache,
    pub(super) sessions: Sessions,
    /// What [`dictate`](Self::dictate) was given; empty where the model writes its own words.
    pub(super) dictated: Vec<u32>,
    /// What [`settle_stages`](Self::settle_stages) was told.
    pub(super) settled: bool,
}

impl LisaReasoner {
    /// Opens the model directory and loads every tensor.
    ///
    /// # Errors
    /// The file, tensor or device that cannot be used.
    pub fn load(config: &EngineConfig) -> Result<Self, EngineError> {
        let device = config.device.open()?;
        let dir = ModelDir::open(&config.model)?;
        let precision = config.dtype.precision(dir.config.dtype.into(), &device);
        let weights = dir
            .weights(precision.computed, &device)?
            .held_in(precision.held);
        Self::from_weights(config, &weights, dir.config, dir.tokenizer)
    }

    /// A reasoner whose tensors come from `weights`, in the number type and on the device that they come out in. Where no model
    /// directory holds them, [`EngineConfig::model`] is a name only, and what was unloaded cannot be loaded again.
    ///
    /// # Errors
    /// The tensor that is missing or has another shape than `model` leads to.
    pub fn from_weights(
        config: &EngineConfig,
        weights: &Weights,
        model: LisaConfig,
        tokenizer: LisaTokenizer,
    ) -> Result<Self, EngineError> {
        let lisa = Lisa::load(&weights.clone().for_inference(), &model)?;
        let (dtype, device) = (weights.dtype(), weights.device().clone());
        let elements = |shape: &[usize]| shape.iter().map(|side| *side as u64).product::<u64>();
        let info = ModelInfo {
            model: model.name.clone(),
            device: match device.location() {
                candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
                candle_core::DeviceLocation::Cpu => "cpu".into(),
            },
            dtype: weights.held().unwrap_or(dtype).as_str().into(),
            parameters: weights
                .names()
                .iter()
                .map(|(_, shape)| elements(shape))
                .sum(),
            guided_head: model.guided_head,
        };
        Ok(Self {
            vision: Vision::new(&model, config.max_frames, dtype, &device),
            prefix: PrefixCache::new(&lisa.llama),
            sessions: Sessions::new(config.max_conversations, config.max_turns),
            lisa: Some(Arc::new(lisa)),
            source: config.clone(),
            config: model,
            tokenizer: Arc::new(tokenizer),
            device,
            dtype,
            info,
            dictated: Vec::new(),
            settled: false,
        })
    }

    /// Whether a GPU has to have done a stage's work before the stage's time is taken, which a measurement of stages needs and an
    /// answer does not. Of a CPU that is so in any case.
    pub fn settle_stages(&mut self, settle: bool) {
        self.settled = settle;
    }

    /// Makes every answer from now on consist of these tokens, whatever the model finds likely, and end with them. Everything is
    /// computed as for the model's own words, so that a measurement does not depend on what a model happens to say. Without
    /// tokens the model writes its own words again.
    pub fn dictate(&mut self, tokens: Vec<u32>) {
        self.dictated = tokens;
    }

    /// Content of the model's `lisa.json`.
    pub fn config(&self) -> &LisaConfig {
        &self.config
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &LisaTokenizer {
        &self.tokenizer
    }

    /// The network.
    ///
    /// # Errors
    /// [`RequestError::Load`] where it was given back and nobody has loaded it again.
    pub(super) fn loaded(&self) -> Result<Arc<Lisa>, RequestError> {
        let lisa = self.lisa.clone();
        lisa.ok_or_else(|| RequestError::Load("nobody has asked for it".into()))
    }

    /// Loads the model directory again, as it is now. The conversations stay, unless another vocabulary is there: they are kept
    /// as tokens.
    pub(super) fn reload(&mut self) -> Result<(), EngineError> {
        let mut new = Self::load(&self.source)?;
        if new.tokenizer.same_vocabulary(&self.tokenizer) {
            std::mem::swap(&mut new.sessions, &mut self.sessions);
        }
        new.vision.lookups = self.vision.lookups;
        new.prefix.positions = self.prefix.positions;
        new.dictated = std::mem::take(&mut self.dictated);
        new.settled = self.settled;
        *self = new;
        Ok(())
    }

    /// Which model was loaded, and onto what.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The prompt, position by position, and how many of the conversation's oldest turns had to be left out so that it fits the
    /// model's context.
    pub(super) fn prompt(
        &self,
        instruction: &Instruction,
        request: &Request,
        source: Source,
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
            Some(id) => self.sessions.turns(&SessionKey {
                source,
                id: id.clone(),
            }),
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

    /// The part of the request's frame that the vision tower sees.
    pub(super) fn view(&self, request: &Request) -> ClipView {
        let clip = self.config.clip_preprocess.preprocessor();
        let size = (request.frame.width(), request.frame.height());
        ClipView::new(&clip, size, self.fit(request))
    }

    fn keys(&self, prompt: &[PromptToken], request: &Request, features: usize) -> Vec<PositionKey> {
        let frame = request.frame.key();
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
    pub(super) fn remember(
        &mut self,
        instruction: Instruction,
        generated: &Generated,
        dropped: usize,
        conversation: SessionKey,
    ) -> Vec<String> {
        let eos = self.config.tokens.eos;
        let answer = generated
            .ids
            .iter()
            .copied()
            .filter(|id| *id != eos)
            .collect();
        let (surplus, forgotten) = self.sessions.push(
            &conversation,
            Exchange {
                instruction,
                answer,
            },
            dropped,
        );
        let (id, mut notes) = (&conversation.id, Vec::new());
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
                "conversation {:?} was forgotten to make room for {id:?}",
                forgotten.id
            ));
        }
        notes
    }
}
