//! `lisa_bag`: plays and records bags on a ROS 2 graph. `lisa bag play` and `lisa bag record` become this program, so that
//! `lisa` itself needs no ROS 2.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use lisa::ros::recordings::{
    play, record, PlayOptions, RecordOptions, RecordingError, StopCount, TopicSpec,
};
use rosbag2::check_topic;

/// Play and record bags on a ROS 2 graph.
#[derive(Parser)]
#[command(
    name = "lisa_bag",
    bin_name = "lisa bag",
    version,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Play(Play),
    Record(Record),
}

/// Publish a bag as it was recorded: the same bytes, distances in time and quality of service.
#[derive(Args)]
#[command(after_help = "Examples:
  lisa bag play bags/tableworld --clock
  lisa bag play kitchen --rate 4 --start 10 --loop
  lisa bag play kitchen --topics /camera/image_raw /instruction_stamped --ros-args -r /camera/image_raw:=/image

Ctrl-C ends it.")]
struct Play {
    /// A rosbag2, mcap or sqlite3: its folder, or one of its files
    bag: PathBuf,
    /// Recorded seconds a second (0.01 to 100)
    #[arg(long, value_name = "R", default_value_t = 1.0, value_parser = in_range(0.01, 100.0))]
    rate: f64,
    /// From the beginning again, until Ctrl-C
    #[arg(long = "loop")]
    repeat: bool,
    /// Publish the recording's time on /clock, HZ times a second (1 to 1000)
    #[arg(long, value_name = "HZ", num_args = 0..=1, default_missing_value = "40", value_parser = in_range(1.0, 1000.0))]
    clock: Option<f64>,
    /// Skip the first seconds of the recording
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = in_range(0.0, 1e9))]
    start: f64,
    /// Play so many seconds of it
    #[arg(long, value_name = "S", value_parser = in_range(0.001, 1e9))]
    duration: Option<f64>,
    /// Only these topics
    #[arg(long, value_name = "TOPIC", num_args = 1..)]
    topics: Vec<String>,
    /// Begin once TOPIC has a subscriber, or N of them; may be given several times
    #[arg(long, value_name = "TOPIC[=N]", value_parser = topic_and_count)]
    wait_for: Vec<(String, usize)>,
    /// Give up waiting after so many seconds
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = in_range(0.0, 86_400.0))]
    wait: f64,
}

/// Record topics into a bag (mcap, zstd), with the times they came.
#[derive(Args)]
#[command(after_help = "Examples:
  lisa bag record /lisa/result /instruction_stamped /clock --out answers
  lisa bag record /lisa/result=lisa_ros/msg/ReasoningResult --out answers --drain 10

A topic alone is recorded once somebody publishes it, and as reliably as they do; with a type it is subscribed to at once, and
reliably. Ctrl-C ends it: after --drain seconds in which nothing has come, or at the second one.")]
struct Record {
    /// Topics, with namespace
    #[arg(required = true, value_name = "TOPIC[=TYPE]", value_parser = topic_spec)]
    topics: Vec<TopicSpec>,
    /// The bag to write; must not exist
    #[arg(long, value_name = "BAG")]
    out: PathBuf,
    /// After Ctrl-C go on until nothing has come for so many seconds
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = in_range(0.0, 86_400.0))]
    drain: f64,
}

fn in_range(min: f64, max: f64) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    move |text| match text.parse::<f64>() {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(format!("accepted: a number from {min} to {max}")),
    }
}

fn topic_and_count(text: &str) -> Result<(String, usize), String> {
    match text.split_once('=') {
        None => Ok((text.to_owned(), 1)),
        Some((topic, n)) => match n.parse() {
            Ok(n) => Ok((topic.to_owned(), n)),
            Err(_) => Err("accepted: TOPIC, or TOPIC=N with a whole number".to_owned()),
        },
    }
}

fn topic_spec(text: &str) -> Result<TopicSpec, String> {
    let (name, ros_type) = match text.split_once('=') {
        Some((name, ros_type)) => (name, Some(ros_type.to_owned())),
        None => (text, None),
    };
    check_topic(name).map_err(|error| error.to_string())?;
    Ok(TopicSpec {
        name: name.to_owned(),
        ros_type,
    })
}

fn main() -> ExitCode {
    // The arguments after --ros-args are for rcl.
    let own = std::env::args_os().take_while(|arg| arg != "--ros-args");
    let cli = Cli::parse_from(own);
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        // Otherwise it would panic when it reports on standard error that standard error cannot be written, and lose the
        // recording.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
    let done = StopCount::listen().and_then(|stop| match cli.command {
        Command::Play(args) => play_bag(args, &stop),
        Command::Record(args) => record_bag(args, &stop),
    });
    match done {
        Ok(line) => say(&line),
        Err(error) => failed(&error.to_string()),
    }
}

/// Prints the last line. A reader that has gone is no error; a full disk is one.
fn say(line: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            failed(&format!("cannot write to standard output: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

fn failed(why: &str) -> ExitCode {
    // If standard error cannot be written either, there is nowhere left to report that.
    let _ = writeln!(std::io::stderr(), "lisa: {why}");
    ExitCode::FAILURE
}

fn play_bag(args: Play, stop: &StopCount) -> Result<String, RecordingError> {
    let bag = args.bag.display().to_string();
    let played = play(
        &PlayOptions {
            bag: args.bag,
            rate: args.rate,
            repeat: args.repeat,
            clock_hz: args.clock,
            start_s: args.start,
            duration_s: args.duration,
            topics: args.topics,
            wait_for: args.wait_for,
            wait_s: args.wait,
        },
        stop,
    )?;
    let unread = match played.unread {
        0 => String::new(),
        n => format!(", {n} could not be read"),
    };
    Ok(format!(
        "{bag}: {} messages of {} topics{unread}, the latest {:.1} ms behind its time{}",
        played.messages,
        played.topics,
        played.latest.as_secs_f64() * 1e3,
        if played.stopped { "; stopped" } else { "" }
    ))
}

fn record_bag(args: Record, stop: &StopCount) -> Result<String, RecordingError> {
    let messages = record(
        &RecordOptions {
            topics: args.topics,
            out: args.out.clone(),
            drain: Duration::from_secs_f64(args.drain),
        },
        stop,
    )?;
    Ok(format!("{}: {messages} messages", args.out.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_as_ros_takes_them() {
        let typed = topic_spec("/lisa/result=lisa_ros/msg/ReasoningResult").unwrap();
        assert_eq!(typed.name, "/lisa/result");
        for name in ["cam", "/a b", "/a//b", "/1st=std_msgs/msg/String"] {
            let error = topic_spec(name).unwrap_err();
            assert!(error.contains("is not the name of a topic: "), "{error}");
        }
    }
}
