//! The command `lisa bag extract`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{bail, Context};
use indicatif::{ProgressBar, ProgressStyle};
use lisa::image::{encode_jpeg, encode_png, EncodeError, PictureFormat, Pixels};
use lisa::replay::{
    decode_image, image_file, image_topic, raw_image, ImageTopic, RawImage, ReplayError,
};
use rayon::iter::{ParallelBridge, ParallelIterator};
use rosbag2::{Bag, BagError, CompressedImage, Header, Image, Note, RawMessage};
use serde_json::json;

use super::table::{Names, Row, Table};
use super::times::Window;
use crate::cli::streams::{print, warn};

/// Write the pictures of a topic to files, and a table of them.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa bag extract recording --topic /camera/image_raw --out frames
  lisa bag extract recording --topic /camera/depth/image --out depth
  lisa bag extract recording --out frames --format jpeg --every 10 --from 2.5 --until 60

A file is named by its stamp in nanoseconds, or by the time it was recorded where the stamp is zero;
DIR/frames.csv has both, and the frame_id. Colour becomes 8 bit PNG, mono8 (also masks) gray PNG,
mono16 and 16UC1 (depth) 16 bit PNG, 32FC1 (metres) 16 bit PNG in millimetres. A compressed picture
keeps its bytes unless --format asks for another kind of file. What cannot be decoded is counted and
named, and the rest is written.")]
pub struct Args {
    /// A bag's folder, or one of its files
    bag: PathBuf,
    /// Topic of sensor_msgs/Image or CompressedImage [default: the bag's only camera]
    #[arg(long)]
    topic: Option<String>,
    /// Folder to write to; it is made where it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to write [default: png of raw pictures, the file itself of compressed ones]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Of JPEGs that are made, 1 (worst) to 100
    #[arg(long, value_name = "1..100", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// Take the first message and then each Nth
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    #[command(flatten)]
    window: Window,
    /// Stop after so many messages, 1 or more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Png,
    Jpeg,
}

/// A frame that is ready to be written.
struct FrameFile<'m> {
    header: Header,
    encoding: String,
    bytes: Cow<'m, [u8]>,
    extension: &'static str,
}

/// Why a message did not become a frame.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// A part of the bag cannot be read. It may hold any number of messages, or none.
    #[error("{0}")]
    Part(BagError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Bag(#[from] BagError),
    #[error("at {time} ns: {source}")]
    Encode { time: u64, source: EncodeError },
}

/// What was extracted and what was not, gathered from all threads.
#[derive(Default)]
struct Extraction {
    written: u64,
    encodings: BTreeSet<String>,
    /// With the messages' numbers, so that they can be reported in order.
    faults: Vec<(usize, Fault)>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let bag = Bag::open(&args.bag)?;
    for note in bag.notes() {
        // That the bag is empty is reported at the end, as an error.
        if !matches!(note, Note::Empty { .. }) {
            warn(note);
        }
    }
    let topic = image_topic(&bag, args.topic.as_deref())?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let path = args.out.join("frames.csv");
    let mut extraction = extract(&args, &bag, &topic, &path)?;
    extraction.faults.sort_by_key(|(number, _)| *number);
    report(&args, &bag, &topic, &path, &extraction)
}

/// Extracts each message on its own. The bag is read by whichever thread needs the next message, so that no more messages are in
/// memory than there are threads.
fn extract(args: &Args, bag: &Bag, topic: &ImageTopic, table: &Path) -> anyhow::Result<Extraction> {
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    let bar = ProgressBar::new(expected(args, bag, topic));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} frames {eta:>4}") {
        bar.set_style(style);
    }
    let extraction = Mutex::new(Extraction::default());
    let rows = Mutex::new(Table::create(table).with_context(|| cannot(table))?);
    let mut names = Names::default();
    let selection = args.window.selection(bag, &[&topic.name]);
    bag.messages(&selection)?
        .step_by(usize::try_from(args.every).unwrap_or(usize::MAX))
        .take(args.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        }))
        // Names are given here, in the bag's order, because they depend on it where several frames have the same stamp.
        .map(|message| {
            let message = message.map_err(Fault::Part)?;
            let name = names.of(stamp(bag, topic, &message)?);
            Ok::<_, Fault>((message, name))
        })
        .enumerate()
        .par_bridge()
        .try_for_each(|(number, message): (usize, Result<_, Fault>)| {
            let written = message.and_then(|(message, name)| {
                let frame = frame(args, bag, topic, &message)?;
                let file = format!("{name}.{}", frame.extension);
                let path = args.out.join(&file);
                let written = fs::write(&path, &frame.bytes).with_context(|| cannot(&path));
                Ok(written.map(|()| Row {
                    file,
                    stamp: frame.header.stamp.nanoseconds(),
                    frame_id: frame.header.frame_id,
                    log_time: message.log_time,
                    encoding: frame.encoding,
                }))
            });
            let mut extraction = locked(&extraction);
            let row = match written {
                Ok(row) => Some(row?),
                Err(fault) => {
                    extraction.faults.push((number, fault));
                    None
                }
            };
            if let Some(row) = &row {
                extraction.written += 1;
                extraction.encodings.insert(row.encoding.clone());
            }
            drop(extraction);
            locked(&rows)
                .put(number, row)
                .with_context(|| cannot(table))?;
            bar.inc(1);
            anyhow::Ok(())
        })?;
    bar.finish_and_clear();
    let rows = rows
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    rows.finish().with_context(|| cannot(table))?;
    Ok(extraction
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Locks even if another thread has panicked while it had the lock, because nothing is half done under it.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// How many messages there will be, estimated before they are read.
fn expected(args: &Args, bag: &Bag, topic: &ImageTopic) -> u64 {
    let all = bag.topic(&topic.name).map_or(0, |topic| topic.messages);
    let some = all.div_ceil(args.every);
    args.limit.map_or(some, |limit| limit.min(some))
}

/// The stamp by which a frame is named. The pixels are not decoded for it.
fn stamp(bag: &Bag, topic: &ImageTopic, message: &RawMessage) -> Result<i128, BagError> {
    let header = match topic.compressed {
        true => bag.decode::<CompressedImage>(message)?.header,
        false => bag.decode::<Image>(message)?.header,
    };
    Ok(match header.stamp.nanoseconds() {
        // The stamp is not set.
        0 => message.log_time.into(),
        stamp => stamp.into(),
    })
}

fn frame<'m>(
    args: &Args,
    bag: &Bag,
    topic: &ImageTopic,
    message: &'m RawMessage,
) -> Result<FrameFile<'m>, Fault> {
    if !topic.compressed {
        let RawImage {
            header,
            encoding,
            pixels,
        } = raw_image(bag, message)?;
        return encoded(args, message, header, encoding, &pixels);
    }
    let file = image_file(bag, message)?;
    let wanted = args.format.map(|format| match format {
        Format::Png => PictureFormat::Png,
        Format::Jpeg => PictureFormat::Jpeg,
    });
    if wanted.is_none_or(|wanted| wanted == file.format) {
        return Ok(FrameFile {
            header: file.header,
            encoding: file.encoding,
            bytes: file.bytes,
            extension: file.format.extension(),
        });
    }
    if file.depth {
        let source = EncodeError::Bits { what: "depth" };
        let time = message.log_time;
        return Err(Fault::Encode { time, source });
    }
    let pixels = Pixels::Rgb(decode_image(bag, message)?.pixels);
    encoded(args, message, file.header, file.encoding, &pixels)
}

fn encoded(
    args: &Args,
    message: &RawMessage,
    header: Header,
    encoding: String,
    pixels: &Pixels,
) -> Result<FrameFile<'static>, Fault> {
    let (bytes, format) = match args.format {
        Some(Format::Jpeg) => (encode_jpeg(pixels, args.quality), PictureFormat::Jpeg),
        Some(Format::Png) | None => (encode_png(pixels), PictureFormat::Png),
    };
    let time = message.log_time;
    let bytes = bytes.map_err(|source| Fault::Encode { time, source })?;
    Ok(FrameFile {
        header,
        encoding,
        bytes: bytes.into(),
        extension: format.extension(),
    })
}

fn report(
    args: &Args,
    bag: &Bag,
    topic: &ImageTopic,
    table: &Path,
    extraction: &Extraction,
) -> anyhow::Result<()> {
    const SHOWN: usize = 5;
    let faults = extraction.faults.len();
    let parts: Vec<String> = extraction
        .faults
        .iter()
        .filter(|(_, fault)| matches!(fault, Fault::Part(_)))
        .map(|(_, fault)| fault.to_string())
        .collect();
    let failed = faults - parts.len();
    for (_, fault) in extraction.faults.iter().take(SHOWN) {
        warn(fault);
    }
    if let Some(more @ 1..) = faults.checked_sub(SHOWN) {
        warn(format_args!("and {more} more"));
    }
    let name = rosbag2::shown(&topic.name);
    if extraction.written == 0 {
        let bag = args.bag.display();
        match failed {
            0 if !parts.is_empty() => bail!("{bag}: no message on {name} could be read"),
            0 if args.window.is_everything() => bail!("{bag}: holds no messages on {name}"),
            0 => bail!("{bag}: holds no messages on {name} in that time"),
            _ => bail!("{bag}: none of {failed} messages on {name} could be extracted"),
        }
    }
    let losses = bag.notes().iter().filter(|note| note.is_loss());
    let losses: Vec<String> = losses.map(ToString::to_string).chain(parts).collect();
    let mut notes = Vec::new();
    if extraction.encodings.contains("32FC1") {
        notes.push("32FC1 is metres, the files are millimetres: 0 where nothing was measured or it is beyond 65.535 m");
    }
    if args.json {
        let summary = json!({
            "topic": topic.name,
            "frames": extraction.written,
            "failed": failed,
            "encodings": extraction.encodings,
            "out": args.out.display().to_string(),
            "table": table.display().to_string(),
            "notes": notes,
            "missing": losses,
        });
        print(summary);
        return Ok(());
    }
    let failed = match failed {
        0 => String::new(),
        failed => format!(", {failed} could not be extracted"),
    };
    print(format_args!(
        "{} frames of {name}{failed}; listed in {}",
        extraction.written,
        table.display()
    ));
    if !losses.is_empty() {
        print("note: the bag is not whole, and there may have been more frames: the lines on standard error say why");
    }
    for note in notes {
        print(format_args!("note: {note}"));
    }
    Ok(())
}
