//! Recordings of ROS 2 topics, without ROS: reading and writing recorded topics.
//!
//! A bag is a folder with `metadata.yaml` and one or more files, each an MCAP file (mcap.dev/spec) or a SQLite database. A
//! message is a topic, a log time, and its serialized form (CDR).
//!
//! | file | one idea |
//! |---|---|
//! | `cdr/` | numbers, strings, sequences as bytes, in both byte orders |
//! | `messages/` | the messages as types, with their definitions |
//! | `qos.rs`, `metadata.rs` | what `metadata.yaml` says |
//! | `topic.rs`, `payload.rs`, `unpack.rs`, `place.rs` | a topic; bytes without copying; decompression; compressed files |
//! | `name.rs` | names that ROS takes |
//! | `storage/` | one file: MCAP, SQLite |
//! | `files.rs` | from a path to an opened bag |
//! | `reader.rs`, `select.rs`, `merge.rs` | an opened bag; which messages; their order over files |
//! | `writer.rs` | a bag being written |
//! | `error.rs`, `note.rs` | what keeps a bag from being read, and what does not |
//!
//! Nothing here trusts a bag. A damaged one gives a [`BagError`] of one line, or is read as far as it goes, with a [`Note`]
//! that says how far.
//!
//! ```no_run
//! use rosbag2::{Bag, Image, Selection};
//!
//! # fn main() -> Result<(), rosbag2::BagError> {
//! let bag = Bag::open("recording")?;
//! for message in bag.messages(&Selection::all().topics(["/camera/image_raw"]))? {
//!     let message = message?;
//!     let image: Image = bag.decode(&message)?;
//!     println!("{} {}x{}", message.log_time, image.width, image.height);
//! }
//! # Ok(())
//! # }
//! ```

pub mod cdr;
pub mod messages;

mod error;
mod merge;
mod metadata;
mod name;
mod note;
mod open;
mod options;
mod payload;
mod place;
mod qos;
mod reader;
mod select;
mod storage;
mod topic;
mod unpack;
mod writer;

pub use cdr::{ByteOrder, CdrError};
pub use error::{BagError, McapFault};
pub use merge::Messages;
pub use messages::{
    standard_definition, CameraInfo, Clock, CompressedImage, Header, Image, Message,
    MessageDefinition, Quaternion, RegionOfInterest, StringMessage, TFMessage, Time, Transform,
    TransformStamped, Vector3,
};
pub use metadata::{
    CountedTopic, FileInformation, Metadata, Nanoseconds, SinceEpoch, TopicMetadata,
};
pub use name::{check_topic, listed, namespace, shown, NameError};
pub use note::Note;
pub use options::{ChunkCompression, Compression, StorageKind, WriterOptions, NEWEST_METADATA};
pub use payload::{Payload, RawMessage};
pub use qos::{Durability, History, Liveliness, QosProfile, QosTime, Reliability};
pub use reader::{Bag, FileInfo};
pub use select::Selection;
pub use topic::{Definition, NewTopic, Topic};
pub use writer::{BagWriter, TopicId};
