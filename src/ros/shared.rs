//! What the node's two threads share: the spinning thread writes, the dispatcher reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::Notify;

use super::convert::SourceImage;
use super::params::{NodeParams, ParamStore};
use crate::frames::{Bounds, FrameStore};

/// Names as they are after namespace and remappings, for words that people read.
#[derive(Clone, Debug)]
pub struct Names {
    /// Fully qualified.
    pub node: String,
    pub image: String,
    pub instruction: String,
    pub enable: String,
    pub attention: String,
}

/// A publisher somebody else has on our image topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePublisher {
    pub node: String,
    pub reliable: bool,
    /// Its message type, as `sensor_msgs/msg/Image`.
    pub kind: String,
}

/// State of the running node.
pub struct Shared {
    pub names: Names,
    pub params: RwLock<ParamStore>,
    frames: Mutex<FrameStore<SourceImage>>,
    image_publishers: Mutex<Vec<ImagePublisher>>,
    enabled: AtomicBool,
    listening_since: Mutex<Instant>,
    /// Wakes the dispatcher when a frame has come; several frames may be one wake-up.
    pub frame_arrived: Notify,
    /// Wakes the dispatcher when parameters have changed; several changes may be one wake-up, as their values are in `params`.
    pub params_changed: Notify,
}

impl Shared {
    pub fn new(names: Names, params: ParamStore) -> Self {
        Self {
            names,
            params: RwLock::new(params),
            frames: Mutex::new(FrameStore::new(Bounds::default())),
            image_publishers: Mutex::default(),
            enabled: AtomicBool::new(true),
            listening_since: Mutex::new(Instant::now()),
            frame_arrived: Notify::new(),
            params_changed: Notify::new(),
        }
    }

    /// The parameters as they are now.
    pub fn params(&self) -> NodeParams {
        self.params
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .params()
    }

    pub fn frames(&self) -> MutexGuard<'_, FrameStore<SourceImage>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As of about a second ago.
    pub fn image_publishers(&self) -> Vec<ImagePublisher> {
        self.image_publishers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn set_image_publishers(&self, publishers: Vec<ImagePublisher>) {
        *self
            .image_publishers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = publishers;
    }

    pub fn enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Since when frames are taken; silence of the camera is counted from here.
    pub fn listening_since(&self) -> Instant {
        *self
            .listening_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Frames are taken from now on.
    pub fn listen(&self) {
        *self
            .listening_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A disabled node holds no frames, so that none is stale when it is enabled again.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
        match enabled {
            true => self.listen(),
            false => self.frames().clear(),
        }
    }
}
