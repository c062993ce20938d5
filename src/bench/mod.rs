//! `lisa bench`: how long each stage of an answer takes on this machine, how much memory it needs, and which share of what the
//! processor and its memory can do that is.
//!
//! ```text
//! a model directory ─┐
//! Shape, random ─────┴► LisaReasoner ─► AnswerTimes: every answer is one that the node would give, its stages as its Timings say
//! a GGUF file ─────────► Llama ───────► LanguageTimes: prompt, tokens, logits
//! Shape, TableWorld ───► Trainer ─────► TrainingTimes: steps of config/finetune.toml
//!                        Machine: matrix products and copies, as fast as they go here
//! ```
//!
//! Nothing is computed here but the yardsticks of [`Machine`]: stages are measured where the node and `lisa train` run them. What
//! they are compared with lies in `benches/peers/`; docs/BENCH.md says how to read the numbers.

mod answers;
mod error;
mod language;
mod machine;
mod scratch;
mod shape;
mod summary;
mod training;
mod work;

pub use answers::{AnswerTimes, Answers};
pub use error::BenchError;
pub use language::{LanguageTimes, Languages};
pub use machine::{cpu_seconds, peak_rss, Machine};
pub use scratch::Scratch;
pub use shape::{Shape, SHAPES};
pub use summary::{Stage, Summary};
pub use training::{StepTimes, Training, TrainingTimes};
pub use work::Work;
