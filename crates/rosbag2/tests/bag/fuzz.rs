//! Damage at random, the same on every machine: the reader may refuse, it may not panic, and its errors are one line.
//!
//! `LISA_FUZZ_SEED` chooses other damage, `LISA_FUZZ_TIMES` (1) more of it.

use std::fs;

use lisa_messages::{Instruction, ReasoningResult};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rosbag2::{
    Bag, CameraInfo, CompressedImage, Image, Message, Metadata, Selection, StringMessage, TFMessage,
};

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

/// The numbers of the trials, of which there are `default` times `LISA_FUZZ_TIMES`.
fn times(default: u64) -> std::ops::Range<u64> {
    0..default * setting("LISA_FUZZ_TIMES", 1)
}

/// How often something damaged was still read, and how often it was refused. Damage that never does the one or the other
/// tests nothing.
#[derive(Debug, Default)]
struct Ends {
    read: u64,
    refused: u64,
}

impl Ends {
    fn add<T, E>(&mut self, end: &Result<T, E>) {
        match end {
            Ok(_) => self.read += 1,
            Err(_) => self.refused += 1,
        }
    }

    fn both(&self) {
        println!("{self:?}");
        assert!(self.read > 0 && self.refused > 0, "{self:?}");
    }
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

/// Reads everything there is, and notes how that ends: the opening, and every message.
fn read(path: &std::path::Path, bags: &mut Ends, messages: &mut Ends) {
    let said = |line: String| assert!(!line.contains('\n') && line.len() < 2000, "{line}");
    let bag = Bag::open(path);
    bags.add(&bag);
    let bag = match bag {
        Ok(bag) => bag,
        Err(error) => return said(error.to_string()),
    };
    for note in bag.notes() {
        said(note.to_string());
    }
    let all = match bag.messages(&Selection::all()) {
        Ok(all) => all,
        Err(error) => return said(error.to_string()),
    };
    // A damaged index may lead to the same message again and again, never without end.
    for message in all.take(100_000) {
        messages.add(&message);
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
    let (mut bags, mut read_or_not) = (Ends::default(), Ends::default());
    for run in times(1000) {
        let (whole, path) = &files[rng.random_range(0..files.len())];
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut rng);
        // Another file each time: the last one may still be mapped.
        let name = path.file_name().unwrap().to_str().unwrap();
        let damaged = folder.path().join(format!("{run}_{name}"));
        fs::write(&damaged, bytes).unwrap();
        read(&damaged, &mut bags, &mut read_or_not);
        fs::remove_file(&damaged).unwrap();
    }
    bags.both();
    read_or_not.both();
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
    let mut ends = Ends::default();
    for _ in times(50_000) {
        let mut bytes = whole[rng.random_range(0..whole.len())].clone();
        damage(&mut bytes, &mut rng);
        ends.add(&Image::from_cdr(&bytes));
        ends.add(&CompressedImage::from_cdr(&bytes));
        ends.add(&CameraInfo::from_cdr(&bytes));
        ends.add(&ReasoningResult::from_cdr(&bytes));
        ends.add(&TFMessage::from_cdr(&bytes));
        ends.add(&Instruction::from_cdr(&bytes));
    }
    ends.both();
}

#[test]
fn damaged_metadata_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, options) = ways().swap_remove(6);
    let path = sample::write(folder.path(), "bag", options, &sample::messages());
    let whole = fs::read(path.join("metadata.yaml")).unwrap();
    let mut rng = rng(3);
    let mut ends = Ends::default();
    for _ in times(1000) {
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut rng);
        let text = String::from_utf8_lossy(&bytes);
        let read = Metadata::parse(&text, std::path::Path::new("m"));
        ends.add(&read);
        if let Err(error) = read {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
    ends.both();
}
