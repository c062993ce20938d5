//! The node without ROS: which frame an instruction is about, how long it waits for one, in which status it ends, and what is
//! published with which header in which order.
//!
//! [`NodeCore`] is a state machine without I/O, threads or a clock. The ROS 2 node drives it with what arrives on topics,
//! a replay drives it with a recording's messages and times, and tests drive it with a virtual clock. So the three behave alike.
//!
//! # Contract
//! Methods are of four kinds:
//!
//! 1. `handle_*` take an input: a frame, an instruction, a goal, an event of the engine, a timeout.
//! 2. [`NodeCore::poll_output`] returns what is to be done. Call it after every input until it returns `None`, and do what it
//!    returns in that order.
//! 3. [`NodeCore::poll_timeout`] says when to call [`NodeCore::handle_timeout`] although nothing arrives. Ask again after
//!    every input.
//! 4. Everything else is a getter and changes nothing.
//!
//! Time is an argument and never goes back. No method waits, so the state machine may be behind a lock that threads with other
//! duties take.
//!
//! # Invariants
//! 1. Every instruction and every accepted goal ends in exactly one [`Output::PublishResult`], except instructions that a node
//!    ignores because a supervisor has not activated it ([`NodeCore::handle_deactivate`]). Nothing about it comes
//!    after that. (`tests/interleavings.rs`, `every_instruction_has_one_result_whatever_happens`)
//! 2. A result carries the header of the frame it is about, or none where there was no frame. That frame is one the
//!    instruction was allowed to be about. (the same test)
//! 3. Every accepted goal of `~/follow` has exactly one result, the last that is said of it, and its feedback is about newer and
//!    newer frames. (`tests/following.rs`, `every_follower_ends_once_whatever_happens`)
//! 4. The same inputs at the same times give the same outputs. (`tests/interleavings.rs`,
//!    `the_same_inputs_give_the_same_outputs`)
//!
//! | file | one idea |
//! |---|---|
//! | `core.rs` | the state machine: its inputs, its outputs, its state |
//! | `asking.rs` | a question's way to the engine, and the engine's events |
//! | `ending.rs` | how questions end: what is published, in which order |
//! | `space.rs` | which depth image and transforms belong to a frame, and how long they are waited for |
//! | `locating.rs` | the objects of a question on their way out, each with its place |
//! | `page.rs` | questions of the page for a browser: nothing of them is published, their objects get places |
//! | `output.rs` | the interface to a driver: its types, and what it is asked to do |
//! | `detections.rs` | what is published for programs that know nothing of LISA: boxes, markers, points |
//! | `publishing.rs` | what is published of an answer: in which order, as which messages and pictures |
//! | `ids.rs` | how questions and goals are told apart |
//! | `lifecycle.rs` | the states of a managed node |
//! | `question.rs` | an instruction on its way to its result |
//! | `names.rs` | the names of topics and services |
//! | `instruction.rs`, `instruction_topic.rs` | reading an instruction from a message; which topics carry instructions |
//! | `decode_once.rs` | decoding a camera's message, once and whatever is in it |
//! | `frame_choice.rs` | which frame a question is about, and how long it waits for it |
//! | `camera.rs` | for how long the camera has been silent, and why |
//! | `repeat.rs` | mode `continuous` |
//! | `goals.rs` | the states of action goals |
//! | `follow/` | the action `~/follow`: the same object again in every frame |
//! | `result.rs` | how a question ended, and the message that says so |
//! | `health.rs` | counts, for diagnostics |
//! | `settings.rs` | the parameters that the state machine depends on |

mod asking;
mod camera;
mod core;
mod decode_once;
mod detections;
mod ending;
mod follow;
mod frame_choice;
mod goals;
mod health;
mod ids;
mod instruction;
mod instruction_topic;
mod lifecycle;
mod locating;
mod names;
mod output;
mod page;
mod publishing;
mod question;
mod repeat;
mod result;
mod settings;
mod space;
#[cfg(test)]
pub(crate) mod tests;

pub use camera::{CameraTopic, ImagePublisher};
pub use core::NodeCore;
pub use decode_once::{decode_guarded, CameraPixels, DecodeError, DecodeOnce};
pub use detections::{points_message, DetectionMessages, ShownDetections};
pub use follow::{FollowFeedback, FollowOffer, FollowResult, FollowState, FollowStatus, Sighting};
pub use goals::{CancelReply, GoalOffer, GoalState};
pub use health::Health;
pub use ids::{GoalId, QuestionId};
pub use instruction::{InstructionFault, InstructionText, StampedInstruction};
pub use instruction_topic::{instruction_topics, InstructionTopic};
pub use lifecycle::{Lifecycle, LifecycleState, Outcome, Transition, TRANSITIONS};
pub use names::{
    are_camera_names, compressed, private_name, services, topics, CameraNames, MAX_CAMERAS,
};
pub use output::{
    CameraFrame, EngineRequest, Host, LocatePicture, LocateRequest, LogLevel, Output, Timer,
};
pub use page::PageEvent;
pub use publishing::{
    answer_parts, attention_picture, mask_message, overlay_picture, rgb8, ros_text, text_message,
    AnswerPart, QUEUE_DEPTH,
};
pub use question::{Origin, Question};
pub use result::{answer_status, object_message, QuestionResult, Refusal, ResultStatus};
pub use settings::{bounds, FollowSettings, Settings, Subscribers, DEFAULT_MAX_NEW_TOKENS};
pub use space::{
    BoxOrientation, FoundObject, Place, PlacedObject, Scene, SpaceSettings, StampedTransform,
};
