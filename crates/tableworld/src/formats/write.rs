//! Scenes to files: each rendered once, on as many threads as there are, and given to every format asked for.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::files::SceneJpeg;
use super::sink::{AnnotatedScene, Item, Made, Options, Plan, Sink, MAX_SEED};
use super::{frames, own, reason, refer, rosbag, semantic, vqa, Format, WriteError};
use crate::{Frame, Split};

/// Frames that are rendered before what must be in order is written. This bounds what waits in memory.
const BATCH: usize = 32;

/// What to write: scenes `seed0` to `seed0 + count - 1` of a split, with pictures of `width` by `height` pixels.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The formats to write, at least one.
    pub formats: &'a [Format],
    /// The split of the scenes.
    pub split: Split,
    /// Seed of the first scene; seeds stay below [`MAX_SEED`].
    pub seed0: u64,
    /// The number of scenes.
    pub count: usize,
    /// Width of the pictures, 1 to 65535 pixels.
    pub width: u32,
    /// Height of the pictures, 1 to 65535 pixels.
    pub height: u32,
}

/// What a run made, one line for each format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The number of scenes that were written.
    pub scenes: usize,
    /// What each format made.
    pub made: Vec<Made>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, made) in self.made.iter().enumerate() {
            let end = if i + 1 < self.made.len() { "\n" } else { "" };
            write!(
                f,
                "{}: {} {} of {} scenes in {}{end}",
                made.format,
                made.items,
                made.unit,
                self.scenes,
                made.path.display()
            )?;
        }
        Ok(())
    }
}

/// Samples, renders and writes scenes. `progress` is called with the number of scenes done, from any thread.
///
/// # Errors
/// [`WriteError`], which names the file. What was written before it stays.
pub fn write_dataset(
    order: &Order,
    folder: &Path,
    options: &Options,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Summary, WriteError> {
    let annotate = |seed| AnnotatedScene::new(order.split, seed, order.width, order.height);
    write_scenes(order, folder, options, &annotate, progress)
}

/// Writes scenes that the caller makes: `annotate` is called once for each seed, from any thread.
///
/// # Errors
/// As for [`write_dataset`], and [`WriteError::Frame`] if the parts of a frame do not fit together.
pub fn write_scenes(
    order: &Order,
    folder: &Path,
    options: &Options,
    annotate: &(dyn Fn(u64) -> AnnotatedScene + Sync),
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Summary, WriteError> {
    let numbers = check(order)?;
    let plan = Plan {
        folder,
        split: order.split,
        numbers: numbers.clone(),
        options,
    };
    let mut formats = order.formats.to_vec();
    formats.sort();
    formats.dedup();
    formats
        .iter()
        .try_for_each(|format| own::check(*format, &plan))?;
    let mut sinks = formats
        .iter()
        .map(|format| open(*format, &plan))
        .collect::<Result<Vec<_>, _>>()?;
    formats
        .iter()
        .try_for_each(|format| own::take(*format, &plan))?;
    let done = AtomicUsize::new(0);
    let numbers: Vec<u64> = numbers.collect();
    let frames = match order.formats.contains(&Format::Rosbag) {
        true => options.recording.frames as usize,
        false => 1,
    };
    for batch in numbers.chunks((BATCH / frames).max(1)) {
        batch.par_iter().try_for_each(|&number| {
            let annotated = annotate(number);
            check_frame(number, &annotated.frame)?;
            let item = Item {
                number,
                annotated: &annotated,
                jpeg: SceneJpeg::new(&annotated.frame.image, options.jpeg_quality),
            };
            for sink in &sinks {
                sink.scene(&item)?;
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(())
        })?;
        for sink in &mut sinks {
            sink.batch()?;
        }
    }
    let made = sinks.iter_mut().map(|sink| sink.finish());
    Ok(Summary {
        scenes: order.count,
        made: made.collect::<Result<_, _>>()?,
    })
}

fn open(format: Format, plan: &Plan) -> Result<Box<dyn Sink>, WriteError> {
    Ok(match format {
        Format::ReasonSeg => Box::new(reason::ReasonSeg::new(plan)?),
        Format::Refer => Box::new(refer::Refer::new(plan)?),
        Format::Semantic => Box::new(semantic::Semantic::new(plan)?),
        Format::Vqa => Box::new(vqa::Vqa::new(plan)?),
        Format::Frames => Box::new(frames::Frames::new(plan)?),
        Format::Rosbag => Box::new(rosbag::Rosbag::new(plan)?),
    })
}

fn check(order: &Order) -> Result<std::ops::Range<u64>, WriteError> {
    if order.formats.is_empty() {
        return Err(WriteError::NoFormat);
    }
    let (width, height) = (order.width, order.height);
    if !(1..=65535).contains(&width) || !(1..=65535).contains(&height) {
        return Err(WriteError::Size { width, height });
    }
    u64::try_from(order.count)
        .ok()
        .and_then(|count| order.seed0.checked_add(count))
        .filter(|&end| end <= MAX_SEED)
        .map(|end| order.seed0..end)
        .ok_or(WriteError::Seeds {
            seed0: order.seed0,
            count: order.count,
            max: MAX_SEED,
        })
}

fn check_frame(seed: u64, frame: &Frame) -> Result<(), WriteError> {
    let (width, height) = frame.image.dimensions();
    let parts = [
        ("depth", frame.depth.len()),
        ("instances", frame.instances.len()),
    ];
    for (what, found) in parts {
        if found as u64 != u64::from(width) * u64::from(height) {
            return Err(WriteError::Frame {
                seed,
                width,
                height,
                what,
                found,
            });
        }
    }
    Ok(())
}
