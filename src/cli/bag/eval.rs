//! The command `lisa bag eval`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context};
use indicatif::{ProgressBar, ProgressStyle};
use lisa::eval::{write_whole, Protocol, Run};
use lisa::node::{bounds, Settings, Subscribers};
use lisa::replay::{
    camera_topic, compare, instruction_topics, Asker, BagReport, GroundTruth, InstructionRow,
    Judge, Questions, RecordedResults, Timeline, TrueBoxes,
};
use rosbag2::{shown, Bag};

use super::super::model_args::{as_the_node, in_range, ModelArgs};
use super::super::report_args::ReportArgs;
use super::space_args::SpaceArgs;
use crate::cli::streams::{print, warn};

/// Measure on a recording with truth: overlap, latency, and what became of every instruction.
#[derive(clap::Args)]
#[command(
    mut_arg("max_new_tokens", as_the_node),
    after_help = "Examples:
  lisa bag eval bags/tableworld --truth-topic /ground_truth/mask --html report.html
  lisa bag eval bags/tableworld --truth-topic /ground_truth/mask --truth-boxes-topic /ground_truth/boxes
  lisa bag eval kitchen --truth-topic /truth --model models/lisa-7b --json report.json
  lisa bag eval kitchen --truth-topic /truth --results kitchen-live    what the node answered while it ran

The truth is sensor_msgs/Image, mono8, 0 where nothing is, with the stamp of its frame; one without a pixel says that what
was asked for is not there. True boxes in space are vision_msgs/Detection3DArray, with the stamp of their frame. The recorded instructions are asked as the node would be: of the frame nearest their stamp."
)]
pub struct Args {
    /// A rosbag2, mcap or sqlite3: its folder, or one of its files
    bag: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
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
    report: ReportArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    check_output_paths(&args)?;
    let bag = Bag::open(&args.bag)?;
    super::say_notes(&bag);
    let images = camera_topic(&bag, args.topic.as_deref())?;
    let topics = instruction_topics(&bag, args.instruction_topic.as_deref())?;
    let count = super::messages_on(&bag, &topics)?;
    let ground_truth = match &args.truth_topic {
        Some(topic) => Some(GroundTruth::open(&bag, topic)?),
        None => None,
    };
    let mut judge = Judge::new(&bag, ground_truth, args.report.gallery()?);
    if let Some(topic) = &args.truth_boxes_topic {
        judge = judge.with_true_boxes(TrueBoxes::open(&bag, topic)?);
    }
    // Recorded results say themselves where their objects are.
    let space = match &args.results {
        Some(_) => None,
        None => args.space.find(&bag, &images)?,
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
    let mut timeline = Timeline::new(&bag, images, questions, node, watched)?;
    if let Some(space) = space {
        timeline = timeline.with_space(space)?;
    }
    // The outcome of a comparison is also in the exit code.
    let goes_on = args.report.writes() || args.against.is_some();
    let list = |row: &InstructionRow| {
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
        args.report.list(line, goes_on);
    };
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta:>4}") {
        bar.set_style(style);
    }
    let on_row = |row: &InstructionRow| {
        bar.inc(1);
        bar.suspend(|| list(row))
    };
    let (judge, model, protocol) = match &args.results {
        Some(results) => {
            let judge = recorded(&args, results, judge, &mut timeline, &on_row)?;
            (judge, results.display().to_string(), Protocol::Recorded)
        }
        None => {
            let judge = computed(&args, &bag, judge, &mut timeline, &on_row)?;
            let model = args.model.path()?.display().to_string();
            (judge, model, Protocol::Generated)
        }
    };
    bar.finish_and_clear();
    super::say_faults(timeline.faults());
    let (report, gallery) = judge.finish(Run {
        model,
        protocol,
        dataset: "bag".to_owned(),
        split: name_of(&args.bag),
        seed: None,
        settings: BTreeMap::from([
            ("truth".to_owned(), args.truth_topic.clone().into()),
            ("sync_slop_s".to_owned(), args.sync_slop_s.into()),
            (
                "truth_boxes".to_owned(),
                args.truth_boxes_topic.clone().into(),
            ),
        ]),
    });
    print(report.report.to_string().trim_end());
    if let Some(file) = &args.report.json {
        write_json(&report, file)?;
        print(file.display());
    }
    args.report.write_html(&report.report, &gallery)?;
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
    if report.instructions.is_empty() {
        bail!("{} has no instruction to measure", args.bag.display());
    }
    Ok(())
}

fn computed<'b>(
    args: &Args,
    bag: &Bag,
    mut judge: Judge<'b>,
    timeline: &mut Timeline<'_>,
    on_row: &dyn Fn(&InstructionRow),
) -> anyhow::Result<Judge<'b>> {
    let engine = args.model.start(false)?;
    let mut asker = Asker::new(bag, &engine);
    for resolved in timeline {
        let frame = resolved.frame().cloned();
        let answered = asker.ask(resolved);
        on_row(judge.computed(frame.as_deref(), &answered)?);
    }
    Ok(judge)
}

fn recorded<'b>(
    args: &Args,
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
    let (here, there) = (args.bag.display(), results.display());
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
fn check_output_paths(args: &Args) -> anyhow::Result<()> {
    let bags = [&args.bag]
        .into_iter()
        .chain(&args.results)
        .chain(&args.against);
    let mut read: Vec<PathBuf> = bags.flat_map(|bag| super::files_of(bag)).collect();
    read.extend(args.model.files());
    args.report
        .check(&read.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

fn name_of(bag: &Path) -> String {
    let name = bag.file_name().unwrap_or(bag.as_os_str());
    name.to_string_lossy().into_owned()
}

fn write_json(report: &BagReport, file: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    write_whole(file, (json + "\n").as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))
}
