//! The ROS 2 node. The only module that names r2r.
//!
//! What the node decides is decided in [`crate::node`], which a replay drives, too. Here are its ears and hands.
//!
//! # Shape
//! Five threads, and each owns what only it may touch:
//!
//! ```text
//!   spinning thread           main thread (tokio)           submitter            model thread (engine)
//!   owns the r2r node         owns the driver               decodes          owns the model
//!   ─────────────────         ───────────────────           ───────          ─────────────────────
//!   images ───────────────► ┌──────────────┐ ── AskEngine ► frames ─ submit ─► answers
//!   instructions, goals, ──►│   NodeCore   │ ◄────────────── events ────────────┘
//!   cancels, ~/enable …     └──────┬───────┘ ── Draw… ► renderer: overlays
//!   parameter services             ▼
//!                    results, objects, masks, deltas, feedback, diagnostics
//! ```
//!
//! Frames do not queue: they meet in one slot where the newest wins, with a bounded memory behind it for instructions that
//! name a moment ([`frames`](crate::frames)). Instructions queue in the engine, and so many may wait; one more is
//! OVERLOADED. So nothing here grows with load, and a picture is decoded only when somebody asks about it.
//!
//! # Invariants
//! 1. Every instruction gets exactly one `ReasoningResult`, whatever happens to it ([`crate::node`]).
//! 2. Every output carries the header of the image it was computed from, untouched.
//! 3. The spinning thread never waits for the model, nor the model for the network.
//! 4. A signal ends the node within two seconds, and whoever waits for an answer is told ([`shutdown`], [`spin`]).
//! 5. Topics and the action appear when the model is ready: who sees them may ask. Parameters and diagnostics are there
//!    from the first second.
//!
//! # Where r2r is worked around
//! [`spin`] (streams that lose the newest), [`param_services`] (no ranges, no read-only), [`action`] (goals that never
//! expire), [`node`](crate::node) (text that is not UTF-8), [`remap`] (names after remapping).

mod action;
mod clock;
mod convert;
mod diagnostics;
mod driver;
mod logging;
mod node;
mod param_services;
mod param_table;
mod params;
mod publishers;
mod r2r_ext;
pub mod recordings;
mod remap;
mod renderer;
mod shared;
mod shutdown;
mod spin;
mod submitter;

pub use node::{run, NodeError};
