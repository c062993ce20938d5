//! The commands, one a file. Arguments are parsed here once; nothing below reads them again.

/// `println!` for a program in a pipeline: a reader that has gone (`| head`) ends it quietly instead of in a panic, and
/// output that cannot be written (a full disk) ends it with an error.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write;
        if let Err(error) = writeln!(std::io::stdout(), $($arg)*) {
            $crate::cli::end_without_output(&error);
        }
    }};
}

/// `eprintln!` that goes on where standard error is closed, full, or a pipe whose reader has gone: what is said beside
/// the work may get lost, the work may not.
macro_rules! note {
    ($($arg:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($arg)*);
    }};
}

mod bag;
mod chat;
mod convert;
mod eval;
mod interrupt;
mod merge;
mod model_args;
mod output;
mod places;
mod report_args;
mod segment;
mod train;
mod world;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// LISA, reasoning segmentation: a picture and an instruction in, masks and an explained answer out.
#[derive(Parser)]
#[command(
    name = "lisa",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// More of the log on standard error; twice for everything. RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    Convert(convert::Args),
    Segment(segment::Args),
    Chat(chat::Args),
    Train(train::Args),
    Merge(merge::Args),
    World(world::Args),
    Eval(eval::Args),
    Bag(bag::Args),
}

/// Parses, runs, and says on one line what went wrong.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and the version are output, and errors are said beside it.
            return match asked.print().and_then(|()| std::io::stdout().flush()) {
                Err(error) if !asked.use_stderr() => end_without_output(&error),
                _ => ExitCode::from(u8::try_from(asked.exit_code()).unwrap_or(2)),
            };
        }
    };
    let level = ["warn", "info", "debug"][usize::from(cli.verbose.min(2))];
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would say on standard error that standard error cannot be written, and end in a panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let result = match cli.command {
        Command::Convert(args) => convert::run(args),
        Command::Segment(args) => segment::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Train(args) => train::run(args),
        Command::Merge(args) => merge::run(args),
        Command::World(args) => world::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Bag(args) => bag::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note!("lisa: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// Ends the program whose output cannot be written: quietly where the reader has gone, with an error otherwise.
fn end_without_output(error: &std::io::Error) -> ! {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    note!("lisa: standard output: {error}");
    std::process::exit(1);
}

/// An error with its causes; those that its own words name already are not said twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_is_said_once() {
        let deep = Err::<(), _>(anyhow::anyhow!("no such file"));
        let named = deep
            .context("mug.png: no such file")
            .context("cannot start");
        let line = one_line(&named.unwrap_err());
        assert_eq!(line, "cannot start: mug.png: no such file");
    }
}
