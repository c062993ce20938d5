//! What a command says, and whether it arrived.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;

/// Prints on standard output, at once.
///
/// # Errors
/// What the system says where it is full or closed. A reader that has gone (`| head`) ends the program quietly.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    arrived(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Whether what was written to standard output arrived.
///
/// # Errors
/// As [`print`].
pub fn arrived(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("cannot write to standard output"),
    }
}

/// Says something on standard error. Where that is full or closed there is nobody to tell, and the work goes on.
pub fn warn(text: impl Display) {
    note(format_args!("lisa: {text}"));
}

/// [`print`] for commands that have nothing to put in order: output that cannot be written ends them with an error.
macro_rules! say {
    ($($arg:tt)*) => {
        if let Err(error) = $crate::cli::streams::print(format_args!($($arg)*)) {
            $crate::cli::streams::fail(&error);
        }
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

/// Says why, and ends the program.
pub fn fail(error: &anyhow::Error) -> ! {
    warn(super::one_line(error));
    std::process::exit(1);
}
