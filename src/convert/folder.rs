//! Finds the files of a checkpoint folder that hold the weights.
//!
//! A folder may hold the same weights twice, as safetensors and as pickles, of which one may be incomplete: half a download, or
//! what a training script saved beside them. So every set of files is a candidate, in order of preference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lisa_files::lfs;

use crate::weights::WeightsError;

/// What the names of files of weights are made of, safetensors before pickles.
pub(super) const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

const ACCEPTED: &str = "a checkpoint folder holds *.safetensors or pytorch_model*.bin, with an index.json where there are several";

/// A set of files that should hold a whole checkpoint together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The name of the file that stands for all: the index, the first shard, or the only file.
    pub name: String,
    pub files: Vec<PathBuf>,
    /// The file that holds each tensor, as the index says it; `None` without an index.
    pub index: Option<BTreeMap<String, String>>,
}

impl Candidate {
    /// The set in words: "model.safetensors", or "pytorch_model.bin.index.json (2 files)".
    pub fn describe(&self) -> String {
        match self.files.len() {
            1 => self.name.clone(),
            n => format!("{} ({n} files)", self.name),
        }
    }
}

/// The candidates of a folder, at least one, in order of preference.
///
/// # Errors
/// [`WeightsError::Missing`], which says what lies in the folder instead; an index that cannot be read.
pub(super) fn candidates(folder: &Path) -> Result<Vec<Candidate>, WeightsError> {
    if !folder.is_dir() {
        return Err(WeightsError::Missing {
            what: "checkpoint folder",
            path: folder.to_owned(),
            accepted: ACCEPTED,
        });
    }
    let names = names(folder)?;
    let mut found = Vec::new();
    for stem in WEIGHTS {
        let index = format!("{stem}.index.json");
        if names.contains(&index) {
            found.push(indexed(folder, &index)?);
        } else if let Some(shards) = shards(&names, stem) {
            found.push(Candidate {
                name: shards[0].clone(),
                files: shards.iter().map(|name| folder.join(name)).collect(),
                index: None,
            });
        }
        if names.iter().any(|name| name == stem) {
            found.push(Candidate {
                name: stem.to_owned(),
                files: vec![folder.join(stem)],
                index: None,
            });
        }
    }
    match found.is_empty() {
        true => Err(WeightsError::Missing {
            what: "weights",
            path: folder.to_owned(),
            accepted: instead(&names),
        }),
        false => Ok(found),
    }
}

fn names(folder: &Path) -> Result<Vec<String>, WeightsError> {
    let io = |source| WeightsError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        // A name that is not UTF-8 is none of those that are looked for.
        if let Ok(name) = entry.map_err(io)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Says what a folder without weights holds instead, and what to do about it.
pub(super) fn instead(names: &[String]) -> &'static str {
    let begins = |word: &str| names.iter().any(|name| name.starts_with(word));
    let ends = |word: &str| names.iter().any(|name| name.ends_with(word));
    if begins("global_step") || begins("zero_to_fp32") || ends("_model_states.pt") {
        "this is a DeepSpeed checkpoint, whose weights lie in pieces: run `python zero_to_fp32.py . pytorch_model.bin` in it, then merge what LoRA trained (merge_lora_weights_and_save_hf_model.py of the LISA repository), and convert what comes out"
    } else if begins("adapter_model.") {
        "this is a LoRA adapter without its base: load the base, then PeftModel.from_pretrained(base, FOLDER).merge_and_unload().save_pretrained(OUT), and convert OUT"
    } else if begins("pytorch_model_fsdp") || ends(".distcp") {
        "this is a distributed checkpoint of PyTorch, whose weights lie in pieces: run `python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER pytorch_model.bin`, and convert what comes out"
    } else if begins("checkpoint-") {
        "the weights lie in one of its checkpoint-N folders: name that one"
    } else if begins("snapshots") {
        "this is an entry of the download cache: name the folder below its snapshots/"
    } else if ends(".gguf") {
        "GGUF files hold quantized numbers, and are not read: take the checkpoint they were made of"
    } else if ends(".h5") || ends(".msgpack") || ends(".ot") {
        "it holds the weights of another framework: take the files of PyTorch, *.safetensors or pytorch_model*.bin"
    } else {
        ACCEPTED
    }
}

/// The shards of a checkpoint without an index (`model-00001-of-00002.safetensors`), if all of them are there.
pub(super) fn shards(names: &[String], stem: &str) -> Option<Vec<String>> {
    let (stem, extension) = stem.split_once('.')?;
    let part = |name: &&String| {
        let numbers = name.strip_prefix(stem)?.strip_prefix('-')?;
        let (number, of) = numbers
            .strip_suffix(extension)?
            .strip_suffix('.')?
            .split_once("-of-")?;
        Some((number.parse::<usize>().ok()?, of.parse::<usize>().ok()?))
    };
    let found: Vec<String> = names
        .iter()
        .filter(|n| part(n).is_some())
        .cloned()
        .collect();
    let (_, of) = found.first().as_ref().and_then(part)?;
    let whole = found.len() == of
        && found
            .iter()
            .map(|n| part(&n))
            .eq((1..=of).map(|i| Some((i, of))));
    whole.then_some(found)
}

/// The set of files that an index names.
pub(super) fn indexed(folder: &Path, name: &str) -> Result<Candidate, WeightsError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = folder.join(name);
    let index: Index = read_json(&path)?;
    let mut files: Vec<&String> = index.weight_map.values().collect();
    files.sort();
    files.dedup();
    let elsewhere =
        |file: &&&String| Path::new(file).file_name() != Some(std::ffi::OsStr::new(file));
    if files.is_empty() {
        return Err(WeightsError::Invalid {
            path,
            reason: "its weight_map is empty; download the checkpoint again, whole".to_owned(),
        });
    }
    if let Some(file) = files.iter().find(elsewhere) {
        return Err(WeightsError::Invalid {
            reason: format!("it names {file:?}; accepted: files beside it"),
            path,
        });
    }
    Ok(Candidate {
        name: name.to_owned(),
        files: files.iter().map(|file| folder.join(file)).collect(),
        index: Some(index.weight_map),
    })
}

/// Reads and parses a JSON file; the error names the file.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io {
        path: path.to_owned(),
        source,
    })?;
    if lfs::is_pointer(&bytes) {
        return Err(WeightsError::Pointer {
            path: path.to_owned(),
        });
    }
    // Some editors write a byte order mark at the beginning of a file.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map_err(|e| WeightsError::Invalid {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let text = r#"{"weight_map": {"a": "model-00001-of-00001.safetensors"}}"#;
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        candidates(folder.path())
            .map(|found| found.iter().map(Candidate::describe).collect())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn every_set_of_files_is_a_candidate_in_the_order_of_preference() {
        let both = [
            "pytorch_model.bin",
            "model.safetensors",
            "model.safetensors.index.json",
        ];
        assert_eq!(
            found(&both).unwrap(),
            [
                "model.safetensors.index.json",
                "model.safetensors",
                "pytorch_model.bin"
            ]
        );
        let shards = [
            "pytorch_model-00002-of-00002.bin",
            "pytorch_model-00001-of-00002.bin",
        ];
        assert_eq!(
            found(&shards).unwrap(),
            ["pytorch_model-00001-of-00002.bin (2 files)"]
        );
        assert!(found(&shards[..1]).is_err(), "half of them is nothing");
    }

    #[test]
    fn a_folder_without_weights_is_named_for_what_it_is() {
        for (file, word) in [
            ("zero_to_fp32.py", "DeepSpeed"),
            ("adapter_model.safetensors", "merge_and_unload"),
            ("__0_0.distcp", "distributed"),
            ("checkpoint-500", "checkpoint-N"),
            ("snapshots", "snapshots/"),
            ("lisa.Q4_K_M.gguf", "quantized"),
            ("tf_model.h5", "another framework"),
            ("config.json", "pytorch_model*.bin"),
        ] {
            let error = found(&[file]).unwrap_err();
            assert!(error.contains(word), "{file}: {error}");
        }
    }

    #[test]
    fn an_index_names_files_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        for (map, word) in [
            (r#"{"weight_map": {"a": "../secret.bin"}}"#, "beside it"),
            (r#"{"weight_map": {"a": "/etc/passwd"}}"#, "beside it"),
            (r#"{"weight_map": {}}"#, "empty"),
        ] {
            std::fs::write(folder.path().join("pytorch_model.bin.index.json"), map).unwrap();
            let error = candidates(folder.path()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
