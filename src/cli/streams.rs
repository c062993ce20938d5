//! What a command says, and whether it arrived.
//!
//! Lines are beside the work: where standard output takes no more of them, those that follow are dropped and the work is
//! finished, with its files, reports and pictures. At its end a reader that has gone (`| head`) is no fault, since it wanted
//! no more; a full disk or a closed standard output is one, and gives the exit code 1.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

use anyhow::anyhow;

/// Why standard output takes no more.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a line on standard output, at once.
pub fn print(text: impl Display) {
    part(format_args!("{text}\n"));
}

/// Prints a part of a line on standard output, at once.
pub fn part(text: impl Display) {
    if is_heard() {
        let mut out = io::stdout().lock();
        arrived(write!(out, "{text}").and_then(|()| out.flush()));
    }
}

/// Remembers what kept something from being written to standard output.
pub fn arrived(written: io::Result<()>) {
    let closed = || io::Error::new(ErrorKind::NotConnected, "it is closed");
    let lost = match CLOSED.load(Ordering::Relaxed) {
        true => Some(closed()),
        false => written.err(),
    };
    if let Some(error) = lost {
        // The first reason is the one that counts.
        let _ = LOST.set(error);
    }
}

/// Whether all that was printed so far has arrived.
fn is_heard() -> bool {
    LOST.get().is_none()
}

/// Whether all that was printed has arrived, or nobody wanted the rest.
///
/// # Errors
/// What the system says where standard output is full or closed.
pub fn finish() -> anyhow::Result<()> {
    match LOST.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Ends the program where nothing that it prints arrives any more. For a command that makes nothing but lines: going on would
/// be work for nobody.
pub fn end_unless_heard() {
    if is_heard() {
        return;
    }
    let code = match finish() {
        Ok(()) => 0,
        Err(error) => {
            warn(error);
            1
        }
    };
    std::process::exit(code);
}

/// Says something on standard error. Where that is full or closed there is nobody to tell, and the work goes on.
pub fn warn(text: impl Display) {
    note(format_args!("lisa: {text}"));
}

/// [`print`] with a format.
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::cli::streams::print(format_args!($($arg)*))
    };
}

/// `eprintln!` that goes on where standard error is closed, full, or a pipe whose reader has gone: what is said beside
/// the work may get lost, the work may not.
macro_rules! note {
    ($($arg:tt)*) => {
        $crate::cli::streams::note(format_args!($($arg)*))
    };
}

/// What the macro of the same name says.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether standard output was closed when the program started (`>&-`).
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Rust's runtime opens /dev/null in the place of a closed standard output before `main`, so that no file takes its number,
/// and from then on what is printed seems to arrive. The system calls what stands in this section before that.
// SAFETY: the section holds pointers to functions that the system calls once, on the first thread, with the C convention, which
// is what this static is. The function needs nothing of the runtime: it asks for the flags of a file descriptor.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
#[used]
#[link_section = ".init_array"]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        let closed = rustix::io::fcntl_getfd(io::stdout()) == Err(rustix::io::Errno::BADF);
        CLOSED.store(closed, Ordering::Relaxed);
    }
    look
};
