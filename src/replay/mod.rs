//! Recorded bags as the node would see them: which frame an instruction is about, what the engine answers to it, and what
//! that is worth.
//!
//! | file | one idea |
//! |---|---|
//! | `images.rs` | which topics are pictures; a message becomes pixels, by the decoders the node uses |
//! | `instructions.rs`, `timeline.rs` | instructions; which frame each is about: the node's machine by the bag's times |
//! | `answering.rs` | asking the engine |
//! | `annotate.rs`, `workplace.rs` | answers into a bag; the folder in which that is made, where interrupted runs resume |
//! | `truth.rs`, `recorded.rs`, `judge.rs` | what is true; what the node said; a report of either |
//! | `compare.rs` | are two sets of answers the same |
//! | `masks.rs`, `message_position.rs` | masks in messages; a message by its position in the bag |
//! | `error.rs` | what can be wrong, each in one line |

mod annotate;
mod answering;
mod compare;
mod error;
mod images;
mod instructions;
mod judge;
mod masks;
mod message_position;
mod recorded;
mod timeline;
mod truth;
mod workplace;

pub use annotate::{AnnotateOptions, Annotator};
pub use answering::{ask, Outcome};
pub use compare::{compare, Comparison};
pub use error::ReplayError;
pub use images::{
    camera_topic, picture, picture_file, picture_topic, picture_topics, raw_image, Picture,
    PictureFile, PictureTopic, RawPicture,
};
pub use instructions::{instruction_topic, INSTRUCTION_TYPES};
pub use judge::{BagReport, Judge, Row};
pub use recorded::{result_topic, RecordedResult, RecordedResults};
pub use timeline::{Moment, Questions, RecordedFrame, Timeline};
pub use truth::{Truth, Truths};
