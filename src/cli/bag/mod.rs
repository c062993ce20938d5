//! The command `lisa bag`.

mod annotate;
mod eval;
mod extract;
mod follow;
mod info;
mod night;
mod play_record;
mod space_args;
mod table;
mod times;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use rosbag2::{Bag, BagError};

use super::streams::warn;

/// Recordings (rosbag2, in MCAP or SQLite): look into them, answer over them, measure on them, play and record them.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa bag info recording
  lisa bag extract recording --topic /camera/image_raw --out frames
  lisa bag annotate recording --instruction \"Where can I sit?\" --out answers
  lisa bag eval bags/tableworld --truth-topic /ground_truth/mask --html report.html
  lisa bag follow moving --truth-topic /ground_truth/masks --duration 2
  lisa bag play recording --clock

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
    Annotate(annotate::Args),
    Eval(eval::Args),
    Follow(follow::Args),
    /// Publish a bag on a ROS 2 graph, as it was recorded
    Play(play_record::Args),
    /// Record topics of a ROS 2 graph into a bag
    Record(play_record::Args),
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Info(args) => info::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Annotate(args) => annotate::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Follow(args) => follow::run(args),
        Command::Play(args) => play_record::run("play", args),
        Command::Record(args) => play_record::run("record", args),
    }
}

/// The files of a bag, with the journals of its databases. It is for checks before the bag is opened.
fn files_of(bag: &Path) -> Vec<PathBuf> {
    let Ok(entries) = bag.read_dir() else {
        return vec![bag.to_owned()];
    };
    let entries = entries.flatten().map(|entry| entry.path());
    let of_a_bag = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "metadata.yaml" || [".mcap", ".db3"].iter().any(|end| name.contains(end))
    };
    entries.filter(of_a_bag).collect()
}

/// How many messages there are on these topics together.
fn messages_on(bag: &Bag, topics: &[String]) -> Result<u64, BagError> {
    let counts = topics.iter().map(|name| Ok(bag.topic(name)?.messages));
    counts.sum()
}

/// Prints on standard error what is damaged or missing in a bag.
fn say_notes(bag: &Bag) {
    for note in bag.notes() {
        warn(note);
    }
}

/// Prints on standard error which messages could not be read.
fn say_faults((count, first): (u64, &[String])) {
    for fault in first {
        warn(fault);
    }
    if count > first.len() as u64 {
        let more = count - first.len() as u64;
        warn(format_args!("and {more} more messages that cannot be read"));
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};
    use lisa::node::bounds;

    use super::*;
    use crate::cli::model_args::ModelArgs;

    /// A replay once allowed an answer 512 tokens where the node allows 128, so that long answers differed.
    #[test]
    fn a_replay_allows_an_answer_as_many_tokens_as_the_node() {
        let default = |command: Command| -> Vec<String> {
            let tokens = command
                .get_arguments()
                .find(|argument| argument.get_id() == "max_new_tokens")
                .unwrap();
            let values = tokens.get_default_values().iter();
            values
                .map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        let command = || Command::new("lisa");
        assert_eq!(default(annotate::Args::augment_args(command())), ["128"]);
        assert_eq!(default(eval::Args::augment_args(command())), ["128"]);
        assert_eq!(default(ModelArgs::augment_args(command())), ["512"]);
    }

    /// A replay once accepted 32768 tokens where the node accepts 2048.
    #[test]
    fn a_replay_accepts_as_many_tokens_as_the_node() {
        let accepts = |command: Command, tokens: usize| {
            let tokens = tokens.to_string();
            let words = ["lisa", "bag", "--out", "o", "--max-new-tokens", &tokens];
            let parsed = command.try_get_matches_from(words);
            parsed.is_ok()
        };
        let most = *bounds::MAX_NEW_TOKENS.end();
        let annotate = || annotate::Args::augment_args(Command::new("lisa"));
        assert!(accepts(annotate(), most) && !accepts(annotate(), most + 1));
        assert!(!accepts(annotate(), 0));
    }
}
