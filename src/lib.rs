//! LISA, reasoning segmentation (Lai et al. 2023, arXiv 2308.00692), for robots.
//!
//! An image and a spoken instruction go in; an answer and one mask per object come out. The crate reads
//! bottom-up in the order of the modules below; each one only names modules above it.
//!
//! ```no_run
//! use lisa::engine::{AnswerOptions, Engine, EngineConfig, Frame, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::start(EngineConfig::new("models/lisa-mini"))?;
//! let ticket = engine.submit(Request {
//!     instruction: "Change the TV channel.".to_owned(),
//!     frame: Frame::new(lisa::image::read_image("table.png")?),
//!     conversation_id: None,
//!     options: AnswerOptions::default(),
//! })?;
//! let answer = ticket.wait()?;
//! println!("{}", answer.text);
//! for object in &answer.objects {
//!     println!("{} at {:?}, {} pixels", object.label, object.roi, object.area);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Beside it stand crates that know nothing of LISA: [`rosbag2`] reads and writes recordings, [`tableworld`] makes pictures with
//! exact answers; [`lisa_messages`] has this package's messages as types.
//!
//! | module | what it is |
//! |---|---|
//! | [`compute`] | on which device the network computes, and in which numbers |
//! | [`signals`] | Ctrl-C and its like, for programs that put something in order first |
//! | [`image`] | pixels: decoding, camera encodings, CLIP and SAM preprocessing, masks, overlays |
//! | [`text`] | tokenizer, conversation templates, prompts, streaming decoder |
//! | [`weights`] | model directories: opening one, and writing one |
//! | [`nn`] | what the network is made of: linear, norm, attention, rotary embedding, resize |
//! | [`model`] | the network: CLIP tower, projector, Llama, SAM, LISA |
//! | [`convert`] | a published checkpoint becomes a model directory |
//! | [`data`] | datasets on disk, the training-data formulation |
//! | [`eval`] | metrics, reports |
//! | [`train`] | losses, LoRA, optimizer, checkpoints, the training loop |
//! | [`engine`] | one thread owns the model; requests, events, sessions, caches |
//! | [`frames`] | camera frames as they arrive: the newest, and a short memory |
//! | [`node`] | the node without ROS: which frame, which status, which header, in which order |
//! | [`replay`] | recordings: which frame is asked about, answers into a bag, a report |
//! | `ros` | the ROS 2 node (cargo feature `ros`), the only module that names r2r |

pub mod compute;
pub mod convert;
pub mod data;
pub mod engine;
pub mod eval;
pub mod frames;
pub mod image;
pub mod model;
pub mod nn;
pub mod node;
pub mod replay;
pub mod signals;
pub mod text;
pub mod train;
pub mod weights;

#[cfg(feature = "ros")]
pub mod ros;

#[cfg(test)]
mod testing;
