//! How long a large bag takes, beside the Python package `rosbags`: opening it, reading and decoding every image, and writing
//! them to files.
//!
//!     source scripts/env.sh && cargo bench --bench bag
//!
//! `LISA_BAG_BYTES` is the size of the bag (1 GB), `LISA_BAG_ROUNDS` how often each does everything (5). They take turns, and
//! one turn before the first is not counted: the bag is then in the system's cache for both, so that what is compared is the
//! work and not the disk. Files are written by them only if that Python has OpenCV.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a benchmark that cannot go on says so by panicking

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rosbag2::{
    Bag, BagWriter, ChunkCompression, Compression, Image, NewTopic, Selection, StorageKind, Time,
    WriterOptions,
};

const SIZE: (u32, u32) = (640, 480);
const TOPIC: &str = "/camera/image_raw";
/// What is timed, as `interop.py` names it.
const STAGES: [&str; 4] = ["open", "read", "png", "jpeg"];

/// The seconds that each of [`STAGES`] took; `None` if it could not be done.
type Timings = [Option<f64>; 4];

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |given| given.parse().expect("a number"))
}

/// Images as a camera's: smooth, with some noise, so that compression has something to do.
fn write(path: &Path, options: WriterOptions) -> u64 {
    let mut writer = BagWriter::create(path, options).unwrap();
    let topic = NewTopic::of::<Image>(TOPIC);
    let topic = writer.add_topic(topic).unwrap();
    let len = SIZE.0 * SIZE.1 * 3;
    let count = number("LISA_BAG_BYTES", 1_000_000_000) / u64::from(len);
    let mut noise = 1u32;
    for number in 0..count {
        let pixel = |at: u32| {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            ((at / 5760) as u8).wrapping_add(noise as u8 & 3)
        };
        let time = 1_700_000_000_000_000_000 + number * 33_000_000;
        let mut image = Image {
            height: SIZE.1,
            width: SIZE.0,
            encoding: "rgb8".into(),
            step: SIZE.0 * 3,
            data: (0..len).map(pixel).collect::<Vec<_>>().into(),
            ..Image::default()
        };
        image.header.stamp = Time::from_nanoseconds(time as i64);
        writer.write_message(topic, time, &image).unwrap();
    }
    writer.finish().unwrap();
    count
}

fn ours(path: &Path, count: u64) -> Timings {
    let start = Instant::now();
    let bag = Bag::open(path).unwrap();
    assert_eq!(bag.message_count(), count);
    let opened = start.elapsed();
    let start = Instant::now();
    let (mut images, mut sum) = (0, 0u64);
    for message in bag.messages(&Selection::all()).unwrap() {
        let message = message.unwrap();
        let image: Image = bag.decode(&message).unwrap();
        // Decoding only borrows the pixels; reading a byte of each page makes sure that they are in memory.
        sum += image
            .data
            .iter()
            .step_by(4096)
            .map(|&byte| u64::from(byte))
            .sum::<u64>();
        images += 1;
    }
    let read = start.elapsed();
    assert!(images == count && sum > 0);
    let extract = |format: &str| {
        let out = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let done = Command::new(env!("CARGO_BIN_EXE_lisa"))
            .args(["bag", "extract", "--topic", TOPIC, "--format", format])
            .arg("--out")
            .args([out.path(), path])
            .output()
            .unwrap();
        let took = start.elapsed().as_secs_f64();
        assert!(done.status.success());
        written(format, "lisa", out.path());
        Some(took)
    };
    [
        Some(opened.as_secs_f64()),
        Some(read.as_secs_f64()),
        extract("png"),
        extract("jpeg"),
    ]
}

fn theirs(python: &str, path: &Path) -> Timings {
    let out = tempfile::tempdir().unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ran = Command::new(python)
        .arg(package.join("crates/rosbag2/tests/bag/interop.py"))
        .arg("time")
        .args([&package.join("msg"), path, out.path()])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let said = String::from_utf8(ran.stdout).unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    STAGES.map(|stage| said[stage].as_f64())
}

/// Prints how large the files became, because speed can be bought with size.
fn written(format: &str, whose: &str, out: &Path) {
    let sizes = std::fs::read_dir(out).unwrap();
    let bytes: u64 = sizes
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    eprintln!("    {whose}: {} MB of {format}", bytes / 1_000_000);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A Python that has the package `rosbags`, if there is one.
fn python() -> Option<String> {
    let python = std::env::var("LISA_BAG_PYTHON").ok()?;
    let has = Command::new(&python)
        .args(["-c", "import rosbags"])
        .output();
    has.is_ok_and(|has| has.status.success()).then_some(python)
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let python = python();
    let zstd = Compression::Chunk(ChunkCompression::Zstd);
    for (name, storage, compression) in [
        ("mcap", StorageKind::Mcap, Compression::None),
        ("mcap_zstd", StorageKind::Mcap, zstd),
        ("sqlite", StorageKind::Sqlite3, Compression::None),
    ] {
        let path = folder.path().join(name);
        let options = WriterOptions {
            storage,
            compression,
            ..WriterOptions::default()
        };
        let count = write(&path, options);
        let round = || {
            (
                ours(&path, count),
                python.as_deref().map(|python| theirs(python, &path)),
            )
        };
        round();
        let rounds: Vec<_> = (0..number("LISA_BAG_ROUNDS", 5)).map(|_| round()).collect();
        println!("{name}: {count} images, medians of {} turns", rounds.len());
        for (number, stage) in STAGES.into_iter().enumerate() {
            let ours: Option<Vec<f64>> = rounds.iter().map(|round| round.0[number]).collect();
            let theirs: Option<Vec<f64>> = rounds.iter().map(|round| round.1?[number]).collect();
            match (ours.map(median), theirs.map(median)) {
                (Some(ours), Some(theirs)) => println!(
                    "    {stage}: lisa {ours:.5} s, rosbags {theirs:.5} s, {:.1} times",
                    theirs / ours
                ),
                (Some(ours), None) => println!("    {stage}: lisa {ours:.5} s"),
                _ => {}
            }
        }
        std::fs::remove_dir_all(&path).unwrap();
    }
}
