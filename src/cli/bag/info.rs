//! The command `lisa bag info`.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use rosbag2::{shown, Bag, Note, QosProfile, Selection, Topic};
use serde::Serialize;

use super::times::{in_seconds, utc};
use crate::cli::streams::print;

/// Say what is in a bag: topics, times, how it is stored, and what is damaged or missing.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa bag info recording
  lisa bag info recording/recording_0.mcap --check
  lisa bag info recording --json | jq '.topics[] | select(.messages == 0) | .name'

The rate is a topic's mean over the whole bag. Exit codes: 0, also where a part is missing and the
notes say so; 1 where no message can be read, or --check finds something missing.")]
pub struct Args {
    /// A folder, or one of its files
    bag: PathBuf,
    /// Print JSON; times are nanoseconds
    #[arg(long)]
    json: bool,
    /// Read every message, with its checksum; fail where the bag is not whole
    #[arg(long)]
    check: bool,
}

/// The report; its fields' names are those of the JSON.
#[derive(Serialize)]
struct Report {
    path: String,
    storage: Vec<&'static str>,
    compression: Option<Compression>,
    bytes: u64,
    files: Vec<File>,
    duration_ns: u64,
    start_ns: Option<u64>,
    end_ns: Option<u64>,
    start: Option<String>,
    end: Option<String>,
    messages: u64,
    ros_distro: Option<String>,
    metadata_version: Option<u32>,
    custom_data: BTreeMap<String, String>,
    topics: Vec<TopicReport>,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Check>,
}

#[derive(Serialize)]
struct Compression {
    format: String,
    /// `chunk`, `message` or `file`.
    by: String,
}

#[derive(Serialize)]
struct File {
    path: String,
    bytes: u64,
    start_ns: Option<u64>,
    end_ns: Option<u64>,
}

#[derive(Serialize)]
struct TopicReport {
    name: String,
    r#type: String,
    messages: u64,
    hz: Option<f64>,
    serialization_format: String,
    type_hash: Option<String>,
    qos: Vec<Qos>,
}

#[derive(Serialize)]
struct Qos {
    reliability: &'static str,
    durability: &'static str,
    history: &'static str,
    depth: u64,
}

/// The outcome of reading all messages.
#[derive(Serialize)]
struct Check {
    messages: u64,
    errors: Vec<String>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let bag = Bag::open(&args.bag)?;
    let check = match args.check {
        true => Some(check(&bag)?),
        false => None,
    };
    let report = Report::of(&bag, check);
    match args.json {
        true => print(serde_json::to_string_pretty(&report)?),
        false => print(report.text(&bag)?.trim_end()),
    }
    if report.messages == 0 {
        bail!("{}: holds no messages", args.bag.display());
    }
    if let Some(check) = &report.check {
        let losses = bag.notes().iter().filter(|note| note.is_loss()).count();
        match losses + check.errors.len() {
            0 => {}
            1 => bail!(
                "{}: it is not whole, for the reason above",
                args.bag.display()
            ),
            n => bail!(
                "{}: it is not whole, for the {n} reasons above",
                args.bag.display()
            ),
        }
    }
    Ok(())
}

fn check(bag: &Bag) -> anyhow::Result<Check> {
    let bar = ProgressBar::new(bag.message_count());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} messages {eta:>4}") {
        bar.set_style(style);
    }
    let mut check = Check {
        messages: 0,
        errors: Vec::new(),
    };
    for message in bag.messages(&Selection::all())? {
        match message {
            Ok(_) => check.messages += 1,
            Err(error) => check.errors.push(error.to_string()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(check)
}

impl Report {
    fn of(bag: &Bag, check: Option<Check>) -> Self {
        let files = bag.files();
        let metadata = bag.metadata();
        let span = bag.span();
        let duration_ns = span.map_or(0, |(first, last)| last.saturating_sub(first));
        let mut storage: Vec<_> = files.iter().map(|file| file.storage.identifier()).collect();
        storage.dedup();
        Self {
            path: bag.path().display().to_string(),
            storage,
            compression: compression(bag),
            bytes: files.iter().map(|file| file.bytes).sum(),
            duration_ns,
            start_ns: span.map(|span| span.0),
            end_ns: span.map(|span| span.1),
            start: span.map(|span| utc(span.0)),
            end: span.map(|span| utc(span.1)),
            messages: bag.message_count(),
            ros_distro: metadata.and_then(|metadata| metadata.ros_distro.clone()),
            metadata_version: metadata.map(|metadata| metadata.version),
            custom_data: metadata
                .and_then(|metadata| metadata.custom_data.clone())
                .unwrap_or_default(),
            topics: bag
                .topics()
                .iter()
                .map(|topic| TopicReport::of(topic, duration_ns))
                .collect(),
            notes: bag.notes().iter().map(ToString::to_string).collect(),
            files: files
                .into_iter()
                .map(|file| File {
                    path: file.path.display().to_string(),
                    bytes: file.bytes,
                    start_ns: file.span.map(|span| span.0),
                    end_ns: file.span.map(|span| span.1),
                })
                .collect(),
            check,
        }
    }

    /// The report as text.
    fn text(&self, bag: &Bag) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let mut line =
            |name: &str, value: &str| writeln!(text, "{:<13} {value}", format!("{name}:"));
        line("Bag", &self.path)?;
        line("Storage", &self.storage.join(", "))?;
        let compression = self.compression.as_ref();
        line(
            "Compression",
            &compression.map_or("none".to_owned(), |c| format!("{}, by {}", c.format, c.by)),
        )?;
        line("Size", &DecimalBytes(self.bytes).to_string())?;
        line("Distro", &shown(self.ros_distro.as_deref().unwrap_or("-")))?;
        let seconds = self.duration_ns as f64 * 1e-9;
        line("Duration", &format!("{seconds:.3} s"))?;
        for (name, date, time) in [
            ("Start", &self.start, self.start_ns),
            ("End", &self.end, self.end_ns),
        ] {
            if let (Some(date), Some(time)) = (date, time) {
                line(name, &format!("{date} ({})", in_seconds(time)))?;
            }
        }
        line("Messages", &self.messages.to_string())?;
        for (key, value) in &self.custom_data {
            line("Custom data", &format!("{}: {}", shown(key), shown(value)))?;
        }
        if self.files.len() > 1 {
            writeln!(text, "\nFiles")?;
            for file in &self.files {
                writeln!(text, "  {}  {}", file.path, DecimalBytes(file.bytes))?;
            }
        }
        if !self.topics.is_empty() {
            writeln!(text)?;
            table(&self.topics, &mut text)?;
        }
        // That the bag is empty is reported at the end, as an error.
        let notes = bag.notes().iter();
        let notes: Vec<_> = notes
            .filter(|note| !matches!(note, Note::Empty { .. }))
            .collect();
        if !notes.is_empty() {
            writeln!(text)?;
        }
        for note in notes {
            writeln!(text, "note: {note}")?;
        }
        if let Some(check) = &self.check {
            writeln!(text, "\nRead:         {} messages", check.messages)?;
            const SHOWN: usize = 10;
            for error in check.errors.iter().take(SHOWN) {
                writeln!(text, "damaged: {error}")?;
            }
            if let Some(more @ 1..) = check.errors.len().checked_sub(SHOWN) {
                writeln!(text, "damaged: and {more} more")?;
            }
        }
        Ok(text)
    }
}

impl TopicReport {
    fn of(topic: &Topic, duration_ns: u64) -> Self {
        let intervals = topic.messages.saturating_sub(1);
        let hz = intervals as f64 / (duration_ns as f64 * 1e-9);
        Self {
            name: topic.name.clone(),
            r#type: topic.ros_type.clone(),
            messages: topic.messages,
            hz: (intervals > 0 && duration_ns > 0).then_some(hz),
            serialization_format: topic.serialization_format.clone(),
            type_hash: topic.type_hash.clone(),
            qos: topic.qos.iter().map(Qos::of).collect(),
        }
    }

    /// The different values of a policy among all publishers.
    fn policies(&self, policy: impl Fn(&Qos) -> &'static str) -> String {
        let mut names: Vec<_> = self.qos.iter().map(policy).collect();
        names.sort_unstable();
        names.dedup();
        match names.is_empty() {
            true => "-".to_owned(),
            false => names.join("+"),
        }
    }
}

impl Qos {
    fn of(profile: &QosProfile) -> Self {
        Self {
            reliability: profile.reliability.name(),
            durability: profile.durability.name(),
            history: profile.history.name(),
            depth: profile.depth,
        }
    }
}

/// The compression that the metadata names, or else the one that the files have.
fn compression(bag: &Bag) -> Option<Compression> {
    let named = |format: String, by: &str| {
        Some(Compression {
            format,
            by: by.to_owned(),
        })
    };
    if let Some(metadata) = bag.metadata() {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let format = given(&metadata.compression_format);
        if let (Some(format), Some(mode)) = (format, given(&metadata.compression_mode)) {
            return named(shown(&format), &shown(&mode).to_ascii_lowercase());
        }
    }
    let files = bag.files();
    let packed = |end: &std::ffi::OsStr| end == "zstd";
    if files
        .iter()
        .any(|file| file.path.extension().is_some_and(packed))
    {
        return named("zstd".to_owned(), "file");
    }
    let chunks = files.into_iter().find_map(|file| file.chunk_compression)?;
    named(shown(&chunks), "chunk")
}

/// A table of the topics.
fn table(topics: &[TopicReport], text: &mut String) -> fmt::Result {
    let head = [
        "Topic",
        "Type",
        "Messages",
        "Hz",
        "Reliability",
        "Durability",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(topics.iter().map(|topic| {
        [
            shown(&topic.name),
            shown(&topic.r#type),
            topic.messages.to_string(),
            topic.hz.map_or("-".to_owned(), |hz| format!("{hz:.2}")),
            topic.policies(|qos| qos.reliability),
            topic.policies(|qos| qos.durability),
        ]
    }));
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let [a, b, c, d, e, _] = [0, 1, 2, 3, 4, 5].map(width);
    for [name, ros_type, messages, hz, reliability, durability] in &lines {
        writeln!(
            text,
            "{name:<a$}  {ros_type:<b$}  {messages:>c$}  {hz:>d$}  {reliability:<e$}  {durability}"
        )?;
    }
    Ok(())
}
