use std::path::{Path, PathBuf};

/// A dataset could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("no format was asked for; accepted: reason-seg, refer, semantic, vqa, frames, rosbag")]
    NoFormat,
    #[error("pictures of {width}x{height} pixels; accepted: 1x1 to 65535x65535")]
    Size { width: u32, height: u32 },
    #[error("seeds {seed0} to {seed0}+{count}; accepted: seeds below {max}, as files are numbered by them")]
    Seeds { seed0: u64, count: usize, max: u64 },
    #[error("a recording of {frames} frames a scene, {rate} a second; accepted: 1 to {max} frames, 0.01 to 1000 a second")]
    Recording { frames: u32, rate: f64, max: u32 },
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {}: {reason}", .path.display())]
    Encode { path: PathBuf, reason: String },
    #[error("{} is there already and cannot be added to: {reason}; remove it or write to another folder", .path.display())]
    Existing { path: PathBuf, reason: String },
    #[error("{} holds files that are not of TableWorld, and is neither added to nor overwritten; accepted: another --out, or an empty folder in its place", .path.display())]
    Foreign { path: PathBuf },
    #[error(
        "scene {seed}: the frame is {width}x{height} pixels but its {what} has {found} values"
    )]
    Frame {
        seed: u64,
        width: u32,
        height: u32,
        what: &'static str,
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
