//! Recordings of ROS 2 topics, without ROS: reads and writes what `ros2 bag record` makes.
//!
//! A bag is a folder with `metadata.yaml` and one or more files, each an MCAP file (mcap.dev/spec) or a SQLite database. It
//! holds messages: each has a topic, a log time, and its serialized form (CDR). [`Bag`] reads a bag, [`BagWriter`] writes one.
//!
//! A file names only files above it in this table:
//!
//! | file | what it is about |
//! |---|---|
//! | `cdr/` | numbers, strings and sequences as bytes, in both byte orders |
//! | `messages/` | messages as Rust types, with their definitions |
//! | `qos.rs`, `topic.rs`, `options.rs` | quality of service; topics; how a bag is stored |
//! | `name.rs`, `error.rs`, `note.rs` | names; what keeps a bag from being read; what is wrong and does not |
//! | `metadata.rs` | what `metadata.yaml` says |
//! | `remote/` | bags in object stores and behind web servers, a range at a time |
//! | `unpack.rs`, `source_file.rs` | decompression; files that are compressed as a whole, or copied from elsewhere |
//! | `payload.rs`, `select.rs` | a message and its bytes, without copying; which messages are wanted |
//! | `storage/` | one file: MCAP, SQLite |
//! | `merge.rs` | messages of several files in one order |
//! | `reader.rs`, `open.rs` | an opened bag; how it is opened |
//! | `writer.rs` | a bag that is being written |
//!
//! Nothing in a bag is trusted. A damaged bag gives a [`BagError`], whose text is one line, or it is read as far as it goes, with
//! [`Note`]s that say what is missing.
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
mod qos;
mod reader;
mod remote;
mod select;
mod source_file;
mod storage;
mod topic;
mod unpack;
mod writer;

pub use cdr::{ByteOrder, CdrError};
pub use error::{BagError, McapFault};
pub use merge::Messages;
pub use messages::{
    standard_definition, CameraInfo, Clock, CompressedImage, Header, Image, Message,
    MessageDefinition, Point, Pose, PoseStamped, Quaternion, RegionOfInterest, StringMessage,
    TFMessage, Time, Transform, TransformStamped, Vector3,
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
pub use remote::{without_query, UrlFault};
pub use select::Selection;
pub use topic::{Definition, NewTopic, Topic};
pub use writer::{BagWriter, TopicId};

/// The examples of the README, which have to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
