//! Arguments of commands whose work several processes may share.

use std::path::{Path, PathBuf};

use anyhow::bail;
use lisa::eval::Shard;
use lisa::parts::{ModelIdentity, Part, PartError, Plan};

use super::output_paths;
use super::streams::warn;

/// Which part of the work a process does.
#[derive(clap::Args)]
#[command(next_help_heading = "Work that several processes share")]
pub struct PartArgs {
    /// Do the i-th of n shares of the inputs, such as 3/8, and write it into --parts; `lisa report merge` makes the report of all
    #[arg(long, value_name = "i/n", requires = "parts")]
    shard: Option<Shard>,
    /// Write what was found out as a part of the report into this folder, and no report. A part that is there, whole and of the
    /// same inputs, settings and model, is not made again
    #[arg(long, value_name = "DIR", conflicts_with_all = ["json", "html", "pictures"])]
    pub parts: Option<PathBuf>,
}

/// What is there of a part.
pub enum Found {
    /// All of it.
    Whole(Box<Part>),
    /// It was made by the same plan, and some of it may come out otherwise this time.
    Partly(Box<Part>),
    /// Nothing that can be used.
    Nothing,
}

impl PartArgs {
    /// The share that is done.
    pub fn shard(&self) -> Shard {
        self.shard.unwrap_or(Shard::WHOLE)
    }

    /// Where the part goes, in a folder that is there and can be written to; `None` where no part is made.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    pub fn path(&self) -> anyhow::Result<Option<PathBuf>> {
        let Some(folder) = &self.parts else {
            return Ok(None);
        };
        output_paths::check_folder(folder)?;
        Ok(Some(Part::path(folder, self.shard())))
    }

    /// The model in a folder, by its content where a part is made. Otherwise nobody compares it, and a large one takes its time to
    /// read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn model(&self, folder: &Path) -> Result<ModelIdentity, PartError> {
        match self.parts {
            Some(_) => ModelIdentity::of(folder),
            None => Ok(ModelIdentity {
                name: folder.display().to_string(),
                sha256: String::new(),
            }),
        }
    }

    /// What is there of the part of this run.
    ///
    /// # Errors
    /// A file that is something else is in its place, or it cannot be read.
    pub fn found(&self, path: &Path, plan: &Plan) -> anyhow::Result<Found> {
        if !path.exists() {
            return Ok(Found::Nothing);
        }
        match Part::read(path) {
            Ok(part) if part.plan != *plan => {
                let other = part.plan.differs(plan);
                let other = other.unwrap_or_else(|| "other inputs, or another model".to_owned());
                warn(format_args!(
                    "{} is of another run ({other}): it is made again",
                    path.display()
                ));
                Ok(Found::Nothing)
            }
            Ok(part) if part.may_pass() => Ok(Found::Partly(Box::new(part))),
            Ok(part) => Ok(Found::Whole(Box::new(part))),
            Err(error @ (PartError::Torn { .. } | PartError::OtherInputs { .. })) => {
                warn(format_args!("{error}: it is made again"));
                Ok(Found::Nothing)
            }
            Err(PartError::NotAPart { path }) => bail!(
                "{} is no part of a run, and stays as it is; accepted: another --parts",
                path.display()
            ),
            Err(error) => Err(error.into()),
        }
    }
}

/// Ends a command with exit code 3: what it was to make is there, and says what could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{unmeasured} of {all} recordings could not be measured; the report says why")]
pub struct Unmeasured {
    unmeasured: usize,
    all: usize,
}

impl Unmeasured {
    /// How a command ends that could not measure so many of all recordings.
    ///
    /// # Errors
    /// Itself, unless all were measured.
    pub fn end(unmeasured: usize, all: usize) -> anyhow::Result<()> {
        match unmeasured {
            0 => Ok(()),
            _ => Err(Self { unmeasured, all }.into()),
        }
    }
}
