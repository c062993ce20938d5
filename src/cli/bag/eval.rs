//! The command `lisa bag eval`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context};
use indicatif::{ProgressBar, ProgressStyle};
use lisa::eval::{Protocol, Run};
use lisa::node::{bounds, Settings, Subscribers};
use lisa::parts::NightReport;
use lisa::replay::{
    camera_topic, compare, instruction_topics, Asker, GroundTruth, InstructionRow, Judge,
    Questions, RecordedResults, Timeline, TrueBoxes,
};
use rosbag2::{shown, Bag};
use serde_json::Value;

use super::super::model_args::{as_the_node, in_range, ModelArgs};
use super::super::part_args::PartArgs;
use super::super::report_args::ReportArgs;
use super::night;
use super::space_args::SpaceArgs;
use crate::cli::streams::{print, warn};

/// Measure on recordings with truth: overlap, latency, and what became of every instruction.
#[derive(clap::Args)]
#[command(
    mut_arg("max_new_tokens", as_the_node),
    after_help = "Examples:
  lisa bag eval bags/tableworld --truth-topic /ground_truth/mask --html report.html
  lisa bag eval bags/tableworld --truth-topic /ground_truth/mask --truth-boxes-topic /ground_truth/boxes
  lisa bag eval kitchen --truth-topic /truth --model models/lisa-7b --json report.json
  lisa bag eval kitchen --truth-topic /truth --results kitchen-live    what the node answered while it ran
  lisa bag eval night/*/* --truth-topic /truth --html night.html --json night.json    a fleet's night
  lisa bag eval --from night.txt --truth-topic /truth --shard 3/8 --parts parts    the third of eight shares of it

The truth is sensor_msgs/Image, mono8, 0 where nothing is, with the stamp of its frame; one without a pixel says that what
was asked for is not there. True boxes in space are vision_msgs/Detection3DArray, with the stamp of their frame. The recorded instructions are asked as the node would be: of the frame nearest their stamp.
Of several recordings one that cannot be measured is a line of the report, and the exit code is 3."
)]
pub struct Args {
    /// Recordings, rosbag2 in mcap or sqlite3: the folder, one of its files, or its URL (file, s3, gs, http, https)
    #[arg(value_name = "BAG", required_unless_present = "from")]
    bags: Vec<PathBuf>,
    /// Also the recordings that this file names, a path or URL a line; - is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Topic with the true masks; without it answers are counted and timed, not scored
    #[arg(long, value_name = "TOPIC")]
    truth_topic: Option<String>,
    /// Topic with the true boxes in space; without it places are counted, not compared
    #[arg(long, value_name = "TOPIC")]
    truth_boxes_topic: Option<String>,
    /// Judge the results in this bag, as recorded from the node or written by `lisa bag annotate`, instead of asking a model
    #[arg(long, value_name = "BAG", conflicts_with = "model")]
    results: Option<PathBuf>,
    /// Topic with results in it; without it the only one there is
    #[arg(long, value_name = "TOPIC", requires = "results")]
    result_topic: Option<String>,
    /// Answers to the same instructions in another bag: are they equal, pixel by pixel? Exit code 1 where they are not
    #[arg(long, value_name = "BAG", requires = "results")]
    against: Option<PathBuf>,
    /// Topic with instructions; without it the only one of each type there is
    #[arg(long, value_name = "TOPIC")]
    instruction_topic: Option<String>,
    /// Topic with images, raw or compressed; without it the only camera there is
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// A stamped instruction takes the frame nearest its stamp, at most so many seconds away (0 to 10)
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::default().sync_slop_s, value_parser = in_range(bounds::SYNC_SLOP_S))]
    sync_slop_s: f64,
    #[command(flatten)]
    space: SpaceArgs,
    #[command(flatten)]
    pub share: PartArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}

/// What is read of a recording before the first answer.
pub struct Opened<'b> {
    pub ground_truth: Option<GroundTruth<'b>>,
    pub true_boxes: Option<TrueBoxes<'b>>,
    pub timeline: Timeline<'b>,
    /// How many instructions it has.
    pub count: u64,
}

/// Finds the topics of a recording, its truth and its instructions.
pub fn opened<'b>(args: &Args, bag: &'b Bag) -> anyhow::Result<Opened<'b>> {
    let images = camera_topic(bag, args.topic.as_deref())?;
    let topics = instruction_topics(bag, args.instruction_topic.as_deref())?;
    let count = super::messages_on(bag, &topics)?;
    let ground_truth = match &args.truth_topic {
        Some(topic) => Some(GroundTruth::open(bag, topic)?),
        None => None,
    };
    let true_boxes = match &args.truth_boxes_topic {
        Some(topic) => Some(TrueBoxes::open(bag, topic)?),
        None => None,
    };
    // Recorded results say themselves where their objects are.
    let space = match &args.results {
        Some(_) => None,
        None => args.space.find(bag, &images)?,
    };
    let questions = Questions::Recorded(topics);
    let node = Settings {
        answer: args.model.options(0),
        sync_slop_s: args.sync_slop_s,
        space: args.space.settings(space.as_ref()),
        ..Settings::default()
    };
    // The report says where the model looked, so the engine is asked for that.
    let watched = Subscribers {
        attention: true,
        ..Subscribers::default()
    };
    let mut timeline = Timeline::new(bag, images, questions, node, watched)?;
    if let Some(space) = space {
        timeline = timeline.with_space(space)?;
    }
    Ok(Opened {
        ground_truth,
        true_boxes,
        timeline,
        count,
    })
}

impl Args {
    /// The recordings, in the order in which they were named.
    fn inputs(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut inputs = self.bags.clone();
        if let Some(file) = &self.from {
            let text = match file.to_str() {
                Some("-") => std::io::read_to_string(std::io::stdin()),
                _ => std::fs::read_to_string(file),
            };
            let text = text.with_context(|| format!("cannot read {}", file.display()))?;
            let lines = text.lines().map(str::trim);
            inputs.extend(lines.filter(|line| !line.is_empty()).map(PathBuf::from));
        }
        Ok(inputs)
    }

    /// Everything that decides what is found out about a recording, by the options' names.
    pub fn settings(&self) -> BTreeMap<String, Value> {
        let mut settings = self.model.settings();
        settings.extend(self.space.listed());
        let own: [(&str, Value); 5] = [
            ("truth", self.truth_topic.clone().into()),
            ("truth_boxes", self.truth_boxes_topic.clone().into()),
            ("instruction_topic", self.instruction_topic.clone().into()),
            ("topic", self.topic.clone().into()),
            ("sync_slop_s", self.sync_slop_s.into()),
        ];
        settings.extend(own.map(|(name, value)| (name.to_owned(), value)));
        settings
    }

    /// Prints how an instruction ended, if that is asked for; see [`ReportArgs::list`].
    pub fn list(&self, row: &InstructionRow, goes_on: bool) {
        let iou = row.iou.map_or("   -".to_owned(), |iou| format!("{iou:.2}"));
        let text = if row.error.is_empty() {
            &row.answer
        } else {
            &row.error
        };
        let line = format_args!(
            "{iou} {} {} | {} | {text}",
            row.id, row.status, row.instruction
        );
        self.report.list(line, goes_on);
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let inputs = args.inputs()?;
    check_output_paths(&args, &inputs)?;
    match &inputs[..] {
        [] => bail!(
            "{} names no recording; accepted: a path or URL a line",
            args.from.unwrap_or_default().display()
        ),
        [bag] if args.share.parts.is_none() => one(&args, bag),
        several => {
            if args.results.is_some() || args.report.pictures.is_some() {
                bail!("--results and --pictures go with one recording that is measured in one piece; accepted: one recording without --parts");
            }
            let names = several.iter().map(|bag| match bag.to_str() {
                Some(name) => Ok(name.to_owned()),
                None => bail!(
                    "{} is not UTF-8; accepted: recordings whose names are",
                    bag.display()
                ),
            });
            night::run(&args, names.collect::<anyhow::Result<_>>()?)
        }
    }
}

/// Measures one recording in one piece.
fn one(args: &Args, path: &Path) -> anyhow::Result<()> {
    let bag = Bag::open(path)?;
    super::say_notes(&bag);
    let Opened {
        ground_truth,
        true_boxes,
        mut timeline,
        count,
    } = opened(args, &bag)?;
    let mut judge = Judge::new(&bag, ground_truth, args.report.gallery()?);
    if let Some(boxes) = true_boxes {
        judge = judge.with_true_boxes(boxes);
    }
    // The outcome of a comparison is also in the exit code.
    let goes_on = args.report.writes() || args.against.is_some();
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta:>4}") {
        bar.set_style(style);
    }
    let on_row = |row: &InstructionRow| {
        bar.inc(1);
        bar.suspend(|| args.list(row, goes_on))
    };
    let mut settings = args.settings();
    let (judge, model, protocol) = match &args.results {
        Some(results) => {
            let judge = recorded(args, path, results, judge, &mut timeline, &on_row)?;
            (judge, results.display().to_string(), Protocol::Recorded)
        }
        None => {
            let engine = args.model.start(false)?;
            settings.insert("model".to_owned(), engine.model().to_string().into());
            let mut asker = Asker::new(&bag, &engine);
            for resolved in timeline.by_ref() {
                let frame = resolved.frame().cloned();
                let answered = asker.ask(resolved);
                on_row(judge.computed(frame.as_deref(), &answered)?);
            }
            let model = args.model.path()?.display().to_string();
            (judge, model, Protocol::Generated)
        }
    };
    bar.finish_and_clear();
    super::say_faults(timeline.faults());
    let (record, gallery) = judge.into_record_and_gallery();
    let run = Run {
        model: model.clone(),
        protocol,
        dataset: "bag".to_owned(),
        split: name_of(path),
        seed: None,
        settings,
    };
    let report = NightReport::of(&[(&model, &record)], run);
    print(report.to_string().trim_end());
    if let Some(file) = &args.report.json {
        report.write_json(file)?;
        print(file.display());
    }
    args.report.write_html(&report.bags.report, &gallery)?;
    if let (Some(results), Some(against)) = (&args.results, &args.against) {
        let (one, other) = (Bag::open(results)?, Bag::open(against)?);
        let one = RecordedResults::open(&one, args.result_topic.as_deref())?;
        super::say_notes(&other);
        let found = compare(&one, &RecordedResults::open(&other, None)?)?;
        print(&found);
        if found.compared == 0 {
            bail!(
                "{} and {} have no answer to compare",
                results.display(),
                against.display()
            );
        }
        if !found.different.is_empty() {
            bail!("{} and {} differ", results.display(), against.display());
        }
    }
    if record.instructions.is_empty() {
        bail!("{} has no instruction to measure", path.display());
    }
    Ok(())
}

fn recorded<'b>(
    args: &Args,
    path: &Path,
    results: &Path,
    mut judge: Judge<'b>,
    timeline: &mut Timeline<'_>,
    on_row: &dyn Fn(&InstructionRow),
) -> anyhow::Result<Judge<'b>> {
    let bag = Bag::open(results)?;
    super::say_notes(&bag);
    let recorded = RecordedResults::open(&bag, args.result_topic.as_deref())?;
    let (mut own, mut other_frame, mut foreign) = (0, 0, None);
    for resolved in timeline {
        let result = match recorded.result(&resolved.question.instruction_id)? {
            Some(result) if result.answers(&resolved.question.text.words) => Some(result),
            Some(result) => {
                foreign.get_or_insert_with(|| {
                    let words = [&result.instruction, &resolved.question.text.words]
                        .map(|text| shown(text));
                    let [theirs, ours] = words;
                    let id = shown(&resolved.question.instruction_id);
                    format!("; {id:?} is {theirs:?} there and {ours:?} here")
                });
                None
            }
            None => None,
        };
        own += usize::from(result.is_some());
        let row = judge.recorded(&resolved, result.as_ref())?;
        other_frame += usize::from(row.status == InstructionRow::OTHER_FRAME);
        on_row(row);
    }
    let all = recorded.ids().count();
    let others = all.saturating_sub(own);
    judge.unasked(others);
    let (here, there) = (path.display(), results.display());
    let example = foreign.unwrap_or_default();
    if own == 0 && all > 0 {
        bail!("none of the {all} results in {there} answers an instruction of {here}{example}: they belong to another recording, or to another `annotate`");
    }
    if others > 0 {
        warn(format_args!(
            "{others} of the {all} results in {there} answer no instruction of {here}, and are not judged{example}"
        ));
    }
    if own > 0 && other_frame == own {
        warn(format_args!(
            "all {own} results in {there} are about other frames than those of {here}: do they belong to another recording?"
        ));
    }
    Ok(judge)
}

/// Whether the reports can be written, and over none of the bags.
fn check_output_paths(args: &Args, inputs: &[PathBuf]) -> anyhow::Result<()> {
    let bags = inputs.iter().chain(&args.results).chain(&args.against);
    let mut read: Vec<PathBuf> = bags.flat_map(|bag| super::files_of(bag)).collect();
    read.extend(args.model.files());
    args.report
        .check(&read.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

fn name_of(bag: &Path) -> String {
    let name = bag.file_name().unwrap_or(bag.as_os_str());
    name.to_string_lossy().into_owned()
}
