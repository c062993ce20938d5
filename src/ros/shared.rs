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
use crate::engine::{Engine, Source};
use crate::node::{CameraNames, CameraTopic, Host, Lifecycle, NodeCore};

/// The names of a camera's node after namespace and remappings, for messages that people read.
#[derive(Clone, Debug)]
pub struct ResolvedNames {
    /// The node itself, fully qualified; of one of several cameras, the node that it would have for itself.
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

/// What the node's threads share of one camera.
///
/// The state machine is behind a lock because two threads have inputs for it: the spinning thread gives it frames directly, so
/// that none waits in a queue, and the main thread gives it everything else. The state machine never waits, so nobody holds the
/// lock for long.
pub struct SharedCamera {
    /// Under which the engine knows it: its place among the cameras.
    pub source: Source,
    /// What its topics, services and actions are called.
    pub names: CameraNames,
    /// The same after namespace and remappings.
    pub resolved: ResolvedNames,
    core: Mutex<NodeCore<Ros>>,
    /// Who has asked from the page for a browser.
    pub page: PageClients,
}

impl SharedCamera {
    fn new(
        place: usize,
        (names, resolved): (CameraNames, ResolvedNames),
        params: &NodeParams,
        qos: &QosOverrides,
    ) -> Self {
        let profile = image_qos(params, &names, |topic, default| {
            qos.future_subscription(topic, default)
        });
        let camera = CameraTopic {
            topic: resolved.image.clone(),
            compressed: params.compressed,
            reliable: profile.reliability == ReliabilityPolicy::Reliable,
            publishers: Some(Vec::new()),
        };
        let settings = Arc::clone(&params.settings);
        let core = NodeCore::new(settings, camera, resolved.enable.clone(), Instant::now());
        Self {
            // There are no more than MAX_CAMERAS.
            source: Source(u16::try_from(place).unwrap_or(u16::MAX)),
            names,
            resolved,
            core: Mutex::new(core),
            page: PageClients::default(),
        }
    }

    /// The state machine, locked.
    pub fn core(&self) -> MutexGuard<'_, NodeCore<Ros>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state that the node's threads share.
pub struct Shared {
    /// The node, fully qualified.
    pub node: String,
    /// Its cameras, at least one. All of them ask the same engine.
    pub cameras: Vec<SharedCamera>,
    /// The parameters.
    pub params: RwLock<ParamStore>,
    /// QoS by parameter.
    pub qos: QosOverrides,
    lifecycle: Mutex<Lifecycle>,
    qos_faults: Mutex<Vec<String>>,
    /// The model, while there is one. The main thread owns it.
    engine: RwLock<Weak<Engine>>,
    /// Wakes the main thread when a state machine has taken a frame; one wake-up may stand for several frames.
    pub frame_arrived: Notify,
    /// Wakes the main thread when parameters have changed; one wake-up may stand for several changes, whose values are in `params`.
    pub params_changed: Notify,
}

impl Shared {
    /// The state of a node that has just been created.
    pub fn new(
        node: String,
        names: Vec<(CameraNames, ResolvedNames)>,
        params: ParamStore,
        qos: QosOverrides,
    ) -> Self {
        let snapshot = params.params();
        let names = names.into_iter().enumerate();
        let cameras = names.map(|(place, names)| SharedCamera::new(place, names, &snapshot, &qos));
        Self {
            node,
            cameras: cameras.collect(),
            params: RwLock::new(params),
            qos,
            lifecycle: Mutex::default(),
            qos_faults: Mutex::default(),
            engine: RwLock::default(),
            frame_arrived: Notify::new(),
            params_changed: Notify::new(),
        }
    }

    /// The parameters as they are now.
    pub fn params(&self) -> Arc<NodeParams> {
        let store = self.params.read().unwrap_or_else(PoisonError::into_inner);
        store.params()
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
}
