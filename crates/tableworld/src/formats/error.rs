//! Why a data set cannot be written.

use std::path::{Path, PathBuf};

/// Why a data set could not be written. The text of each error is one line.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No format was asked for.
    #[error("no format was asked for; accepted: reason-seg, refer, semantic, vqa, frames, rosbag")]
    NoFormat,
    /// The pictures are larger than the files can hold, or empty.
    #[error("pictures of {width}x{height} pixels; accepted: 1x1 to 65535x65535")]
    Size {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// The seeds go beyond the numbers that files have.
    #[error("seeds {seed0} to {seed0}+{count}; accepted: seeds below {max}, as files are numbered by them")]
    Seeds {
        /// Seed of the first scene.
        seed0: u64,
        /// How many scenes.
        count: usize,
        /// The first seed that is not accepted.
        max: u64,
    },
    /// The settings of a recording are outside of their ranges.
    #[error("a recording of {frames} frames a scene, {rate} a second; accepted: 1 to {max} frames, 0.01 to 1000 a second")]
    Recording {
        /// Frames of a scene that were asked for.
        frames: u32,
        /// Frames a second that were asked for.
        rate: f64,
        /// The largest number of frames that is accepted.
        max: u32,
    },
    /// The operating system refused to write a file.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A picture or text could not be put into the format of its file.
    #[error("cannot write {}: {reason}", .path.display())]
    Encode {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file that is there already cannot be added to.
    #[error("{} is there already and cannot be added to: {reason}; remove it or write to another folder", .path.display())]
    Existing {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A folder holds files that TableWorld did not write.
    #[error("{} holds files that are not of TableWorld, and is neither added to nor overwritten; accepted: another --out, or an empty folder in its place", .path.display())]
    Foreign {
        /// The file or folder.
        path: PathBuf,
    },
    /// The parts of a frame are of different sizes.
    #[error(
        "scene {seed}: the frame is {width}x{height} pixels but its {what} has {found} values"
    )]
    Frame {
        /// The seed of the scene.
        seed: u64,
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// The part: `depth` or `instances`.
        what: &'static str,
        /// The number of values of that part.
        found: usize,
    },
}

impl WriteError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write {
            path: path.into(),
            source,
        }
    }

    pub(super) fn encode<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::Encode {
            path: path.into(),
            reason: error.to_string(),
        }
    }
}
