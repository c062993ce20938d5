//! Recordings on a ROS 2 graph: playing a bag, recording one. Serialized messages go through as they are.
//!
//! `ros2 bag` does more; these are here because a ROS 2 without it is common on small machines, and because an evaluation
//! needs them to be there.

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

/// Why a bag was not played, or none recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error(transparent)]
    Bag(#[from] BagError),
    #[error("{0}")]
    Start(String),
    #[error("ROS refused: {0}")]
    Ros(#[from] r2r::Error),
    #[error("the operating system refused: {0}")]
    Os(#[from] std::io::Error),
    #[error("{bag} has no message to play{topics}")]
    NothingToPlay { bag: String, topics: String },
    #[error("nobody listens to {topic} after {seconds} s ({found} of {wanted}); is the node running, and in the same ROS_DOMAIN_ID?")]
    NoSubscriber {
        topic: String,
        seconds: f64,
        found: usize,
        wanted: usize,
    },
    #[error("the signal handler was refused: {0}")]
    Signals(String),
}

/// How often the process was asked to end.
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

    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A node of this process under that name.
fn node(name: &str) -> Result<r2r::Node, RecordingError> {
    let context = context().map_err(|e| RecordingError::Start(e.to_string()))?;
    Ok(r2r::Node::create(context, name, "")?)
}
