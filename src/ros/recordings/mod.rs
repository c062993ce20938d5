//! Playing and recording bags on a ROS 2 graph. Serialized messages are passed on as they are.
//!
//! `ros2 bag` does more. These are here because ROS 2 is often installed without it on small computers, and because an evaluation
//! needs them.

mod player;
mod qos;
mod recorder;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use rosbag2::BagError;

use super::node::context;
use crate::signals::on_each_and_interrupts;

pub use player::{play, PlayOptions, PlaySummary};
pub use recorder::{record, RecordOptions, TopicSpec};

/// Why a bag was not played, or not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The bag cannot be read or written.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// rcl cannot be started.
    #[error("{0}")]
    Start(String),
    /// The middleware refuses a node or a topic.
    #[error("ROS refused: {0}")]
    Ros(#[from] r2r::Error),
    /// The operating system refuses a thread.
    #[error("the operating system refused: {0}")]
    Os(#[from] std::io::Error),
    /// No message was selected.
    #[error("{bag} has no message to play{topics}")]
    NothingToPlay {
        /// The bag's path.
        bag: String,
        /// What the search was restricted to, in words; may be empty.
        topics: String,
    },
    /// Too few subscribers came in time.
    #[error("nobody listens to {topic} after {seconds} s ({found} of {wanted}); is the node running, and in the same ROS_DOMAIN_ID?")]
    NoSubscriber {
        /// The topic.
        topic: String,
        /// How long it was waited for them.
        seconds: f64,
        /// How many subscribers there are.
        found: usize,
        /// How many there have to be.
        wanted: usize,
    },
    /// The operating system refuses a signal handler.
    #[error("the signal handler was refused: {0}")]
    Signals(String),
}

/// Counts the signals that ask the process to end.
#[derive(Clone, Default)]
pub struct StopCount(Arc<AtomicUsize>);

impl StopCount {
    /// Counts SIGINT, SIGTERM and SIGHUP from here on, instead of ending the process; a SIGHUP that `nohup` ignores is not
    /// counted.
    ///
    /// # Errors
    /// [`RecordingError::Signals`], where a handler is refused.
    pub fn listen() -> Result<Self, RecordingError> {
        let count = Self::default();
        let counted = count.clone();
        on_each_and_interrupts(move |_| {
            counted.0.fetch_add(1, Ordering::Relaxed);
        })
        .map_err(|e| RecordingError::Signals(e.to_string()))?;
        Ok(count)
    }

    /// How many signals have come.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Creates a node of that name.
fn node(name: &str) -> Result<r2r::Node, RecordingError> {
    let context = context().map_err(|e| RecordingError::Start(e.to_string()))?;
    Ok(r2r::Node::create(context, name, "")?)
}
