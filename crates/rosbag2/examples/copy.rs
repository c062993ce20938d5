//! Copies topics of a bag into a new one: the bytes, times, definitions and QoS profiles stay as they are.
//!
//! `cargo run -p rosbag2 --example copy -- BAG NEW [TOPIC...]`; without topics, all are copied. A message that cannot be read
//! is named, and those after it are copied.

use std::error::Error;
use std::process::ExitCode;

use rosbag2::{Bag, BagWriter, ChunkCompression, Compression, Selection, WriterOptions};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Every error of the library is one line for a person.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: copy BAG NEW [TOPIC...]".into());
    };
    let names: Vec<String> = arguments.collect();
    let bag = Bag::open(from)?;
    let selection = match names.is_empty() {
        true => Selection::all(),
        false => Selection::all().topics(names.clone()),
    };
    // Asked first, so that a mistyped topic leaves no folder behind.
    let messages = bag.messages(&selection)?;
    let mut writer = BagWriter::create(
        to,
        WriterOptions {
            compression: Compression::Chunk(ChunkCompression::Zstd),
            ..WriterOptions::default()
        },
    )?;
    // The writer's topic for each topic of the bag; `None` for those that are left out.
    let mut ids = Vec::new();
    for topic in bag.topics() {
        let wanted = names.is_empty() || names.contains(&topic.name);
        ids.push(match wanted {
            true => Some(writer.add_topic(topic.clone().into())?),
            false => None,
        });
    }
    let mut lost = 0;
    for message in messages {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                eprintln!("{error}");
                lost += 1;
                continue;
            }
        };
        if let Some(Some(id)) = ids.get(message.topic) {
            writer.write_at(*id, message.log_time, message.publish_time, &message.data)?;
        }
    }
    let written = writer.finish()?;
    println!("{} messages copied", written.message_count);
    for note in bag.notes() {
        eprintln!("{note}");
    }
    match lost {
        0 => Ok(()),
        _ => Err(format!("{lost} messages or chunks could not be read").into()),
    }
}
