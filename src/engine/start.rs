//! Starting the engine that ships: the model is loaded on the engine's thread, and answers once before others may ask.

use std::time::Instant;

use candle_core::Tensor;

use super::lisa_reasoner::LisaReasoner;
use super::request_state::{failed, RequestState};
use super::{
    AnswerOptions, CancelToken, Engine, EngineConfig, EngineError, Frame, Reasoner, Request,
    RequestContext, RequestError, RequestId,
};

impl Engine {
    /// Loads the model on a thread of its own. Returns once that is done and, with [`EngineConfig::warm_up`], a throw-away
    /// request has been answered.
    ///
    /// # Errors
    /// Which file, tensor or device cannot be used.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let max_pending = config.max_pending;
        Self::start_with(max_pending, move || {
            let mut reasoner = LisaReasoner::load(&config)?;
            if config.warm_up {
                reasoner.warm_up().map_err(EngineError::WarmUp)?;
            }
            let info = reasoner.info().clone();
            Ok((reasoner, info))
        })
    }
}

impl LisaReasoner {
    /// Answers a throw-away request about a grey frame and decodes a mask, so that the first real request finds every kernel
    /// compiled and every buffer allocated. Leaves nothing in the caches.
    ///
    /// # Errors
    /// Why the model cannot answer.
    pub fn warm_up(&mut self) -> Result<(), RequestError> {
        let frame = Frame::new(image::RgbImage::from_pixel(64, 48, image::Rgb([128; 3])));
        let request = Request {
            instruction: "warm up".into(),
            frame: frame.clone(),
            conversation_id: None,
            options: AnswerOptions {
                max_new_tokens: 2,
                ..AnswerOptions::default()
            },
        };
        let cancel = CancelToken::new();
        let mut ignore = |_| {};
        let mut context = RequestContext::new(RequestId(0), &cancel, Instant::now(), &mut ignore);
        self.answer(&request, &mut context)?;
        // The answer may have named no object, and a mask has to be decoded once all the same.
        let mut state = RequestState::new(&request, &context);
        let hidden = Tensor::zeros((1, self.config.llama.hidden_size), self.dtype, &self.device)
            .map_err(failed)?;
        let lisa = self.loaded()?;
        self.segment(&lisa, &hidden, 0, &mut state, &mut context)?;
        self.clear_caches();
        self.vision.lookups = Default::default();
        self.prefix.positions = Default::default();
        Ok(())
    }
}
