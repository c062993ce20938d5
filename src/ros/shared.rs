//! What the node's threads share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Instant;

use r2r::action_msgs::srv::CancelGoal;
use r2r::qos::ReliabilityPolicy;
use r2r::ServiceRequest;
use tokio::sync::Notify;

use super::action::{GetResult, SendGoal};
use super::convert::SourceImage;
use super::follow_action;
use super::params::{NodeParams, ParamStore};
use super::qos::QosOverrides;
use super::spin::image_qos;
use super::web::PageClients;
use crate::engine::Engine;
use crate::node::{CameraTopic, Host, ImagePublisher, Lifecycle, NodeCore};

/// The node's names after namespace and remappings, for messages that people read.
#[derive(Clone, Debug)]
pub struct ResolvedNames {
    /// The node itself, fully qualified.
    pub node: String,
    /// The camera's topic.
    pub image: String,
    /// The topic `instruction`.
    pub instruction: String,
    /// The service `~/enable`.
    pub enable: String,
    /// The topic `~/attention`.
    pub attention: String,
}

/// The ROS 2 node as the host of a [`NodeCore`].
pub struct Ros;

impl Host for Ros {
    type Frame = SourceImage;
    type GoalRequest = ServiceRequest<SendGoal>;
    type CancelRequest = ServiceRequest<CancelGoal::Service>;
    type ResultRequest = ServiceRequest<GetResult>;
    type FollowRequest = ServiceRequest<follow_action::SendGoal>;
    type FollowResultRequest = ServiceRequest<follow_action::GetResult>;
}

/// The state that the node's threads share.
///
/// The state machine is behind a lock because two threads have inputs for it: the spinning thread gives it frames directly, so
/// that none waits in a queue, and the main thread gives it everything else. The state machine never waits, so nobody holds the
/// lock for long.
pub struct Shared {
    /// The node's names.
    pub names: ResolvedNames,
    /// The parameters.
    pub params: RwLock<ParamStore>,
    /// QoS by parameter.
    pub qos: QosOverrides,
    lifecycle: Mutex<Lifecycle>,
    qos_faults: Mutex<Vec<String>>,
    core: Mutex<NodeCore<Ros>>,
    /// The model, while there is one. The driver owns it.
    engine: RwLock<Weak<Engine>>,
    /// Who has asked from the page for a browser.
    pub page: PageClients,
    /// Wakes the driver when the state machine has taken a frame; one wake-up may stand for several frames.
    pub frame_arrived: Notify,
    /// Wakes the driver when parameters have changed; one wake-up may stand for several changes, whose values are in `params`.
    pub params_changed: Notify,
}

impl Shared {
    /// The state of a node that has just been created.
    pub fn new(names: ResolvedNames, params: ParamStore, qos: QosOverrides) -> Self {
        let snapshot = params.params();
        let camera = CameraTopic {
            topic: names.image.clone(),
            compressed: snapshot.compressed,
            reliable: image_qos(&snapshot, |topic, default| {
                qos.future_subscription(topic, default)
            })
            .reliability
                == ReliabilityPolicy::Reliable,
            publishers: Some(Vec::new()),
        };
        let settings = Arc::clone(&snapshot.settings);
        let core = NodeCore::new(settings, camera, names.enable.clone(), Instant::now());
        Self {
            names,
            params: RwLock::new(params),
            qos,
            lifecycle: Mutex::default(),
            qos_faults: Mutex::default(),
            core: Mutex::new(core),
            engine: RwLock::default(),
            page: PageClients::default(),
            frame_arrived: Notify::new(),
            params_changed: Notify::new(),
        }
    }

    /// The parameters as they are now.
    pub fn params(&self) -> Arc<NodeParams> {
        let store = self.params.read().unwrap_or_else(PoisonError::into_inner);
        store.params()
    }

    /// The state machine, locked.
    pub fn core(&self) -> MutexGuard<'_, NodeCore<Ros>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine that answers, while there is one, to be held no longer than a call of it takes: whoever drops it last waits for
    /// its end.
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.engine
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
    }

    /// Takes the engine that answers from now on.
    pub fn set_engine(&self, engine: &Arc<Engine>) {
        let mut own = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        *own = Arc::downgrade(engine);
    }

    /// The state of the managed node, locked. Only the main thread changes it.
    pub fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What publishers offer too little for the node's subscriptions, as the ROS graph showed it a second ago.
    pub fn qos_faults(&self) -> Vec<String> {
        self.qos_faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes those that the ROS graph shows now. Those that are new are logged.
    pub fn set_qos_faults(&self, faults: Vec<String>) {
        let before = {
            let mut known = self
                .qos_faults
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, faults.clone())
        };
        for fault in faults.iter().filter(|fault| !before.contains(fault)) {
            tracing::warn!("{fault}");
        }
    }

    /// Takes who publishes on the camera's topic, as the ROS graph shows it about once a second.
    pub fn set_image_publishers(&self, publishers: Vec<ImagePublisher>) {
        self.core().handle_image_publishers(publishers);
    }
}
