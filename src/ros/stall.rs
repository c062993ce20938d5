//! Ends the node when a call into the middleware does not come back.
//!
//! Fast DDS keeps its queues in shared memory that other programs write to, too. If one of them is killed at a bad moment, a call
//! that publishes can wait for a lock that nobody will release (Fast DDS issues 5469 and 6485). Nothing can end such a call, and a
//! node that stays as it is would be silent for ever. So it ends with a word about it, and whoever started it starts it again, as
//! `lisa.launch.py` does.
//!
//! Lines of the log are not watched, although they go out on `/rosout`, too: a console that nobody reads holds them for as long as
//! it likes, and that is no reason to end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signal_hook::low_level;

/// How many looks in a row have to find the same call before the node ends, and the time between two of them. Looks are counted
/// rather than seconds, because a process that is stopped (SIGSTOP, a debugger) does not look, and is not stuck.
const LOOKS: u32 = 20;
const BETWEEN: Duration = Duration::from_secs(1);
/// How long the last word may take; what blocks the node may block its log, too.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The calls under way by their number, which grows, so the first one is the oldest.
static CALLS: Mutex<Calls> = Mutex::new(Calls {
    begun: 0,
    names: BTreeMap::new(),
});

struct Calls {
    begun: u64,
    names: BTreeMap<u64, &'static str>,
}

/// A call into the middleware, from [`begin`](Self::begin) until it is dropped.
pub struct MiddlewareCall(u64);

impl MiddlewareCall {
    /// Notes that a call begins; `name` says in the log what it does.
    pub fn begin(name: &'static str) -> Self {
        let mut calls = lock();
        calls.begun += 1;
        let number = calls.begun;
        calls.names.insert(number, name);
        Self(number)
    }
}

impl Drop for MiddlewareCall {
    fn drop(&mut self) {
        lock().names.remove(&self.0);
    }
}

fn lock() -> MutexGuard<'static, Calls> {
    // Between a lock and its release nothing can panic that would leave the map half changed.
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread that looks at the calls once a second, and ends the process with exit code 1 when one is stuck.
///
/// # Errors
/// The operating system refuses a thread.
pub fn watch() -> std::io::Result<()> {
    std::thread::Builder::new()
        .name("stall".to_owned())
        .spawn(|| {
            let mut watch = StallWatch::default();
            loop {
                std::thread::sleep(BETWEEN);
                let oldest = lock().names.first_key_value().map(|(n, name)| (*n, *name));
                if let Some(name) = watch.look(oldest) {
                    end(name);
                }
            }
        })?;
    Ok(())
}

/// Ends the process without running destructors, which would wait for the call that is stuck.
fn end(name: &'static str) {
    // On a thread of its own: the log goes through the middleware, too.
    std::thread::spawn(move || {
        tracing::error!(
            "{name} has not returned for {} s: the middleware is stuck, which can happen when another program on the graph is killed; \
             this node ends, so that it can be started again",
            (BETWEEN * LOOKS).as_secs()
        );
    });
    std::thread::sleep(LAST_WORD);
    low_level::exit(1);
}

/// Counts how often in a row the same call was the oldest.
#[derive(Default)]
struct StallWatch {
    oldest: Option<u64>,
    looks: u32,
}

impl StallWatch {
    /// Takes the oldest call's number and name. Returns its name if it is stuck.
    fn look(&mut self, oldest: Option<(u64, &'static str)>) -> Option<&'static str> {
        let number = oldest.map(|(number, _)| number);
        self.looks = if number == self.oldest {
            self.looks + 1
        } else {
            0
        };
        self.oldest = number;
        let (_, name) = oldest?;
        (self.looks >= LOOKS).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_stuck_when_every_look_finds_it() {
        let mut watch = StallWatch::default();
        for _ in 0..LOOKS {
            assert_eq!(watch.look(Some((7, "publishing"))), None);
        }
        assert_eq!(watch.look(Some((7, "publishing"))), Some("publishing"));
    }

    #[test]
    fn other_calls_and_none_are_not() {
        let mut watch = StallWatch::default();
        for number in 0..100 {
            assert_eq!(watch.look(Some((number, "publishing"))), None);
        }
        for _ in 0..100 {
            assert_eq!(watch.look(None), None);
        }
    }

    #[test]
    fn a_call_is_known_until_it_ends() {
        let call = MiddlewareCall::begin("a test");
        let number = call.0;
        assert_eq!(lock().names.get(&number), Some(&"a test"));
        drop(call);
        assert_eq!(lock().names.get(&number), None);
    }
}
