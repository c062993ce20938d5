//! The network, with the names of the paper and the checkpoints.
//!
//! ```text
//! x_img ──► ClipVisionTower ──► MmProjector ─┐
//! x_txt ──► embed_tokens ────────────────────┴► Llama ──► logits ──► y_txt
//!                                                 │ hidden state that predicts [SEG]
//!                                                 ▼
//!                                         TextHiddenFcs  γ
//! x_img ──► sam::ImageEncoder ──► f ──► sam::MaskDecoder ──► mask logits, predicted IoU
//! ```
//!
//! The same source serves inference and training: every operation is differentiable where its input is on the path of a gradient.
//! **Invariant:** nothing here knows about requests, files or threads.

mod clip;
mod lisa;
mod llama;
mod projections;
pub mod sam;
mod stop;

pub use clip::ClipVisionTower;
pub use lisa::{Encoders, Lisa};
pub use llama::{AttentionQuery, Llama, LlamaCache, Sequence};
pub use projections::{MmProjector, TextHiddenFcs};
pub use stop::{ModelError, Stop};
