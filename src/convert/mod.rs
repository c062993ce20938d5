//! `lisa convert`: a checkpoint as published, and the CLIP folder it names, become one model directory.
//!
//! What is to be written is checked before anything is written: every tensor that the network will ask for has to be there,
//! in the shape that the configuration says ([`check`]). Then tensors stream: one is in memory at a time. The directory
//! appears under its name only when it is whole and has been opened once.
//!
//! **Invariant:** nothing outside this module knows how a published checkpoint is stored.

mod agreement;
mod check;
mod checkpoint;
mod element;
mod folder;
mod lora;
mod plan;
mod published;
mod rope;
mod sam_dims;
mod torch;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use lisa_files::lfs;

use self::checkpoint::Checkpoint;
use self::folder::candidates;
use self::plan::Plan;
use self::published::Published;
use crate::text::Template;
use crate::weights::{write_texts, DType, LisaConfig, Staging, WeightsError};

/// What to convert, and how.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// LISA checkpoint folder.
    pub lisa: PathBuf,
    /// CLIP folder: weights, `config.json`, `preprocessor_config.json`.
    pub clip: PathBuf,
    /// The model directory to make. An existing one is replaced.
    pub out: PathBuf,
    /// Storage of floating-point tensors; `None` keeps what the checkpoint has.
    pub dtype: Option<DType>,
    /// The conversation template that the checkpoint was trained with; its files do not name it.
    pub template: Template,
    /// Side of SAM's input; `None` is what the weights were trained at.
    pub sam_image_size: Option<usize>,
    /// Set from elsewhere, it ends the conversion at the next tensor, as [`WeightsError::Interrupted`].
    pub stop: Arc<AtomicBool>,
}

impl ConvertOptions {
    /// The checkpoint's own dtype, template `llava_v1`, SAM's own size.
    pub fn new(
        lisa: impl Into<PathBuf>,
        clip: impl Into<PathBuf>,
        out: impl Into<PathBuf>,
    ) -> Self {
        Self {
            lisa: lisa.into(),
            clip: clip.into(),
            out: out.into(),
            dtype: None,
            template: Template::LlavaV1,
            sam_image_size: None,
            stop: Arc::default(),
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct ConvertReport {
    /// The `lisa.json` that was written.
    pub config: LisaConfig,
    /// Tensors that were written.
    pub tensors: usize,
    /// Size of `model.safetensors`, in bytes.
    pub bytes: u64,
    /// Tensors of the checkpoints the network has no use for.
    pub left_out: Vec<String>,
    /// What somebody should know who looks for these weights later: which files were taken where several could have been, what
    /// was filled in or merged. A sentence each.
    pub notes: Vec<String>,
}

/// Converts; `progress(done_bytes, total_bytes, tensor)` is called after each tensor.
///
/// # Errors
/// The place that cannot be written, before anything is read; the file or tensor that is missing, refused or contradicts the
/// configuration, before anything is written. Nothing is left behind on an error.
pub fn convert(
    options: &ConvertOptions,
    progress: impl FnMut(u64, u64, &str),
) -> Result<ConvertReport, WeightsError> {
    for from in [&options.lisa, &options.clip] {
        if !from.is_dir() {
            candidates(from)?; // says what is missing
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
        .and_then(|()| write::tensors(staging.path(), &plan, &lisa, &clip, &options.stop, progress))
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

/// What `accept` makes of the first of a folder's candidates that it accepts; a note says which that is, where there are
/// several.
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

/// Reads and parses a JSON file; the error names the file.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io {
        path: path.to_owned(),
        source,
    })?;
    if lfs::is_pointer(&bytes) {
        return Err(WeightsError::Pointer {
            path: path.to_owned(),
        });
    }
    // Some editors put a byte order mark before what they save.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map_err(|e| WeightsError::Invalid {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}
