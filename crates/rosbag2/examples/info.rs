//! Prints what a bag holds: its files, its span, its topics with their counts, and what was wrong with it.
//!
//! `cargo run -p rosbag2 --example info -- BAG`

use std::error::Error;
use std::process::ExitCode;

use rosbag2::{shown, Bag};

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
    let path = std::env::args_os().nth(1).ok_or("usage: info BAG")?;
    let bag = Bag::open(path)?;
    println!("{}", bag.path().display());
    for file in bag.files() {
        let storage = file.storage.identifier();
        println!("  {}: {storage}, {} bytes", file.path.display(), file.bytes);
    }
    if let Some((first, last)) = bag.span() {
        let seconds = (last - first) as f64 / 1e9;
        println!("from {first} to {last} ns ({seconds:.3} s)");
    }
    println!("{} messages", bag.message_count());
    for topic in bag.topics() {
        // A name from a bag may be anything; `shown` makes it fit for a terminal.
        let (name, ros_type) = (shown(&topic.name), shown(&topic.ros_type));
        println!("  {name} ({ros_type}): {}", topic.messages);
    }
    for note in bag.notes() {
        let kind = if note.is_loss() { "loss" } else { "note" };
        println!("{kind}: {note}");
    }
    Ok(())
}
