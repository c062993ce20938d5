//! Trains a tokenizer of the same form as Llama's: byte-pair merges are learned from texts.

use std::collections::BTreeMap;

use serde_json::{json, Value};
use tokenizers::models::bpe::{BpeTrainerBuilder, BPE};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};

use super::tokenizer_json::{added_token, legacy_normalizer, sentencepiece_decoder, Bpe};
use super::vocabulary::SPACE;
use super::{LisaTokenizer, TextError};

/// The special tokens of Llama's SentencePiece model, in the order of their ids from 0.
const MARKUP: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// Learns a vocabulary of up to `vocab_size` entries: the special tokens, the 256 bytes, the characters of the texts, merges
/// within words that occur at least twice, and LISA's own tokens last. Returns a `tokenizer.json` for
/// [`LisaTokenizer::from_bytes`].
///
/// # Errors
/// [`TextError::TokenizerJson`] where `vocab_size` is too small for the bytes and characters.
pub fn train_tokenizer<'a>(
    texts: impl Iterator<Item = &'a str>,
    vocab_size: usize,
) -> Result<String, TextError> {
    let bad = |reason: String| TextError::TokenizerJson { reason };
    let added = [
        LisaTokenizer::SEG,
        LisaTokenizer::IM_START,
        LisaTokenizer::IM_END,
    ];
    let special: Vec<String> = MARKUP
        .iter()
        .map(|token| (*token).to_owned())
        .chain((0..=255u8).map(|byte| format!("<0x{byte:02X}>")))
        .collect();
    let base = vocab_size.saturating_sub(added.len());
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(base)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(
            special
                .iter()
                .map(|t| AddedToken::from(t.clone(), true))
                .collect(),
        )
        .build();
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(Metaspace::new(SPACE, PrependScheme::Always, true)));
    let texts: Vec<&str> = texts.collect();
    tokenizer
        .train(
            &mut tokenizers::models::TrainerWrapper::BpeTrainer(trainer),
            texts.into_iter(),
        )
        .map_err(|e| bad(e.to_string()))?;
    let trained = tokenizer.to_string(false).map_err(|e| bad(e.to_string()))?;
    let trained: Value = serde_json::from_str(&trained).map_err(|e| bad(e.to_string()))?;
    let vocab: BTreeMap<String, u32> = serde_json::from_value(trained["model"]["vocab"].clone())
        .map_err(|e| bad(e.to_string()))?;
    if vocab.len() > base {
        return Err(bad(format!(
            "a vocabulary of {vocab_size} is too small: bytes and characters alone are {}",
            vocab.len() + added.len()
        )));
    }
    let mut tokens: Vec<Value> = (0u32..)
        .zip(MARKUP)
        .map(|(id, token)| added_token(id, token, false))
        .collect();
    tokens.extend(
        (vocab.len() as u32..)
            .zip(added)
            .map(|(id, token)| added_token(id, token, true)),
    );
    Ok(Bpe {
        added_tokens: tokens,
        normalizer: legacy_normalizer(true, true),
        post_processor: None,
        decoder: sentencepiece_decoder(true),
        unk_token: "<unk>".to_owned(),
        byte_fallback: true,
        vocab: json!(vocab),
        merges: trained["model"]["merges"].clone(),
    }
    .into_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_texts_are_whole_and_anything_comes_back() {
        let texts = [
            "the red mug",
            "the red book",
            "the mug",
            "a red mug is here",
        ];
        let json = train_tokenizer(texts.into_iter().cycle().take(40), 330).unwrap();
        let tokenizer = LisaTokenizer::from_bytes(json.as_bytes()).unwrap();
        assert!(tokenizer.vocab_size() <= 330);
        assert_eq!((tokenizer.bos_id(), tokenizer.eos_id()), (1, 2));
        assert_eq!(
            tokenizer.seg_id().unwrap() as usize,
            tokenizer.vocab_size() - 3
        );
        assert_eq!(tokenizer.encode_text("the red mug").len(), 3);
        for text in ["the red mug", "Größe: 5 ½\n", "[SEG] </s>"] {
            let ids = tokenizer.encode_text(text);
            assert_eq!(tokenizer.decode(&ids).trim(), text.trim());
        }
    }
}
