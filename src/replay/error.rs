//! What can be wrong with a recording.

use std::path::PathBuf;

use crate::eval::EvalError;
use crate::image::{Depth, EncodingError};
use crate::node::DecodeError;
use rosbag2::{listed, shown, BagError};

/// Why a recording cannot be replayed, annotated or scored. Every message is one line.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The bag, or a message, cannot be read.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// The topic that was asked for carries no images.
    #[error(
        "{} is of type {}; accepted: sensor_msgs/msg/Image, sensor_msgs/msg/CompressedImage (of these the bag has: {})",
        shown(topic), shown(ros_type), listed(images)
    )]
    NotAnImageTopic {
        /// The topic.
        topic: String,
        /// Its type.
        ros_type: String,
        /// The topics that would do.
        images: Vec<String>,
    },
    /// None of the topics is a camera's.
    #[error(
        "the bag has no topic of camera pictures (sensor_msgs/msg/Image or CompressedImage, with messages, neither depth nor masks); it has: {}",
        listed(topics)
    )]
    NoCamera {
        /// All topics, with their types.
        topics: Vec<String>,
    },
    /// No topic was named, and several are cameras'.
    #[error("the bag has pictures on {} topics, so name one: {}", topics.len(), listed(topics))]
    SeveralCameras {
        /// Their names.
        topics: Vec<String>,
    },
    /// A topic of depth was named where a camera's is needed.
    #[error(
        "{} holds depth maps ({depth}), not pictures; accepted: a camera's topic (the bag has: {}). `lisa bag extract` writes \
         depth to files",
        shown(topic), listed(cameras)
    )]
    Depth {
        /// The topic.
        topic: String,
        /// What kind of depth, by its first message.
        depth: Depth,
        /// The topics that would do.
        cameras: Vec<String>,
    },
    /// A topic of depth was named where one of masks is needed.
    #[error(
        "{} holds depth maps ({depth}), not masks; accepted: a topic of masks, sensor_msgs/msg/Image in mono8, 0 where nothing is",
        shown(topic)
    )]
    DepthTruth {
        /// The topic.
        topic: String,
        /// What kind of depth, by its first message.
        depth: Depth,
    },
    /// A message cannot be decoded.
    #[error("{} at {time} ns: {source}", shown(topic))]
    Pixels {
        /// Its topic.
        topic: String,
        /// Its log time, nanoseconds.
        time: u64,
        /// What is wrong and what is accepted.
        source: DecodeError,
    },
    /// A topic carries something else than what it was named for.
    #[error(
        "{} is of type {}; accepted: {accepted}",
        shown(topic),
        shown(ros_type)
    )]
    WrongType {
        /// The topic.
        topic: String,
        /// Its type.
        ros_type: String,
        /// What would do.
        accepted: String,
    },
    /// No topic was named, and none or several could be meant.
    #[error(
        "{what}: the bag has {}; name one with {option}",
        listed_or_none(found)
    )]
    Choose {
        /// What was looked for.
        what: &'static str,
        /// The topics that could be meant.
        found: Vec<String>,
        /// The option that names the topic.
        option: &'static str,
    },
    /// An unfinished bag of answers was begun with other settings.
    #[error("{} was begun with other settings ({settings}): remove it, or name another --out", .path.display())]
    OtherSettings {
        /// The unfinished bag.
        path: PathBuf,
        /// Which of them differ.
        settings: String,
    },
    /// Something else than a bag of answers is in the place where one is to be made.
    #[error(
        "{} is in the way: a bag of answers is made there, and `lisa bag annotate` has not made what it is (no annotate.json is in \
         it); move it away, or name another --out",
        .path.display()
    )]
    Foreign {
        /// What is in the way.
        path: PathBuf,
    },
    /// Another process is making the same bag of answers.
    #[error(
        "{}: another `lisa bag annotate` is at work here; wait for its end, or name another --out",
        .path.display()
    )]
    Busy {
        /// Where it works.
        path: PathBuf,
    },
    /// A frame that cannot be decoded.
    #[error("{} at {time} ns: {why}", shown(topic))]
    Frame {
        /// The topic of its message.
        topic: String,
        /// The log time of its message, nanoseconds.
        time: u64,
        /// What is wrong and what is accepted.
        why: String,
    },
    /// A mask that cannot be decoded.
    #[error("a mask cannot be read: {0}")]
    Mask(EncodingError),
    /// An overlay that cannot be encoded.
    #[error("an overlay cannot be written: {0}")]
    Overlay(::image::ImageError),
    /// An answer that cannot be scored.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Settings that cannot be written.
    #[error("the settings cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// "none", or "several (a, b)".
fn listed_or_none(found: &[String]) -> String {
    match found {
        [] => "none".to_owned(),
        _ => format!("several ({})", listed(found)),
    }
}
