//! `lisa world`.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use lisa::world::formats::{write_dataset, Format, Options, Order};
use lisa::world::language::QuestionKind;
use lisa::world::Split;

/// Make scenes of TableWorld, a robot's table, with exact masks, questions and answers.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa world --split val --count 200 --out tables --format frames
  lisa world --split train --count 4000 --out tables --format semantic --format refer --format vqa
  lisa world --split train --count 239 --out tables --format reason-seg --seed 100000
  lisa world --split test --count 30 --out tables --format rosbag --size 640x480

Formats: reason-seg, refer (RefCOCO), semantic (ADE20K), vqa (LLaVA-Instruct), frames (PNG and JSON), rosbag (mcap).
Several formats share their pictures. The same split and seed give the same scene, always.")]
pub struct Args {
    /// train, val or test: other scenes and other wordings
    #[arg(long, value_parser = split)]
    split: Split,
    /// Scenes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    count: u32,
    /// Folder to write to; other scenes in it stay
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to write; may be given several times
    #[arg(long, required = true)]
    format: Vec<Format>,
    /// Seed of the first scene; the others follow it
    #[arg(long, value_name = "SEED", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..900_000_000))]
    seed: u64,
    /// Size of the pictures
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = size)]
    size: (u32, u32),
    /// Kinds of question that become reason-seg items, joined by commas: reasoning, world-knowledge, explanatory,
    /// multi-turn, several, absent, explicit
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<QuestionKind>,
    /// Keep at most so many reason-seg items a scene, chosen evenly among the kinds
    #[arg(long, value_name = "N")]
    questions: Option<usize>,
}

pub(super) fn split(text: &str) -> Result<Split, String> {
    Split::parse(text).ok_or_else(|| "accepted: train, val, test".to_owned())
}

fn kind(text: &str) -> Result<QuestionKind, String> {
    QuestionKind::parse(text).ok_or_else(|| {
        let names: Vec<&str> = QuestionKind::ALL.iter().map(|k| k.name()).collect();
        format!("accepted: {}", names.join(", "))
    })
}

pub(super) fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text
        .split_once('x')
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w, h)) if (64..=4096).contains(&w) && (64..=4096).contains(&h) => Ok((w, h)),
        _ => Err("accepted: WIDTHxHEIGHT, 64 to 4096 each, e.g. 640x480".to_owned()),
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut options = Options::default();
    if !args.kinds.is_empty() {
        options.reason_kinds = args.kinds;
    }
    options.questions_per_scene = args.questions;
    let order = Order {
        formats: &args.format,
        split: args.split,
        seed0: args.seed,
        count: args.count as usize,
        width: args.size.0,
        height: args.size.1,
    };
    let bar = ProgressBar::new(u64::from(args.count));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} scenes {eta:>4}") {
        bar.set_style(style);
    }
    let summary = write_dataset(&order, &args.out, &options, &|done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    say!("{summary}");
    Ok(())
}
