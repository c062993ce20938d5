//! Scenes to files: each rendered once, on as many threads as there are, and told to every format asked for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::picture::Picture;
use super::rosbag::Recording;
use super::{frames, own, reason, refer, rosbag, semantic, vqa, Format, WriteError};
use crate::language::{self, Dialogue, QuestionKind};
use crate::{render, Frame, Scene, Split};

/// Seeds of written scenes are below this: files are numbered by them, in nine digits.
pub const MAX_SEED: u64 = 1_000_000_000;

/// How often a scene is asked again for other words that name its objects.
const MORE_EXPRESSIONS: usize = 2;

/// Items of a scene where they are balanced and no other number is wanted.
pub const BALANCED: usize = 12;

/// Frames between two rounds of what must be written in order; bounds what waits in memory.
const BATCH: usize = 32;

/// What to write: scenes `seed0` to `seed0 + count - 1` of a split, with pictures of `width` by `height` pixels.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Each once; at least one.
    pub formats: &'a [Format],
    /// Of which split the scenes are.
    pub split: Split,
    /// Seed of the first scene; seeds stay below [`MAX_SEED`].
    pub seed0: u64,
    /// How many scenes.
    pub count: usize,
    /// Pixels, 1 to 65535.
    pub width: u32,
    /// Pixels, 1 to 65535.
    pub height: u32,
}

/// What is not the same for everyone.
#[derive(Clone, Debug)]
pub struct Options {
    /// 1 to 100.
    pub jpeg_quality: u8,
    /// The kinds of question that become ReasonSeg items. [`Absent`](QuestionKind::Absent) ones are items without
    /// shapes whose answer stands in `explanatory/`. Of several turns, the mask is the last one's.
    pub reason_kinds: Vec<QuestionKind>,
    /// At most so many ReasonSeg items of a scene, spread evenly over their kinds; all without it, which is about
    /// forty, each with a name of its own for the picture.
    pub questions_per_scene: Option<usize>,
    /// Whether half of a scene's ReasonSeg items ask for what is not there, half of these by a near miss, in the words
    /// of the kinds wanted: see [`language::balanced`]. As many as `questions_per_scene`, or [`BALANCED`].
    pub balanced: bool,
    /// What a bag holds of a scene.
    pub recording: Recording,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jpeg_quality: 92,
            reason_kinds: vec![
                QuestionKind::Reasoning,
                QuestionKind::WorldKnowledge,
                QuestionKind::Explanatory,
                QuestionKind::Several,
            ],
            questions_per_scene: None,
            balanced: false,
            recording: Recording::default(),
        }
    }
}

/// A scene, its frame and what is said about it.
#[derive(Clone, Debug)]
pub struct Told {
    /// What stands where.
    pub scene: Scene,
    /// What the camera sees of it.
    pub frame: Frame,
    /// Questions with masks, or whose answer is that there is none.
    pub dialogues: Vec<Dialogue>,
    /// Conversations without masks.
    pub talk: Vec<Dialogue>,
}

impl Told {
    /// Samples and renders the scene and asks all questions about it. The same for the same arguments.
    pub fn new(split: Split, seed: u64, width: u32, height: u32) -> Self {
        let scene = Scene::sample(split, seed);
        let frame = render(&scene, width, height);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(0x7461_6c6b ^ split as u64);
        let mut dialogues = language::dialogues(&scene, &frame, split, &mut rng);
        for _ in 0..MORE_EXPRESSIONS {
            for other in language::dialogues(&scene, &frame, split, &mut rng) {
                let known = |d: &Dialogue| d.kind == other.kind && d.query == other.query;
                if other.kind == QuestionKind::Explicit && !dialogues.iter().any(known) {
                    dialogues.push(other);
                }
            }
        }
        let talk = language::vqa(&scene, &frame, split, &mut rng);
        Self {
            scene,
            frame,
            dialogues,
            talk,
        }
    }
}

/// What one format made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which format.
    pub format: Format,
    /// What a reader is pointed at: a folder.
    pub path: PathBuf,
    /// Of this run.
    pub items: usize,
    /// What an item is, in the plural.
    pub unit: &'static str,
}

/// What a run made, one line for each format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many scenes were written.
    pub scenes: usize,
    /// One for each format.
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

/// One scene as the formats see it.
pub(super) struct Item<'a> {
    /// `seed`, which numbers its files.
    pub number: u64,
    pub told: &'a Told,
    pub picture: Picture<'a>,
}

impl Item<'_> {
    pub fn size(&self) -> (u32, u32) {
        self.told.frame.image.dimensions()
    }

    /// Visible pixels of any of the objects, row by row.
    pub fn inside(&self, objects: &[usize]) -> Vec<bool> {
        let instances = self.told.frame.instances.iter();
        let among = |id: u8| id > 0 && objects.contains(&(usize::from(id) - 1));
        instances.map(|&id| among(id)).collect()
    }
}

/// A format being written.
pub(super) trait Sink: Send + Sync {
    /// Takes one scene; called on any thread, in any order, once for each.
    fn scene(&self, item: &Item) -> Result<(), WriteError>;

    /// Called with every scene of a batch taken, and none of the next.
    fn batch(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    /// After the last scene.
    fn finish(&mut self) -> Result<Made, WriteError>;
}

/// Where and of what a format is written.
pub(super) struct Plan<'a> {
    pub folder: &'a Path,
    pub split: Split,
    /// Numbers of the scenes.
    pub numbers: std::ops::Range<u64>,
    pub options: &'a Options,
}

/// `train`, `val` or `test`, as folders are called.
pub(super) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Test => "test",
    }
}

/// Samples, renders and writes scenes. `progress` hears the number of scenes done, from any thread.
///
/// # Errors
/// [`WriteError`], which names the file; what was written before stays.
pub fn write_dataset(
    order: &Order,
    folder: &Path,
    options: &Options,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Summary, WriteError> {
    let told = |seed| Told::new(order.split, seed, order.width, order.height);
    write_scenes(order, folder, options, &told, progress)
}

/// As [`write_dataset`], with scenes from anywhere: `told` is called once for each seed, from any thread.
///
/// # Errors
/// [`WriteError`], also for frames whose parts do not fit together.
pub fn write_scenes(
    order: &Order,
    folder: &Path,
    options: &Options,
    told: &(dyn Fn(u64) -> Told + Sync),
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
            let told = told(number);
            check_frame(number, &told.frame)?;
            let item = Item {
                number,
                told: &told,
                picture: Picture::new(&told.frame.image, options.jpeg_quality),
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
