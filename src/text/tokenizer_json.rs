//! The parts of a `tokenizer.json` that stand for what a SentencePiece tokenizer does.

use serde_json::{json, Value};

use super::vocabulary::SPACE;

/// A byte-pair tokenizer, as the parts of its `tokenizer.json`.
pub(super) struct Bpe {
    /// Entries made by [`added_token`].
    pub added_tokens: Vec<Value>,
    pub normalizer: Value,
    /// What is put around the ids of a text; `None` for nothing.
    pub post_processor: Option<Value>,
    pub decoder: Value,
    /// The token of a character that the vocabulary cannot spell.
    pub unk_token: String,
    /// Whether such a character is written in the pieces of its bytes instead.
    pub byte_fallback: bool,
    /// An object of piece and id.
    pub vocab: Value,
    /// A list of pairs of pieces, the first to be merged first.
    pub merges: Value,
}

impl Bpe {
    /// The text of the `tokenizer.json`.
    pub fn into_json(self) -> String {
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added_tokens,
            "normalizer": self.normalizer,
            "pre_tokenizer": null,
            "post_processor": self.post_processor,
            "decoder": self.decoder,
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": self.unk_token,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": true,
                "byte_fallback": self.byte_fallback,
                "ignore_merges": false,
                "vocab": self.vocab,
                "merges": self.merges,
            },
        })
        .to_string()
    }
}

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
