//! Printing, and what happens if it fails.
//!
//! A command's files, reports and pictures matter more than its lines. So if standard output takes no more, the lines that
//! follow are dropped and the work is finished. In the end a reader that has gone (`| head`) is no error, because it wanted no
//! more; a full disk or a closed standard output is one, with exit code 1.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

use anyhow::anyhow;

/// The first error of standard output, after which nothing more is written to it.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a line on standard output, at once.
pub fn print(text: impl Display) {
    print_part(format_args!("{text}\n"));
}

/// Prints a part of a line on standard output, at once.
pub fn print_part(text: impl Display) {
    if is_written() {
        let mut out = io::stdout().lock();
        keep_error(write!(out, "{text}").and_then(|()| out.flush()));
    }
}

/// Takes the outcome of writing to standard output, and remembers the first error.
pub fn keep_error(written: io::Result<()>) {
    let closed = || io::Error::new(ErrorKind::NotConnected, "it is closed");
    let lost = match CLOSED.load(Ordering::Relaxed) {
        true => Some(closed()),
        false => written.err(),
    };
    if let Some(error) = lost {
        // Only the first error is kept.
        let _ = LOST.set(error);
    }
}

/// Whether everything that was printed so far was written.
fn is_written() -> bool {
    LOST.get().is_none()
}

/// Checks in the end that everything that was printed was written, or that its reader has gone.
///
/// # Errors
/// Standard output is full or closed.
pub fn finish() -> anyhow::Result<()> {
    match LOST.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Ends the program if nothing that it prints is written any more. It is for commands whose only result is what they print.
pub fn end_unless_written() {
    if is_written() {
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

/// Prints a warning on standard error. If that is full or closed, the warning is lost and the work goes on.
pub fn warn(text: impl Display) {
    note(format_args!("lisa: {text}"));
}

/// [`print`] with a format.
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::cli::streams::print(format_args!($($arg)*))
    };
}

/// `eprintln!` that does not panic if standard error is closed, full, or a pipe whose reader has gone.
macro_rules! note {
    ($($arg:tt)*) => {
        $crate::cli::streams::note(format_args!($($arg)*))
    };
}

/// The function behind the macro of the same name.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether standard output was closed when the program started (`>&-`).
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks whether standard output is closed, before Rust's runtime does: that opens /dev/null in its place, so that no file
/// takes its number, and from then on printing seems to succeed. The system calls the functions of this section before the
/// runtime starts.
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
