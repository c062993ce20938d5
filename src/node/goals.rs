//! The life of action goals as `rcl_action` defines it, without the messages: which goals a cancel request means, which client
//! gets which result, and when a finished goal is forgotten.
//!
//! The node keeps its goals itself, because those of r2r's action server never expire: once a result timeout has passed, every
//! spin of r2r returns at once, without end. Here a finished goal is forgotten [`RESULT_KEPT`] after its end.

use std::time::{Duration, Instant};

use super::ids::{GoalId, QuestionId};
use super::instruction::InstructionText;
use crate::frames::Stamp;

/// How long a result can be asked for after the goal's end: the default of `rcl_action` on Jazzy.
pub const RESULT_KEPT: Duration = Duration::from_secs(10);

/// How many finished goals are kept at most. Of more, the oldest are forgotten before their time.
const MAX_FINISHED: usize = 1024;

/// A goal as a client sends it.
#[derive(Clone, Debug)]
pub struct GoalOffer<F> {
    /// The id that the client gave it.
    pub id: GoalId,
    /// What is asked.
    pub instruction: InstructionText,
    /// The conversation that it continues; empty asks outside of any.
    pub conversation_id: String,
    /// An image of the client's own, to be asked about instead of the camera's newest.
    pub frame: Option<F>,
    /// A bound on the answer's length in tokens; `None` leaves that to the node's parameter.
    pub max_new_tokens: Option<usize>,
}

/// The state of a goal; the numbers are those of `action_msgs/GoalStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum GoalState {
    /// Accepted, and waiting for its frame or its answer.
    Executing = 2,
    /// A client has asked to cancel it, and its question has not ended yet.
    Canceling = 3,
    /// It ended with an answer.
    Succeeded = 4,
    /// It ended because a client cancelled it.
    Canceled = 5,
    /// It ended without an answer for any other reason.
    Aborted = 6,
}

impl GoalState {
    /// Whether the goal has ended.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            GoalState::Succeeded | GoalState::Canceled | GoalState::Aborted
        )
    }
}

/// The answer to a cancel request, in the terms of `action_msgs/CancelGoal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelReply {
    /// These goals are being cancelled, with the times at which they were accepted; there may be none.
    Canceling(Vec<(GoalId, Stamp)>),
    /// There is no goal of the id that was named.
    UnknownGoal,
    /// The goal that was named has ended already.
    Terminated,
}

struct Goal<R, W> {
    id: GoalId,
    question: QuestionId,
    accepted: Stamp,
    state: GoalState,
    result: Option<R>,
    waiters: Vec<W>,
    ended: Option<Instant>,
}

/// The goals that have not ended, and those that ended a short while ago. `R` is a result, and `W` a client's request for one.
pub struct Goals<R, W> {
    goals: Vec<Goal<R, W>>,
}

impl<R, W> Default for Goals<R, W> {
    fn default() -> Self {
        Self { goals: Vec::new() }
    }
}

impl<R: Clone, W> Goals<R, W> {
    /// Accepts a goal, unless there is one of its id already; returns whether it did.
    pub fn accept(&mut self, id: GoalId, question: QuestionId, accepted: Stamp) -> bool {
        if self.find(id).is_some() {
            return false;
        }
        self.goals.push(Goal {
            id,
            question,
            accepted,
            state: GoalState::Executing,
            result: None,
            waiters: Vec::new(),
            ended: None,
        });
        true
    }

    /// Marks the goals that a cancel request means, and returns its answer and the questions that are to be cancelled.
    ///
    /// `action_msgs/CancelGoal` says what a request means: a zero id and a zero stamp mean all goals, a stamp all goals that were
    /// accepted no later, an id that goal, and an id with a stamp the union of the two.
    pub fn cancel(&mut self, id: GoalId, until: Stamp) -> (CancelReply, Vec<QuestionId>) {
        if id != GoalId::ALL && until == Stamp::default() {
            match self.find(id).map(|g| g.state) {
                None => return (CancelReply::UnknownGoal, Vec::new()),
                Some(state) if state.is_terminal() => return (CancelReply::Terminated, Vec::new()),
                Some(_) => {}
            }
        }
        let all = id == GoalId::ALL && until == Stamp::default();
        let asked = |g: &Goal<R, W>| {
            all || g.id == id || (until != Stamp::default() && g.accepted <= until)
        };
        let mut cancelled = Vec::new();
        let mut questions = Vec::new();
        for goal in self.goals.iter_mut().filter(|g| !g.state.is_terminal()) {
            if asked(goal) {
                goal.state = GoalState::Canceling;
                cancelled.push((goal.id, goal.accepted));
                questions.push(goal.question);
            }
        }
        (CancelReply::Canceling(cancelled), questions)
    }

    /// The state of a goal that is not forgotten.
    pub fn state(&self, id: GoalId) -> Option<GoalState> {
        self.goals.iter().find(|g| g.id == id).map(|g| g.state)
    }

    /// Ends a goal, unless it has ended already. Returns the requests that waited for its result.
    pub fn finish(&mut self, id: GoalId, state: GoalState, result: R, now: Instant) -> Vec<W> {
        let Some(goal) = self.find(id).filter(|g| !g.state.is_terminal()) else {
            return Vec::new();
        };
        goal.state = state;
        goal.result = Some(result);
        goal.ended = Some(now);
        std::mem::take(&mut goal.waiters)
    }

    /// The result if there is one. Otherwise `waiter` is kept until the goal ends, or returned if there is no such goal.
    pub fn result_or_wait(&mut self, id: GoalId, waiter: W) -> ResultReply<R, W> {
        match self.find(id) {
            None => ResultReply::Unknown(waiter),
            Some(Goal {
                state,
                result: Some(result),
                ..
            }) => ResultReply::Ready(waiter, *state, result.clone()),
            Some(goal) => {
                goal.waiters.push(waiter);
                ResultReply::Waiting
            }
        }
    }

    /// Forgets goals whose results have been kept long enough.
    pub fn expire(&mut self, now: Instant) {
        self.goals.retain(|g| {
            g.ended
                .is_none_or(|t| now.saturating_duration_since(t) < RESULT_KEPT)
        });
        let mut excess = self
            .goals
            .iter()
            .filter(|g| g.ended.is_some())
            .count()
            .saturating_sub(MAX_FINISHED);
        self.goals.retain(|g| {
            let drop = g.ended.is_some() && excess > 0;
            excess -= usize::from(drop);
            !drop
        });
    }

    /// When the next goal is to be forgotten.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.goals
            .iter()
            .filter_map(|g| g.ended)
            .min()
            .map(|t| t + RESULT_KEPT)
    }

    /// All goals that are not forgotten, for the status topic.
    pub fn states(&self) -> impl Iterator<Item = (GoalId, Stamp, GoalState)> + '_ {
        self.goals.iter().map(|g| (g.id, g.accepted, g.state))
    }

    pub fn len(&self) -> usize {
        self.goals.len()
    }

    fn find(&mut self, id: GoalId) -> Option<&mut Goal<R, W>> {
        self.goals.iter_mut().find(|g| g.id == id)
    }
}

/// The answer to a request for a result.
#[derive(Debug, PartialEq, Eq)]
pub enum ResultReply<R, W> {
    Ready(W, GoalState, R),
    Waiting,
    Unknown(W),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> GoalId {
        GoalId([n; 16])
    }

    fn three() -> Goals<&'static str, u32> {
        let mut goals = Goals::default();
        (1..=3).for_each(|n| {
            assert!(goals.accept(id(n), QuestionId(u64::from(n)), Stamp(i64::from(n) * 100)))
        });
        goals
    }

    #[test]
    fn a_result_reaches_those_who_waited_and_those_who_ask_later_until_it_expires() {
        let (mut goals, t) = (three(), Instant::now());
        assert!(
            !goals.accept(id(1), QuestionId(9), Stamp(1)),
            "an id is used once"
        );
        assert_eq!(goals.result_or_wait(id(1), 7), ResultReply::Waiting);
        assert_eq!(goals.finish(id(1), GoalState::Succeeded, "cup", t), [7]);
        assert!(
            goals
                .finish(id(1), GoalState::Aborted, "late", t)
                .is_empty(),
            "an end is final"
        );
        assert_eq!(
            goals.result_or_wait(id(1), 8),
            ResultReply::Ready(8, GoalState::Succeeded, "cup")
        );
        goals.expire(t + RESULT_KEPT);
        assert_eq!(goals.result_or_wait(id(1), 9), ResultReply::Unknown(9));
        assert_eq!(goals.len(), 2);
    }

    #[test]
    fn cancel_follows_the_four_forms_of_the_request() {
        let cancelled = |reply: CancelReply| match reply {
            CancelReply::Canceling(goals) => {
                goals.into_iter().map(|(g, _)| g.0[0]).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            cancelled(three().cancel(GoalId::ALL, Stamp(0)).0),
            [1, 2, 3]
        );
        assert_eq!(cancelled(three().cancel(id(2), Stamp(0)).0), [2]);
        assert_eq!(cancelled(three().cancel(GoalId::ALL, Stamp(200)).0), [1, 2]);
        assert_eq!(cancelled(three().cancel(id(3), Stamp(100)).0), [1, 3]);
        let mut goals = three();
        assert_eq!(goals.cancel(id(9), Stamp(0)).0, CancelReply::UnknownGoal);
        goals.finish(id(1), GoalState::Succeeded, "", Instant::now());
        assert_eq!(goals.cancel(id(1), Stamp(0)).0, CancelReply::Terminated);
        assert_eq!(
            goals.cancel(GoalId::ALL, Stamp(0)).1,
            [QuestionId(2), QuestionId(3)]
        );
        assert_eq!(goals.state(id(2)), Some(GoalState::Canceling));
    }

    #[test]
    fn the_book_stays_bounded() {
        let (mut goals, t) = (Goals::<(), ()>::default(), Instant::now());
        for n in 0..3000u32 {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            goals.accept(GoalId(bytes), QuestionId(u64::from(n)), Stamp(1));
            goals.finish(GoalId(bytes), GoalState::Aborted, (), t);
            goals.expire(t);
        }
        assert_eq!(goals.len(), MAX_FINISHED);
        goals.expire(t + RESULT_KEPT);
        assert_eq!(goals.len(), 0);
    }
}
