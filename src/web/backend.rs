//! What the server asks: a model, and a camera where there is one.

use rosbag2::Header;

use crate::engine::{
    AnswerOptions, CancelToken, Engine, EngineLoad, Frame, ModelInfo, Request, RequestError,
};
use crate::node::PageEvent;

/// Is called for every event of a question; it does not block.
pub type EventSink = Box<dyn FnMut(PageEvent) + Send>;

/// A question to the model.
#[derive(Debug)]
pub struct PageQuestion {
    /// What the engine is asked.
    pub request: Request,
    /// Which camera took the frame; `None` for a picture of the client's own, which has no place in space.
    pub taken: Option<Taken>,
}

/// Which camera took a frame, and when.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The camera's place in [`Backend::cameras`]; 0 where there is only one.
    pub camera: usize,
    /// The header of its message.
    pub header: Header,
}

/// A frame of a camera.
#[derive(Clone, Debug)]
pub struct CameraPicture {
    /// Its pixels.
    pub frame: Frame,
    /// Which camera took it, and when.
    pub taken: Taken,
}

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
    /// Submits a question, as [`Engine::submit_to`] does. Objects of a camera's frame come with their places where there is depth.
    ///
    /// # Errors
    /// Why it is refused; `sink` is then never called.
    fn submit(&self, question: PageQuestion, sink: EventSink) -> Result<CancelToken, SubmitError>;

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

    /// The names of the cameras where there are several.
    fn cameras(&self) -> Vec<String> {
        Vec::new()
    }

    /// The newest frame of the camera in this place, 0 where there is only one. It may take the time to decode it.
    ///
    /// # Errors
    /// Why there is none now.
    fn newest_frame(&self, _camera: usize) -> Result<CameraPicture, SubmitError> {
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
    fn submit(
        &self,
        question: PageQuestion,
        mut sink: EventSink,
    ) -> Result<CancelToken, SubmitError> {
        let sink = move |event| sink(PageEvent::from(event));
        Ok(self.engine.submit_to(question.request, sink)?)
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
