//! The command `lisa eval`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use lisa::eval::metres::{PredictedMask, WorldMasks};
use lisa::eval::run::{
    evaluate, reason_seg_questions, refer_questions, world_questions, Answerer, EvalQuestion,
    Generated, TeacherForced,
};
use lisa::eval::{EvalError, Protocol, Run};
use lisa::weights::ModelDir;
use tableworld::Split;

use super::model_args::ModelArgs;
use super::report_args::ReportArgs;
use super::streams::warn;
use super::world::{size, split};

/// Measure a model: overlap with the truth, rates of [SEG], latency.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa eval world --split test --count 200
  lisa eval metres --split test --count 40 --predicted --json metres.json
  lisa eval reason-seg --model models/lisa-7b --root data --split val --teacher-forced --html report.html
  lisa eval refer --model models/lisa-7b --root data --dataset refcoco --split testA --json report.json")]
pub struct Args {
    #[command(subcommand)]
    target: EvalTarget,
}

#[derive(Subcommand)]
enum EvalTarget {
    /// ReasonSeg, as the reference validates it: the first text of every picture
    ReasonSeg {
        /// Folder with reason_seg/ReasonSeg/SPLIT
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// train, val or test
        #[arg(long)]
        split: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// refCLEF, RefCOCO, RefCOCO+, RefCOCOg: every expression
    Refer {
        /// Folder with refer_seg/
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// refclef, refcoco, refcoco+ or refcocog
        #[arg(long, default_value = "refcoco", value_parser = refer_name)]
        dataset: &'static str,
        /// val, test, testA, testB; of refclef also testC, testAB, testBC
        #[arg(long)]
        split: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// TableWorld, made on the fly: of each scene at most one question of each kind, one by place, one for one of
    /// several things of a class, and a near miss of each sort; and how far off the places of single objects are in space
    World {
        /// train, val or test
        #[arg(long, value_parser = split)]
        split: Split,
        /// Scenes
        #[arg(long, value_name = "N", default_value_t = 200)]
        count: u64,
        /// Seed of the first scene
        #[arg(long = "seed", value_name = "S0", default_value_t = 0)]
        seed0: u64,
        /// Size of the pictures
        #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = size)]
        size: (u32, u32),
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Metres instead of pixels: places of TableWorld's objects from true masks and depth, and how far off they are
    Metres(super::metres::Args),
}

#[derive(clap::Args)]
struct CommonArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The reference's protocol: the answer "[SEG]." is given, and only its mask is the model's. What the model would have
    /// said is then not measured: refusals, [SEG] written, names, latency
    #[arg(long)]
    teacher_forced: bool,
    /// Stop after so many questions
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    report: ReportArgs,
}

fn refer_name(text: &str) -> Result<&'static str, String> {
    ["refclef", "refcoco", "refcoco+", "refcocog"]
        .into_iter()
        .find(|name| *name == text)
        .ok_or_else(|| "accepted: refclef, refcoco, refcoco+, refcocog".to_owned())
}

type EvalQuestions = Box<dyn Iterator<Item = Result<EvalQuestion, EvalError>>>;

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut world = None;
    let (questions, total, dataset, split, seed, common): (EvalQuestions, _, _, _, _, _) =
        match args.target {
            EvalTarget::ReasonSeg {
                root,
                split,
                common,
            } => {
                common.report.check_data(&root.join("reason_seg"))?;
                let limit = common.limit.unwrap_or(usize::MAX);
                let questions = reason_seg_questions(&root, &split, limit)?;
                let total = questions.len();
                (
                    Box::new(questions),
                    total,
                    "reason-seg",
                    split,
                    None,
                    common,
                )
            }
            EvalTarget::Refer {
                root,
                dataset,
                split,
                common,
            } => {
                common.report.check_data(&root.join("refer_seg"))?;
                let limit = common.limit.unwrap_or(usize::MAX);
                let questions = refer_questions(&root, dataset, &split, limit)?;
                let total = questions.len();
                (Box::new(questions), total, dataset, split, None, common)
            }
            EvalTarget::World {
                split,
                count,
                seed0,
                size,
                common,
            } => {
                let limit = common.limit.unwrap_or(usize::MAX);
                let questions = world_questions(split, seed0..seed0 + count, size).take(limit);
                // About twelve a scene; the bar is corrected as it goes.
                let total = (count as usize * 12).min(limit);
                let name = split.name().to_owned();
                world = Some((split, size));
                (
                    Box::new(questions),
                    total,
                    "world",
                    name,
                    Some(seed0),
                    common,
                )
            }
            EvalTarget::Metres(args) => return super::metres::run(args),
        };
    let model = common.model.files();
    common
        .report
        .check(&model.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    if total == 0 {
        bail!("there is no question to ask");
    }
    let path = common.model.path()?;
    let mut settings: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    let protocol = match common.teacher_forced {
        true => Protocol::TeacherForced,
        false => Protocol::Generated,
    };
    let mut answerer: Box<dyn Answerer> = match protocol {
        Protocol::TeacherForced => {
            let model = ModelDir::open(&path)?;
            let dtype = candle_core::DType::F32;
            settings.insert("dtype".into(), "f32".into());
            Box::new(TeacherForced::load(
                &model,
                dtype,
                &candle_core::Device::Cpu,
            )?)
        }
        Protocol::Generated | Protocol::Recorded => {
            let engine = common.model.start(false)?;
            settings.insert("model".into(), engine.model().to_string().into());
            Box::new(Generated::new(engine, common.model.options(0)))
        }
    };
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta:>4} {wide_msg}") {
        bar.set_style(style);
    }
    let mut gallery = common.report.gallery()?;
    let list = |line: &dyn Display| {
        let report = &common.report;
        bar.suspend(|| report.list(line, report.writes()));
    };
    let mut masks = WorldMasks::default();
    let tally = evaluate(
        questions,
        answerer.as_mut(),
        &mut gallery,
        |question, answered| {
            bar.inc(1);
            let Some((reply, verdict)) = answered else {
                list(&format_args!(
                    "-    {} | {} | not asked",
                    question.name, question.instruction
                ));
                return;
            };
            bar.set_message(format!("{} {:.2}", question.kind, verdict.iou));
            if let (Some((seed, object)), Some(mask)) = (question.object, &reply.predicted) {
                let mask = mask.clone();
                masks.keep(seed, PredictedMask { object, mask });
            }
            list(&format_args!(
                "{:.2} {} | {} | {}",
                verdict.iou, question.name, question.instruction, reply.answer
            ));
        },
    )?;
    bar.finish_and_clear();
    let mut report = tally.report(Run {
        model: path.display().to_string(),
        protocol,
        dataset: dataset.to_owned(),
        split,
        seed,
        settings,
    });
    if let Some((split, size)) = world {
        match masks.places(split, size) {
            Ok(places) => report.places = places,
            // The answers are worth their report all the same.
            Err(error) => warn(error),
        }
    }
    say!("{report}");
    if let Some(file) = &common.report.json {
        report.write_json(file)?;
        say!("{}", file.display());
    }
    common.report.write_html(&report, &gallery)
}
