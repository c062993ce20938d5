//! TableWorld on disk, in the layouts that LISA's training data comes in.
//!
//! [`write_dataset`] renders each scene once and gives it to every format asked for, so that one folder holds a
//! whole training set over the same pictures. A picture is one file with a hard link for each further place it
//! is wanted in (a copy where the file system has no links).
//!
//! | format | under the folder |
//! |---|---|
//! | [`ReasonSeg`](Format::ReasonSeg) | `reason_seg/ReasonSeg/SPLIT/*.{jpg,json}`, `reason_seg/ReasonSeg/explanatory/SPLIT.json` |
//! | [`Refer`](Format::Refer) | `refer_seg/refcoco/{refs(unc).p,instances.json}`, `refer_seg/images/mscoco/images/train2014/` |
//! | [`Semantic`](Format::Semantic) | `ade20k/images/training/*.jpg`, `ade20k/annotations/training/*.png`, `ade20k/classes.json` |
//! | [`Vqa`](Format::Vqa) | `llava_dataset/llava_instruct_150k.json`, `coco/train2017/*.jpg` |
//! | [`Frames`](Format::Frames) | `frames/SPLIT/*_{rgb,depth,instances}.png`, `frames/SPLIT/*.json` |
//! | [`Rosbag`](Format::Rosbag) | `rosbag/SPLIT/{metadata.yaml,SPLIT_0.mcap}` |
//!
//! Everything is named by split and seed. Writing into a folder that holds other scenes adds to them, and the
//! same order gives the same bytes with any number of threads; files that are not of TableWorld are neither added to nor
//! overwritten (`.tableworld/` notes what is). A bag is always written anew.

mod contour;
mod error;
mod files;
mod frames;
mod listing;
mod own;
mod reason;
mod refer;
mod rosbag;
mod semantic;
mod sink;
#[cfg(test)]
mod testing;
mod vqa;
mod write;

pub use contour::{polygons, Polygon};
pub use error::WriteError;
pub use rosbag::{CameraMotion, Images, Recording, MAX_FRAMES, RATES};
pub use sink::{AnnotatedScene, Made, Options, BALANCED, MAX_SEED};
pub use write::{write_dataset, write_scenes, Order, Summary};

use std::fmt;
use std::str::FromStr;

/// A layout on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// ReasonSeg's layout: a question, a picture and polygon masks in each item.
    ReasonSeg,
    /// RefCOCO's layout: expressions for single objects.
    Refer,
    /// ADE20K's layout: a class for every pixel.
    Semantic,
    /// LLaVA-Instruct's layout: conversations without masks.
    Vqa,
    /// Plain files of each scene: colour, depth, instances and the truth about it.
    Frames,
    /// A rosbag2 as a robot would record it, with pictures, depth, camera poses, instructions and the masks that answer them.
    Rosbag,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] = [
        Format::ReasonSeg,
        Format::Refer,
        Format::Semantic,
        Format::Vqa,
        Format::Frames,
        Format::Rosbag,
    ];

    /// Its name on the command line, e.g. `reason-seg`.
    pub fn name(self) -> &'static str {
        match self {
            Format::ReasonSeg => "reason-seg",
            Format::Refer => "refer",
            Format::Semantic => "semantic",
            Format::Vqa => "vqa",
            Format::Frames => "frames",
            Format::Rosbag => "rosbag",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The given name is not that of a [`Format`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no dataset format; accepted: reason-seg, refer, semantic, vqa, frames, rosbag")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormat(name.into()))
    }
}

#[cfg(test)]
mod tests;
