//! Signals that ask a program to end, for programs that have work to finish or clean up first.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Calls `handle` with the number of every signal that asks to end: SIGINT, SIGTERM and SIGHUP, on a thread of its own.
/// None of them ends the process any more.
///
/// A signal that was ignored when the process started, as `nohup` ignores SIGHUP, stays ignored.
///
/// # Errors
/// The operating system refuses a handler or a thread.
pub fn on_each(handle: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    listen(&ending_signals(), handle)
}

/// As [`on_each`], but SIGINT is never ignored. It is for programs that a script starts with `&` and ends with `kill -INT`: a
/// shell makes such programs ignore SIGINT.
///
/// # Errors
/// As [`on_each`].
pub fn on_each_and_interrupts(handle: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    let mut signals = ending_signals();
    if !signals.contains(&SIGINT) {
        signals.push(SIGINT);
    }
    listen(&signals, handle)
}

/// The exit code that a shell gives a command which the signal ended: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
pub fn exit_code(signal: i32) -> i32 {
    128 + signal
}

/// Whether a signal has asked the command to end. A second signal ends it at once.
pub struct Interrupt {
    /// Becomes true when the first signal comes.
    pub asked: Arc<AtomicBool>,
    by: Arc<AtomicUsize>,
    /// The signals that are listened to.
    signals: Vec<i32>,
}

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP. A signal that was ignored when the command started, as `nohup` ignores SIGHUP,
    /// stays ignored.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let interrupt = Self {
            asked: Arc::default(),
            by: Arc::default(),
            signals: ending_signals(),
        };
        for &signal in &interrupt.signals {
            let status = exit_code(signal);
            // Handlers run in the order of their registration: the first signal finds the flag false, so that only the second one
            // ends the process.
            flag::register_conditional_shutdown(signal, status, Arc::clone(&interrupt.asked))?;
            flag::register_usize(signal, Arc::clone(&interrupt.by), status as usize)?;
            flag::register(signal, Arc::clone(&interrupt.asked))?;
        }
        Ok(interrupt)
    }

    /// Calls `say` when the first signal comes, for commands that take a while to end and tell the person so.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn announce(&self, say: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut say = Some(say);
        listen(&self.signals, move |_| {
            if let Some(say) = say.take() {
                say();
            }
        })
    }

    /// The [`exit_code`] of the signal that came.
    pub fn exit_code(&self) -> i32 {
        self.by.load(Ordering::Relaxed) as i32
    }
}

fn listen(signals: &[i32], mut handle: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new(signals)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signals.forever().for_each(&mut handle))?;
    Ok(())
}

/// The signals that ask to end and were not ignored when the process started.
fn ending_signals() -> Vec<i32> {
    let ignored = ignored();
    [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0)
        .collect()
}

/// The signals that the process ignores, one bit for each, the lowest for signal 1; 0 if the system does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
