//! The golden data of the reference, for the tests of this folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::{tokenizer_json_from_checkpoint, LisaTokenizer};
use crate::testing::{child_with, golden_dir};

/// The checkpoint of the golden data: the one folder beside `expected.json` that has a tokenizer.
pub fn checkpoint() -> PathBuf {
    child_with(&golden_dir(), "tokenizer.model")
}

/// The golden tokenizer, converted once.
pub fn tokenizer() -> &'static LisaTokenizer {
    static TOKENIZER: OnceLock<LisaTokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        let json = tokenizer_json_from_checkpoint(&checkpoint()).unwrap();
        LisaTokenizer::from_bytes(json.as_bytes()).unwrap()
    })
}

/// `expected.json`. Tests go through its lists, so an empty one would test nothing and panics here.
pub fn expected() -> serde_json::Value {
    let text = std::fs::read(golden_dir().join("expected.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for list in ["cases", "tokenizer"] {
        assert!(!json[list].as_array().unwrap().is_empty(), "{list}");
    }
    json
}

/// The i64 tensors of a golden file whose names end in `_ids`.
pub fn ids(file: &str) -> HashMap<String, Vec<i64>> {
    let bytes = std::fs::read(golden_dir().join(file)).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let ids = tensors.iter().filter(|(name, _)| name.ends_with("_ids"));
    ids.map(|(name, view)| {
        let numbers = view
            .data()
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        (name.to_owned(), numbers.collect())
    })
    .collect()
}
