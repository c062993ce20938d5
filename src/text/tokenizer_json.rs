//! The parts of a `tokenizer.json` that stand for what a SentencePiece tokenizer does.

use serde_json::{json, Value};

use super::vocabulary::SPACE;

/// An entry of `added_tokens`. The reference's slow tokenizer strips white space on both sides of a token that was added to the
/// vocabulary (`strips`), and none around one that is part of it.
pub(super) fn added_token(id: u32, content: &str, strips: bool) -> Value {
    json!({
        "id": id,
        "content": content,
        "single_word": false,
        "lstrip": strips,
        "rstrip": strips,
        "normalized": false,
        "special": true,
    })
}

/// The normalizer that does to a segment of text what SentencePiece does before it looks for pieces. With `dummy_prefix` it puts
/// a space in front; with `squeeze` it makes one space of several and removes those at the ends.
pub(super) fn legacy_normalizer(dummy_prefix: bool, squeeze: bool) -> Value {
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let mut steps = Vec::new();
    if squeeze {
        steps.push(replace(json!({"Regex": r"\A +"}), ""));
        steps.push(replace(json!({"Regex": " {2,}"}), " "));
    }
    if dummy_prefix {
        steps.push(json!({"type": "Prepend", "prepend": SPACE}));
    }
    steps.push(replace(json!({"String": " "}), &SPACE.to_string()));
    if squeeze {
        steps.push(replace(json!({"Regex": format!(r"{SPACE}+\z")}), ""));
    }
    json!({"type": "Sequence", "normalizers": steps})
}

/// The decoder that joins pieces to text; with `strip` it removes the space that the normalizer put in front.
pub(super) fn sentencepiece_decoder(strip: bool) -> Value {
    let mut steps = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if strip {
        steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": steps})
}
