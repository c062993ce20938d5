//! The node from its first line to its last: parameters, model, topics, work, end.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use r2r::{Context, Node};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, sleep_until, MissedTickBehavior};

use super::action::ActionTopics;
use super::clock::RosClock;
use super::diagnostics;
use super::driver::{engine_max_pending, Driver};
use super::logging::{self, LoggerName};
use super::param_services::{from_override, ParamServices};
use super::params::{NodeParams, ParamError, ParamStore};
use super::publishers::Publishers;
use super::remap::Remaps;
use super::shared::{ResolvedNames, Shared};
use super::shutdown::StopRequest;
use super::spin::{Input, SpinThread};
use crate::engine::{Engine, EngineConfig, EngineError};
use crate::weights::shipped_model;

/// The model thread gets this long to notice that the node ends.
const ENGINE_GRACE: Duration = Duration::from_millis(1200);

/// The last results get this long to reach who waits for them, before the node leaves the graph. A subscriber on a busy machine
/// that learns first that the publisher is gone drops what it has not taken yet, and r2r has no way to wait until it has.
const DELIVERY: Duration = Duration::from_millis(200);

/// Why the node did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("the operating system refused: {0}")]
    Os(#[from] std::io::Error),
    #[error("ROS refused to start: {0}")]
    Start(String),
    #[error("ROS refused: {0}")]
    Ros(#[from] r2r::Error),
    #[error("parameter {0}")]
    Param(ParamError),
    #[error(transparent)]
    NoModel(ParamError),
    #[error("the model cannot be used: {0}")]
    Model(#[from] EngineError),
    #[error("the model thread ended while it was opening the model")]
    Loader,
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

/// The node's parts that the main thread keeps.
struct Parts {
    shared: Arc<Shared>,
    clock: RosClock,
    publishers: Publishers,
    action: ActionTopics,
    spin_thread: SpinThread,
}

async fn serve(logger: &LoggerName) -> Result<(), NodeError> {
    let mut stop = StopRequest::listen()?;
    let parts = start(logger)?;
    let params = parts.shared.params();
    let engine = tokio::select! {
        signal = stop.recv() => {
            tracing::info!("{signal}: ending before the model was ready");
            parts.spin_thread.stop();
            return Ok(());
        }
        engine = load(&params, &parts) => engine,
    };
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => {
            parts.spin_thread.stop();
            return Err(error);
        }
    };
    let model = engine.model();
    tracing::info!(
        "ready: {} on {} in {}; image {}, instruction {}",
        model.model,
        model.device,
        model.dtype,
        parts.shared.names.image,
        parts.shared.names.instruction
    );
    work(engine, parts, &mut stop).await
}

/// Creates the node with its parameters, and sets it spinning.
fn start(logger: &LoggerName) -> Result<Parts, NodeError> {
    let mut node = Node::create(context()?, "lisa", "")?;
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
    let (clock, clock_stream) = RosClock::create(&mut node, params.use_sim_time)?;
    let publishers = Publishers::create(&mut node)?;
    let action = ActionTopics::create(&mut node)?;
    let services = ParamServices::create(&mut node, Arc::clone(&shared), clock.clone())?;
    let spin_thread = SpinThread::start(node, services, clock_stream, Arc::clone(&shared))?;
    Ok(Parts {
        shared,
        clock,
        publishers,
        action,
        spin_thread,
    })
}

/// r2r panics where rcl cannot read the command line; that is a line for a person, not a backtrace.
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
        image: remaps.resolve(if params.compressed {
            "image/compressed"
        } else {
            "image"
        }),
        instruction: remaps.resolve("instruction"),
        enable: remaps.resolve("~/enable"),
        attention: remaps.resolve("~/attention"),
    })
}

/// Opens the model on a thread of its own, and reports meanwhile.
async fn load(params: &NodeParams, parts: &Parts) -> Result<Engine, NodeError> {
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
            // Nobody listens where the node has ended meanwhile; then the engine is dropped here.
            let _ = done.send(Engine::start(config));
        })?;
    let mut second = every_second();
    loop {
        tokio::select! {
            engine = &mut loaded => return Ok(engine.map_err(|_| NodeError::Loader)??),
            _ = second.tick() => parts.publishers.diagnostics(&diagnostics::loading(&parts.shared, &parts.clock, &params.model, since)),
        }
    }
}

/// Answers until a signal comes, then ends in order: whoever waits is told, the model stops, the node leaves the graph.
async fn work(engine: Engine, parts: Parts, stop: &mut StopRequest) -> Result<(), NodeError> {
    let Parts {
        shared,
        clock,
        publishers,
        action,
        mut spin_thread,
    } = parts;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let driver = Driver::start(
        Arc::clone(&shared),
        engine,
        publishers,
        action,
        clock.clone(),
        sender,
    )?;
    // They may have been changed while the model was loading.
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

/// Says in the log, once for whoever comes, that nothing will be published on `~/attention`.
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
