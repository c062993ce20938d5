//! The node's life: it reads parameters, creates the node, works, and ends. What happens in between is a matter of its state
//! ([`managed`](super::managed)).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use r2r::{Context, Node};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{interval, sleep_until, MissedTickBehavior};

use super::clock::RosClock;
use super::driver::{CameraTopics, Driver};
use super::lifecycle::{LifecycleServices, TransitionEvents};
use super::logging::{self, LoggerName};
use super::managed::Managed;
use super::param_services::{from_override, ParamServices};
use super::params::{NodeParams, ParamError, ParamStore};
use super::publishers::Diagnostics;
use super::qos::QosOverrides;
use super::remap::Remaps;
use super::shared::{ResolvedNames, Shared};
use super::shutdown::StopRequest;
use super::spin::{Input, SpinThread};
use super::stall::{self, MiddlewareCall};
use super::submitter::{EngineReport, Reports};
use super::web;
use crate::engine::{Engine, EngineError};
use crate::node::{services, topics, CameraNames, QuestionId};
use crate::web::WebError;
use crate::weights::shipped_model;

/// How long the end of the node waits for the model thread.
const ENGINE_GRACE: Duration = Duration::from_millis(1200);

/// How long the node stays after its last results. A subscriber that learns that the publisher is gone drops what it has not
/// taken yet, and r2r cannot wait until everything was taken.
const DELIVERY: Duration = Duration::from_millis(200);

/// Why the node did not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The operating system refuses a thread or a signal handler.
    #[error("the operating system refused: {0}")]
    Os(#[from] std::io::Error),
    /// rcl cannot be started, for instance with these arguments after `--ros-args`.
    #[error("ROS refused to start: {0}")]
    Start(String),
    /// The middleware refuses a node, a topic or a service.
    #[error("ROS refused: {0}")]
    Ros(#[from] r2r::Error),
    /// A parameter has a value that is not accepted.
    #[error("parameter {0}")]
    Param(ParamError),
    /// No model was named, and the project's own is not installed.
    #[error(transparent)]
    NoModel(ParamError),
    /// The model cannot be loaded.
    #[error("the model cannot be used: {0}")]
    Model(#[from] EngineError),
    /// The page for a browser cannot be served.
    #[error("the page for a browser cannot be served: {0}")]
    Web(#[from] WebError),
    /// The thread that loads the model ended without a result.
    #[error("the model thread ended while it was opening the model")]
    Loader,
    /// The node cannot go on, for this reason.
    #[error("{0}")]
    Broken(String),
}

/// Runs the node until it is asked to end.
///
/// # Errors
/// [`NodeError`]: one line that says what is wrong and what to do.
pub fn run() -> Result<(), NodeError> {
    let logger = logging::init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&logger))
}

/// What the main thread owns of a node that has started.
struct StartedNode {
    shared: Arc<Shared>,
    clock: RosClock,
    /// What each camera publishes.
    cameras: Vec<CameraTopics>,
    own: (TransitionEvents, Diagnostics),
    spin_thread: SpinThread,
}

async fn serve(logger: &LoggerName) -> Result<(), NodeError> {
    let mut stop = StopRequest::listen()?;
    stall::watch()?;
    // The thread comes first, and so is dropped last, after everything that uses the node.
    let StartedNode {
        mut spin_thread,
        shared,
        clock,
        cameras,
        own,
    } = start(logger)?;
    let (sender, reports) = mpsc::unbounded_channel();
    let of_camera = |camera| Reports {
        camera,
        sender: sender.clone(),
    };
    let reports_of_page = (0..cameras.len()).map(of_camera).collect();
    let page = web::start(&shared, reports_of_page)?;
    let drivers = cameras.into_iter().enumerate().map(|(camera, topics)| {
        let (shared, clock) = (Arc::clone(&shared), clock.clone());
        Driver::start(shared, topics, clock, of_camera(camera))
    });
    let drivers = drivers.collect::<std::io::Result<_>>()?;
    let mut managed = Managed::new(Arc::clone(&shared), clock, own, drivers);
    let end = work(&mut managed, &shared, &mut spin_thread, reports, &mut stop).await;
    // Its last connections end beside everything else that ends, or with the process.
    std::thread::spawn(move || drop(page));
    let (engines, owed) = managed.close(spin_thread.close());
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(engines);
        let _ = done.send(());
    });
    if owed {
        std::thread::sleep(DELIVERY);
    }
    spin_thread.stop();
    if ended.recv_timeout(ENGINE_GRACE).is_err() {
        tracing::debug!("the model thread is still inside a step; it ends with the process");
    }
    end
}

/// Creates the node with its parameters, and sets it spinning.
fn start(logger: &LoggerName) -> Result<StartedNode, NodeError> {
    let mut node = {
        let _call = MiddlewareCall::begin("creating the node");
        Node::create(context()?, "lisa", "")?
    };
    logger.set(node.logger());
    let overrides: Vec<_> = {
        let params = node.params.lock().unwrap_or_else(PoisonError::into_inner);
        params
            .iter()
            .map(|(name, p)| (name.clone(), from_override(&p.value)))
            .collect()
    };
    let remaps = Remaps::new(std::env::args(), &node.namespace()?, &node.name()?);
    let (qos, overrides) =
        QosOverrides::take(overrides, remaps.clone()).map_err(NodeError::Param)?;
    let (mut store, unknown) = ParamStore::with_overrides(overrides).map_err(NodeError::Param)?;
    if store.params().autostart {
        store
            .complete_model(shipped_model())
            .map_err(NodeError::NoModel)?;
    }
    for name in unknown {
        tracing::warn!(
            "parameter override '{name}' is not one of this node's: `ros2 param list` names them"
        );
    }
    let params = store.params();
    let names = names(&node, &params, &remaps)?;
    let full = node.fully_qualified_name()?;
    let shared = Arc::new(Shared::new(full, names, store, qos));
    let call = MiddlewareCall::begin("creating the node's publishers and parameters");
    let (clock, clock_stream) = RosClock::create(&mut node, params.use_sim_time, &shared.qos)?;
    let mut cameras = Vec::new();
    for camera in &shared.cameras {
        let topics = CameraTopics::create(&mut node, &shared.qos, &camera.names)?;
        cameras.push(topics);
    }
    let own = (
        TransitionEvents::create(&mut node, &shared.qos)?,
        Diagnostics::create(&mut node, &shared.qos)?,
    );
    let lifecycle = LifecycleServices::create(&mut node)?;
    let services = ParamServices::create(&mut node, Arc::clone(&shared), clock.clone())?;
    drop(call);
    let spin_thread =
        SpinThread::start(node, services, lifecycle, clock_stream, Arc::clone(&shared))?;
    Ok(StartedNode {
        shared,
        clock,
        cameras,
        own,
        spin_thread,
    })
}

/// Creates r2r's context. r2r panics if rcl cannot read the command line; here that becomes an error, without a backtrace.
pub(super) fn context() -> Result<Context, NodeError> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let context = std::panic::catch_unwind(Context::create);
    std::panic::set_hook(hook);
    context
        .map_err(|panic| {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or(panic.downcast_ref::<&str>().copied());
            NodeError::Start(
                words
                    .unwrap_or("the arguments after --ros-args cannot be read")
                    .to_owned(),
            )
        })?
        .map_err(NodeError::from)
}

/// The names of each camera, and the same after namespace and remappings.
fn names(
    node: &Node,
    params: &NodeParams,
    remaps: &Remaps,
) -> Result<Vec<(CameraNames, ResolvedNames)>, NodeError> {
    let own = node.name()?;
    let several = params.cameras.iter();
    let mut cameras: Vec<_> = several.map(|name| CameraNames::of(name, &own)).collect();
    if cameras.is_empty() {
        cameras.push(CameraNames::only());
    }
    let full = node.fully_qualified_name()?;
    let resolved = |names: CameraNames| {
        let resolved = ResolvedNames {
            node: names.node().map_or(full.clone(), |n| remaps.resolve(&n)),
            image: remaps.resolve(&names.topic(&params.image_topic())),
            instruction: remaps.resolve(&names.topic(topics::INSTRUCTION)),
            enable: remaps.resolve(&names.private(services::ENABLE)),
            attention: remaps.resolve(&names.private(topics::ATTENTION)),
        };
        (names, resolved)
    };
    Ok(cameras.into_iter().map(resolved).collect())
}

/// Works until a signal ends the node.
async fn work(
    managed: &mut Managed,
    shared: &Shared,
    spin_thread: &mut SpinThread,
    mut reports: UnboundedReceiver<(usize, QuestionId, EngineReport)>,
    stop: &mut StopRequest,
) -> Result<(), NodeError> {
    if shared.params().autostart {
        managed.start(spin_thread)?;
    }
    let mut second = every_second();
    let mut unguided = vec![UnguidedWarning::default(); shared.cameras.len()];
    loop {
        let timeout = managed
            .drivers()
            .iter()
            .filter_map(Driver::next_timeout)
            .min();
        let timeout = timeout.map(tokio::time::Instant::from_std);
        tokio::select! {
            signal = stop.recv() => {
                match managed.is_loading() {
                    true => tracing::info!("{signal}: ending before the model was ready"),
                    false => tracing::info!("{signal}: ending"),
                }
                return Ok(());
            }
            Some((camera, id, report)) = reports.recv() => managed.drivers()[camera].handle_report(id, report),
            input = spin_thread.recv() => match input {
                Some(Input::Broken(why)) => return Err(NodeError::Broken(why)),
                Some(Input::ChangeState(request)) => managed.change_state(request, spin_thread)?,
                Some(Input::Client(camera, input)) => managed.drivers()[camera].input(input),
                None => return Err(NodeError::Broken("the thread that spins the ROS node ended".to_owned())),
            },
            done = managed.work() => managed.finish(done, spin_thread)?,
            () = shared.frame_arrived.notified() => managed.drivers().iter().for_each(Driver::act),
            () = shared.params_changed.notified() => managed.drivers().iter().for_each(Driver::params_changed),
            () = until(timeout) => managed.drivers().iter().for_each(Driver::timeout),
            _ = second.tick() => {
                managed.diagnose();
                for (driver, unguided) in managed.drivers().iter().zip(&mut unguided) {
                    driver.update_subscribers();
                    unguided.check(driver);
                }
            }
        }
    }
}

fn every_second() -> tokio::time::Interval {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second
}

async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Warns those who subscribe to `~/attention` that nothing will be published there, once until all of them have gone.
#[derive(Clone, Default)]
struct UnguidedWarning {
    warned: bool,
}

impl UnguidedWarning {
    fn check(&mut self, driver: &Driver) {
        let Some(model) = driver.engine().map(Engine::model) else {
            return;
        };
        let watched = driver.publishers().subscribers().attention;
        let in_vain = watched && model.guided_head.is_none();
        if in_vain && !self.warned {
            tracing::warn!(
                "somebody subscribes to {}, where nothing is published: the model {} has no guided head to say where it looks; train it with objective.attend",
                driver.camera().resolved.attention,
                model.model
            );
        }
        self.warned = in_vain;
    }
}
