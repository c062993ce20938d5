//! The command `lisa bag follow`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context};
use lisa::eval::write_whole;
use lisa::node::{bounds, FollowSettings, Settings};
use lisa::replay::{
    camera_topic, follow, instruction_topics, FollowOptions, FollowReport, FollowedFrame,
    GroundTruth, TrueBoxes,
};
use rosbag2::Bag;

use super::super::model_args::{as_the_node, in_range, ModelArgs};
use super::super::output_paths::{check_distinct, check_file, OutputFile};
use super::space_args::SpaceArgs;
use crate::cli::streams::print;

/// Measure on a recording with truth at every frame: following what is asked for, beside asking anew about each frame.
#[derive(clap::Args)]
#[command(
    mut_arg("max_new_tokens", as_the_node),
    after_help = "Examples:
  lisa world --split test --count 10 --out w --format rosbag --camera moving --frames 40
  lisa bag follow w/rosbag/test --truth-topic /ground_truth/masks --duration 1.8

Every recorded instruction becomes a goal of the node's action ~/follow, at the moment at which it was recorded. All frames are
looked at, however long that takes. An identity switch is a mask with an IoU of 0.5 or more whose successor has less than 0.1
while the object is there; a frame without a mask counts, too."
)]
pub struct Args {
    /// A rosbag2, mcap or sqlite3: its folder, or one of its files
    bag: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Topic with the true masks of all frames: sensor_msgs/Image, mono8, with the stamp of its frame
    #[arg(long, value_name = "TOPIC")]
    truth_topic: String,
    /// Topic with the true boxes in space, at every frame; without it places are counted, not compared
    #[arg(long, value_name = "TOPIC")]
    truth_boxes_topic: Option<String>,
    /// How long each instruction is followed (0.01 to 3600)
    #[arg(long, value_name = "SECONDS", value_parser = in_range(0.01..=3600.0))]
    duration: f64,
    /// Frames a second; 0 for all
    #[arg(long, value_name = "HZ", default_value_t = 0.0, value_parser = in_range(0.0..=1000.0))]
    rate_hz: f64,
    /// As the node's parameter follow.patience
    #[arg(long, value_name = "SECONDS", default_value_t = FollowSettings::default().patience_s, value_parser = in_range(bounds::FOLLOW_PATIENCE_S))]
    patience: f64,
    /// As the node's parameter follow.min_score
    #[arg(long, value_name = "SCORE", default_value_t = FollowSettings::default().min_score, value_parser = in_range(bounds::SHARE))]
    min_score: f64,
    /// As the node's parameter follow.min_overlap
    #[arg(long, value_name = "IOU", default_value_t = FollowSettings::default().min_overlap, value_parser = in_range(bounds::SHARE))]
    min_overlap: f64,
    /// Topic with instructions; without it the only one of each type there is
    #[arg(long, value_name = "TOPIC")]
    instruction_topic: Option<String>,
    /// Topic with images, raw or compressed; without it the only camera there is
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Write the report, with every frame, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print every frame, and the IoU of both ways
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    space: SpaceArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    check_output(&args)?;
    let bag = Bag::open(&args.bag)?;
    super::say_notes(&bag);
    let images = camera_topic(&bag, args.topic.as_deref())?;
    let space = args.space.find(&bag, &images)?;
    let options = FollowOptions {
        images,
        instructions: instruction_topics(&bag, args.instruction_topic.as_deref())?,
        duration: Duration::from_secs_f64(args.duration),
        rate_hz: args.rate_hz as f32,
        settings: Settings {
            answer: args.model.options(0),
            follow: FollowSettings {
                patience_s: args.patience,
                min_score: args.min_score,
                min_overlap: args.min_overlap,
            },
            space: args.space.settings(space.as_ref()),
            ..Settings::default()
        },
        space,
        truth: GroundTruth::open(&bag, &args.truth_topic)?,
        true_boxes: match &args.truth_boxes_topic {
            Some(topic) => Some(TrueBoxes::open(&bag, topic)?),
            None => None,
        },
    };
    let engine = args.model.start(true)?;
    let mut list = |row: &FollowedFrame| {
        if args.list {
            print(line(row));
        }
    };
    let report = follow(&bag, &engine, options, &mut list)?;
    for goal in report
        .goals
        .iter()
        .filter(|goal| args.list && goal.frames == 0)
    {
        print(format_args!("{} {}: {}", goal.id, goal.status, goal.error));
    }
    print(report.to_string().trim_end());
    if let Some(file) = &args.json {
        write_json(&report, file)?;
        print(file.display());
    }
    if report.goals.is_empty() {
        bail!("{} has no instruction to follow", args.bag.display());
    }
    Ok(())
}

fn line(row: &FollowedFrame) -> String {
    let iou = |iou: Option<f64>| iou.map_or("   -".to_owned(), |iou| format!("{iou:.2}"));
    format!(
        "{} {:>3} {} {} {:.2} {} {:>6.0} ms {:>6.0} ms{}{}",
        row.id,
        row.frame,
        iou(row.iou),
        iou(row.iou_anew),
        row.confidence,
        iou(row.score.map(f64::from)),
        row.ms,
        row.ms_anew,
        if row.asked { " asked" } else { "" },
        if row.lost { " lost" } else { "" },
    )
}

/// Whether the report can be written, and over nothing that is read.
fn check_output(args: &Args) -> anyhow::Result<()> {
    let Some(file) = &args.json else {
        return Ok(());
    };
    check_file(file)?;
    let mut read = super::files_of(&args.bag);
    read.extend(args.model.files());
    let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
    check_distinct(&[OutputFile::new("--json", file)], &read)
}

fn write_json(report: &FollowReport, file: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    write_whole(file, (json + "\n").as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))
}
