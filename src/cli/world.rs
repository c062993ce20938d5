//! The command `lisa world`.

use std::path::PathBuf;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use tableworld::formats::{
    write_dataset, CameraMotion, Format, Images, Options, Order, Recording, MAX_FRAMES, RATES,
};
use tableworld::language::QuestionKind;
use tableworld::Split;

/// Make scenes of TableWorld, a robot's table, with exact masks, questions and answers.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa world --split val --count 200 --out tables --format frames
  lisa world --split train --count 4000 --out tables --format semantic --format refer --format vqa
  lisa world --split train --count 239 --out tables --format reason-seg --seed 100000
  lisa world --split train --count 4000 --out tables --format reason-seg --balance --questions 12
  lisa world --split test --count 30 --out tables --format rosbag --images jpeg
  lisa world --split test --count 10 --out tables --format rosbag --camera moving --rate 10

Formats: reason-seg, refer (RefCOCO), semantic (ADE20K), vqa (LLaVA-Instruct), frames (PNG and JSON), rosbag (mcap). \
Several formats share their pictures. The same split and seed give the same scene, always.

A rosbag has these topics:
  /camera/image_raw     rgb8, or as JPEG with --images jpeg: /camera/image_raw/compressed
  /camera/camera_info   a rectified pinhole camera
  /camera/depth/image   16UC1, millimetres, 0 unknown
  /tf                   table to camera_optical_frame at each frame
  /instruction_stamped  lisa_ros/Instruction, one a scene, 0.1 s after its frame, the middle one
  /ground_truth/mask    mono8, 0 or 255, the instruction's stamp; all 0 for what is absent
  /ground_truth/boxes   vision_msgs/Detection3DArray, whole boxes of what is asked for, in table, at every frame
  /ground_truth/masks   with --camera moving: the same at every frame of its scene
An instruction's id is SPLIT_SEED_KIND: test_000000036_reasoning.")]
pub struct Args {
    /// train, val or test: other scenes and other wordings
    #[arg(long, value_parser = split)]
    split: Split,
    /// Scenes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    count: u32,
    /// Folder to write to; other scenes in it stay, and where other files lie nothing is written
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
    /// Half of a scene's reason-seg items ask for what is not there, in the words in which the other half asks for what
    /// is, and half of those are near misses: another colour, class or place. 12 items a scene without --questions
    #[arg(long)]
    balance: bool,
    /// Keep at most so many reason-seg items a scene, chosen evenly among the kinds
    #[arg(long, value_name = "N")]
    questions: Option<usize>,
    /// JPEG quality of the pictures, 1 to 100
    #[arg(long, value_name = "Q", default_value_t = Options::default().jpeg_quality, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// raw: sensor_msgs/Image, nothing compressed. jpeg: sensor_msgs/CompressedImage, and the file's chunks with zstd
    #[arg(long, value_name = "HOW", default_value = "raw", value_parser = images, help_heading = "A rosbag's recording")]
    images: Images,
    /// still, or moving: on an arc about the table, through the scene's own view at the middle frame
    #[arg(long, value_name = "MOTION", default_value = "still", value_parser = motion, help_heading = "A rosbag's recording")]
    camera: CameraMotion,
    /// Frames of each scene [default: 1 still, 20 moving]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_FRAMES)), help_heading = "A rosbag's recording")]
    frames: Option<u32>,
    /// Frames a second [default: 1 still, 10 moving]
    #[arg(long, value_name = "HZ", value_parser = rate, help_heading = "A rosbag's recording")]
    rate: Option<f64>,
}

impl Args {
    fn recording(&self) -> Recording {
        let usual = Recording::new(self.camera);
        Recording {
            images: self.images,
            frames: self.frames.unwrap_or(usual.frames),
            rate: self.rate.unwrap_or(usual.rate),
            ..usual
        }
    }
}

fn images(text: &str) -> Result<Images, String> {
    Images::parse(text).ok_or_else(|| "accepted: raw, jpeg".to_owned())
}

fn motion(text: &str) -> Result<CameraMotion, String> {
    CameraMotion::parse(text).ok_or_else(|| "accepted: still, moving".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| RATES.contains(rate));
    rate.ok_or_else(|| format!("accepted: {} to {}", RATES.start(), RATES.end()))
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
    let mut options = Options {
        jpeg_quality: args.quality,
        questions_per_scene: args.questions,
        balanced: args.balance,
        recording: args.recording(),
        ..Options::default()
    };
    if args.balance {
        options.reason_kinds = QuestionKind::ALL.into();
    }
    if !args.kinds.is_empty() {
        options.reason_kinds = args.kinds;
    }
    if args.balance && !options.reason_kinds.contains(&QuestionKind::Absent) {
        bail!("--balance asks for what is not there: its --kinds have to include absent");
    }
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
