//! The managed node: what its transitions do, and who is told.
//!
//! One transition is under way at a time, and all of them are begun and ended here, on the main thread. Loading a model and giving
//! its memory back are done on threads of their own meanwhile, so that diagnostics, parameters and signals are served; a request
//! that comes in between is refused, because no transition begins in the state that the node is in then.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use r2r::lifecycle_msgs::srv::ChangeState;
use r2r::ServiceRequest;
use tokio::sync::oneshot;

use super::clock::RosClock;
use super::diagnostics;
use super::driver::{engine_max_pending, Answering, Driver};
use super::lifecycle::{answer_change, TransitionEvents};
use super::node::NodeError;
use super::params::NodeParams;
use super::publishers::Diagnostics;
use super::shared::Shared;
use super::spin::{Input, SpinThread};
use crate::engine::{Engine, EngineConfig};
use crate::node::{LifecycleState, Outcome, Transition};
use crate::weights::shipped_model;

/// The node with its state.
pub struct Managed {
    shared: Arc<Shared>,
    clock: RosClock,
    events: TransitionEvents,
    /// One for each camera.
    drivers: Vec<Driver>,
    diagnostics: Diagnostics,
    /// What the transition that is under way waits for.
    work: Option<Work>,
    /// Who asked for it.
    asked: Option<ServiceRequest<ChangeState::Service>>,
    /// Whether it is the one that the parameter `autostart` asked for, which a wrong model ends together with the node.
    starting: bool,
    /// Why the last attempt to load a model failed.
    failure: Option<String>,
}

enum Work {
    Loading {
        since: Instant,
        params: Arc<NodeParams>,
        loaded: oneshot::Receiver<Result<Engine, NodeError>>,
    },
    Unloading(oneshot::Receiver<()>),
}

/// How the work of a transition has ended.
pub enum Done {
    Loaded(Result<Box<Engine>, NodeError>),
    Unloaded,
}

impl Managed {
    /// A node that is unconfigured.
    pub fn new(
        shared: Arc<Shared>,
        clock: RosClock,
        (events, diagnostics): (TransitionEvents, Diagnostics),
        drivers: Vec<Driver>,
    ) -> Self {
        let mut managed = Self {
            shared,
            clock,
            events,
            drivers,
            diagnostics,
            work: None,
            asked: None,
            starting: false,
            failure: None,
        };
        managed.arrived();
        managed
    }

    /// What connects the node's cameras to ROS and to the engine.
    pub fn drivers(&self) -> &[Driver] {
        &self.drivers
    }

    /// The engine that answers, while there is one.
    pub fn engine(&self) -> Option<&Engine> {
        self.drivers.first().and_then(Driver::engine)
    }

    /// Ends the node: all open questions end as cancelled, and so do those of `rest`, the inputs that were taken but not yet
    /// handled. Returns the engine, if there is one, and whether any result was owed.
    pub fn close(self, rest: Vec<Input>) -> (Vec<Arc<Engine>>, bool) {
        let mut drivers = self.drivers.iter();
        let owed = !rest.is_empty() || drivers.any(Driver::owes_a_result);
        self.drivers.iter().for_each(Driver::close);
        for input in rest {
            match input {
                Input::Client(camera, input) => self.drivers[camera].input(input),
                Input::ChangeState(request) => answer_change(request, false),
                Input::Broken(_) => {}
            }
        }
        let engines = self.drivers.into_iter().filter_map(Driver::stop);
        (engines.collect(), owed)
    }

    /// Whether the model is being loaded.
    pub fn is_loading(&self) -> bool {
        matches!(self.work, Some(Work::Loading { .. }))
    }

    /// Configures the node, and activates it as soon as that is done.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(&mut self, spin_thread: &SpinThread) -> Result<(), NodeError> {
        self.starting = true;
        match self.begin(0, "configure") {
            Some(transition) => self.perform(transition, spin_thread),
            None => Ok(()),
        }
    }

    /// Takes a call of `~/change_state`. It is answered when the transition has ended, and at once if none begins.
    ///
    /// # Errors
    /// The node cannot go on.
    pub fn change_state(
        &mut self,
        request: ServiceRequest<ChangeState::Service>,
        spin_thread: &SpinThread,
    ) -> Result<(), NodeError> {
        let wanted = &request.message.transition;
        let Some(transition) = self.begin(wanted.id, &wanted.label) else {
            let lifecycle = *self.shared.lifecycle();
            let name = match wanted.label.is_empty() {
                true => wanted.id.to_string(),
                false => format!("'{}'", wanted.label),
            };
            let accepted: Vec<&str> = lifecycle.askable().map(|t| t.label).collect();
            tracing::warn!(
                "transition {name} is refused: the node is {}; accepted: {}",
                lifecycle.state().label(),
                match (accepted.is_empty(), lifecycle.state()) {
                    (true, LifecycleState::Finalized) => "none any more".to_owned(),
                    (true, _) => "none until that is done".to_owned(),
                    (false, _) => accepted.join(", "),
                }
            );
            answer_change(request, false);
            return Ok(());
        };
        self.asked = Some(request);
        self.perform(transition, spin_thread)
    }

    /// Returns when the transition that is under way has done its work; never if there is none.
    pub async fn work(&mut self) -> Done {
        match &mut self.work {
            None => std::future::pending().await,
            Some(Work::Loading { loaded, .. }) => {
                let loaded = loaded.await.unwrap_or(Err(NodeError::Loader));
                Done::Loaded(loaded.map(Box::new))
            }
            Some(Work::Unloading(unloaded)) => {
                // The sender is dropped when the thread ends, however it ends.
                let _ = unloaded.await;
                Done::Unloaded
            }
        }
    }

    /// Ends the transition whose work is done.
    ///
    /// # Errors
    /// The node cannot go on; with the parameter `autostart`, also if the model cannot be loaded.
    pub fn finish(&mut self, done: Done, spin_thread: &SpinThread) -> Result<(), NodeError> {
        self.work = None;
        match done {
            Done::Loaded(Ok(engine)) => {
                self.failure = None;
                let engine = Arc::new(*engine);
                self.shared.set_engine(&engine);
                for driver in &mut self.drivers {
                    driver.set_engine(Arc::clone(&engine))?;
                }
                // The drivers have it.
                drop(engine);
                // Parameters may have been changed while the model was loading.
                self.drivers.iter().for_each(Driver::params_changed);
                self.end(Outcome::Success);
                if std::mem::take(&mut self.starting) {
                    if let Some(transition) = self.begin(0, "activate") {
                        self.perform(transition, spin_thread)?;
                    }
                }
                // Only now, so that who sees the topics of a node that starts by itself may use them.
                spin_thread.open();
            }
            Done::Loaded(Err(error)) if self.starting => return Err(error),
            Done::Loaded(Err(error)) => {
                tracing::error!("{error}; configure the node again when that is mended");
                self.failure = Some(error.to_string());
                self.end(Outcome::Failure);
            }
            Done::Unloaded => self.end(Outcome::Success),
        }
        Ok(())
    }

    /// Publishes the diagnostics.
    pub fn diagnose(&self) {
        let (shared, clock) = (&self.shared, &self.clock);
        let diagnostics = match (&self.work, self.engine()) {
            (Some(Work::Loading { since, params, .. }), _) => {
                diagnostics::loading(shared, clock, &params.model, *since)
            }
            (_, Some(engine)) => diagnostics::running(shared, clock, engine),
            (_, None) => diagnostics::without_model(shared, clock, self.failure.as_deref()),
        };
        self.diagnostics.publish(&diagnostics);
    }

    fn begin(&mut self, id: u8, label: &str) -> Option<Transition> {
        let transition = self.shared.lifecycle().begin(id, label)?;
        self.events.publish(transition, &self.clock);
        Some(transition)
    }

    /// Does what a transition is for, or begins with it.
    fn perform(
        &mut self,
        transition: Transition,
        spin_thread: &SpinThread,
    ) -> Result<(), NodeError> {
        match transition.goal {
            LifecycleState::Configuring => self.load(spin_thread)?,
            LifecycleState::Activating => {
                for camera in &self.shared.cameras {
                    camera.core().handle_activate(Instant::now());
                }
                self.say_ready();
                self.end(Outcome::Success);
            }
            LifecycleState::Deactivating => {
                self.stand_by(LifecycleState::Inactive);
                self.end(Outcome::Success);
            }
            LifecycleState::CleaningUp => self.unload(LifecycleState::CleaningUp)?,
            LifecycleState::ShuttingDown => {
                tracing::info!(
                    "shut down by a transition; the process stays until SIGINT or SIGTERM"
                );
                self.drivers.iter().for_each(Driver::close);
                self.unload(LifecycleState::ShuttingDown)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn load(&mut self, spin_thread: &SpinThread) -> Result<(), NodeError> {
        let params = {
            let params = &self.shared.params;
            let mut store = params.write().unwrap_or_else(PoisonError::into_inner);
            // From here on a change would not be for this model.
            store.set_unconfigured(false);
            match store.complete_model(shipped_model()) {
                Ok(()) => store.params(),
                Err(error) => {
                    drop(store);
                    let error = NodeError::NoModel(error);
                    return self.finish(Done::Loaded(Err(error)), spin_thread);
                }
            }
        };
        self.stand_by(LifecycleState::Configuring);
        let mut config = EngineConfig::new(params.model.clone());
        config.device = params.device;
        config.dtype = params.dtype;
        config.max_pending = engine_max_pending(&params.settings);
        // What is kept for one camera is kept for each.
        let cameras = self.shared.cameras.len();
        config.max_conversations *= cameras;
        config.max_frames = config.max_frames.max(2 * cameras);
        tracing::info!(
            "loading {} on device {}, dtype {}",
            params.model.display(),
            params.device,
            params.dtype
        );
        let since = Instant::now();
        let (done, loaded) = oneshot::channel();
        std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                // If the node has ended meanwhile, nobody receives the engine, and it is dropped here.
                let _ = done.send(Engine::start(config).map_err(NodeError::Model));
            })?;
        self.work = Some(Work::Loading {
            since,
            params,
            loaded,
        });
        Ok(())
    }

    /// Gives the model's memory back, if there is a model, in the `passing` state of a transition.
    fn unload(&mut self, passing: LifecycleState) -> Result<(), NodeError> {
        let drivers = self.drivers.iter_mut();
        let answering: Vec<Answering> = drivers.filter_map(Driver::take_engine).collect();
        self.stand_by(passing);
        let (done, unloaded) = oneshot::channel();
        std::thread::Builder::new()
            .name("unload".to_owned())
            .spawn(move || {
                if !answering.is_empty() {
                    let engines = answering.into_iter().map(Answering::stop);
                    let engines: Vec<Arc<Engine>> = engines.collect();
                    // Waits for the step of the model that is under way, if a question was cancelled just now.
                    drop(engines);
                    tracing::info!("the memory of the model was given back");
                }
                let _ = done.send(());
            })?;
        self.work = Some(Work::Unloading(unloaded));
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) {
        let ended = self.shared.lifecycle().end(outcome);
        self.arrived();
        if let Some(transition) = ended {
            self.events.publish(transition, &self.clock);
        }
        if let Some(request) = self.asked.take() {
            answer_change(request, outcome == Outcome::Success);
        }
    }

    /// Makes everything that depends on the state agree with it.
    fn arrived(&mut self) {
        let state = self.shared.lifecycle().state();
        let unconfigured = state == LifecycleState::Unconfigured;
        let params = &self.shared.params;
        params
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .set_unconfigured(unconfigured);
        if state != LifecycleState::Active {
            self.stand_by(state);
        }
    }

    /// Makes the node quiet; who asks it is told that it is in `state`, and what to do.
    fn stand_by(&self, state: LifecycleState) {
        let node = &self.shared.node;
        let why = match state {
            LifecycleState::Inactive => {
                format!("the node is inactive; `ros2 lifecycle set {node} activate` makes it answer")
            }
            LifecycleState::Configuring => {
                "the node is configuring: the model is being loaded".to_owned()
            }
            LifecycleState::Unconfigured => format!(
                "the node is unconfigured; `ros2 lifecycle set {node} configure` loads the model, and then activate makes it answer"
            ),
            LifecycleState::Finalized => {
                "the node is finalized: it was shut down, and only its process is left; end that and start it again".to_owned()
            }
            other => format!("the node is {}", other.label()),
        };
        for driver in &self.drivers {
            let mut core = driver.camera().core();
            core.handle_deactivate(why.clone(), Instant::now());
            drop(core);
            driver.act();
        }
    }

    fn say_ready(&self) {
        let Some(model) = self.engine().map(Engine::model) else {
            return;
        };
        let cameras = self.shared.cameras.iter().map(|camera| {
            let names = &camera.resolved;
            format!("image {}, instruction {}", names.image, names.instruction)
        });
        tracing::info!(
            "ready: {} on {} in {}; {}",
            model.model,
            model.device,
            model.dtype,
            cameras.collect::<Vec<_>>().join("; ")
        );
    }
}
