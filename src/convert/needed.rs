//! Which files of a repository a conversion reads, decided by their names before any of them is here.

use std::collections::BTreeSet;
use std::path::Path;

use super::folder::{indexed, instead, shards, WEIGHTS};
use crate::weights::WeightsError;

/// The two checkpoints that a model is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// LISA itself: language model, SAM, and tokenizer.
    Lisa,
    /// The CLIP whose vision tower it sees with.
    Clip,
}

/// The small files, the indices of the weights among them, of all the `names` that lie side by side in a repository. They say
/// whether it is what it should be, and which files hold the weights ([`needed_weights`]).
///
/// # Errors
/// [`WeightsError::Missing`] with `repo` as its place, where the names are not those of a checkpoint;
/// [`WeightsError::Invalid`] for a LoRA adapter beside the weights, which says nothing of whether it is merged.
pub fn needed_texts(part: Part, repo: &str, names: &[String]) -> Result<Vec<String>, WeightsError> {
    let there = |name: &str| names.iter().any(|known| known == name);
    let mut texts = Vec::new();
    let must: &[&str] = match part {
        Part::Lisa => &["config.json"],
        Part::Clip => &["config.json", "preprocessor_config.json"],
    };
    if !WEIGHTS.iter().any(|stem| has_weights(names, stem)) {
        return Err(WeightsError::Missing {
            what: "weights",
            path: repo.into(),
            accepted: instead(names),
        });
    }
    for &name in must {
        if !there(name) {
            return Err(WeightsError::Missing {
                what: name,
                path: repo.into(),
                accepted: match part {
                    Part::Lisa => "a published LISA checkpoint has it beside its weights",
                    Part::Clip => "a published CLIP has it beside its weights",
                },
            });
        }
        texts.push(name.to_owned());
    }
    if part == Part::Lisa {
        if let Some(adapter) = names.iter().find(|name| name.starts_with("adapter_model.")) {
            return Err(WeightsError::Invalid {
                path: repo.into(),
                reason: format!("{adapter} lies beside its weights, and nothing says whether it is merged into them; merge it with PEFT, and convert what comes out with `lisa convert`"),
            });
        }
        // `tokenizer.model` is what the reference reads, and `tokenizer.json` is read without it only.
        let tokenizer = ["tokenizer.model", "tokenizer.json"];
        let beside = [
            "added_tokens.json",
            "tokenizer_config.json",
            "adapter_config.json",
        ];
        let found = tokenizer.into_iter().find(|name| there(name)).into_iter();
        let more = found.chain(beside).filter(|name| there(name));
        texts.extend(more.map(str::to_owned));
    }
    let indices = WEIGHTS.iter().map(|stem| format!("{stem}.index.json"));
    texts.extend(indices.filter(|name| there(name)));
    Ok(texts)
}

/// The files of the weights: those of the first set that the repository has whole, in the order in which
/// [`convert`](super::convert) prefers them. `folder` holds the files of [`needed_texts`].
///
/// # Errors
/// An index that cannot be read or names files elsewhere; [`WeightsError::Invalid`] where no set is whole.
pub fn needed_weights(
    repo: &str,
    folder: &Path,
    names: &[String],
) -> Result<Vec<String>, WeightsError> {
    let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut lacks = None;
    for stem in WEIGHTS {
        let index = format!("{stem}.index.json");
        if known.contains(index.as_str()) {
            let candidate = indexed(folder, &index)?;
            let files: BTreeSet<String> = candidate
                .index
                .into_iter()
                .flatten()
                .map(|(_, file)| file)
                .collect();
            match files.iter().find(|file| !known.contains(file.as_str())) {
                None => return Ok(files.into_iter().collect()),
                Some(file) => lacks = Some(format!("{index} names {file}, which is not there")),
            }
        } else if let Some(files) = shards(names, stem) {
            return Ok(files);
        }
        if known.contains(stem) {
            return Ok(vec![stem.to_owned()]);
        }
    }
    Err(WeightsError::Invalid {
        path: repo.into(),
        reason: lacks.unwrap_or_else(|| "it holds no weights".to_owned()),
    })
}

fn has_weights(names: &[String], stem: &str) -> bool {
    let index = format!("{stem}.index.json");
    names.iter().any(|name| name == stem || *name == index) || shards(names, stem).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn of_a_repository_only_what_is_read_is_needed() {
        let lisa = names(&[
            ".gitattributes",
            "README.md",
            "added_tokens.json",
            "config.json",
            "generation_config.json",
            "pytorch_model-00001-of-00002.bin",
            "pytorch_model-00002-of-00002.bin",
            "pytorch_model.bin.index.json",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer.model",
            "tokenizer_config.json",
        ]);
        let texts = needed_texts(Part::Lisa, "a/b", &lisa).unwrap();
        let expected = [
            "config.json",
            "tokenizer.model",
            "added_tokens.json",
            "tokenizer_config.json",
            "pytorch_model.bin.index.json",
        ];
        assert_eq!(texts, expected);
        let folder = tempfile::tempdir().unwrap();
        let index = |map: &str| {
            let path = folder.path().join("pytorch_model.bin.index.json");
            std::fs::write(path, format!(r#"{{"weight_map": {map}}}"#)).unwrap();
            needed_weights("a/b", folder.path(), &lisa).map_err(|e| e.to_string())
        };
        let first = "pytorch_model-00001-of-00002.bin";
        assert_eq!(
            index(&format!(r#"{{"x": "{first}", "y": "{first}"}}"#)).unwrap(),
            [first]
        );
        let error = index(r#"{"x": "pytorch_model-00003-of-00003.bin"}"#).unwrap_err();
        assert!(
            error.contains("00003-of-00003") && error.contains("a/b"),
            "{error}"
        );
        let error = index(r#"{"x": "../../../.bashrc"}"#).unwrap_err();
        assert!(
            error.contains(".bashrc") && error.contains("beside it"),
            "{error}"
        );

        let clip = names(&[
            "config.json",
            "flax_model.msgpack",
            "model.safetensors",
            "preprocessor_config.json",
            "pytorch_model.bin",
            "tf_model.h5",
        ]);
        let texts = needed_texts(Part::Clip, "c/d", &clip).unwrap();
        assert_eq!(texts, ["config.json", "preprocessor_config.json"]);
        let weights = needed_weights("c/d", folder.path(), &clip).unwrap();
        assert_eq!(weights, ["model.safetensors"]);
    }

    #[test]
    fn what_is_no_checkpoint_is_known_by_its_names() {
        for (part, files, word) in [
            (
                Part::Lisa,
                &["lisa.Q4_K_M.gguf", "config.json"][..],
                "quantized",
            ),
            (Part::Lisa, &["model.safetensors"], "config.json"),
            (
                Part::Lisa,
                &["model.safetensors", "config.json", "adapter_model.bin"],
                "PEFT",
            ),
            (
                Part::Clip,
                &["model.safetensors", "config.json"],
                "preprocessor_config.json",
            ),
        ] {
            let error = needed_texts(part, "a/b", &names(files))
                .unwrap_err()
                .to_string();
            assert!(error.contains("a/b") && error.contains(word), "{error}");
        }
    }
}
