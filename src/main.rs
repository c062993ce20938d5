//! `lisa`: the command line.
//!
//! Exit codes: 0 done, 1 it failed (one line on standard error says why and what to do), 2 the words were wrong.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
