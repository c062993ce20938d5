//! [`Stop`]: ends a download from another thread. [`Pause`]: how the time between two tries passes.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How a client waits. Tests do not wait at all, and count.
pub trait Pause: Send + Sync + fmt::Debug {
    /// Lets the time pass, or returns earlier when `stop` was asked for.
    fn pause(&self, time: Duration, stop: &Stop);
}

/// Waits by the clock.
#[derive(Debug)]
pub(crate) struct Clock;

impl Pause for Clock {
    fn pause(&self, time: Duration, stop: &Stop) {
        let end = Instant::now() + time;
        let mut state = stop.state();
        while !state.asked {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = match stop.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// Ends what a [`Hub`](crate::Hub) is doing, from any thread.
#[derive(Default)]
pub struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: bool,
    /// Those whose connections are to be closed, so that a thread that waits for a server wakes up.
    agents: Vec<ureq::Agent>,
}

impl Stop {
    /// Ends it: connections are closed, pauses are over, and the call under way returns
    /// [`HubError::Interrupted`](crate::HubError::Interrupted).
    pub fn ask(&self) {
        let mut state = self.state();
        state.asked = true;
        for agent in state.agents.drain(..) {
            agent.shutdown();
        }
        self.changed.notify_all();
    }

    /// Whether [`Stop::ask`] was called.
    pub fn is_asked(&self) -> bool {
        self.state().asked
    }

    /// Closes the connections of `agent`, too.
    pub(crate) fn closes(&self, agent: &ureq::Agent) {
        let mut state = self.state();
        match state.asked {
            true => agent.clone().shutdown(),
            false => state.agents.push(agent.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop")
            .field("asked", &self.is_asked())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_when_it_is_stopped() {
        let stop = Stop::default();
        std::thread::scope(|scope| {
            // Without the stop the test would take a year.
            scope.spawn(|| Clock.pause(Duration::from_secs(31_000_000), &stop));
            stop.ask();
        });
        assert!(stop.is_asked());
    }
}
