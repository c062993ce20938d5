//! The network, in the paper's and the checkpoints' names.
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
//! One source for inference and training: every operation is differentiable where its input is on the path of
//! a gradient. **Invariant:** nothing here knows about requests, files or threads.

mod clip;
mod lisa;
mod llama;
mod projector;
pub mod sam;
mod stop;
mod text_hidden_fcs;

pub use clip::ClipVisionTower;
pub use lisa::Lisa;
pub use llama::{Llama, LlamaCache, Look, Sequence};
pub use projector::MmProjector;
pub use stop::{ModelError, Stop};
pub use text_hidden_fcs::TextHiddenFcs;
