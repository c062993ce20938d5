//! The engine: one thread owns the model; everybody else sends it requests and receives events.
//!
//! ```text
//! submit(Request) ──► Queue (bounded) ──► model thread: Reasoner::answer ──► Event, Event, …, Done | Failed
//! ```
//!
//! An answer costs one prefill plus one step per token, and vision runs once per frame: frames, conversations
//! and the language model's keys and values are kept between requests ([`LisaReasoner`]). A request can be cancelled at
//! every token and between the layers of the encoders. A panic in the model fails the request, not the process. Several [`Source`]s
//! can share an engine; the queue gives each of them its share of the model's time.
//!
//! # Where the time goes
//! Every request has a `tracing` span at debug level from its submission to its last event:
//! `request{id, width, height, conversation, tokens}`, where `width` and `height` are the frame's in pixels, `conversation` says
//! whether it belongs to one, and `tokens` is filled in at the end. Inside it each [`Stage`] that takes place has a span
//! `stage{name}`; those of the masks lie inside that of `generate`, because a mask is decoded as soon as its `[SEG]` is written.
//! Each stage ends in an event `stage ended` with its `seconds`, and the request in `request answered` or
//! `request ended without an answer`. So
//!
//! ```text
//! RUST_LOG=lisa::engine=debug lisa segment --image table.png --instruction "Where is the cup?"
//! ```
//!
//! lists where the time went. Spans are opened per stage and nothing is recorded per token, so that they cost nothing that can be
//! measured. [`Engine::load`] reads the gauges: how many requests wait, run and have ended, and how often a cache had what was
//! looked for ([`EngineLoad`]).
//!
//! **Invariant:** no async runtime and no ROS here; callers bring their own.

mod answer;
mod attention;
mod cache_load;
mod config;
mod error;
mod event;
mod frame;
mod gauges;
mod generate;
mod lisa_reasoner;
mod prefix_cache;
mod queue;
mod reasoner;
mod request;
mod request_state;
mod seg_prompt;
mod service;
mod session;
mod start;
mod vision;

pub use crate::compute::{DTypeSpec, DeviceSpec};
pub use attention::AttentionMap;
pub use cache_load::{CacheLoad, HitCount};
pub use config::{EngineConfig, ModelInfo};
pub use error::{EngineError, RequestError};
pub use event::{Answer, AnswerStatus, Event, ObjectMask, Stage, Timings};
pub use frame::{Frame, FrameKey};
pub use gauges::EngineLoad;
pub use lisa_reasoner::LisaReasoner;
pub use reasoner::{Reasoner, RequestContext};
pub use request::{AnswerOptions, CancelToken, Request, RequestId, Source};
pub use seg_prompt::SegPrompt;
pub use service::{Engine, Ticket};
