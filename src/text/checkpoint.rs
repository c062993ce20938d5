//! Reads the tokenizer of a checkpoint, in whichever of the published forms it is.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use lisa_files::lfs;
use serde_json::{json, Value};

use super::sentencepiece::tokenizer_json_from_sentencepiece;
use super::tokenizer_json::{added_token, legacy_normalizer};
use super::vocabulary::{byte_of_piece, SPACE};
use super::TextError;

/// The `tokenizer.json` of the checkpoint in `dir`.
///
/// `tokenizer.model` with the [`added_tokens`] is preferred, because it is what the reference reads. Without it, the checkpoint's
/// own `tokenizer.json` is taken and completed by added tokens that only other files name.
///
/// # Errors
/// [`TextError::NoTokenizer`] where there is neither; otherwise as [`tokenizer_json_from_sentencepiece`] or
/// [`tokenizer_json_with_added`].
pub fn tokenizer_json_from_checkpoint(dir: &Path) -> Result<String, TextError> {
    let added = added_tokens(dir)?;
    let model = dir.join("tokenizer.model");
    if lfs::file_is_pointer(&model) {
        return Err(TextError::Pointer { path: model });
    }
    if model.is_file() {
        return tokenizer_json_from_sentencepiece(&model, &added);
    }
    match read_if_there(&dir.join("tokenizer.json"))? {
        Some(json) => tokenizer_json_with_added(&json, &added),
        None => Err(TextError::NoTokenizer { dir: dir.into() }),
    }
}

/// The tokens that were added to the vocabulary after it was trained, `[SEG]` among them, with their ids. They are read from
/// `added_tokens.json` and from `added_tokens_decoder` of `tokenizer_config.json`, which newer checkpoints have. Empty where
/// `dir` has neither.
///
/// # Errors
/// [`TextError::Malformed`] where a file does not have the form that transformers writes, [`TextError::AddedTokenConflict`] where
/// the two files disagree.
pub fn added_tokens(dir: &Path) -> Result<BTreeMap<String, u32>, TextError> {
    let mut added = BTreeMap::new();
    let path = dir.join("added_tokens.json");
    if let Some(json) = read_if_there(&path)? {
        added = serde_json::from_str(&json).map_err(|e| TextError::Malformed {
            path,
            reason: e.to_string(),
            accepted: r#"an object of token and id, {"[SEG]": 32003}"#,
        })?;
    }
    let path = dir.join("tokenizer_config.json");
    if let Some(json) = read_if_there(&path)? {
        let malformed = |reason: String| TextError::Malformed {
            path: path.clone(),
            reason,
            accepted: r#"{"added_tokens_decoder": {"32003": {"content": "[SEG]"}}}"#,
        };
        let config: Value = serde_json::from_str(&json).map_err(|e| malformed(e.to_string()))?;
        let decoder = config
            .get("added_tokens_decoder")
            .and_then(Value::as_object);
        for (id, token) in decoder.into_iter().flatten() {
            let id = id
                .parse()
                .map_err(|_| malformed(format!("id {id:?} is not a number")))?;
            let content = token
                .get("content")
                .and_then(Value::as_str)
                .ok_or_else(|| malformed(format!("token {id} has no content")))?;
            add(&mut added, content, id)?;
        }
    }
    Ok(added)
}

/// Turns a `tokenizer.json` that another program wrote into one that [`LisaTokenizer`](super::LisaTokenizer) accepts. Tokens of
/// `added` that it does not name are appended, merges that would join plain letters to a special or byte token are dropped, and
/// spaces are treated as the reference treats them.
///
/// # Errors
/// [`TextError::TokenizerJson`] where it is not a tokenizer, [`TextError::UnsupportedModel`] where it is not BPE,
/// [`TextError::AddedTokenConflict`] where it gives a token of `added` another id.
pub fn tokenizer_json_with_added(
    json: &str,
    added: &BTreeMap<String, u32>,
) -> Result<String, TextError> {
    let bad = |reason: &str| TextError::TokenizerJson {
        reason: reason.to_owned(),
    };
    let mut root: Value = serde_json::from_str(json).map_err(|e| bad(&e.to_string()))?;

    let kind = root["model"]["type"]
        .as_str()
        .unwrap_or("unnamed")
        .to_owned();
    if kind != "BPE" {
        return Err(TextError::UnsupportedModel { found: kind });
    }
    let vocab = root["model"]["vocab"].as_object().cloned();
    let vocab = vocab.ok_or_else(|| bad("model.vocab is not an object of token and id"))?;

    let mut known = BTreeMap::new();
    for token in root["added_tokens"].as_array().into_iter().flatten() {
        let (Some(content), Some(id)) = (token["content"].as_str(), token["id"].as_u64()) else {
            return Err(bad("an entry of added_tokens lacks content or id"));
        };
        add(&mut known, content, id as u32)?;
    }
    let mut missing = Vec::new();
    for (content, &id) in added {
        let base = vocab.get(content).and_then(Value::as_u64);
        match known.get(content).copied().or(base.map(|id| id as u32)) {
            Some(first) if first != id => {
                return Err(TextError::AddedTokenConflict {
                    token: content.clone(),
                    first,
                    second: id,
                });
            }
            Some(_) => {}
            None => missing.push((id, content)),
        }
    }
    missing.sort();
    if root["added_tokens"].is_null() {
        root["added_tokens"] = json!([]);
    }
    if let Some(tokens) = root["added_tokens"].as_array_mut() {
        tokens.extend(
            missing
                .iter()
                .map(|(id, content)| added_token(*id, content, true)),
        );
    }

    let is_markup = |piece: &str| {
        known.contains_key(piece) || added.contains_key(piece) || byte_of_piece(piece).is_some()
    };
    if let Some(merges) = root["model"]["merges"].as_array_mut() {
        merges.retain(|merge| {
            let merged = match merge {
                Value::String(pair) => pair.replacen(' ', "", 1),
                pair => pair
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect(),
            };
            !is_markup(&merged)
        });
    }
    spaces_as_the_slow_tokenizer(&mut root);
    Ok(root.to_string())
}

/// Replaces a Metaspace pre-tokenizer, as newer files have it, by the slow tokenizer's normalizer. Metaspace puts no prefix space
/// before a text that begins with a space; the reference's tokenizer does.
fn spaces_as_the_slow_tokenizer(root: &mut Value) {
    let metaspace = &root["pre_tokenizer"];
    let whole = metaspace["type"] == "Metaspace" && metaspace["split"] == false;
    if !whole || metaspace["replacement"] != json!(SPACE) || !root["normalizer"].is_null() {
        return;
    }
    let prefix = metaspace["prepend_scheme"] != "never";
    root["normalizer"] = legacy_normalizer(prefix, false);
    root["pre_tokenizer"] = Value::Null;
}

fn add(tokens: &mut BTreeMap<String, u32>, token: &str, id: u32) -> Result<(), TextError> {
    match tokens.insert(token.to_owned(), id) {
        Some(first) if first != id => Err(TextError::AddedTokenConflict {
            token: token.to_owned(),
            first,
            second: id,
        }),
        _ => Ok(()),
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, TextError> {
    match fs::read_to_string(path) {
        Ok(text) if lfs::is_pointer(text.as_bytes()) => {
            Err(TextError::Pointer { path: path.into() })
        }
        Ok(text) => Ok(Some(match text.strip_prefix('\u{feff}') {
            Some(without_mark) => without_mark.to_owned(),
            None => text,
        })),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TextError::Read {
            path: path.into(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{golden, LisaTokenizer};
    use super::*;
    use std::path::PathBuf;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn golden_json() -> Value {
        serde_json::from_str(&tokenizer_json_from_checkpoint(&golden::checkpoint()).unwrap())
            .unwrap()
    }

    #[test]
    fn added_tokens_come_from_either_file() {
        let old = ("added_tokens.json", r#"{"[SEG]": 7}"#);
        let new = (
            "tokenizer_config.json",
            r#"{"added_tokens_decoder": {"8": {"content": "<x>"}}}"#,
        );
        let both = added_tokens(folder(&[old, new]).path()).unwrap();
        assert_eq!(
            both,
            BTreeMap::from([("[SEG]".to_owned(), 7), ("<x>".to_owned(), 8)])
        );
        assert!(added_tokens(folder(&[]).path()).unwrap().is_empty());

        let other = (
            "tokenizer_config.json",
            r#"{"added_tokens_decoder": {"8": {"content": "[SEG]"}}}"#,
        );
        let conflict = added_tokens(folder(&[old, other]).path()).unwrap_err();
        assert!(
            matches!(
                conflict,
                TextError::AddedTokenConflict {
                    first: 7,
                    second: 8,
                    ..
                }
            ),
            "{conflict}"
        );
        for bad in [
            ("added_tokens.json", "[1]"),
            (
                "tokenizer_config.json",
                r#"{"added_tokens_decoder": {"x": {}}}"#,
            ),
        ] {
            let malformed = added_tokens(folder(&[bad]).path()).unwrap_err();
            assert!(
                matches!(malformed, TextError::Malformed { .. }),
                "{malformed}"
            );
        }
    }

    #[test]
    fn a_pointer_of_git_lfs_is_named_for_what_it_is() {
        for file in ["tokenizer.model", "tokenizer.json", "added_tokens.json"] {
            let dir = folder(&[(file, lfs::POINTER)]);
            let error = tokenizer_json_from_checkpoint(dir.path()).unwrap_err();
            assert!(
                matches!(&error, TextError::Pointer { path } if path.ends_with(file)),
                "{error}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let dir = folder(&[("added_tokens.json", "\u{feff}{\"[SEG]\": 7}")]);
        assert_eq!(added_tokens(dir.path()).unwrap()["[SEG]"], 7);
    }

    #[test]
    fn a_folder_without_a_tokenizer_says_what_is_accepted() {
        let none = tokenizer_json_from_checkpoint(&PathBuf::from("no/such/folder")).unwrap_err();
        assert!(none.to_string().contains("tokenizer.model"), "{none}");
    }

    /// A file as other programs write it: spaces in a pre-tokenizer, merges as strings, added tokens in a file of their own.
    #[test]
    fn a_foreign_tokenizer_json_gives_the_same_ids() {
        let mut json = golden_json();
        json["normalizer"] = Value::Null;
        json["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
        let added = json["added_tokens"].as_array_mut().unwrap();
        let listed = added.split_off(3);
        let listed: serde_json::Map<_, _> = listed
            .iter()
            .map(|t| (t["content"].as_str().unwrap().to_owned(), t["id"].clone()))
            .collect();
        for merge in json["model"]["merges"].as_array_mut().unwrap() {
            *merge = json!(format!(
                "{} {}",
                merge[0].as_str().unwrap(),
                merge[1].as_str().unwrap()
            ));
        }
        let listed = Value::Object(listed).to_string();
        let dir = folder(&[
            ("tokenizer.json", &json.to_string()),
            ("added_tokens.json", &listed),
        ]);
        let foreign = tokenizer_json_from_checkpoint(dir.path()).unwrap();
        let foreign = LisaTokenizer::from_bytes(foreign.as_bytes()).unwrap();
        let ours = golden::tokenizer();
        assert_eq!(foreign.vocab_size(), ours.vocab_size());
        for text in [
            "Change the  TV [SEG]. channel",
            " café ☃\n",
            "",
            "[SEG]",
            "x</s>y",
        ] {
            assert_eq!(
                foreign.encode_reference(text),
                ours.encode_reference(text),
                "{text:?}"
            );
            let ids = ours.encode_text(text);
            assert_eq!(foreign.decode(&ids), ours.decode(&ids));
        }
    }

    #[test]
    fn merges_that_spell_markup_are_dropped() {
        let mut json = golden_json();
        let vocab = json["model"]["vocab"].as_object_mut().unwrap();
        for piece in ["<", "/", "s", ">", "</", "</s"] {
            let next = json!(vocab.len());
            vocab.entry(piece).or_insert(next);
        }
        json["added_tokens"].as_array_mut().unwrap().truncate(3);
        let merges = json["model"]["merges"].as_array_mut().unwrap();
        merges.splice(
            0..0,
            [json!(["<", "/"]), json!(["</", "s"]), json!(["</s", ">"])],
        );

        let spelled = LisaTokenizer::from_bytes(json.to_string().as_bytes()).unwrap_err();
        assert!(
            matches!(&spelled, TextError::TextBecomesToken { text, .. } if text == "</s>"),
            "{spelled}"
        );
        let mended = tokenizer_json_with_added(&json.to_string(), &BTreeMap::new()).unwrap();
        let mended = LisaTokenizer::from_bytes(mended.as_bytes()).unwrap();
        assert!(!mended.encode_text("</s>").contains(&mended.eos_id()));
    }

    #[test]
    fn a_token_with_two_ids_is_refused() {
        let added = BTreeMap::from([("[SEG]".to_owned(), 3)]);
        let conflict = tokenizer_json_with_added(&golden_json().to_string(), &added).unwrap_err();
        assert!(
            matches!(conflict, TextError::AddedTokenConflict { second: 3, .. }),
            "{conflict}"
        );
    }
}
