//! The engine: one thread owns the model; everybody else sends it requests and receives events.
//!
//! ```text
//! submit(Request) ──► Queue (bounded) ──► model thread: Reasoner::answer ──► Event, Event, …, Done | Failed
//! ```
//!
//! An answer costs one prefill plus one step per token, and vision runs once per frame: frames, conversations
//! and the language model's keys and values are remembered ([`LisaReasoner`]). A request can be taken back at
//! every token and between the layers of the encoders. A panic in the model fails the request, not the process.
//!
//! **Invariant:** no async runtime and no ROS here; callers bring their own.

mod attention;
mod config;
mod event;
mod frame_cache;
mod overlay;
mod prefix_cache;
mod queue;
mod reasoner;
mod request;
mod sampler;
mod service;
mod session;
mod vision;
mod work;

pub use crate::compute::{DTypeSpec, DeviceSpec};
pub use attention::Attention;
pub use config::{EngineConfig, EngineError};
pub use event::{Answer, AnswerStatus, Event, ObjectMask, RequestError, Stage, Timings};
pub use reasoner::LisaReasoner;
pub use request::{AnswerOptions, CancelToken, Frame, FrameId, Request};
pub use service::{Engine, EngineStatus, ModelInfo, Reasoner, Reply, Ticket};
