//! The interface of a managed node: the five services and the topic that `rcl_lifecycle` gives a node of rclcpp, with the same
//! names, types, QoS and answers, so that `ros2 lifecycle` and the lifecycle managers of other packages work.
//!
//! Questions about states are answered at once, on the thread that spins the node. A call of `~/change_state` goes to the main
//! thread, which does the work and answers when it is done ([`managed`](super::managed)).

use r2r::lifecycle_msgs::msg::{
    State, Transition as TransitionMessage, TransitionDescription, TransitionEvent,
};
use r2r::lifecycle_msgs::srv::{
    ChangeState, GetAvailableStates, GetAvailableTransitions, GetState,
};
use r2r::{Node, Publisher, QosProfile, ServiceRequest};

use super::clock::RosClock;
use super::qos::QosOverrides;
use super::r2r_ext::{drain, r2r_stream, reply, send, R2rStream};
use super::shared::Shared;
use super::spin::Input;
use crate::node::{LifecycleState, Transition, TRANSITIONS};

/// The node's side of the services.
pub struct LifecycleServices {
    state: R2rStream<ServiceRequest<GetState::Service>>,
    states: R2rStream<ServiceRequest<GetAvailableStates::Service>>,
    transitions: R2rStream<ServiceRequest<GetAvailableTransitions::Service>>,
    graph: R2rStream<ServiceRequest<GetAvailableTransitions::Service>>,
    change: R2rStream<ServiceRequest<ChangeState::Service>>,
}

impl LifecycleServices {
    /// Opens the services.
    ///
    /// # Errors
    /// The middleware refuses a service.
    pub fn create(node: &mut Node) -> r2r::Result<Self> {
        let qos = QosProfile::services_default();
        Ok(Self {
            state: r2r_stream(node.create_service("~/get_state", qos.clone())?),
            states: r2r_stream(node.create_service("~/get_available_states", qos.clone())?),
            transitions: r2r_stream(
                node.create_service("~/get_available_transitions", qos.clone())?,
            ),
            graph: r2r_stream(node.create_service("~/get_transition_graph", qos.clone())?),
            change: r2r_stream(node.create_service("~/change_state", qos)?),
        })
    }

    /// Answers all questions that have arrived, and hands the requests for a change to `hand_over`.
    pub fn serve(&mut self, shared: &Shared, hand_over: impl Fn(Input)) {
        drain(&mut self.state, |request| {
            let current_state = state_message(shared.lifecycle().state());
            reply(request, GetState::Response { current_state });
        });
        drain(&mut self.states, |request| {
            let available_states = available_states();
            reply(request, GetAvailableStates::Response { available_states });
        });
        drain(&mut self.transitions, |request| {
            let available_transitions = shared.lifecycle().available().map(describe).collect();
            let response = GetAvailableTransitions::Response {
                available_transitions,
            };
            reply(request, response);
        });
        drain(&mut self.graph, |request| {
            let response = GetAvailableTransitions::Response {
                available_transitions: TRANSITIONS.into_iter().map(describe).collect(),
            };
            reply(request, response);
        });
        drain(&mut self.change, |request| {
            hand_over(Input::ChangeState(request));
        });
    }
}

/// Answers a client that asked for a change of state.
pub fn answer_change(request: ServiceRequest<ChangeState::Service>, success: bool) {
    reply(request, ChangeState::Response { success });
}

/// The publisher of `~/transition_event`.
pub struct TransitionEvents(Publisher<TransitionEvent>);

impl TransitionEvents {
    /// Creates the publisher.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create(node: &mut Node, overrides: &QosOverrides) -> r2r::Result<Self> {
        let qos = QosProfile::default();
        let publisher = overrides.create_publisher(node, "~/transition_event", qos)?;
        Ok(Self(publisher))
    }

    /// Publishes that a transition has begun or ended.
    pub fn publish(&self, transition: Transition, clock: &RosClock) {
        let description = describe(transition);
        let event = TransitionEvent {
            timestamp: u64::try_from(clock.stamp().0).unwrap_or_default(),
            transition: description.transition,
            start_state: description.start_state,
            goal_state: description.goal_state,
        };
        send(&self.0, &event);
    }
}

fn state_message(state: LifecycleState) -> State {
    State {
        id: state.id(),
        label: state.label().to_owned(),
    }
}

/// All states. `rcl_lifecycle` lists one before them that no node is ever in.
fn available_states() -> Vec<State> {
    let unknown = State {
        id: 0,
        label: "unknown".to_owned(),
    };
    let states = LifecycleState::ALL.into_iter().map(state_message);
    std::iter::once(unknown).chain(states).collect()
}

fn describe(transition: Transition) -> TransitionDescription {
    TransitionDescription {
        transition: TransitionMessage {
            id: transition.id,
            label: transition.label.to_owned(),
        },
        start_state: state_message(transition.start),
        goal_state: state_message(transition.goal),
    }
}
