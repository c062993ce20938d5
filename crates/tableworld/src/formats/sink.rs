//! What a format is given, and what it has to do with it: a scene with its questions, a place to write to, and options.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::files::SceneJpeg;
use super::rosbag::Recording;
use super::{Format, WriteError};
use crate::language::{self, Dialogue, QuestionKind};
use crate::{render, Frame, Scene, Split};

/// Seeds of written scenes are below this: files are numbered by them, in nine digits.
pub const MAX_SEED: u64 = 1_000_000_000;

/// How often a scene is asked again for other words that name its objects.
const MORE_EXPRESSIONS: usize = 2;

/// Items of a scene where they are balanced and no other number is wanted.
pub const BALANCED: usize = 12;

/// Settings of the formats.
#[derive(Clone, Debug)]
pub struct Options {
    /// Quality of JPEG files, 1 to 100.
    pub jpeg_quality: u8,
    /// The kinds of question that become ReasonSeg items. [`Absent`](QuestionKind::Absent) ones are items without
    /// shapes whose answer is in `explanatory/`. If there are several turns, the mask is the last one's.
    pub reason_kinds: Vec<QuestionKind>,
    /// The largest number of ReasonSeg items of a scene, spread evenly over their kinds. `None` takes all of them, which is
    /// about forty. Each has a name of its own for the picture.
    pub questions_per_scene: Option<usize>,
    /// Whether half of a scene's ReasonSeg items ask for what is not there, half of these by a near miss, in the words
    /// of the kinds wanted: see [`language::balanced`]. There are `questions_per_scene` of them, or [`BALANCED`].
    pub balanced: bool,
    /// What a rosbag holds of each scene.
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

/// A scene with its frame, its questions and its conversations.
#[derive(Clone, Debug)]
pub struct AnnotatedScene {
    /// The scene.
    pub scene: Scene,
    /// The picture, depth and masks of it.
    pub frame: Frame,
    /// Questions that are answered by masks, or by there being nothing to mask.
    pub dialogues: Vec<Dialogue>,
    /// Conversations without masks.
    pub talk: Vec<Dialogue>,
}

impl AnnotatedScene {
    /// Samples and renders the scene and asks all questions about it. The same arguments give the same result.
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

/// One scene as the formats see it.
pub(super) struct Item<'a> {
    /// The seed, which numbers the scene's files.
    pub number: u64,
    pub annotated: &'a AnnotatedScene,
    pub jpeg: SceneJpeg<'a>,
}

impl Item<'_> {
    pub fn size(&self) -> (u32, u32) {
        self.annotated.frame.image.dimensions()
    }

    /// Whether each pixel shows one of the objects, row by row.
    pub fn inside(&self, objects: &[usize]) -> Vec<bool> {
        inside(&self.annotated.frame, objects)
    }
}

/// Which pixels of a frame are of one of these objects of its scene.
pub(super) fn inside(frame: &Frame, objects: &[usize]) -> Vec<bool> {
    let among = |id: u8| id > 0 && objects.contains(&(usize::from(id) - 1));
    frame.instances.iter().map(|&id| among(id)).collect()
}

/// A format that is being written.
pub(super) trait Sink: Send + Sync {
    /// Takes one scene. It is called once for each scene, on any thread and in any order.
    fn scene(&self, item: &Item) -> Result<(), WriteError>;

    /// Called after all scenes of a batch and before the next batch.
    fn batch(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    /// Called after the last scene.
    fn finish(&mut self) -> Result<Made, WriteError>;
}

/// What a format writes, and where.
pub(super) struct Plan<'a> {
    pub folder: &'a Path,
    pub split: Split,
    /// The seeds of the scenes, which number their files.
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

/// What one format made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The format.
    pub format: Format,
    /// The folder it was written to.
    pub path: PathBuf,
    /// The number of items that this run wrote.
    pub items: usize,
    /// The name of the items, in the plural.
    pub unit: &'static str,
}
