//! Checkpoints: what a run leaves behind, each in a single file that appears whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::TrainError;
use crate::data::ItemList;
use crate::weights::Fingerprint;

/// File of the newest state of a run, from which it resumes.
pub const LAST: &str = "checkpoint-last.safetensors";
/// File of the trained tensors that did best in validation.
pub const BEST: &str = "checkpoint-best.safetensors";

/// What a checkpoint says about itself and its run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointState {
    /// Updates made.
    pub step: u64,
    /// The configuration of the run, as TOML.
    pub config: String,
    /// The model directory that was trained.
    pub model: PathBuf,
    /// The step that did best in validation so far, and its score.
    pub best: Option<(u64, f64)>,
    /// Length in bytes of `metrics.jsonl` when the checkpoint was written; later lines are made again by a resumed run.
    pub metrics_bytes: u64,
    /// α / r of the adapters; `None` for a run without adapters.
    pub lora_scale: Option<f64>,
    /// The items of each dataset that the run learns from, by the dataset's name; empty in checkpoints from before they were
    /// recorded.
    #[serde(default)]
    pub items: BTreeMap<String, ItemList>,
    /// Fingerprint of the frozen tensors beside which the others were trained; `None` in checkpoints from before it was
    /// recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Fingerprint>,
}

/// The name of a checkpoint's file until it is whole.
pub(super) fn part_name(name: &str) -> String {
    format!("{name}.part")
}

/// Writes tensors and state to `folder/name`: into a new file beside it, which is flushed to disk and then renamed.
///
/// # Errors
/// A place that cannot be written; what stood there before is unchanged then.
pub fn write_checkpoint(
    folder: &Path,
    name: &str,
    state: &CheckpointState,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(), TrainError> {
    let path = folder.join(name);
    let part = folder.join(part_name(name));
    let state = serde_json::to_string(state)
        .map_err(|e| TrainError::Unusable(format!("{}: {e}", path.display())))?;
    let metadata = HashMap::from([("state".to_owned(), state)]);
    let cpu: BTreeMap<&str, Tensor> = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), tensor.to_device(&Device::Cpu)?.contiguous()?)))
        .collect::<candle_core::Result<_>>()?;
    let bytes = safetensors::serialize(cpu.iter().map(|(n, t)| (*n, t)), Some(metadata))
        .map_err(|e| TrainError::Unusable(format!("{}: {e}", path.display())))?;
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, &path)
    };
    write().map_err(|error| {
        // Half a checkpoint is of no use, and if the disk is full, its room is needed. That removing it may fail as well does
        // not matter: the first error is the one to report.
        let _ = std::fs::remove_file(&part);
        TrainError::io(path)(error)
    })
}

/// Reads what [`write_checkpoint`] wrote.
///
/// # Errors
/// A file that is missing, cut short, or no checkpoint of `lisa train`.
pub fn read_checkpoint(
    path: &Path,
) -> Result<(CheckpointState, HashMap<String, Tensor>), TrainError> {
    let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
    let bad = |reason: String| {
        TrainError::Unusable(format!(
            "{}: {reason}; a checkpoint that `lisa train` wrote is wanted",
            path.display()
        ))
    };
    let (_, header) =
        safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let state = header
        .metadata()
        .as_ref()
        .and_then(|m| m.get("state"))
        .ok_or_else(|| bad("it does not say what run it belongs to".to_owned()))?;
    let state = serde_json::from_str(state).map_err(|e| bad(e.to_string()))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(|e| bad(e.to_string()))?;
    Ok((state, tensors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_finished_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        // With a folder in the way the new file can be written, but not be renamed into its place.
        std::fs::create_dir_all(folder.path().join(LAST).join("in the way")).unwrap();
        let state = CheckpointState::default();
        let tensor = Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu).unwrap();
        let tensors = BTreeMap::from([("a".to_owned(), tensor)]);
        let error = write_checkpoint(folder.path(), LAST, &state, &tensors).unwrap_err();
        assert!(error.to_string().contains(LAST), "{error}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
