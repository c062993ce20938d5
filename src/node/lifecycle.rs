//! The states of a managed node and the transitions between them, as `rcl_lifecycle` has them: ids, labels, and where each leads.
//!
//! A transition takes time, for instance while the model is loaded. So there is a beginning and an end to it, with a state of its
//! own between them, and whoever drives the node does the work in between. Source: the default state machine of `rcl_lifecycle`
//! and the constants of `lifecycle_msgs`.

/// A state by its id in `lifecycle_msgs/State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LifecycleState {
    /// Nothing is loaded.
    Unconfigured = 1,
    /// The model is loaded, and nothing is taken or published.
    Inactive = 2,
    /// The node answers.
    Active = 3,
    /// The node has been shut down for good; its process stays, so that a supervisor can see that it is.
    Finalized = 4,
    /// The model is being loaded.
    Configuring = 10,
    /// The model's memory is being given back.
    CleaningUp = 11,
    /// The node ends what it does for the last time.
    ShuttingDown = 12,
    /// The node begins to listen.
    Activating = 13,
    /// The node ends its open questions.
    Deactivating = 14,
    /// A transition went wrong.
    ErrorProcessing = 15,
}

use LifecycleState::{
    Activating, Active, CleaningUp, Configuring, Deactivating, ErrorProcessing, Finalized,
    Inactive, ShuttingDown, Unconfigured,
};

impl LifecycleState {
    /// All states that a node can be in.
    pub const ALL: [Self; 10] = [
        Unconfigured,
        Inactive,
        Active,
        Finalized,
        Configuring,
        CleaningUp,
        ShuttingDown,
        Activating,
        Deactivating,
        ErrorProcessing,
    ];

    /// Its id in `lifecycle_msgs/State`.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Its label, as `ros2 lifecycle get` shows it.
    pub fn label(self) -> &'static str {
        match self {
            Unconfigured => "unconfigured",
            Inactive => "inactive",
            Active => "active",
            Finalized => "finalized",
            Configuring => "configuring",
            CleaningUp => "cleaningup",
            ShuttingDown => "shuttingdown",
            Activating => "activating",
            Deactivating => "deactivating",
            ErrorProcessing => "errorprocessing",
        }
    }
}

/// A way from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Its id in `lifecycle_msgs/Transition`.
    pub id: u8,
    /// Its label, by which `ros2 lifecycle set` asks for it.
    pub label: &'static str,
    /// Where it begins.
    pub start: LifecycleState,
    /// Where it leads.
    pub goal: LifecycleState,
}

const fn transition(
    id: u8,
    label: &'static str,
    start: LifecycleState,
    goal: LifecycleState,
) -> Transition {
    Transition {
        id,
        label,
        start,
        goal,
    }
}

const SUCCESS: &str = "transition_success";
const FAILURE: &str = "transition_failure";
const ERROR: &str = "transition_error";

/// All transitions: those that can be asked for, and those that end them.
pub const TRANSITIONS: [Transition; 25] = [
    transition(1, "configure", Unconfigured, Configuring),
    transition(10, SUCCESS, Configuring, Inactive),
    transition(11, FAILURE, Configuring, Unconfigured),
    transition(12, ERROR, Configuring, ErrorProcessing),
    transition(2, "cleanup", Inactive, CleaningUp),
    transition(20, SUCCESS, CleaningUp, Unconfigured),
    transition(21, FAILURE, CleaningUp, Inactive),
    transition(22, ERROR, CleaningUp, ErrorProcessing),
    transition(3, "activate", Inactive, Activating),
    transition(30, SUCCESS, Activating, Active),
    transition(31, FAILURE, Activating, Inactive),
    transition(32, ERROR, Activating, ErrorProcessing),
    transition(4, "deactivate", Active, Deactivating),
    transition(40, SUCCESS, Deactivating, Inactive),
    transition(41, FAILURE, Deactivating, Active),
    transition(42, ERROR, Deactivating, ErrorProcessing),
    transition(5, "shutdown", Unconfigured, ShuttingDown),
    transition(6, "shutdown", Inactive, ShuttingDown),
    transition(7, "shutdown", Active, ShuttingDown),
    transition(50, SUCCESS, ShuttingDown, Finalized),
    transition(51, FAILURE, ShuttingDown, Finalized),
    transition(52, ERROR, ShuttingDown, ErrorProcessing),
    transition(60, SUCCESS, ErrorProcessing, Unconfigured),
    transition(61, FAILURE, ErrorProcessing, Finalized),
    transition(62, ERROR, ErrorProcessing, Finalized),
];

/// How the work of a transition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It could not be done, and the node is as before.
    Failure,
    /// It went wrong halfway.
    Error,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Outcome::Success => SUCCESS,
            Outcome::Failure => FAILURE,
            Outcome::Error => ERROR,
        }
    }
}

/// The state of a managed node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    state: LifecycleState,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            state: Unconfigured,
        }
    }
}

impl Lifecycle {
    /// The present state.
    pub fn state(self) -> LifecycleState {
        self.state
    }

    /// The transitions that begin in the present state.
    pub fn available(self) -> impl Iterator<Item = Transition> {
        TRANSITIONS
            .into_iter()
            .filter(move |transition| transition.start == self.state)
    }

    /// Those of them that others may ask for; the rest end a transition.
    pub fn askable(self) -> impl Iterator<Item = Transition> {
        self.available().filter(|transition| transition.id < 10)
    }

    /// Begins a transition. A label that is not empty is what counts; otherwise the id does, as in `rclcpp`.
    ///
    /// `None`, and nothing changes, if no such transition begins in the present state, or one is already under way.
    #[must_use]
    pub fn begin(&mut self, id: u8, label: &str) -> Option<Transition> {
        let found = self.askable().find(|t| match label.is_empty() {
            true => t.id == id,
            false => t.label == label,
        })?;
        self.state = found.goal;
        Some(found)
    }

    /// Ends the transition that is under way; `None`, and nothing changes, if there is none. After [`Outcome::Error`] the state
    /// is [`ErrorProcessing`], which is ended in the same way.
    #[must_use]
    pub fn end(&mut self, outcome: Outcome) -> Option<Transition> {
        let ending = self
            .available()
            .find(|t| t.id >= 10 && t.label == outcome.label())?;
        self.state = ending.goal;
        Some(ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(life: &mut Lifecycle, label: &str, outcome: Outcome) -> LifecycleState {
        let begun = life.begin(0, label).unwrap();
        assert_eq!(life.state(), begun.goal);
        let ended = life.end(outcome).unwrap();
        assert_eq!((ended.start, ended.goal), (begun.goal, life.state()));
        life.state()
    }

    #[test]
    fn a_supervisor_brings_it_up_and_down() {
        let mut life = Lifecycle::default();
        assert_eq!(life.state(), Unconfigured);
        assert_eq!(go(&mut life, "configure", Outcome::Success), Inactive);
        assert_eq!(go(&mut life, "activate", Outcome::Success), Active);
        assert_eq!(go(&mut life, "deactivate", Outcome::Success), Inactive);
        assert_eq!(go(&mut life, "cleanup", Outcome::Success), Unconfigured);
        assert_eq!(go(&mut life, "shutdown", Outcome::Success), Finalized);
        assert_eq!(life.available().count(), 0);
    }

    #[test]
    fn what_fails_leaves_it_as_it_was_and_what_goes_wrong_begins_anew() {
        let mut life = Lifecycle::default();
        assert_eq!(go(&mut life, "configure", Outcome::Failure), Unconfigured);
        assert_eq!(go(&mut life, "configure", Outcome::Error), ErrorProcessing);
        let ended = life.end(Outcome::Success).unwrap();
        assert_eq!((ended.id, life.state()), (60, Unconfigured));
    }

    #[test]
    fn a_label_counts_before_an_id_and_other_states_transitions_are_refused() {
        let mut life = Lifecycle::default();
        let unchanged = life;
        for (id, label) in [
            (3, ""),
            (1, "activate"),
            (10, ""),
            (0, "transition_success"),
            (99, ""),
        ] {
            assert_eq!(life.begin(id, label), None, "{id} {label}");
        }
        assert_eq!(life.end(Outcome::Success), None, "none is under way");
        assert_eq!(life, unchanged);
        assert_eq!(life.begin(99, "configure").map(|t| t.id), Some(1));
        assert_eq!(life.begin(1, ""), None, "one is under way");
        // The three shutdowns have one label and three ids.
        assert!(life.end(Outcome::Success).is_some());
        assert_eq!(life.begin(0, "shutdown").map(|t| t.id), Some(6));
    }

    #[test]
    fn every_way_leads_from_a_state_to_a_state_and_ids_are_unique() {
        for (i, one) in TRANSITIONS.iter().enumerate() {
            assert!(TRANSITIONS[i + 1..].iter().all(|other| other.id != one.id));
            let passing = one.start.id() >= 10;
            assert_eq!(one.id >= 10, passing, "{one:?}");
        }
        for state in LifecycleState::ALL {
            let arrived = TRANSITIONS.iter().any(|t| t.goal == state);
            assert!(arrived, "{state:?}");
        }
    }
}
