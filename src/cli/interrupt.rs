//! Signals that ask a command to end, for commands that have something to put in order first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Becomes true when a signal asks the command to end. A second one ends it on the spot.
pub struct Interrupt {
    pub asked: Arc<AtomicBool>,
    by: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP. One that was ignored when the command started, as `nohup` does with SIGHUP,
    /// stays ignored.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self {
            asked: Arc::default(),
            by: Arc::default(),
        };
        let ignored = ignored();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            let status = 128 + signal;
            // In this order: the first signal finds the flag down, the second finds it up.
            flag::register_conditional_shutdown(signal, status, Arc::clone(&interrupt.asked))?;
            flag::register_usize(signal, Arc::clone(&interrupt.by), status as usize)?;
            flag::register(signal, Arc::clone(&interrupt.asked))?;
        }
        Ok(interrupt)
    }

    /// The exit code that a shell gives a command which the signal ended: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
    pub fn exit_code(&self) -> i32 {
        self.by.load(Ordering::Relaxed) as i32
    }
}

/// The signals that are ignored, a bit each, from the lowest for signal 1; none where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
