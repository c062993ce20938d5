//! `lisa bag`.

mod extract;
mod info;
mod table;
mod times;

use clap::Subcommand;

/// Recorded topics (rosbag2, in MCAP or SQLite): what is in a bag, and its pictures as files.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa bag info recording
  lisa bag extract recording --topic /camera/image_raw --out frames

A bag is a folder with metadata.yaml, a folder of .mcap or .db3 files, or one such file, each also
compressed as .zstd. A damaged one is read as far as it goes, and what is missing is said.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Info(info::Args),
    Extract(extract::Args),
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Info(args) => info::run(args),
        Command::Extract(args) => extract::run(args),
    }
}
