//! What is recorded of each scene: the settings, and which of its questions is asked.

use lisa_messages::QUESTION_KINDS;
use rosbag2::{ChunkCompression, Compression, WriterOptions};

use crate::formats::WriteError;
use crate::language::{Dialogue, QuestionKind};
use crate::Split;

pub(super) const SECOND: u64 = 1_000_000_000;
/// How long after its frame an instruction is heard.
pub(super) const DELAY: u64 = SECOND / 10;
/// Bytes of a compressed chunk before compression: what several frames have in common is found in one.
const LARGE_CHUNK: u64 = 4 << 20;

/// The largest number of frames of a scene, because they wait in memory for their turn.
pub const MAX_FRAMES: u32 = 200;
/// The frames a second that are accepted.
pub const RATES: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// How the camera's pictures are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Images {
    /// Recorded as `sensor_msgs/Image`. Nothing in the file is compressed.
    #[default]
    Raw,
    /// Recorded as `sensor_msgs/CompressedImage`. The chunks of the file are compressed by zstd.
    Jpeg,
}

impl Images {
    /// The choice of that name, `raw` or `jpeg`; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "raw" => Some(Self::Raw),
            "jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }
}

/// What the camera does while it sees a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum CameraMotion {
    /// It stands where the scene places it.
    #[default]
    Still,
    /// It travels on an arc about the table. At the middle frame it is where the scene places it.
    Moving,
}

impl CameraMotion {
    /// The choice of that name, `still` or `moving`; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "still" => Some(Self::Still),
            "moving" => Some(Self::Moving),
            _ => None,
        }
    }
}

/// What is recorded of each scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recording {
    /// How pictures are recorded.
    pub images: Images,
    /// What the camera does.
    pub motion: CameraMotion,
    /// Frames of each scene, 1 to [`MAX_FRAMES`].
    pub frames: u32,
    /// Frames a second, within [`RATES`].
    pub rate: f64,
}

impl Default for Recording {
    fn default() -> Self {
        Self::new(CameraMotion::Still)
    }
}

impl Recording {
    /// The usual settings for that motion, with raw pictures: one frame of each scene, one a second, if the camera stands still;
    /// two seconds of ten frames each if it moves.
    pub fn new(motion: CameraMotion) -> Self {
        let (frames, rate) = match motion {
            CameraMotion::Still => (1, 1.0),
            CameraMotion::Moving => (20, 10.0),
        };
        Self {
            images: Images::Raw,
            motion,
            frames,
            rate,
        }
    }

    /// Nanoseconds from frame to frame.
    pub(super) fn period(&self) -> u64 {
        (SECOND as f64 / self.rate).round() as u64
    }

    pub(super) fn check(&self) -> Result<(), WriteError> {
        let Self { frames, rate, .. } = *self;
        if (1..=MAX_FRAMES).contains(&frames) && RATES.contains(&rate) {
            return Ok(());
        }
        Err(WriteError::Recording {
            frames,
            rate,
            max: MAX_FRAMES,
        })
    }

    pub(super) fn writer_options(&self) -> WriterOptions {
        let kinds = QuestionKind::ALL.map(QuestionKind::name).join(" ");
        let plain = WriterOptions {
            custom_data: [(QUESTION_KINDS.to_owned(), kinds)].into(),
            ..WriterOptions::default()
        };
        match self.images {
            Images::Raw => plain,
            Images::Jpeg => WriterOptions {
                compression: Compression::Chunk(ChunkCompression::Zstd),
                chunk_size: Some(LARGE_CHUNK),
                ..plain
            },
        }
    }
}

/// Kinds in the order in which scenes are asked them, each a single turn.
const ROTATION: [QuestionKind; 6] = [
    QuestionKind::Reasoning,
    QuestionKind::WorldKnowledge,
    QuestionKind::Explicit,
    QuestionKind::Explanatory,
    QuestionKind::Several,
    QuestionKind::Absent,
];

/// The question scene `number` is asked: of the kind whose turn it is, or of the next one that the scene has. What it is
/// about takes turns too, so that a thing about which much can be said is not asked for more often.
pub fn question(number: u64, dialogues: &[Dialogue]) -> Option<&Dialogue> {
    let kinds = ROTATION.len();
    let (round, place) = (number as usize / kinds, number as usize % kinds);
    let of_kind = |kind: &QuestionKind| -> Vec<&Dialogue> {
        let fits = |d: &&Dialogue| d.kind == *kind && d.turns.len() == 1;
        dialogues.iter().filter(fits).collect()
    };
    let turns = ROTATION.iter().cycle().skip(place).take(kinds);
    let fitting = turns.map(of_kind).find(|fitting| !fitting.is_empty())?;
    let mut subjects: Vec<_> = fitting.iter().map(|dialogue| &dialogue.names).collect();
    subjects.sort();
    subjects.dedup();
    let subject = subjects.get(round % subjects.len())?;
    let about: Vec<_> = fitting.iter().filter(|d| d.names == **subject).collect();
    about
        .get(round / subjects.len() % about.len())
        .map(|dialogue| **dialogue)
}

/// `SPLIT_SEED_KIND`, e.g. `test_000000036_reasoning`.
pub fn id(split: Split, number: u64, dialogue: &Dialogue) -> String {
    format!("{}_{number:09}_{}", split.name(), dialogue.kind.name())
}
