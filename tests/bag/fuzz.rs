//! Damage at random, for `LISA_FUZZ_SECONDS` (5): the reader may refuse, it may not panic, and its errors are one line.
//!
//! `LISA_FUZZ_SEED` repeats a run.

use std::fs;
use std::time::{Duration, Instant};

use lisa::bag::{
    Bag, CameraInfo, CompressedImage, Image, Instruction, Message, Metadata, ReasoningResult,
    Selection, StringMessage, TFMessage,
};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::sample::{self, ways};

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |value| value.parse().expect(name))
}

fn rng(default_seed: u64) -> ChaCha8Rng {
    let seed = setting("LISA_FUZZ_SEED", default_seed);
    println!("LISA_FUZZ_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

fn until(share: u32) -> Instant {
    Instant::now() + Duration::from_secs(setting("LISA_FUZZ_SECONDS", 5)) / share
}

/// Flips, overwrites, cuts, repeats and inserts, a few times.
fn damage(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..=4u32) {
        if bytes.is_empty() {
            return;
        }
        // Half of the time at an end, where formats keep their indexes.
        let at = match rng.random_range(0..4u32) {
            0 => rng.random_range(0..bytes.len().min(200)),
            1 => bytes.len() - 1 - rng.random_range(0..bytes.len().min(1000)),
            _ => rng.random_range(0..bytes.len()),
        };
        let len = rng.random_range(1..=16usize).min(bytes.len() - at);
        match rng.random_range(0..7u32) {
            0 => bytes[at] ^= 1u8 << rng.random_range(0..8u32),
            1 => {
                bytes[at] = *[0u8, 1, 127, 128, 255]
                    .get(rng.random_range(0..5usize))
                    .unwrap()
            }
            2 => rng.fill_bytes(&mut bytes[at..at + len]),
            3 => bytes[at..at + len].fill(255),
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..at + len)),
            _ => {
                let copied = bytes[at..at + len].to_vec();
                bytes.splice(at..at, copied);
            }
        }
    }
}

/// Reads everything there is.
fn read(path: &std::path::Path) {
    let said = |line: String| assert!(!line.contains('\n') && line.len() < 2000, "{line}");
    let bag = match Bag::open(path) {
        Ok(bag) => bag,
        Err(error) => return said(error.to_string()),
    };
    for note in bag.notes() {
        said(note.to_string());
    }
    let messages = match bag.messages(&Selection::all()) {
        Ok(messages) => messages,
        Err(error) => return said(error.to_string()),
    };
    // A damaged index may lead to the same message again and again, never without end.
    for message in messages.take(100_000) {
        match message {
            Ok(message) => {
                let _ = bag.decode::<Image>(&message);
                let _ = bag.decode::<CameraInfo>(&message);
                let _ = bag.decode::<StringMessage>(&message);
            }
            Err(error) => said(error.to_string()),
        }
    }
}

#[test]
fn damaged_files_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let messages = &sample::messages()[..60];
    let mut files = Vec::new();
    for (name, options) in ways() {
        let path = sample::write(folder.path(), name, options, messages);
        let file = sample::first_file(&path);
        files.push((fs::read(&file).unwrap(), file));
    }
    let mut rng = rng(1);
    let end = until(2);
    let mut runs = 0;
    while Instant::now() < end {
        let (whole, path) = &files[rng.random_range(0..files.len())];
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut rng);
        // Another file each time: the last one may still be mapped.
        let name = path.file_name().unwrap().to_str().unwrap();
        let damaged = folder.path().join(format!("{runs}_{name}"));
        fs::write(&damaged, bytes).unwrap();
        read(&damaged);
        fs::remove_file(&damaged).unwrap();
        runs += 1;
    }
    println!("{runs} damaged files");
}

#[test]
fn damaged_messages_are_decoded_or_refused() {
    let result = ReasoningResult {
        answer: "It is [SEG].".into(),
        notes: vec!["one".into(), "two".into()],
        objects: vec![Default::default(); 2],
        token_seconds: vec![0.5; 9],
        ..ReasoningResult::default()
    };
    let tf = TFMessage {
        transforms: vec![Default::default(); 3],
    };
    let whole = [
        sample::messages()[0].2.clone(),
        sample::messages()[1].2.clone(),
        result.to_cdr(),
        tf.to_cdr(),
        Instruction::default().to_cdr(),
    ];
    let mut rng = rng(2);
    let end = until(4);
    while Instant::now() < end {
        let mut bytes = whole[rng.random_range(0..whole.len())].clone();
        damage(&mut bytes, &mut rng);
        let _ = Image::from_cdr(&bytes);
        let _ = CompressedImage::from_cdr(&bytes);
        let _ = CameraInfo::from_cdr(&bytes);
        let _ = ReasoningResult::from_cdr(&bytes);
        let _ = TFMessage::from_cdr(&bytes);
        let _ = Instruction::from_cdr(&bytes);
    }
}

#[test]
fn damaged_metadata_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, options) = ways().swap_remove(6);
    let path = sample::write(folder.path(), "bag", options, &sample::messages());
    let whole = fs::read(path.join("metadata.yaml")).unwrap();
    let mut rng = rng(3);
    let end = until(4);
    while Instant::now() < end {
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut rng);
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = Metadata::parse(&text, std::path::Path::new("m")) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
