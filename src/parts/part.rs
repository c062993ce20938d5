//! What a shard found out, as a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{PartError, Plan};
use crate::eval::metres::ScenePlaces;
use crate::eval::run::QuestionRecord;
use crate::eval::{Shard, WorstCase};
use crate::replay::BagRecord;

/// The first field of every part. Another number means that older programs cannot read it.
const FORMAT: &str = "lisa_ros part 1";

/// What a shard found out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    format: String,
    /// Which run it is of.
    pub plan: Plan,
    /// Which of the run's inputs it has.
    pub shard: Shard,
    /// What computed the answers: the model's size, its numbers and the device; empty where nothing was computed.
    pub engine: String,
    /// The records of its inputs, in their order.
    pub content: Content,
    /// The worst cases with their pictures.
    pub worst: Vec<WorstCase>,
}

/// The records of inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Recordings.
    Bags(Vec<PlacedBag>),
    /// Pictures or scenes of a dataset.
    Questions(Vec<QuestionUnit>),
}

/// A judged recording and its place among the inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedBag {
    /// The place among the inputs, from 0.
    pub input: usize,
    /// What was found out.
    #[serde(flatten)]
    pub record: BagRecord,
}

/// The questions about a picture or scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionUnit {
    /// See [`EvalQuestion::unit`](crate::eval::run::EvalQuestion::unit).
    pub unit: usize,
    /// Its questions in their order.
    pub questions: Vec<QuestionRecord>,
    /// Where the objects of the answers are, of a scene.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<ScenePlaces>,
}

impl Part {
    /// A part of the run.
    pub fn new(
        plan: Plan,
        shard: Shard,
        engine: String,
        content: Content,
        worst: Vec<WorstCase>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            plan,
            shard,
            engine,
            content,
            worst,
        }
    }

    /// Where a shard's part is in a folder of parts.
    pub fn path(folder: &Path, shard: Shard) -> PathBuf {
        let (number, of) = (shard.number(), shard.of());
        folder.join(format!("part-{number:05}-of-{of:05}.json"))
    }

    /// Reads a part.
    ///
    /// # Errors
    /// [`PartError::Read`], [`PartError::NotAPart`], [`PartError::Torn`].
    pub fn read(path: &Path) -> Result<Self, PartError> {
        let bytes = fs::read(path).map_err(|source| PartError::Read {
            path: path.to_owned(),
            source,
        })?;
        let begins = format!("{{\"format\":\"{FORMAT}\"");
        let torn = |why: String| PartError::Torn {
            path: path.to_owned(),
            why,
        };
        // A part that was copied only in part begins as one, as far as it goes.
        let begun = begins.len().min(bytes.len());
        if bytes.get(..begun) != begins.as_bytes().get(..begun) {
            return Err(PartError::NotAPart {
                path: path.to_owned(),
            });
        }
        let part: Self = serde_json::from_slice(&bytes).map_err(|error| torn(error.to_string()))?;
        match part.has_its_inputs() {
            true => Ok(part),
            false => Err(PartError::OtherInputs {
                path: path.to_owned(),
                shard: part.shard,
            }),
        }
    }

    /// Whether the inputs are those of its shard, in their order.
    fn has_its_inputs(&self) -> bool {
        match (&self.content, self.plan.work.inputs()) {
            (Content::Bags(bags), Some(inputs)) => {
                let own = (0..inputs).filter(|input| self.shard.takes(*input));
                own.eq(bags.iter().map(|bag| bag.input))
            }
            (Content::Questions(units), None) => {
                let ascending = units.windows(2).all(|pair| match pair {
                    [one, next] => one.unit < next.unit,
                    _ => true,
                });
                ascending && units.iter().all(|unit| self.shard.takes(unit.unit))
            }
            _ => false,
        }
    }

    /// Writes it beside its place and moves it there, so that whoever finds it finds it whole.
    ///
    /// # Errors
    /// [`PartError::Write`]; [`PartError::Unwritable`] for numbers that JSON cannot hold.
    pub fn write(&self, path: &Path) -> Result<(), PartError> {
        let unwritable = |why| PartError::Unwritable {
            path: path.to_owned(),
            why,
        };
        let text = serde_json::to_vec(self).map_err(unwritable)?;
        // What cannot be read back would be lost, and nobody would know before the merge.
        serde_json::from_slice::<Self>(&text).map_err(unwritable)?;
        replace(path, &text).map_err(|source| PartError::Write {
            path: path.to_owned(),
            source,
        })
    }

    /// Whether anything in it may come out otherwise next time.
    pub fn may_pass(&self) -> bool {
        match &self.content {
            Content::Bags(bags) => bags.iter().any(PlacedBag::may_pass),
            Content::Questions(_) => false,
        }
    }
}

impl PlacedBag {
    /// Whether it was not measured for a reason that may not be there next time.
    pub fn may_pass(&self) -> bool {
        let fault = self.record.fault.as_ref();
        fault.is_some_and(|fault| fault.may_pass)
    }
}

/// Puts a file in its place, with its bytes on the disk before it has its name. Two processes that do the same shard, on machines
/// that share the folder, do not meet: their names differ, and the later one wins whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let moment = since.map_or(0, |time| time.as_nanos());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.{}-{moment}", std::process::id()));
    let write = |mut file: File| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    let opened = OpenOptions::new().write(true).create_new(true).open(&part);
    let written = opened.and_then(write);
    if written.is_err() {
        // The error to report is that of writing.
        let _ = fs::remove_file(&part);
    }
    written
}
