//! Converts `tokenizer.model`, as SentencePiece writes it, to `tokenizer.json`.
//!
//! SentencePiece's BPE has no list of merges: it joins, anywhere in the text, the two neighbours whose joint piece has the
//! highest score. A list of merges in descending order of score does the same, if every way to split a piece into two others is
//! one merge. Control, unknown and byte pieces take part in no merge, so that no text ever becomes one.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use sentencepiece_model::{ModelType, SentencePieceModel, Type};
use serde_json::{json, Value};

use super::tokenizer_json::{added_token, legacy_normalizer, sentencepiece_decoder, Bpe};
use super::TextError;

/// Converts a SentencePiece BPE model, with the tokens that were added to it, to the format of the `tokenizers` crate.
///
/// Every text between added tokens gets the ids that the slow, legacy Llama tokenizer of transformers gives it. Tokens of `added`
/// that the model already has must have the same id there, and are otherwise ignored.
///
/// # Errors
/// A [`TextError`] for everything that the format cannot express exactly: another model than BPE, a normalizer with a character
/// map, user-defined or unused pieces, white space as a suffix, equal scores. The ids of added tokens must follow the vocabulary
/// without gaps.
pub fn tokenizer_json_from_sentencepiece(
    model: &Path,
    added: &BTreeMap<String, u32>,
) -> Result<String, TextError> {
    let bytes = std::fs::read(model).map_err(|source| TextError::Read {
        path: model.into(),
        source,
    })?;
    let not_a_model = |reason: String| TextError::NotSentencePiece {
        path: model.into(),
        reason,
    };
    let parsed = SentencePieceModel::from_slice(bytes).map_err(|e| not_a_model(e.to_string()))?;
    if parsed.pieces.is_empty() {
        return Err(not_a_model("it has no pieces".to_owned()));
    }
    convert(&parsed, added)
}

fn convert(model: &SentencePieceModel, added: &BTreeMap<String, u32>) -> Result<String, TextError> {
    check_options(model)?;
    let pieces = Pieces::read(model)?;
    let byte_fallback = model.trainer().is_some_and(|t| t.byte_fallback());
    if byte_fallback {
        pieces.check_bytes()?;
    }
    let unk = pieces
        .unknown
        .clone()
        .ok_or_else(|| TextError::MissingToken {
            token: "<unk>".to_owned(),
        })?;
    let bos = model.trainer().map_or("<s>", |t| t.bos_piece());

    let mut tokens: Vec<Value> = pieces
        .markup
        .iter()
        .map(|(id, piece)| added_token(*id, piece, false))
        .collect();
    tokens.extend(
        pieces
            .check_added(added)?
            .into_iter()
            .map(|(id, token)| added_token(id, token, true)),
    );

    Ok(Bpe {
        added_tokens: tokens,
        normalizer: normalizer(model),
        post_processor: pieces.ids.get(bos).map(|id| begin_with(bos, *id)),
        decoder: decoder(model),
        unk_token: unk,
        byte_fallback,
        vocab: json!(pieces.ids),
        merges: json!(pieces.merges()?),
    }
    .into_json())
}

fn check_options(model: &SentencePieceModel) -> Result<(), TextError> {
    let kind = model
        .trainer()
        .map_or(ModelType::Unigram, |t| t.model_type());
    if kind != ModelType::Bpe {
        return Err(TextError::UnsupportedModel {
            found: kind.as_str_name().to_owned(),
        });
    }
    if model
        .trainer()
        .is_some_and(|t| t.treat_whitespace_as_suffix())
    {
        return Err(TextError::UnsupportedOption {
            option: "treat_whitespace_as_suffix",
            accepted: "white space as a prefix",
        });
    }
    for rule in [model.normalizer(), model.denormalizer()]
        .into_iter()
        .flatten()
    {
        if !rule.precompiled_charsmap().is_empty() {
            return Err(TextError::UnsupportedNormalizer {
                name: rule.name().to_owned(),
                bytes: rule.precompiled_charsmap().len(),
            });
        }
    }
    if model.normalizer().is_some_and(|n| !n.escape_whitespaces()) {
        return Err(TextError::UnsupportedOption {
            option: "escape_whitespaces = false",
            accepted: "escape_whitespaces = true",
        });
    }
    Ok(())
}

/// The pieces of the model, by kind.
struct Pieces<'a> {
    ids: HashMap<&'a str, u32>,
    /// The pieces that text can become, with their scores, in order of id.
    normal: Vec<(&'a str, f32)>,
    /// The control and unknown pieces.
    markup: Vec<(u32, &'a str)>,
    unknown: Option<String>,
}

impl<'a> Pieces<'a> {
    fn read(model: &'a SentencePieceModel) -> Result<Self, TextError> {
        let mut pieces = Self {
            ids: HashMap::new(),
            normal: Vec::new(),
            markup: Vec::new(),
            unknown: None,
        };
        for (id, entry) in model.pieces().iter().enumerate() {
            let piece = entry.piece();
            if let Some(first) = pieces.ids.insert(piece, id as u32) {
                let first = first as usize;
                return Err(TextError::DuplicatePiece {
                    piece: piece.to_owned(),
                    first,
                    second: id,
                });
            }
            let unsupported = |kind| TextError::UnsupportedPiece {
                id,
                piece: piece.to_owned(),
                kind,
            };
            match entry.r#type() {
                Type::Normal => pieces.normal.push((piece, entry.score())),
                Type::Byte => {}
                Type::Control => pieces.markup.push((id as u32, piece)),
                Type::Unknown => {
                    pieces.markup.push((id as u32, piece));
                    pieces.unknown = Some(piece.to_owned());
                }
                Type::UserDefined => return Err(unsupported("user-defined")),
                Type::Unused => return Err(unsupported("unused")),
            }
        }
        Ok(pieces)
    }

    fn check_bytes(&self) -> Result<(), TextError> {
        let missing = (0..=255u8)
            .map(|b| format!("<0x{b:02X}>"))
            .find(|p| !self.ids.contains_key(p.as_str()));
        missing.map_or(Ok(()), |piece| Err(TextError::MissingBytePiece { piece }))
    }

    /// The tokens of `added` that the model does not have, in order of id.
    fn check_added<'t>(
        &self,
        added: &'t BTreeMap<String, u32>,
    ) -> Result<Vec<(u32, &'t str)>, TextError> {
        let mut new = Vec::new();
        for (token, &id) in added {
            match self.ids.get(token.as_str()) {
                Some(&first) if first != id => {
                    return Err(TextError::AddedTokenConflict {
                        token: token.clone(),
                        first,
                        second: id,
                    });
                }
                Some(_) => {}
                None => new.push((id, token.as_str())),
            }
        }
        new.sort();
        for (expected, (id, token)) in (self.ids.len() as u32..).zip(&new) {
            if expected != *id {
                return Err(TextError::AddedTokenGap {
                    token: (*token).to_owned(),
                    id: *id,
                    expected,
                });
            }
        }
        Ok(new)
    }

    /// Every way to join two pieces to a third, in descending order of the third's score.
    fn merges(&self) -> Result<Vec<(&'a str, &'a str)>, TextError> {
        let known: HashMap<&str, f32> = self.normal.iter().copied().collect();
        let mut joined = Vec::new();
        for &(piece, score) in &self.normal {
            let splits: Vec<_> = piece
                .char_indices()
                .skip(1)
                .map(|(at, _)| piece.split_at(at))
                .filter(|(left, right)| known.contains_key(left) && known.contains_key(right))
                .collect();
            if !splits.is_empty() {
                joined.push((piece, score, splits));
            }
        }
        joined.sort_by(|a: &(_, f32, _), b| b.1.total_cmp(&a.1));
        if let Some(pair) = joined.windows(2).find(|pair| pair[0].1 == pair[1].1) {
            return Err(TextError::EqualScores {
                first: pair[0].0.to_owned(),
                second: pair[1].0.to_owned(),
                score: pair[0].1,
            });
        }
        Ok(joined
            .into_iter()
            .flat_map(|(_, _, splits)| splits)
            .collect())
    }
}

fn normalizer(model: &SentencePieceModel) -> Value {
    let options = model.normalizer();
    legacy_normalizer(
        options.is_none_or(|n| n.add_dummy_prefix()),
        options.is_none_or(|n| n.remove_extra_whitespaces()),
    )
}

fn decoder(model: &SentencePieceModel) -> Value {
    let strips = model
        .normalizer()
        .is_none_or(|n| n.add_dummy_prefix() || n.remove_extra_whitespaces());
    sentencepiece_decoder(strips)
}

fn begin_with(bos: &str, id: u32) -> Value {
    json!({
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": bos, "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [
            {"SpecialToken": {"id": bos, "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": bos, "type_id": 1}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {bos: {"id": bos, "ids": [id], "tokens": [bos]}},
    })
}

#[cfg(test)]
pub(super) mod tests;
