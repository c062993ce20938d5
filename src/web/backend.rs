//! What the server asks: a model, and a camera where there is one.

use crate::engine::{
    AnswerOptions, CancelToken, Engine, EngineLoad, Event, Frame, ModelInfo, Request, RequestError,
};

/// Is called for every event of a request; it does not block.
pub type EventSink = Box<dyn FnMut(Event) + Send>;

/// Why a question is refused.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The engine refuses it.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Nothing is answered now, for this reason.
    #[error("{0}")]
    NotNow(String),
}

/// What answers the server's questions.
pub trait Backend: Send + Sync + 'static {
    /// Submits a question, as [`Engine::submit_to`] does.
    ///
    /// # Errors
    /// Why it is refused; `sink` is then never called.
    fn submit(&self, request: Request, sink: EventSink) -> Result<CancelToken, SubmitError>;

    /// Forgets a conversation.
    fn reset_conversation(&self, id: &str);

    /// Which model answers; `None` while none is loaded.
    fn model(&self) -> Option<ModelInfo>;

    /// What waits, runs and has ended. The call never waits for the model.
    fn load(&self) -> EngineLoad;

    /// How a question is answered where it does not say otherwise. A question may ask for `max_new_tokens` tokens at the most.
    fn options(&self) -> AnswerOptions;

    /// Whether there is a camera. Questions may then come without a picture.
    fn has_camera(&self) -> bool {
        false
    }

    /// The camera's newest frame. It may take the time to decode it.
    ///
    /// # Errors
    /// Why there is none now.
    fn newest_frame(&self) -> Result<Frame, SubmitError> {
        Err(SubmitError::NotNow("there is no camera".to_owned()))
    }
}

/// An engine without a camera, as `lisa serve` has it.
pub struct EngineBackend {
    engine: Engine,
    options: AnswerOptions,
}

impl EngineBackend {
    /// Answers with these options where a question does not say otherwise.
    pub fn new(engine: Engine, options: AnswerOptions) -> Self {
        Self { engine, options }
    }
}

impl Backend for EngineBackend {
    fn submit(&self, request: Request, sink: EventSink) -> Result<CancelToken, SubmitError> {
        Ok(self.engine.submit_to(request, sink)?)
    }

    fn reset_conversation(&self, id: &str) {
        self.engine.reset_conversation(Some(id));
    }

    fn model(&self) -> Option<ModelInfo> {
        Some(self.engine.model().clone())
    }

    fn load(&self) -> EngineLoad {
        self.engine.load()
    }

    fn options(&self) -> AnswerOptions {
        self.options.clone()
    }
}
