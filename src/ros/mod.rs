//! The ROS 2 node. This is the only module that names r2r.
//!
//! All decisions are made by the state machine in [`crate::node`], which a replay drives, too. This module connects it to ROS.
//!
//! # Shape
//! There are six threads, and each owns what only it may use; the sixth measures where objects are (`locate_worker`). Those that
//! decode, draw and measure are there once for each camera, so that no camera waits for another's:
//!
//! ```text
//!   spinning thread           main thread (tokio)           submitter        model thread (engine)
//!   owns the r2r node         owns the driver               decodes          owns the model
//!   ─────────────────         ───────────────────           ───────          ─────────────────────
//!   images ───────────────► ┌──────────────┐ ── AskEngine ► frames ─ submit ─► answers
//!   instructions, goals, ──►│   NodeCore   │ ◄────────────── events ────────────┘
//!   cancels, ~/enable …     └──────┬───────┘ ── Draw… ► renderer: overlays
//!   parameter services             ▼
//!                    results, objects, masks, deltas, feedback, diagnostics
//! ```
//!
//! Frames do not queue: the newest replaces the others, and a bounded number of earlier ones is kept for instructions that
//! name a stamp ([`frames`](crate::frames)). Instructions queue in the engine, where at most `max_pending` wait; one more is
//! answered OVERLOADED. So nothing here grows with load, and a frame is decoded only when it is asked about.
//!
//! With `cameras` a node serves several cameras. Each has a state machine, a driver and topics, services and actions of its own, as in
//! a node of its own ([`CameraNames`](crate::node::CameraNames)); they share parameters, states, transforms and the engine, whose queue
//! gives each its share of the model's time ([`Source`](crate::engine::Source)).
//!
//! With `web.enable` a page for a browser is served beside all that, on threads of its own. Its questions go to the engine directly,
//! and what the engine says of them comes back through the state machine, for the places of their objects (`web`).
//!
//! # A managed node
//! The engine exists while the node is configured ([`managed`]); the state machine is told only whether it is active. With the
//! parameter `autostart` the node goes through `configure` and `activate` by itself. Who asks about states or wants one
//! changed meets [`lifecycle`].
//!
//! # Invariants
//! 1. Every instruction that an active node takes gets exactly one `ReasoningResult`, whatever happens to it ([`crate::node`]).
//! 2. Every output carries the header of the image it was computed from, untouched.
//! 3. The spinning thread never waits for the model, nor the model for the network.
//! 4. A signal ends the node within two seconds, and open questions get a result before ([`shutdown`], [`spin`]).
//! 5. A call into the middleware that does not come back ends the node with a word about it, never in silence ([`stall`]):
//!    publishing, spinning, answering, logging, looking at the graph, and creating topics and services.
//! 6. Topics and the action appear when the model is ready for the first time, and with `autostart` not before the node is active,
//!    so that a client that sees them may use them. Parameters, the services of a managed node and diagnostics are there from
//!    the first second.
//! 7. One transition is under way at a time, and a request for another one is refused meanwhile ([`managed`]).
//!
//! # Where r2r is worked around
//! [`spin`] (streams that lose the newest), [`param_services`] (no ranges, no read-only), [`action`] (goals that never
//! expire), [`node`](crate::node) (text that is not UTF-8), [`remap`] (names after remapping).

mod action;
mod clock;
mod convert;
mod diagnostics;
mod driver;
mod follow_action;
mod lifecycle;
mod locate_worker;
mod logging;
mod managed;
mod node;
mod param_services;
mod param_table;
mod params;
mod publishers;
mod qos;
mod r2r_ext;
pub mod recordings;
mod remap;
mod renderer;
mod shared;
mod shutdown;
mod space_inputs;
mod spin;
mod stall;
mod submitter;
mod web;

pub use node::{run, NodeError};
