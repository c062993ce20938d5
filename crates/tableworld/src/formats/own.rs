//! Whose a folder is that is written to: files of people and of other datasets are not mixed with scenes, nor overwritten.
//!
//! A file's name does not tell whose it is, and a folder may be an earlier, interrupted run's that listed nothing yet. So what
//! was begun in an empty folder is noted in `.tableworld/` beside the layouts: an empty file for each of them.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::make_folder;
use super::sink::{split_name, Plan};
use super::{Format, WriteError};
use crate::Split;

const NOTES: &str = ".tableworld";

/// Where a format puts its files, as far as they may be taken for somebody else's. A bag looks after itself.
fn places(format: Format, split: Split) -> Vec<String> {
    let own = split_name(split);
    match format {
        Format::ReasonSeg => vec![format!("reason_seg/ReasonSeg/{own}")],
        Format::Refer => [
            "refer_seg/refcoco",
            "refer_seg/images/mscoco/images/train2014",
        ]
        .map(str::to_owned)
        .into(),
        Format::Semantic => {
            let part = super::semantic::part(split);
            let kinds = ["images", "annotations", "attributes"];
            let folders = kinds.map(|kind| format!("{kind}/{part}")).into_iter();
            let lists = ["classes.json", "attributes.json"].map(str::to_owned);
            let names = folders.chain(lists);
            names.map(|name| format!("ade20k/{name}")).collect()
        }
        Format::Vqa => {
            let (list, images) = super::vqa::names(split);
            vec![format!("llava_dataset/{list}"), format!("coco/{images}")]
        }
        Format::Frames => vec![format!("frames/{own}")],
        Format::Rosbag => Vec::new(),
    }
}

/// The note of a place that was begun.
fn note(folder: &Path, place: &str) -> PathBuf {
    folder.join(NOTES).join(place.replace('/', "-"))
}

/// Whether each place that a format writes to is empty, or was begun by a run like this one.
///
/// # Errors
/// [`WriteError::Foreign`], by the place.
pub(super) fn check(format: Format, plan: &Plan) -> Result<(), WriteError> {
    for place in places(format, plan.split) {
        let path = plan.folder.join(&place);
        // What is no folder, or cannot be looked into, is told of when it is written to.
        let taken =
            path.is_file() || fs::read_dir(&path).is_ok_and(|mut held| held.next().is_some());
        if taken && !note(plan.folder, &place).exists() {
            return Err(WriteError::Foreign { path });
        }
    }
    Ok(())
}

/// Notes that the places are a run's like this one.
pub(super) fn take(format: Format, plan: &Plan) -> Result<(), WriteError> {
    for place in places(format, plan.split) {
        make_folder(&plan.folder.join(NOTES))?;
        let note = note(plan.folder, &place);
        fs::write(&note, "").map_err(WriteError::io(&note))?;
    }
    Ok(())
}
