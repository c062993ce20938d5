//! The engine: one thread owns the model; everybody else sends it requests and receives events.

mod event;
mod request;

pub use event::{Answer, AnswerStatus, Event, ObjectMask, RequestError, Stage, Timings};
pub use request::{AnswerOptions, CancelToken, Frame, FrameId, Request};

use std::path::PathBuf;

/// What the engine opens and the bounds it keeps.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Model directory, as `lisa convert` writes it.
    pub model: PathBuf,
    pub device: DeviceSpec,
    pub dtype: DTypeSpec,
    /// Requests that may wait; one more is [`RequestError::Overloaded`]. Default 8.
    pub max_pending: usize,
    /// Conversations remembered; the one longest unused leaves first. Default 16.
    pub max_conversations: usize,
    /// Turns remembered in a conversation; the oldest leave first, and the answer's notes say so. Default 8.
    pub max_turns: usize,
    /// Frames whose embeddings are kept. Default 4.
    pub max_frames: usize,
    /// Answer one throw-away request before reporting ready. Default true.
    pub warm_up: bool,
}

/// `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceSpec {
    /// A GPU where the build and the machine have one, otherwise the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
}

/// `auto`, `f32`, `f16` or `bf16`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DTypeSpec {
    /// f32 on the CPU; on a GPU as the weights are stored.
    #[default]
    Auto,
    F32,
    F16,
    Bf16,
}

/// What the engine is and has, for diagnostics.
#[derive(Clone, Debug)]
pub struct EngineStatus {
    /// Model name from its `lisa.json`.
    pub model: String,
    /// "cpu" or "cuda:0".
    pub device: String,
    /// "f32", "f16" or "bf16".
    pub dtype: String,
    pub parameters: usize,
    /// Requests waiting, the one being answered not counted.
    pub pending: usize,
    pub max_pending: usize,
    /// True while a request is being answered.
    pub busy: bool,
    pub conversations: usize,
    pub answered: u64,
    pub failed: u64,
}

// Signatures the rest of the crate builds on (bodies follow):
//
// impl EngineConfig { pub fn new(model: impl Into<PathBuf>) -> Self }
// impl FromStr for DeviceSpec / DTypeSpec  (Err = OptionError with a sentence), Display for both
// impl Engine {
//     pub fn start(config: EngineConfig) -> Result<Engine, EngineError>;   // blocks until warm; EngineError: typed, one line
//     pub fn submit(&self, request: Request) -> Result<Ticket, RequestError>;             // Overloaded, ShuttingDown, option/instruction errors at once
//     pub fn submit_to(&self, request: Request, sink: impl FnMut(Event) + Send + 'static) -> Result<CancelToken, RequestError>;
//                                                     // the sink is called on the model thread: it must not block
//     pub fn reset_conversation(&self, id: Option<&str>);                  // None: all of them
//     pub fn set_max_pending(&self, n: usize);
//     pub fn status(&self) -> EngineStatus;
//     pub fn shutdown(self);                                               // cancels what runs, fails what waits, joins; Drop does the same
// }
// pub struct Ticket { pub events: crossbeam_channel::Receiver<Event>, pub cancel: CancelToken }
// impl Ticket { pub fn wait(self) -> Result<Answer, RequestError> }
