use std::path::{Path, PathBuf};

/// A dataset could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Nothing to write.
    #[error("no format was asked for; accepted: reason-seg, refer, semantic, vqa, frames, rosbag")]
    NoFormat,
    /// Pictures that no file holds.
    #[error("pictures of {width}x{height} pixels; accepted: 1x1 to 65535x65535")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Scenes beyond the last number of a file.
    #[error("seeds {seed0} to {seed0}+{count}; accepted: seeds below {max}, as files are numbered by them")]
    Seeds {
        /// Seed of the first scene.
        seed0: u64,
        /// How many scenes.
        count: usize,
        /// The largest that is accepted.
        max: u64,
    },
    /// A recording that is none.
    #[error("a recording of {frames} frames a scene, {rate} a second; accepted: 1 to {max} frames, 0.01 to 1000 a second")]
    Recording {
        /// Frames of a scene.
        frames: u32,
        /// Frames a second.
        rate: f64,
        /// The largest that is accepted.
        max: u32,
    },
    /// The system refused.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// A picture or a text that could not be put into its format.
    #[error("cannot write {}: {reason}", .path.display())]
    Encode {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is there is of another kind or order.
    #[error("{} is there already and cannot be added to: {reason}; remove it or write to another folder", .path.display())]
    Existing {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A folder of somebody else's.
    #[error("{} holds files that are not of TableWorld, and is neither added to nor overwritten; accepted: another --out, or an empty folder in its place", .path.display())]
    Foreign {
        /// Which file or folder.
        path: PathBuf,
    },
    /// A frame whose parts contradict each other.
    #[error(
        "scene {seed}: the frame is {width}x{height} pixels but its {what} has {found} values"
    )]
    Frame {
        /// Which scene.
        seed: u64,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Which part: depth or instances.
        what: &'static str,
        /// How many values it has.
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
