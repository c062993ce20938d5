//! The ROS 2 node. The only module that names r2r.
//!
//! # Shape
//! Three threads, and each owns what only it may touch:
//!
//! ```text
//!   spinning thread            main thread (tokio)             model thread (engine)
//!   owns the r2r node          owns the open questions         owns the model
//!   ─────────────────          ───────────────────────         ─────────────────────
//!   images ──► frames (shared slot + ring) ──► Dispatcher ──► submit_to ──► answers
//!   instructions, goals, ───── Input ────────►     │    ◄───── Event ────────┘
//!   cancels, ~/enable …                            ▼
//!   parameter services                     results, masks, deltas, feedback, diagnostics
//! ```
//!
//! Frames do not queue: they meet in one slot where the newest wins, with a bounded memory behind it for instructions that
//! name a moment ([`frames`](crate::frames)). Instructions queue in the engine, whose bound answers OVERLOADED. So nothing here grows with
//! load, and a picture is decoded only when somebody asks about it.
//!
//! # Invariants
//! 1. Every instruction gets exactly one `ReasoningResult`, whatever happens to it ([`dispatch`]).
//! 2. Every output carries the header of the image it was computed from, untouched.
//! 3. The spinning thread never waits for the model, nor the model for the network.
//! 4. A signal ends the node within two seconds, and whoever waits for an answer is told ([`shutdown`], [`spin`]).
//! 5. Topics and the action appear when the model is ready: who sees them may ask. Parameters and diagnostics are there
//!    from the first second.
//!
//! # Where r2r is worked around
//! [`spin`] (streams that lose the newest), [`param_services`] (no ranges, no read-only), [`action`] (goals that never
//! expire), [`instructions`] (text that is not UTF-8), [`remap`] (names after remapping).

mod action;
mod choice;
mod clock;
mod continuous;
mod control;
mod convert;
mod diagnostics;
mod dispatch;
mod endings;
mod goals;
mod health;
mod instructions;
mod logging;
mod node;
mod param_services;
mod param_table;
mod params;
mod publish;
pub mod recordings;
mod remap;
mod shared;
mod shutdown;
mod sink;
mod spin;

pub use node::{run, NodeError};
