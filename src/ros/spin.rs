//! The thread that owns the r2r node.
//!
//! After every `spin_once` it empties every stream itself. r2r's streams hold about eleven messages and then lose the
//! newest; as one `spin_once` takes at most one message of each kind, none is ever lost here. Frames go to the state machine
//! directly, requests for parameters are answered at once, and everything else is handed to the driver.
//!
//! **Invariant.** This thread waits for the main thread only to hand over an [`Input`], and the main thread waits for this
//! one only in [`SpinThread::stop`], which closes that channel first. So neither ever waits for the other in a circle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use r2r::action_msgs::srv::CancelGoal;
use r2r::lifecycle_msgs::srv::ChangeState;
use r2r::qos::ReliabilityPolicy;
use r2r::sensor_msgs::msg::{CompressedImage, Image};
use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::{Node, QosProfile, ServiceRequest, WrappedServiceTypeSupport};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{channel, Receiver, Sender};

use super::action::{GetResult, SendGoal};
use super::clock::ClockStream;
use super::convert::SourceImage;
use super::follow_action;
use super::lifecycle::LifecycleServices;
use super::param_services::ParamServices;
use super::params::NodeParams;
use super::r2r_ext::{drain, r2r_stream, R2rStream};
use super::shared::Shared;
use super::space_inputs::{SpaceInputs, TransformInputs};
use super::stall::MiddlewareCall;
use crate::node::{
    services, CameraNames, ImagePublisher, InstructionTopic, LifecycleState, StampedInstruction,
};

/// What the spinning thread tells the main thread.
pub enum Input {
    /// What a client asks of the camera in that place.
    Client(usize, ClientInput),
    /// A call of `~/change_state`.
    ChangeState(ServiceRequest<ChangeState::Service>),
    /// The node cannot go on, for this reason.
    Broken(String),
}

/// What a client asks of a camera.
pub enum ClientInput {
    /// An instruction from one of the two topics.
    Instruction(StampedInstruction),
    /// A goal of the action.
    Goal(ServiceRequest<SendGoal>),
    /// A request to cancel goals.
    CancelGoal(ServiceRequest<CancelGoal::Service>),
    /// A request for a goal's result.
    GoalResult(ServiceRequest<GetResult>),
    /// A goal of the action `~/follow`.
    FollowGoal(ServiceRequest<follow_action::SendGoal>),
    /// A request to cancel such goals.
    CancelFollow(ServiceRequest<CancelGoal::Service>),
    /// A request for the result of such a goal.
    FollowResult(ServiceRequest<follow_action::GetResult>),
    /// A call of `~/enable`.
    Enable(ServiceRequest<SetBool::Service>),
    /// A call of `~/reset_conversation`.
    Reset(ServiceRequest<Trigger::Service>),
}

/// How many inputs may be on their way to the driver. Of more, the spinning thread waits, and messages stay in the queues of the
/// middleware.
const INPUTS: usize = 256;

/// The running thread, and the main thread's end of the channel of inputs. Dropping it destroys the node and all its topics and
/// services, and waits until that is done: a thread that still spins while the process ends uses what the middleware has given back
/// already, and crashes.
pub struct SpinThread {
    thread: Option<JoinHandle<()>>,
    flags: Arc<Flags>,
    inputs: Receiver<Input>,
    /// Inputs that the thread could not hand over any more because the channel was closed. Closes when the thread takes no more.
    refused: mpsc::Receiver<Input>,
    /// The thread keeps the node until this is dropped.
    keep: Option<mpsc::Sender<()>>,
}

/// The spinning thread's end of the channel of inputs.
struct InputSender {
    inputs: Sender<Input>,
    refused: mpsc::Sender<Input>,
}

impl InputSender {
    /// Hands an input over, and waits for a place in the channel if it is full. If the channel is closed, the node is ending,
    /// and the input goes to `refused`.
    fn send(&self, input: Input) {
        if let Err(SendError(input)) = self.inputs.blocking_send(input) {
            let _ = self.refused.send(input);
        }
    }
}

/// What the main thread asks the spinning thread to do.
#[derive(Default)]
struct Flags {
    stop: AtomicBool,
    open: AtomicBool,
}

/// How long a spin waits when nothing happens; also how long the end of the node waits for it.
const SPIN: Duration = Duration::from_millis(50);
/// How long the end of the node waits until the thread takes no more. That is after one spin, unless the thread is blocked
/// writing a log line that nobody reads.
const REST: Duration = Duration::from_millis(250);

impl SpinThread {
    /// Starts the thread. It serves parameters and the states of the node, but takes no instructions and frames before
    /// [`open`](Self::open).
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(
        node: Node,
        services: ParamServices,
        lifecycle: LifecycleServices,
        clock: Option<ClockStream>,
        shared: Arc<Shared>,
    ) -> std::io::Result<Self> {
        Self::run(node, move |node, input_sender, flags| {
            let spin_loop = SpinLoop {
                node,
                services,
                lifecycle,
                clock,
                shared,
                input_sender,
                flags,
            };
            spin_loop.spin();
        })
    }

    /// Starts a thread that runs `spin` and keeps `kept` until it is dropped.
    fn run<K: Send + 'static>(
        mut kept: K,
        spin: impl FnOnce(&mut K, InputSender, Arc<Flags>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let flags = Arc::<Flags>::default();
        let (sender, inputs) = channel(INPUTS);
        let (refuse, refused) = mpsc::channel();
        let (keep, kept_until) = mpsc::channel();
        let input_sender = InputSender {
            inputs: sender,
            refused: refuse,
        };
        let thread_flags = Arc::clone(&flags);
        let thread = std::thread::Builder::new()
            .name("ros-spin".to_owned())
            .spawn(move || {
                spin(&mut kept, input_sender, thread_flags);
                // The node has to stay until the results that are still owed are published.
                let _: Result<(), _> = kept_until.recv();
            })?;
        Ok(Self {
            thread: Some(thread),
            flags,
            inputs,
            refused,
            keep: Some(keep),
        })
    }

    /// Makes the thread subscribe, and offer the action and the services, because the model is ready.
    pub fn open(&self) {
        self.flags.open.store(true, Ordering::Relaxed);
    }

    /// The next input; `None` when the thread has ended.
    pub async fn recv(&mut self) -> Option<Input> {
        self.inputs.recv().await
    }

    /// Makes the thread take no more. Returns the inputs that it had taken, because their senders are owed an answer. The node
    /// stays, so that they can get it.
    pub fn close(&mut self) -> Vec<Input> {
        self.flags.stop.store(true, Ordering::Relaxed);
        // A thread that waits for a place in the channel wakes up here and sees the flag.
        self.inputs.close();
        let deadline = Instant::now() + REST;
        let mut taken = Vec::new();
        let mut in_hand = Vec::new();
        loop {
            taken.extend(std::iter::from_fn(|| self.inputs.try_recv().ok()));
            let left = deadline.saturating_duration_since(Instant::now());
            match self.refused.recv_timeout(left) {
                Ok(input) => in_hand.push(input),
                Err(_) => break,
            }
        }
        // A place that was reserved before the end may have been filled after it.
        taken.extend(std::iter::from_fn(|| self.inputs.try_recv().ok()));
        taken.extend(in_hand);
        taken
    }

    /// Drops it, where that is to be seen.
    pub fn stop(self) {}
}

impl Drop for SpinThread {
    fn drop(&mut self) {
        self.flags.stop.store(true, Ordering::Relaxed);
        self.inputs.close();
        self.keep = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the spinning thread had panicked");
        }
    }
}

/// The spinning thread's loop and everything it works with. When it ends, be it by a panic in r2r, the channel of inputs
/// closes, and the main thread learns of it.
struct SpinLoop<'a> {
    node: &'a mut Node,
    services: ParamServices,
    lifecycle: LifecycleServices,
    clock: Option<ClockStream>,
    shared: Arc<Shared>,
    input_sender: InputSender,
    flags: Arc<Flags>,
}

impl SpinLoop<'_> {
    fn spin(mut self) {
        let mut endpoints = None;
        let mut last_lookup = Instant::now();
        while !self.flags.stop.load(Ordering::Relaxed) {
            {
                let _call = MiddlewareCall::begin("spinning");
                self.node.spin_once(SPIN);
            }
            if let Some(back) = self.clock.as_mut().and_then(ClockStream::serve) {
                for camera in &self.shared.cameras {
                    camera.core().handle_clock_back(back);
                }
                self.shared.frame_arrived.notify_one();
            }
            if self.services.serve() {
                self.shared.params_changed.notify_one();
            }
            let send = |input| self.input_sender.send(input);
            self.lifecycle.serve(&self.shared, send);
            if endpoints.is_none() && self.flags.open.load(Ordering::Relaxed) {
                match Endpoints::create(self.node, &self.shared) {
                    Ok(created) => {
                        endpoints = Some(created);
                        warn_of_unused(&self.shared);
                    }
                    Err(error) => {
                        let why = format!("the node's topics could not be opened: {error}");
                        return self.input_sender.send(Input::Broken(why));
                    }
                }
            }
            if let Some(endpoints) = &mut endpoints {
                let is_active = self.shared.lifecycle().state() == LifecycleState::Active;
                if let Err(error) = endpoints.listen(self.node, is_active) {
                    let why = format!("the camera's topics could not be opened: {error}");
                    return self.input_sender.send(Input::Broken(why));
                }
                endpoints.take(&self.shared, &self.input_sender);
            }
            if last_lookup.elapsed() >= Duration::from_secs(1) {
                last_lookup = Instant::now();
                let cameras = &self.shared.cameras;
                for camera in cameras {
                    let publishers = image_publishers(self.node, &camera.resolved.image);
                    camera.core().handle_image_publishers(publishers);
                }
                let images: Vec<&str> = cameras.iter().map(|c| c.resolved.image.as_str()).collect();
                let faults = self.shared.qos.faults(self.node, &images);
                self.shared.set_qos_faults(faults);
            }
        }
    }
}

/// Warns of QoS overrides that are about nothing that the node has.
fn warn_of_unused(shared: &Shared) {
    for name in shared.qos.unused() {
        tracing::warn!(
            "parameter override '{name}' is about none of this node's topics and policies: `ros2 param list` names them"
        );
    }
}

/// The QoS of the subscription to a camera's images, as `by_parameter` changes its default.
pub fn image_qos(
    params: &NodeParams,
    names: &CameraNames,
    by_parameter: impl FnOnce(&str, QosProfile) -> QosProfile,
) -> QosProfile {
    by_parameter(&names.topic(&params.image_topic()), sensor_qos(params))
}

/// The QoS that pictures are subscribed to with.
pub(super) fn sensor_qos(params: &NodeParams) -> QosProfile {
    match params.reliable {
        true => QosProfile::sensor_data().reliable(),
        false => QosProfile::sensor_data(),
    }
}

fn image_publishers(node: &Node, topic: &str) -> Vec<ImagePublisher> {
    let publishers = {
        let _call = MiddlewareCall::begin("asking who publishes images");
        node.get_publishers_info_by_topic(topic, false)
            .unwrap_or_default()
    };
    let describe = publishers.into_iter().map(|p| ImagePublisher {
        node: format!("{}/{}", p.node_namespace.trim_end_matches('/'), p.node_name),
        reliable: p.qos_profile.reliability == ReliabilityPolicy::Reliable,
        kind: p.topic_type,
    });
    describe.collect()
}

enum Images {
    Raw(R2rStream<Image>),
    Compressed(R2rStream<CompressedImage>),
}

/// The topics and services that the node listens to once the model is ready.
struct Endpoints {
    cameras: Vec<CameraEndpoints>,
    transforms: Option<TransformInputs>,
    /// Whether pictures and depth images are subscribed to.
    is_listening: bool,
}

/// Those of one camera.
struct CameraEndpoints {
    pictures: PictureInput,
    /// The serialized messages of each topic.
    instructions: Vec<(InstructionTopic, R2rStream<Vec<u8>>)>,
    goals: R2rStream<ServiceRequest<SendGoal>>,
    cancels: R2rStream<ServiceRequest<CancelGoal::Service>>,
    results: R2rStream<ServiceRequest<GetResult>>,
    follow_goals: R2rStream<ServiceRequest<follow_action::SendGoal>>,
    follow_cancels: R2rStream<ServiceRequest<CancelGoal::Service>>,
    follow_results: R2rStream<ServiceRequest<follow_action::GetResult>>,
    enable: R2rStream<ServiceRequest<SetBool::Service>>,
    reset: R2rStream<ServiceRequest<Trigger::Service>>,
    space: Option<SpaceInputs>,
}

/// The subscription to pictures, which is there only while the node is active: an inactive node would have every picture sent to it
/// and taken apart for nothing.
struct PictureInput {
    topic: String,
    qos: QosProfile,
    is_compressed: bool,
    images: Option<Images>,
}

impl PictureInput {
    /// Subscribes, or no longer. r2r ends a subscription whose stream is dropped when its next message comes.
    fn listen(&mut self, node: &mut Node, is_listening: bool) -> r2r::Result<()> {
        let (topic, qos) = (&self.topic, self.qos.clone());
        self.images = match (is_listening, self.is_compressed) {
            (false, _) => None,
            (true, true) => Some(Images::Compressed(r2r_stream(node.subscribe(topic, qos)?))),
            (true, false) => Some(Images::Raw(r2r_stream(node.subscribe(topic, qos)?))),
        };
        Ok(())
    }
}

impl Endpoints {
    fn create(node: &mut Node, shared: &Shared) -> r2r::Result<Self> {
        let _call = MiddlewareCall::begin("opening the node's topics and services");
        let by_parameter = |topic: &str, default| shared.qos.subscription(topic, default);
        let mut cameras = Vec::new();
        for camera in &shared.cameras {
            cameras.push(CameraEndpoints::create(node, shared, &camera.names)?);
        }
        Ok(Self {
            cameras,
            transforms: TransformInputs::create(node, &shared.params(), by_parameter)?,
            is_listening: false,
        })
    }

    /// Subscribes to pictures and depth images, or no longer. Everything else stays, so that who asks an inactive node is told why
    /// there is no answer, and transforms and calibrations are known when it is active again.
    fn listen(&mut self, node: &mut Node, is_listening: bool) -> r2r::Result<()> {
        if std::mem::replace(&mut self.is_listening, is_listening) == is_listening {
            return Ok(());
        }
        let _call = MiddlewareCall::begin("opening the camera's topics");
        for camera in &mut self.cameras {
            camera.pictures.listen(node, is_listening)?;
            if let Some(space) = &mut camera.space {
                space.listen(node, is_listening)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, shared: &Shared, input_sender: &InputSender) {
        // First what says where a depth image is, so that none waits for what is there.
        if let Some(transforms) = &mut self.transforms {
            transforms.take(shared);
        }
        for (place, camera) in self.cameras.iter_mut().enumerate() {
            camera.take(shared, place, |input| {
                input_sender.send(Input::Client(place, input));
            });
        }
    }
}

impl CameraEndpoints {
    fn create(node: &mut Node, shared: &Shared, names: &CameraNames) -> r2r::Result<Self> {
        let params = shared.params();
        let by_parameter = |topic: &str, default| shared.qos.subscription(topic, default);
        let pictures = PictureInput {
            topic: names.topic(&params.image_topic()),
            qos: image_qos(&params, names, by_parameter),
            is_compressed: params.compressed,
            images: None,
        };
        let space = SpaceInputs::create(node, &params, names, by_parameter)?;
        // Deeper than the publishers' queues, so that a burst of instructions waits here while a large image is taken.
        let instruction_qos = QosProfile::default().keep_last(100);
        Ok(Self {
            pictures,
            space,
            instructions: InstructionTopic::ALL
                .into_iter()
                .map(|topic| {
                    let (name, ros_type) = (names.topic(topic.name()), topic.ros_type());
                    let qos = by_parameter(&name, instruction_qos.clone());
                    let messages = node.subscribe_raw(&name, ros_type, qos)?;
                    Ok((topic, r2r_stream(messages)))
                })
                .collect::<r2r::Result<_>>()?,
            goals: serve(node, names, "segment/_action/send_goal")?,
            cancels: serve(node, names, "segment/_action/cancel_goal")?,
            results: serve(node, names, "segment/_action/get_result")?,
            follow_goals: serve(node, names, "follow/_action/send_goal")?,
            follow_cancels: serve(node, names, "follow/_action/cancel_goal")?,
            follow_results: serve(node, names, "follow/_action/get_result")?,
            enable: serve(node, names, services::ENABLE)?,
            reset: serve(node, names, services::RESET_CONVERSATION)?,
        })
    }

    fn take(&mut self, shared: &Shared, place: usize, send: impl Fn(ClientInput)) {
        let camera = &shared.cameras[place];
        if self.space.as_mut().is_some_and(|space| space.take(camera)) {
            shared.frame_arrived.notify_one();
        }
        let take_frame = |image: SourceImage| {
            camera.core().handle_frame(image, Instant::now());
            shared.frame_arrived.notify_one();
        };
        match &mut self.pictures.images {
            None => {}
            Some(Images::Raw(stream)) => drain(stream, |m| take_frame(m.into())),
            Some(Images::Compressed(stream)) => drain(stream, |m| take_frame(m.into())),
        }
        for (topic, messages) in &mut self.instructions {
            drain(messages, |bytes| {
                send(ClientInput::Instruction(topic.read(topic.name(), &bytes)))
            });
        }
        drain(&mut self.goals, |r| send(ClientInput::Goal(r)));
        drain(&mut self.cancels, |r| send(ClientInput::CancelGoal(r)));
        drain(&mut self.results, |r| send(ClientInput::GoalResult(r)));
        drain(&mut self.follow_goals, |r| send(ClientInput::FollowGoal(r)));
        drain(&mut self.follow_cancels, |r| {
            send(ClientInput::CancelFollow(r))
        });
        drain(&mut self.follow_results, |r| {
            send(ClientInput::FollowResult(r))
        });
        drain(&mut self.enable, |r| send(ClientInput::Enable(r)));
        drain(&mut self.reset, |r| send(ClientInput::Reset(r)));
    }
}

/// Offers a private service of a camera.
fn serve<T: WrappedServiceTypeSupport + 'static>(
    node: &mut Node,
    names: &CameraNames,
    name: &str,
) -> r2r::Result<R2rStream<ServiceRequest<T>>> {
    let requests = node.create_service(&names.private(name), QosProfile::services_default())?;
    Ok(r2r_stream(requests))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Long enough for any machine; only a thread that hangs takes it.
    const HANGS: Duration = Duration::from_secs(60);

    /// Whether the work returns.
    fn returns(work: impl FnOnce() + Send + 'static) -> bool {
        let (done, ended) = sync_channel(1);
        std::thread::spawn(move || {
            work();
            let _ = done.send(());
        });
        ended.recv_timeout(HANGS).is_ok()
    }

    /// A thread that has filled the channel and waits for a place in it, because nobody takes anything out.
    fn stuck() -> SpinThread {
        let (full, filled) = sync_channel(1);
        let spin_thread = SpinThread::run((), move |(), input_sender, flags| {
            while !flags.stop.load(Ordering::Relaxed) {
                if input_sender.inputs.capacity() == 0 {
                    let _ = full.try_send(());
                }
                input_sender.send(Input::Broken(String::new()));
            }
        });
        filled.recv_timeout(HANGS).unwrap();
        spin_thread.unwrap()
    }

    #[test]
    fn a_thread_that_waits_for_a_place_ends() {
        let spin_thread = stuck();
        assert!(returns(move || spin_thread.stop()));
    }

    #[test]
    fn what_was_taken_before_the_end_is_handed_out() {
        let mut spin_thread = stuck();
        assert!(returns(move || {
            // One more: the input that the thread waited with.
            assert_eq!(spin_thread.close().len(), INPUTS + 1);
            assert!(spin_thread.close().is_empty());
            spin_thread.stop();
        }));
    }

    #[test]
    fn the_node_outlives_what_is_still_handed_out() {
        struct Kept(mpsc::Sender<()>);
        impl Drop for Kept {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (gone, dropped) = mpsc::channel();
        let spun = SpinThread::run(Kept(gone), |_, input_sender, _| {
            input_sender.send(Input::Broken(String::new()));
        });
        let mut spin_thread = spun.unwrap();
        assert_eq!(spin_thread.close().len(), 1);
        assert!(dropped.try_recv().is_err(), "answers go out through it");
        assert!(returns(move || spin_thread.stop()));
        dropped.recv_timeout(HANGS).unwrap();
    }
}
