//! Signals that ask a command to end, for commands that have something to put in order first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Becomes true when a signal asks the command to end. A second one ends it on the spot.
pub struct Interrupt {
    pub asked: Arc<AtomicBool>,
    by: Arc<AtomicUsize>,
    /// Those that are listened to.
    signals: Vec<i32>,
}

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP. One that was ignored when the command started, as `nohup` does with SIGHUP,
    /// stays ignored.
    pub fn listen() -> anyhow::Result<Self> {
        let ignored = ignored();
        let heard = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
        let interrupt = Self {
            asked: Arc::default(),
            by: Arc::default(),
            signals: [SIGINT, SIGTERM, SIGHUP]
                .into_iter()
                .filter(heard)
                .collect(),
        };
        for &signal in &interrupt.signals {
            let status = 128 + signal;
            // In this order: the first signal finds the flag down, the second finds it up.
            flag::register_conditional_shutdown(signal, status, Arc::clone(&interrupt.asked))?;
            flag::register_usize(signal, Arc::clone(&interrupt.by), status as usize)?;
            flag::register(signal, Arc::clone(&interrupt.asked))?;
        }
        Ok(interrupt)
    }

    /// Says `words` on standard error when the first signal comes, for commands that take a while to end.
    pub fn announce(&self, words: &'static str) -> anyhow::Result<()> {
        let mut signals = Signals::new(&self.signals)?;
        std::thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                if signals.forever().next().is_some() {
                    note!("{words}");
                }
            })?;
        Ok(())
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
