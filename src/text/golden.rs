//! Where the tests find the reference's data.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::{tokenizer_json_from_checkpoint, LisaTokenizer};

/// The folder that holds `expected.json`: `LISA_GOLDEN_DIR` or its `tiny/`, or the copy in the repository.
pub fn dir() -> PathBuf {
    let given = std::env::var_os("LISA_GOLDEN_DIR").map(PathBuf::from);
    let dir =
        given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    match dir.join("expected.json").is_file() {
        true => dir,
        false => dir.join("tiny"),
    }
}

/// The one folder beside `expected.json` that has a tokenizer.
pub fn checkpoint() -> PathBuf {
    let mut entries = std::fs::read_dir(dir())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .find(|path| path.join("tokenizer.model").is_file())
        .unwrap()
}

/// The golden tokenizer, converted once.
pub fn tokenizer() -> &'static LisaTokenizer {
    static TOKENIZER: OnceLock<LisaTokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        let json = tokenizer_json_from_checkpoint(&checkpoint()).unwrap();
        LisaTokenizer::from_bytes(json.as_bytes()).unwrap()
    })
}

pub fn expected() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir().join("expected.json")).unwrap()).unwrap()
}

/// The i64 tensors of a golden file whose name ends in `_ids`.
pub fn ids(file: &str) -> HashMap<String, Vec<i64>> {
    let bytes = std::fs::read(dir().join(file)).unwrap();
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
