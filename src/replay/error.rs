//! What can be wrong with a recording.

use std::path::PathBuf;

use crate::eval::EvalError;
use crate::image::{Depth, EncodingError};
use rosbag2::{listed, shown, BagError};

/// Why a bag, or a message of it, gives no picture. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The bag, or a message, cannot be read.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// The topic that was asked for holds something else.
    #[error(
        "{} is of type {}; accepted: sensor_msgs/msg/Image, sensor_msgs/msg/CompressedImage (of these the bag has: {})",
        shown(topic), shown(ros_type), listed(pictures)
    )]
    NoPicture {
        /// The topic.
        topic: String,
        /// Its type.
        ros_type: String,
        /// The topics that would do.
        pictures: Vec<String>,
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
    /// Several topics could be meant.
    #[error("the bag has pictures on {} topics, so name one: {}", topics.len(), listed(topics))]
    SeveralCameras {
        /// Which.
        topics: Vec<String>,
    },
    /// A topic of depth where a camera's is needed.
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
    /// A topic of depth where one of masks is needed.
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
    /// A message does not hold what its fields say.
    #[error("{} at {time} ns: {source}", shown(topic))]
    Pixels {
        /// Its topic.
        topic: String,
        /// Its log time, nanoseconds.
        time: u64,
        /// What is wrong and what is accepted.
        source: EncodingError,
    },
    /// A decoder gave up in the worst way there is.
    #[error(
        "{} at {time} ns: the image decoder panicked on this message",
        shown(topic)
    )]
    Panicked {
        /// Its topic.
        topic: String,
        /// Its log time, nanoseconds.
        time: u64,
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
    /// None or several topics to choose from.
    #[error(
        "{what}: the bag has {}; name one with {option}",
        listed_or_none(found)
    )]
    Choose {
        /// What was looked for.
        what: &'static str,
        /// What there is of it.
        found: Vec<String>,
        /// Where to name it.
        option: &'static str,
    },
    /// A bag of answers that was begun otherwise.
    #[error("{} was begun with other settings ({settings}): remove it, or name another --out", .path.display())]
    OtherSettings {
        /// The unfinished bag.
        path: PathBuf,
        /// Which of them differ.
        settings: String,
    },
    /// What stands where a bag of answers is to be made is somebody's own.
    #[error(
        "{} is in the way: a bag of answers is made there, and `lisa bag annotate` has not made what it is (no annotate.json is in \
         it); move it away, or name another --out",
        .path.display()
    )]
    Foreign {
        /// What is in the way.
        path: PathBuf,
    },
    /// Another process makes the same bag of answers.
    #[error(
        "{}: another `lisa bag annotate` is at work here; wait for its end, or name another --out",
        .path.display()
    )]
    Busy {
        /// Where it works.
        path: PathBuf,
    },
    /// A frame that cannot be decoded.
    #[error("{0}")]
    Picture(String),
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
