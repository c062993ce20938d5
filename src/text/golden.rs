//! Where the tests find the reference's data.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::{tokenizer_json_from_checkpoint, LisaTokenizer};
use crate::testing::{child_with, golden_dir};

/// The one folder beside `expected.json` that has a tokenizer.
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

/// `expected.json`, whose lists are not empty: tests go through them.
pub fn expected() -> serde_json::Value {
    let text = std::fs::read(golden_dir().join("expected.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for list in ["cases", "tokenizer"] {
        assert!(!json[list].as_array().unwrap().is_empty(), "{list}");
    }
    json
}

/// The i64 tensors of a golden file whose name ends in `_ids`.
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
