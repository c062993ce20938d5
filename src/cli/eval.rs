//! The command `lisa eval`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{bail, Context};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use lisa::eval::metres::{PredictedMask, WorldMasks};
use lisa::eval::run::{
    reason_seg_questions, record_each, refer_questions, world_questions, Answerer, AskedRecord,
    EvalQuestion, Generated, TeacherForced,
};
use lisa::eval::{EvalError, Protocol, Shard, WorstCases, WORST};
use lisa::parts::{merge, Content, Part, Plan, QuestionUnit, Work};
use lisa::weights::ModelDir;
use serde_json::Value;
use tableworld::Split;

use super::model_args::ModelArgs;
use super::part_args::{Found, PartArgs};
use super::report_args::ReportArgs;
use super::streams::{print, warn};
use super::world::{size, split};

/// Measure a model: overlap with the truth, rates of [SEG], latency.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa eval world --split test --count 200
  lisa eval world --split test --count 200 --shard 3/8 --parts parts && lisa report merge parts/*.json
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
    share: PartArgs,
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

/// What is asked, and how reports name it.
struct Asked {
    questions: EvalQuestions,
    /// About how many questions there are.
    total: usize,
    work: Work,
    common: CommonArgs,
    /// What else decides which questions there are.
    settings: Vec<(&'static str, Value)>,
}

impl Asked {
    fn reason_seg(root: PathBuf, split: String, common: CommonArgs) -> anyhow::Result<Self> {
        common.report.check_data(&root.join("reason_seg"))?;
        let (limit, shard) = (common.limit.unwrap_or(usize::MAX), common.share.shard());
        let questions = reason_seg_questions(&root, &split, limit, shard)?;
        Ok(Self {
            total: questions.len(),
            questions: Box::new(questions),
            work: work("reason-seg", split),
            settings: vec![("root", root.display().to_string().into())],
            common,
        })
    }

    fn refer(
        root: PathBuf,
        dataset: &'static str,
        split: String,
        common: CommonArgs,
    ) -> anyhow::Result<Self> {
        common.report.check_data(&root.join("refer_seg"))?;
        let (limit, shard) = (common.limit.unwrap_or(usize::MAX), common.share.shard());
        let questions = refer_questions(&root, dataset, &split, limit, shard)?;
        Ok(Self {
            total: questions.len(),
            questions: Box::new(questions),
            work: work(dataset, split),
            settings: vec![("root", root.display().to_string().into())],
            common,
        })
    }

    fn world(
        split: Split,
        seeds: Range<u64>,
        size: (u32, u32),
        common: CommonArgs,
    ) -> anyhow::Result<Self> {
        let shard = common.share.shard();
        if common.limit.is_some() && shard != Shard::WHOLE {
            bail!("--limit would end each share of the scenes somewhere else; accepted with --shard: fewer scenes, by --count");
        }
        let limit = common.limit.unwrap_or(usize::MAX);
        let count = seeds.end - seeds.start;
        let questions = world_questions(split, seeds.clone(), size, shard).take(limit);
        Ok(Self {
            questions: Box::new(questions),
            // About twelve a scene; the bar is corrected as it goes.
            total: (count as usize * 12 / shard.of()).min(limit),
            work: Work::Questions {
                dataset: "world".to_owned(),
                split: split.name().to_owned(),
                seed: Some(seeds.start),
                size: Some(size),
            },
            settings: vec![("count", count.into())],
            common,
        })
    }
}

fn work(dataset: &str, split: String) -> Work {
    Work::Questions {
        dataset: dataset.to_owned(),
        split,
        seed: None,
        size: None,
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let asked = match args.target {
        EvalTarget::ReasonSeg {
            root,
            split,
            common,
        } => Asked::reason_seg(root, split, common)?,
        EvalTarget::Refer {
            root,
            dataset,
            split,
            common,
        } => Asked::refer(root, dataset, split, common)?,
        EvalTarget::World {
            split,
            count,
            seed0,
            size,
            common,
        } => Asked::world(split, seed0..seed0 + count, size, common)?,
        EvalTarget::Metres(args) => return super::metres::run(args),
    };
    let Asked {
        questions,
        total,
        work,
        common,
        settings,
    } = asked;
    let model = common.model.files();
    common
        .report
        .check(&model.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    let shard = common.share.shard();
    // A share of a small dataset may be empty, and its part is then, too.
    if total == 0 && shard == Shard::WHOLE {
        bail!("there is no question to ask");
    }
    let plan = common.plan(work, settings)?;
    let part = common.share.path()?;
    if let Some(path) = &part {
        if let Found::Whole(_) = common.share.found(path, &plan)? {
            say!("{} is there and whole", path.display());
            return Ok(());
        }
    }
    let (mut answerer, engine) = common.answerer()?;
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta:>4} {wide_msg}") {
        bar.set_style(style);
    }
    let list = |line: &dyn Display| {
        let writes = common.report.writes() || part.is_some();
        bar.suspend(|| common.report.list(line, writes));
    };
    let (mut gallery, mut worst) = (common.report.gallery()?, WorstCases::new(WORST));
    let mut masks = WorldMasks::default();
    let mut units: Vec<QuestionUnit> = Vec::new();
    let mut seeds = BTreeMap::new();
    let (mut last, mut nth) = (None, 0);
    record_each(
        questions,
        answerer.as_mut(),
        &mut |question, case, verdict| {
            nth = match last.replace(question.unit) {
                Some(unit) if unit == question.unit => nth + 1,
                _ => 0,
            };
            let picture = question.frame.pixels();
            if part.is_some() {
                worst.offer((question.unit, nth), "", case, verdict, picture)?;
            }
            gallery.offer(case, verdict, picture)
        },
        |question, record, reply| {
            bar.inc(1);
            match (&record.asked, reply) {
                (AskedRecord::Answered(case), Some(reply)) => {
                    let iou = case.verdict().iou;
                    bar.set_message(format!("{} {iou:.2}", question.kind));
                    if let (Some((seed, object)), Some(mask)) = (question.object, &reply.predicted)
                    {
                        let mask = mask.clone();
                        masks.keep(seed, PredictedMask { object, mask });
                        seeds.insert(question.unit, seed);
                    }
                    list(&format_args!(
                        "{iou:.2} {} | {} | {}",
                        question.name, question.instruction, reply.answer
                    ));
                }
                _ => list(&format_args!(
                    "-    {} | {} | not asked",
                    question.name, question.instruction
                )),
            }
            match units.last_mut() {
                Some(unit) if unit.unit == question.unit => unit.questions.push(record),
                _ => units.push(QuestionUnit {
                    unit: question.unit,
                    questions: vec![record],
                    places: None,
                }),
            }
        },
    )?;
    bar.finish_and_clear();
    if let Work::Questions {
        size: Some(size),
        split,
        ..
    } = &plan.work
    {
        let split = Split::parse(split).unwrap_or(Split::Test);
        match masks.measure(split, *size) {
            Ok(mut places) => {
                for unit in &mut units {
                    unit.places = seeds.get(&unit.unit).and_then(|seed| places.remove(seed));
                }
            }
            // The answers are worth their report all the same.
            Err(error) => warn(error),
        }
    }
    let made = Part::new(
        plan,
        shard,
        engine,
        Content::Questions(units),
        worst.into_cases(),
    );
    if let Some(path) = &part {
        made.write(path)?;
        print(path.display());
        return Ok(());
    }
    let merged = merge(vec![(PathBuf::from("this run"), made)])?;
    let report = merged.questions().context("a dataset was measured")?;
    say!("{report}");
    if let Some(file) = &common.report.json {
        report.write_json(file)?;
        say!("{}", file.display());
    }
    common.report.write_html(&report, &gallery)
}

impl CommonArgs {
    fn protocol(&self) -> Protocol {
        match self.teacher_forced {
            true => Protocol::TeacherForced,
            false => Protocol::Generated,
        }
    }

    /// The run, with the model by its content.
    fn plan(&self, work: Work, more: Vec<(&'static str, Value)>) -> anyhow::Result<Plan> {
        let mut settings = self.model.settings();
        settings.insert("limit".to_owned(), self.limit.into());
        if self.teacher_forced {
            settings.insert("dtype".to_owned(), "f32".into());
        }
        let more = more.into_iter();
        settings.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let path = self.model.path()?;
        Ok(Plan {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            work,
            model: self.share.model(&path)?,
            protocol: self.protocol(),
            settings,
        })
    }

    /// Who answers, and what computes the answers where that is said.
    fn answerer(&self) -> anyhow::Result<(Box<dyn Answerer>, String)> {
        Ok(match self.protocol() {
            Protocol::TeacherForced => {
                let model = ModelDir::open(self.model.path()?)?;
                let (dtype, device) = (candle_core::DType::F32, candle_core::Device::Cpu);
                let teacher = TeacherForced::load(&model, dtype, &device)?;
                (Box::new(teacher), String::new())
            }
            Protocol::Generated | Protocol::Recorded => {
                let engine = self.model.start(false)?;
                let name = engine.model().to_string();
                (
                    Box::new(Generated::new(engine, self.model.options(0))),
                    name,
                )
            }
        })
    }
}
