//! The commands of `lisa`, one in each file. Arguments are parsed here, once.

#[macro_use]
mod streams;

mod bag;
mod bench;
mod chat;
mod convert;
mod download_progress;
mod eval;
mod merge;
mod metres;
mod model_args;
mod output;
mod output_paths;
mod part_args;
mod pull;
mod ranks;
mod report;
mod report_args;
mod segment;
mod serve;
mod shell;
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
    Pull(pull::Args),
    Convert(convert::Args),
    Segment(segment::Args),
    Chat(chat::Args),
    Serve(serve::Args),
    Train(train::Args),
    Merge(merge::Args),
    World(world::Args),
    Eval(eval::Args),
    Bag(Box<bag::Args>),
    Report(report::Args),
    Bench(bench::Args),
    #[command(hide = true)]
    Completions(shell::CompletionsArgs),
    #[command(hide = true)]
    Man(shell::ManArgs),
}

/// Parses the arguments, runs the command, and prints what went wrong on one line.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version go to standard output, and errors to standard error.
            let printed = asked.print().and_then(|()| std::io::stdout().flush());
            if !asked.use_stderr() {
                streams::keep_error(printed);
                return ended(Ok(()));
            }
            return ExitCode::from(u8::try_from(asked.exit_code()).unwrap_or(2));
        }
    };
    lisa::compute::keep_freed_memory();
    let level = ["warn", "info", "debug"][usize::from(cli.verbose.min(2))];
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Otherwise it would panic when it reports on standard error that standard error cannot be written.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let result = match cli.command {
        Command::Pull(args) => pull::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Segment(args) => segment::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Train(args) => train::run(args),
        Command::Merge(args) => merge::run(args),
        Command::World(args) => world::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Bag(args) => bag::run(*args),
        Command::Report(args) => report::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Completions(args) => shell::run_completions(args),
        Command::Man(args) => shell::run_man(args),
    };
    ended(result)
}

/// Prints what went wrong with the command and with its printing, and returns the exit code.
fn ended(result: anyhow::Result<()>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for error in [result, streams::finish()]
        .into_iter()
        .filter_map(Result::err)
    {
        streams::warn(one_line(&error));
        code = match error.downcast_ref::<part_args::Unmeasured>() {
            Some(_) => ExitCode::from(3),
            None => ExitCode::FAILURE,
        };
    }
    code
}

/// An error with its causes on one line. A cause that the text before it contains already is left out.
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
