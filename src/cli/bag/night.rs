//! `lisa bag eval` over several recordings, or over a share of them.

use std::path::Path;

use lisa::engine::Engine;
use lisa::eval::{Gallery, Protocol, WorstCases, WORST};
use lisa::parts::{merge, Content, Part, PlacedBag, Plan, Work};
use lisa::replay::{
    robot_by_place, Asker, BagFault, BagRecord, InstructionRow, Judge, ReplayError, Timeline,
};
use rosbag2::{without_query, Bag, BagError};

use super::eval::{opened, Args, Opened};
use crate::cli::one_line;
use crate::cli::part_args::{Found, Unmeasured};
use crate::cli::report::write_night;
use crate::cli::streams::print;

/// Measures the recordings of the shard, and writes the part or the report.
pub fn run(args: &Args, inputs: Vec<String>) -> anyhow::Result<()> {
    let path = args.share.path()?;
    let shard = args.share.shard();
    // What signs a URL is another one tomorrow, and nobody else's to read.
    let names = inputs.iter().map(|name| without_query(name).to_owned());
    let plan = Plan {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        work: Work::Bags(names.collect()),
        model: args.share.model(&args.model.path()?)?,
        protocol: Protocol::Generated,
        settings: args.settings(),
    };
    let mut kept = None;
    if let Some(path) = &path {
        match args.share.found(path, &plan)? {
            Found::Whole(part) => {
                say!("{} is there and whole", path.display());
                return unmeasured(&part);
            }
            Found::Partly(part) => kept = Some(part),
            Found::Nothing => {}
        }
    }
    let engine = args.model.start(false)?;
    let own: Vec<usize> = (0..inputs.len())
        .filter(|input| shard.takes(*input))
        .collect();
    let (mut bags, mut worst) = (Vec::new(), WorstCases::new(WORST));
    for (nth, &input) in own.iter().enumerate() {
        let Some(address) = inputs.get(input) else {
            continue;
        };
        let name = without_query(address);
        let before = kept
            .as_deref()
            .and_then(|part| measured_before(part, input));
        let record = match before {
            Some((record, cases)) => {
                cases.into_iter().for_each(|case| worst.put(case));
                record
            }
            None => {
                // No recording's answers stand on those before it, whoever measures which.
                engine.forget();
                let mut own = WorstCases::new(WORST);
                match measured(args, &engine, address, input, &mut own) {
                    Ok(record) => {
                        own.into_cases()
                            .into_iter()
                            .for_each(|case| worst.put(case));
                        record
                    }
                    Err(error) => damaged(name, &error),
                }
            }
        };
        let count = record.instructions.len();
        match &record.fault {
            None => say!("{} of {}: {name}: {count} instructions", nth + 1, own.len()),
            Some(fault) => say!(
                "{} of {}: {name}: not measured: {}",
                nth + 1,
                own.len(),
                fault.why
            ),
        }
        bags.push(PlacedBag { input, record });
    }
    let part = Part::new(
        plan,
        shard,
        engine.model().to_string(),
        Content::Bags(bags),
        worst.into_cases(),
    );
    if let Some(path) = &path {
        part.write(path)?;
        print(path.display());
        return unmeasured(&part);
    }
    let merged = merge(vec![(Path::new("this run").to_owned(), part)])?;
    match merged.night() {
        Some(night) => write_night(&night, &merged, &args.report.json, &args.report.html),
        None => Ok(()),
    }
}

/// What an unfinished part holds of a recording that was measured, and of its worst cases.
fn measured_before(part: &Part, input: usize) -> Option<(BagRecord, Vec<lisa::eval::WorstCase>)> {
    let Content::Bags(bags) = &part.content else {
        return None;
    };
    let bag = bags.iter().find(|bag| bag.input == input)?;
    let worst = part.worst.iter().filter(|case| case.input == input);
    (!bag.may_pass()).then(|| (bag.record.clone(), worst.cloned().collect()))
}

/// Measures one recording.
fn measured(
    args: &Args,
    engine: &Engine,
    address: &str,
    input: usize,
    worst: &mut WorstCases,
) -> anyhow::Result<BagRecord> {
    let bag = Bag::open(address)?;
    let Opened {
        ground_truth,
        true_boxes,
        timeline,
        ..
    } = opened(args, &bag)?;
    let mut timeline: Timeline<'_> = timeline;
    let mut judge = Judge::new(&bag, ground_truth, Gallery::new(0)).with_worst(worst, input);
    if let Some(boxes) = true_boxes {
        judge = judge.with_true_boxes(boxes);
    }
    let mut asker = Asker::new(&bag, engine);
    for resolved in timeline.by_ref() {
        let frame = resolved.frame().cloned();
        let answered = asker.ask(resolved);
        let row: &InstructionRow = judge.computed(frame.as_deref(), &answered)?;
        args.list(row, true);
    }
    let mut record = judge.into_record();
    let (count, first) = timeline.faults();
    record.notes.extend(first.iter().cloned());
    if count > first.len() as u64 {
        let more = count - first.len() as u64;
        record
            .notes
            .push(format!("and {more} more messages that cannot be read"));
    }
    Ok(record)
}

/// The record of a recording that could not be measured.
fn damaged(name: &str, error: &anyhow::Error) -> BagRecord {
    let bag_error = error.downcast_ref::<BagError>();
    let replay_error = error.downcast_ref::<ReplayError>();
    let bag_error = bag_error.or(match replay_error {
        Some(ReplayError::Bag(error)) => Some(error),
        _ => None,
    });
    BagRecord {
        bag: name.to_owned(),
        robot: robot_by_place(Path::new(name)),
        fault: Some(BagFault {
            why: one_line(error),
            may_pass: bag_error.is_some_and(BagError::may_pass),
        }),
        ..BagRecord::default()
    }
}

/// What the exit code tells about a part that is written.
fn unmeasured(part: &Part) -> anyhow::Result<()> {
    let Content::Bags(bags) = &part.content else {
        return Ok(());
    };
    let unmeasured = bags.iter().filter(|bag| bag.record.fault.is_some()).count();
    Unmeasured::end(unmeasured, bags.len())
}
