//! The node's life: it reads parameters, loads the model, opens its topics, answers, and ends.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use r2r::{Context, Node};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, sleep_until, MissedTickBehavior};

use super::action::ActionTopics;
use super::clock::RosClock;
use super::diagnostics;
use super::driver::{engine_max_pending, Driver};
use super::follow_action::FollowTopics;
use super::logging::{self, LoggerName};
use super::param_services::{from_override, ParamServices};
use super::params::{NodeParams, ParamError, ParamStore};
use super::publishers::Publishers;
use super::remap::Remaps;
use super::shared::{ResolvedNames, Shared};
use super::shutdown::StopRequest;
use super::spin::{Input, SpinThread};
use super::stall::{self, MiddlewareCall};
use crate::engine::{Engine, EngineConfig, EngineError};
use crate::node::{private_name, services, topics};
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
    publishers: Publishers,
    actions: (ActionTopics, FollowTopics),
    spin_thread: SpinThread,
}

async fn serve(logger: &LoggerName) -> Result<(), NodeError> {
    let mut stop = StopRequest::listen()?;
    stall::watch()?;
    let started = start(logger)?;
    let params = started.shared.params();
    let engine = tokio::select! {
        signal = stop.recv() => {
            tracing::info!("{signal}: ending before the model was ready");
            started.spin_thread.stop();
            return Ok(());
        }
        engine = load(&params, &started) => engine,
    };
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => {
            started.spin_thread.stop();
            return Err(error);
        }
    };
    let model = engine.model();
    tracing::info!(
        "ready: {} on {} in {}; image {}, instruction {}",
        model.model,
        model.device,
        model.dtype,
        started.shared.names.image,
        started.shared.names.instruction
    );
    work(engine, started, &mut stop).await
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
    let (mut store, unknown) = ParamStore::with_overrides(overrides).map_err(NodeError::Param)?;
    store
        .complete_model(shipped_model())
        .map_err(NodeError::NoModel)?;
    for name in unknown {
        tracing::warn!(
            "parameter override '{name}' is not one of this node's: `ros2 param list` names them"
        );
    }
    let params = store.params();
    let shared = Arc::new(Shared::new(names(&node, &params)?, store));
    let call = MiddlewareCall::begin("creating the node's publishers and parameters");
    let (clock, clock_stream) = RosClock::create(&mut node, params.use_sim_time)?;
    let publishers = Publishers::create(&mut node)?;
    let actions = (
        ActionTopics::create(&mut node)?,
        FollowTopics::create(&mut node)?,
    );
    let services = ParamServices::create(&mut node, Arc::clone(&shared), clock.clone())?;
    drop(call);
    let spin_thread = SpinThread::start(node, services, clock_stream, Arc::clone(&shared))?;
    Ok(StartedNode {
        shared,
        clock,
        publishers,
        actions,
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

fn names(node: &Node, params: &NodeParams) -> Result<ResolvedNames, NodeError> {
    let remaps = Remaps::new(std::env::args(), &node.namespace()?, &node.name()?);
    Ok(ResolvedNames {
        node: node.fully_qualified_name()?,
        image: remaps.resolve(&params.image_topic()),
        instruction: remaps.resolve(topics::INSTRUCTION),
        enable: remaps.resolve(&private_name(services::ENABLE)),
        attention: remaps.resolve(&private_name(topics::ATTENTION)),
    })
}

/// Loads the model on a thread of its own, and publishes diagnostics meanwhile.
async fn load(params: &NodeParams, started: &StartedNode) -> Result<Engine, NodeError> {
    let mut config = EngineConfig::new(params.model.clone());
    config.device = params.device;
    config.dtype = params.dtype;
    config.max_pending = engine_max_pending(&params.settings);
    tracing::info!(
        "loading {} on device {}, dtype {}",
        params.model.display(),
        params.device,
        params.dtype
    );
    let since = Instant::now();
    let (done, mut loaded) = oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            // If the node has ended meanwhile, nobody receives the engine, and it is dropped here.
            let _ = done.send(Engine::start(config));
        })?;
    let mut second = every_second();
    loop {
        tokio::select! {
            engine = &mut loaded => return Ok(engine.map_err(|_| NodeError::Loader)??),
            _ = second.tick() => started.publishers.diagnostics(&diagnostics::loading(&started.shared, &started.clock, &params.model, since)),
        }
    }
}

/// Answers until a signal comes. Then it ends in order: open questions end as cancelled, the model stops, and the node leaves the
/// graph.
async fn work(
    engine: Engine,
    started: StartedNode,
    stop: &mut StopRequest,
) -> Result<(), NodeError> {
    let StartedNode {
        shared,
        clock,
        publishers,
        actions,
        mut spin_thread,
    } = started;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let driver = Driver::start(
        Arc::clone(&shared),
        engine,
        publishers,
        actions,
        clock.clone(),
        sender,
    )?;
    // Parameters may have been changed while the model was loading.
    driver.params_changed();
    shared.core().mark_listening(Instant::now());
    spin_thread.open();
    let mut second = every_second();
    let mut unguided = UnguidedWarning::default();
    let end = loop {
        let timeout = driver.next_timeout().map(tokio::time::Instant::from_std);
        tokio::select! {
            signal = stop.recv() => {
                tracing::info!("{signal}: ending");
                break Ok(());
            }
            Some((id, report)) = reports.recv() => driver.handle_report(id, report),
            input = spin_thread.recv() => match input {
                Some(Input::Broken(why)) => break Err(NodeError::Broken(why)),
                Some(input) => driver.input(input),
                None => break Err(NodeError::Broken("the thread that spins the ROS node ended".to_owned())),
            },
            () = shared.frame_arrived.notified() => driver.act(),
            () = shared.params_changed.notified() => driver.params_changed(),
            () = until(timeout) => driver.timeout(),
            _ = second.tick() => {
                driver.update_subscribers();
                driver.publishers().diagnostics(&diagnostics::running(&shared, &clock, driver.engine()));
                unguided.check(&shared, &driver);
            }
        }
    };
    let (engine, owed) = driver.close(spin_thread.close());
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(engine);
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
#[derive(Default)]
struct UnguidedWarning {
    warned: bool,
}

impl UnguidedWarning {
    fn check(&mut self, shared: &Shared, driver: &Driver) {
        let watched = driver.publishers().subscribers().attention;
        let model = driver.engine().model();
        let in_vain = watched && model.guided_head.is_none();
        if in_vain && !self.warned {
            tracing::warn!(
                "somebody subscribes to {}, where nothing is published: the model {} has no guided head to say where it looks; train it with objective.attend",
                shared.names.attention,
                model.model
            );
        }
        self.warned = in_vain;
    }
}
