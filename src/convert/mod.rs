//! `lisa convert`: makes one model directory of a published checkpoint and the CLIP folder that it names.
//!
//! Everything is checked before anything is written: every tensor that the network needs has to be there, in the shape that the
//! configuration leads to ([`check`]). Then tensors are written one by one, with one in memory at a time. The directory appears
//! under its name only after it is complete and has been opened once.
//!
//! **Invariant:** nothing outside this module knows how a published checkpoint is stored.

mod agreement;
mod check;
mod checkpoint;
mod element;
mod folder;
mod lora;
mod needed;
mod options;
mod plan;
mod published;
mod restore;
mod rope;
mod sam_dims;
mod torch;

use std::path::Path;

use self::checkpoint::Checkpoint;
use self::folder::candidates;
use self::plan::Plan;
use self::published::Published;
use crate::weights::{write_tensors, write_texts, Staging, Storage, WeightsError};

pub use self::needed::{needed_texts, needed_weights, Part};
pub use self::options::{ConvertOptions, ConvertReport, Origin};
pub use self::published::named_clip;
pub use self::restore::{restore, RestoreOptions};

/// Converts a checkpoint. `progress(done_bytes, total_bytes, tensor)` is called after each tensor.
///
/// # Errors
/// A place that cannot be written is reported before anything is read. A file or tensor that is missing, refused or contradicts
/// the configuration is reported before anything is written. After an error nothing is left behind.
pub fn convert(
    options: &ConvertOptions,
    progress: impl FnMut(u64, u64, &str),
) -> Result<ConvertReport, WeightsError> {
    for from in [&options.lisa, &options.clip] {
        if !from.is_dir() {
            candidates(from)?; // its error says what is missing
        }
    }
    let staging = Staging::beside(&options.out, &[&options.lisa, &options.clip])?;
    let published = Published::read(options)?;
    let mut notes = Vec::new();
    let clip = whole(&options.clip, &mut notes, |clip| {
        check::vision_tower(&clip, &published.clip)?;
        Ok(clip)
    })?;
    let (lisa, plan) = whole(&options.lisa, &mut notes, |lisa| {
        let plan = Plan::new(&lisa, &clip, &published, options)?;
        Ok((lisa, plan))
    })?;
    notes.extend(plan.notes.iter().cloned());

    let bytes = write_texts(staging.path(), &plan.config, &published.tokenizer.json)
        .and_then(|()| {
            let path = staging.path().join("model.safetensors");
            let shapes = plan
                .kept
                .iter()
                .map(|(name, p)| (name.clone(), p.shape.clone()));
            let storage = Storage {
                dtype: plan.config.dtype,
                quantization: plan.config.quantization.unwrap_or_default(),
            };
            let source = plan.source(&lisa, &clip);
            write_tensors(
                &path,
                &shapes.collect(),
                storage,
                &source,
                &options.stop,
                progress,
            )
        })
        .and_then(|bytes| check::model_dir(staging.path()).map(|()| bytes))
        .map_err(|error| staging.named(error))?;
    staging.replace()?;
    Ok(ConvertReport {
        tensors: plan.kept.len(),
        config: plan.config,
        bytes,
        left_out: plan.left_out,
        notes,
    })
}

/// Checks as much as can be checked without the weights: that the place can be written, and that the small files of the two
/// folders are those of a LISA and its CLIP. It is for those who are about to download the weights.
///
/// # Errors
/// As [`convert`]. Nothing is left behind in either case.
pub fn check_before_weights(options: &ConvertOptions) -> Result<(), WeightsError> {
    Staging::beside(&options.out, &[&options.lisa, &options.clip])?;
    Published::read(options)?.check_tokens()
}

/// Checks that a model directory may be written to this place.
///
/// # Errors
/// [`WeightsError::Write`]; nothing is left behind in either case.
pub fn check_place(out: &Path) -> Result<(), WeightsError> {
    Staging::beside(out, &[]).map(drop)
}

/// Tries the sets of weights in a folder in order of preference, and returns what `accept` makes of the first one that it
/// accepts. A note says which one that was, if there are several.
fn whole<T>(
    folder: &Path,
    notes: &mut Vec<String>,
    mut accept: impl FnMut(Checkpoint) -> Result<T, WeightsError>,
) -> Result<T, WeightsError> {
    let candidates = candidates(folder)?;
    let mut refused: Vec<(String, WeightsError)> = Vec::new();
    for (i, candidate) in candidates.iter().enumerate() {
        match Checkpoint::open(candidate).and_then(&mut accept) {
            Ok(accepted) => {
                let taken = folder.join(candidate.describe());
                let passed = refused
                    .iter()
                    .map(|(name, why)| format!("; {name} is not whole: {why}"));
                let unread = candidates[i + 1..]
                    .iter()
                    .map(|c| format!("; {} beside it was not needed", c.describe()));
                let beside: String = passed.chain(unread).collect();
                if !beside.is_empty() {
                    notes.push(format!("took {}{beside}", taken.display()));
                }
                return Ok(accepted);
            }
            Err(error) => refused.push((candidate.describe(), error)),
        }
    }
    let more = refused.split_off(1);
    let first = refused.pop().map(|(_, error)| error);
    let others: String = more
        .iter()
        .map(|(name, why)| format!("; {name}: {why}"))
        .collect();
    Err(match first {
        Some(first) if others.is_empty() => first,
        first => WeightsError::Invalid {
            path: folder.to_owned(),
            reason: format!(
                "none of its sets of weights is whole: {}{others}",
                first.map(|e| e.to_string()).unwrap_or_default()
            ),
        },
    })
}
