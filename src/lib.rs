//! LISA, reasoning segmentation (Lai et al. 2023, arXiv 2308.00692), for robots.
//!
//! An image and an instruction in words go in; an answer and one mask per object come out. The crate reads bottom-up, in the
//! order of the modules below: each of them names only modules above it.
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
//! The workspace has more crates, which do not depend on this one: [`rosbag2`] reads and writes recordings, [`tableworld`] makes
//! pictures with exact answers, and [`lisa_messages`] has this package's messages as types.
//!
//! | module | what it is |
//! |---|---|
//! | [`compute`] | the device and the number type that the network computes with |
//! | [`signals`] | Ctrl-C and other signals that end a program, for programs that have to clean up first |
//! | [`image`] | pixels: decoding, camera encodings, CLIP and SAM preprocessing, masks, overlays |
//! | [`text`] | tokenizer, conversation templates, prompts, streaming decoder |
//! | [`weights`] | model directories: opening one, and writing one |
//! | [`nn`] | the layers: linear, norm, attention, rotary embedding, resize |
//! | [`model`] | the network: CLIP tower, projector, Llama, SAM, LISA |
//! | `pickle` | bytes and stack of Python's pickles, read within bounds; nothing in one is run |
//! | [`convert`] | published checkpoints to model directories |
//! | [`engine`] | one thread owns the model; requests, events, sessions, caches |
//! | [`data`] | datasets on disk, the training-data formulation |
//! | [`train`] | losses, LoRA, optimizer, checkpoints, the training loop |
//! | [`frames`] | camera frames as they arrive: the newest ones, and a short memory |
//! | [`spatial`] | from a mask to metres: the depth image of a picture, and where the object of a mask is |
//! | [`node`] | the node without ROS: which frame a question is about, what is published, and in which order |
//! | [`eval`] | metrics, reports |
//! | [`bench`] | how long each stage takes on this machine, and how much memory |
//! | [`replay`] | questions about recordings: the frame of each, a bag with the answers, a report |
//! | [`parts`] | a run that several processes share: its parts, their merge, the report of a fleet's night, two nights compared |
//! | [`web`] | a page for a browser, and the HTTP interface beneath it |
//! | `ros` | the ROS 2 node (cargo feature `ros`), the only module that names r2r |

pub mod bench;
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
pub mod parts;
mod pickle;
pub mod replay;
mod seed;
pub mod signals;
pub mod spatial;
pub mod text;
pub mod train;
pub mod web;
pub mod weights;

#[cfg(feature = "ros")]
pub mod ros;

#[cfg(test)]
mod testing;
