//! `lisa`: the command line.
//!
//! Exit codes: 0 if the command succeeded, 1 if it failed (a line on standard error says why and what to do), 2 if its
//! arguments are wrong.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
