//! How long opening and reading a large bag takes, beside the Python package `rosbags`.
//!
//!     LISA_BAG_PYTHON=... cargo test --release --test bag speed -- --ignored --nocapture
//!
//! `LISA_BAG_BYTES` is the size of the bag (1 GB). Both read it twice, and the second time counts: it is then in the
//! system's cache for both, so that what is compared is the work and not the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use lisa::bag::{
    Bag, BagWriter, ChunkCompression, Compression, Image, NewTopic, Selection, StorageKind,
    WriterOptions,
};

use crate::interop;

const SIZE: (u32, u32) = (640, 480);

fn bytes() -> u64 {
    let given = std::env::var("LISA_BAG_BYTES").ok();
    given.map_or(1_000_000_000, |bytes| bytes.parse().expect("a number"))
}

/// Images as a camera's: smooth, with some noise, so that compression has something to do.
fn write(path: &Path, options: WriterOptions) -> u64 {
    let mut writer = BagWriter::create(path, options).unwrap();
    let topic = NewTopic::of::<Image>("/camera/image_raw");
    let topic = writer.add_topic(topic).unwrap();
    let len = SIZE.0 * SIZE.1 * 3;
    let count = bytes() / u64::from(len);
    let mut noise = 1u32;
    for number in 0..count {
        let pixel = |at: u32| {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            ((at / 5760) as u8).wrapping_add(noise as u8 & 3)
        };
        let image = Image {
            height: SIZE.1,
            width: SIZE.0,
            encoding: "rgb8".into(),
            step: SIZE.0 * 3,
            data: (0..len).map(pixel).collect::<Vec<_>>().into(),
            ..Image::default()
        };
        writer
            .write_message(topic, number * 33_000_000, &image)
            .unwrap();
    }
    writer.finish().unwrap();
    count
}

/// How long opening takes, and reading and decoding every image.
fn ours(path: &Path, count: u64) -> (Duration, Duration) {
    let start = Instant::now();
    let bag = Bag::open(path).unwrap();
    assert_eq!(bag.message_count(), count);
    let opened = start.elapsed();
    let start = Instant::now();
    let (mut images, mut sum) = (0, 0u64);
    for message in bag.messages(&Selection::all()).unwrap() {
        let message = message.unwrap();
        let image: Image = bag.decode(&message).unwrap();
        // Decoding borrows; a byte a page makes sure that there is something to borrow.
        sum += image
            .data
            .iter()
            .step_by(4096)
            .map(|&byte| u64::from(byte))
            .sum::<u64>();
        images += 1;
    }
    assert!(images == count && sum > 0);
    (opened, start.elapsed())
}

#[test]
#[ignore = "writes a gigabyte, thrice"]
fn speed_beside_rosbags() {
    let folder = tempfile::tempdir().unwrap();
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
        ours(&path, count);
        let (opened, read) = ours(&path, count);
        println!("{name}: {count} images");
        println!("    lisa:    open {opened:.4?}, read {read:.3?}");
        let Some(python) = interop::python() else {
            continue;
        };
        interop::run(&python, "time", &path);
        std::fs::remove_dir_all(&path).unwrap();
    }
}
