//! Training: LISA's objective, LoRA, AdamW, checkpoints, the loop.
//!
//! ```text
//! TrainConfig ─► Setup ─► Trainer ── Loader: Mixture ► Sample ► Preparation ► Example
//!                            │
//!                            ├─ Workers ► Objective (Reasoning | Vision) ► losses, Gradients
//!                            ├─ clip, AdamW, Ema
//!                            └─ metrics.jsonl, loss.png, checkpoint-last, checkpoint-best ─► merge ► model directory
//! ```
//!
//! **Invariants:** a step's numbers depend on the configuration and the step alone, not on the number of threads nor on
//! whether the run was interrupted, nor on how many processes share it. Frozen tensors never get a gradient.

mod adamw;
mod batch;
mod checkpoint;
mod config;
mod curve;
mod ema;
mod error;
mod gradients;
mod guide;
mod init;
mod inspect;
mod loss;
mod merge;
mod metrics;
#[cfg(feature = "mpi")]
mod mpi;
pub mod objective;
mod packing;
mod parameters;
mod ranks;
mod recompute;
mod run_folder;
mod same_run;
mod schedule;
mod settings;
mod setup;
mod skipping;
mod sum;
mod threads;
mod trainer;

#[cfg(feature = "mpi")]
pub use self::mpi::Mpi;
pub use adamw::{AdamW, AdamWConfig, GroupSettings};
pub use checkpoint::{read_checkpoint, CheckpointState, BEST, LAST};
pub use config::{
    DataConfig, GroupConfig, LoraConfig, ModelConfig, ObjectiveConfig, ObjectiveKind,
    OptimizerConfig, OptimizerGroup, RunConfig, TrainConfig, TrainableConfig, ATTEND_SHARE,
};
pub use error::TrainError;
pub use gradients::Gradients;
pub use init::{initial, random_weights};
pub use inspect::inspect;
pub use merge::{merge, MergeOptions, MergeReport};
pub use metrics::{read_metrics, Record};
pub use packing::{PackedAnswer, PackedSequence, Piece};
pub use parameters::{LoraSpec, Parameters};
pub use ranks::{Alone, Communicator};
pub use schedule::{Decay, Schedule};
pub use settings::{settings_help, Accepted, Setting, SETTINGS};
pub use setup::Setup;
pub use threads::Threads;
pub use trainer::{Ended, Trainer};
