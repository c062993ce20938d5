//! The command `lisa report`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use lisa::eval::{write_whole, write_worst_html, Report};
use lisa::parts::{compare_nights, merge, write_night_html, Merged, NightReport, NightRows, Part};

use super::output_paths::{self, OutputFile};
use super::part_args::Unmeasured;
use super::streams::print;

/// Reports of runs that several processes shared: merge their parts, compare two
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa report merge parts/*.json --html night.html --json night.json
  lisa report compare monday.json tuesday.json")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Merge(MergeArgs),
    Compare(CompareArgs),
}

/// Make the report of a run from its parts: the same to the digit as of the run in one piece
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa report merge parts/*.json --html night.html --json night.json
  lisa report merge mini/*.json large/*.json --json both.json    two models on the same recordings

Exit code 3: the report was made, and recordings that could not be measured are in it.")]
struct MergeArgs {
    /// The parts of all shards, in any order
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one page, with the worst twenty answers as pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Compare two reports on recordings: what got better, what worse, with confidence intervals
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa report compare monday.json tuesday.json
  lisa report compare mini.json large.json --json change.json    two models on the same recordings

Intervals hold 95 % and are drawn over recordings (bootstrap, 10000 draws, a fixed seed). Equal reports give equal intervals.")]
struct CompareArgs {
    /// The first report, as `lisa bag eval --json` or `lisa report merge --json` writes it
    #[arg(value_name = "A.json")]
    first: PathBuf,
    /// The second one
    #[arg(value_name = "B.json")]
    second: PathBuf,
    /// Write the comparison as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Merge(args) => run_merge(args),
        Command::Compare(args) => run_compare(args),
    }
}

fn run_merge(args: MergeArgs) -> anyhow::Result<()> {
    check(
        [("--json", &args.json), ("--html", &args.html)],
        &args.parts,
    )?;
    let parts = args.parts.into_iter();
    let parts = parts.map(|path| Part::read(&path).map(|part| (path, part)));
    let merged = merge(parts.collect::<Result<Vec<_>, _>>()?)?;
    if let Some(report) = merged.questions() {
        return write_questions(&report, &merged, &args.json, &args.html);
    }
    match merged.night() {
        Some(night) => write_night(&night, &merged, &args.json, &args.html),
        None => Ok(()),
    }
}

fn write_questions(
    report: &Report,
    merged: &Merged,
    json: &Option<PathBuf>,
    html: &Option<PathBuf>,
) -> anyhow::Result<()> {
    say!("{report}");
    if let Some(file) = json {
        report.write_json(file)?;
        print(file.display());
    }
    if let Some(file) = html {
        write_worst_html(report, &merged.worst, file)?;
        print(file.display());
    }
    Ok(())
}

/// Prints and writes the report of recordings.
///
/// # Errors
/// A report cannot be written; [`Unmeasured`] where recordings could not be measured.
pub fn write_night(
    night: &NightReport,
    merged: &Merged,
    json: &Option<PathBuf>,
    html: &Option<PathBuf>,
) -> anyhow::Result<()> {
    print(night.to_string().trim_end());
    if let Some(file) = json {
        night.write_json(file)?;
        print(file.display());
    }
    if let Some(file) = html {
        write_night_html(night, &merged.worst, file)?;
        print(file.display());
    }
    Unmeasured::end(night.faults().count(), night.bags.bags.len())
}

fn run_compare(args: CompareArgs) -> anyhow::Result<()> {
    let read = [args.first.clone(), args.second.clone()];
    check([("--json", &args.json)], &read)?;
    let (first, second) = (
        NightRows::read(&args.first)?,
        NightRows::read(&args.second)?,
    );
    let compared = compare_nights(&first, &second);
    print(compared.to_string().trim_end());
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&compared)? + "\n";
        write_whole(file, json.as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?;
        print(file.display());
    }
    Ok(())
}

/// Whether the files can be written, and over nothing that is read.
fn check<const N: usize>(
    files: [(&'static str, &Option<PathBuf>); N],
    read: &[PathBuf],
) -> anyhow::Result<()> {
    let files: Vec<OutputFile> = files
        .into_iter()
        .filter_map(|(option, file)| Some(OutputFile::new(option, file.as_deref()?)))
        .collect();
    files
        .iter()
        .try_for_each(|file| output_paths::check_file(file.path))?;
    let read: Vec<_> = read.iter().map(PathBuf::as_path).collect();
    output_paths::check_distinct(&files, &read)
}
