//! What can be wrong with the pictures of a bag.

use crate::bag::{listed, shown, BagError};
use crate::image::EncodingError;

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
}
