//! What the node's threads share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use r2r::action_msgs::srv::CancelGoal;
use r2r::ServiceRequest;
use tokio::sync::Notify;

use super::action::{GetResult, SendGoal};
use super::convert::SourceImage;
use super::params::{NodeParams, ParamStore};
use crate::node::{Camera, Host, ImagePublisher, NodeCore};

/// ResolvedNames as they are after namespace and remappings, for words that people read.
#[derive(Clone, Debug)]
pub struct ResolvedNames {
    /// Fully qualified.
    pub node: String,
    pub image: String,
    pub instruction: String,
    pub enable: String,
    pub attention: String,
}

/// The ROS 2 node as the host of a [`NodeCore`].
pub struct Ros;

impl Host for Ros {
    type Frame = SourceImage;
    type GoalRequest = ServiceRequest<SendGoal>;
    type CancelRequest = ServiceRequest<CancelGoal::Service>;
    type ResultRequest = ServiceRequest<GetResult>;
}

/// State of the running node.
///
/// The machine stands behind a lock because two threads have something to tell it: the spinning thread its frames, so that
/// the newest is there at once and none queues, and the main thread everything else. Nobody holds the lock for longer than
/// the machine needs, and it never waits.
pub struct Shared {
    pub names: ResolvedNames,
    pub params: RwLock<ParamStore>,
    core: Mutex<NodeCore<Ros>>,
    /// Wakes the driver when the machine has seen a frame; several frames may be one wake-up.
    pub frame_arrived: Notify,
    /// Wakes the driver when parameters have changed; several changes may be one wake-up, as their values are in `params`.
    pub params_changed: Notify,
}

impl Shared {
    pub fn new(names: ResolvedNames, params: ParamStore) -> Self {
        let snapshot = params.params();
        let camera = Camera {
            topic: names.image.clone(),
            compressed: snapshot.compressed,
            reliable: snapshot.reliable,
            publishers: Some(Vec::new()),
        };
        let settings = Arc::clone(&snapshot.settings);
        let core = NodeCore::new(settings, camera, names.enable.clone(), Instant::now());
        Self {
            names,
            params: RwLock::new(params),
            core: Mutex::new(core),
            frame_arrived: Notify::new(),
            params_changed: Notify::new(),
        }
    }

    /// The parameters as they are now.
    pub fn params(&self) -> Arc<NodeParams> {
        let store = self.params.read().unwrap_or_else(PoisonError::into_inner);
        store.params()
    }

    /// The machine.
    pub fn core(&self) -> MutexGuard<'_, NodeCore<Ros>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the graph shows it about once a second.
    pub fn set_image_publishers(&self, publishers: Vec<ImagePublisher>) {
        self.core().handle_image_publishers(publishers);
    }
}
