//! [`LisaTokenizer`]: text to ids, with the words of a person kept apart from markup.

use std::path::Path;

use tokenizers::{
    Model, ModelWrapper, NormalizedString, Normalizer, OffsetType, PreTokenizedString,
    PreTokenizer, PreTokenizerWrapper, Tokenizer,
};

use super::vocabulary::{ListedToken, Piece, Vocabulary, SPACE};
use super::TextError;

/// The tokenizer of a LISA model: a SentencePiece BPE vocabulary and the tokens that LISA added to it.
pub struct LisaTokenizer {
    inner: Tokenizer,
    pub(super) vocabulary: Vocabulary,
    pub(super) whitespace: Whitespace,
    bos: u32,
    eos: u32,
    unk: u32,
}

/// What the normalizer does to spaces, which decoding has to undo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whitespace {
    /// A space is put before each segment of text.
    pub dummy_prefix: bool,
    /// Several spaces become one, and those at the ends are removed.
    pub squeezed: bool,
}

impl LisaTokenizer {
    /// The token whose hidden state becomes a mask.
    pub const SEG: &'static str = "[SEG]";
    /// The token before the features of the image.
    pub const IM_START: &'static str = "<im_start>";
    /// The token after the features of the image.
    pub const IM_END: &'static str = "<im_end>";

    /// Reads the `tokenizer.json` of a model directory.
    ///
    /// # Errors
    /// [`TextError::Read`], and as [`LisaTokenizer::from_bytes`].
    pub fn from_file(path: &Path) -> Result<Self, TextError> {
        let bytes = std::fs::read(path).map_err(|source| TextError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_bytes(&bytes)
    }

    /// Whether both have the same tokens under the same ids, so that ids of the one mean the same to the other.
    pub fn same_vocabulary(&self, other: &Self) -> bool {
        self.inner.get_vocab(true) == other.inner.get_vocab(true)
    }

    /// Reads a `tokenizer.json` and checks what the rest of the crate relies on: it is BPE, its ids have no gaps, it has `<s>`
    /// and `</s>`, and no text becomes a special token.
    ///
    /// # Errors
    /// [`TextError::TokenizerJson`], [`UnsupportedModel`](TextError::UnsupportedModel),
    /// [`UnsupportedOption`](TextError::UnsupportedOption),
    /// [`MissingToken`](TextError::MissingToken), [`AddedTokenGap`](TextError::AddedTokenGap) or
    /// [`TextBecomesToken`](TextError::TextBecomesToken).
    pub fn from_bytes(json: &[u8]) -> Result<Self, TextError> {
        #[derive(serde::Deserialize)]
        struct Listed {
            #[serde(default)]
            added_tokens: Vec<ListedToken>,
        }
        let bad = |reason: String| TextError::TokenizerJson { reason };
        let listed: Listed = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
        let inner = Tokenizer::from_bytes(json).map_err(|e| bad(e.to_string()))?;
        let (unk, byte_fallback) = match inner.get_model() {
            ModelWrapper::BPE(bpe) => (bpe.unk_token.clone(), bpe.byte_fallback),
            other => {
                let found = match other {
                    ModelWrapper::WordPiece(_) => "WordPiece",
                    ModelWrapper::WordLevel(_) => "WordLevel",
                    _ => "Unigram",
                };
                return Err(TextError::UnsupportedModel {
                    found: found.to_owned(),
                });
            }
        };
        if !matches!(
            inner.get_pre_tokenizer(),
            None | Some(PreTokenizerWrapper::Metaspace(_))
        ) {
            return Err(TextError::UnsupportedOption {
                option: "a pre-tokenizer of another kind",
                accepted: "none, or Metaspace",
            });
        }
        let unk = unk.ok_or_else(|| TextError::MissingToken {
            token: "<unk>".to_owned(),
        })?;
        let base = inner.get_vocab(false);
        let required = |token: &str| {
            let missing = || TextError::MissingToken {
                token: token.to_owned(),
            };
            base.get(token).copied().ok_or_else(missing)
        };
        let (bos, eos, unk_id) = (required("<s>")?, required("</s>")?, required(&unk)?);

        let mut listed = listed.added_tokens;
        for (token, id) in [("<s>", bos), ("</s>", eos)] {
            if listed.iter().all(|t| t.id != id) {
                listed.push(ListedToken {
                    id,
                    content: token.to_owned(),
                });
            }
        }
        let vocabulary = Vocabulary::new(base, listed, &unk, byte_fallback)?;
        let whitespace = Whitespace {
            dummy_prefix: false,
            squeezed: false,
        };
        let mut tokenizer = Self {
            inner,
            vocabulary,
            whitespace,
            bos,
            eos,
            unk: unk_id,
        };
        tokenizer.whitespace = tokenizer.observe_whitespace()?;
        tokenizer.check_text_is_data()?;
        Ok(tokenizer)
    }

    /// Ids of one segment of text, as SentencePiece gives them. No `<s>` stands before them, and none of them is a special or
    /// added token, whatever the text spells.
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        match self.encode_segment(text) {
            Ok(ids) => ids,
            // Normalizing and splitting were tried out when the tokenizer was opened, so this is not expected.
            Err(reason) => {
                tracing::error!(
                    "a text of {} bytes could not be tokenized: {reason}",
                    text.len()
                );
                vec![self.unk]
            }
        }
    }

    /// Id of a special, added or ordinary token by its exact name.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Name of a token, in which `▁` stands for a space; that of a byte is written `<0x0A>`.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.vocabulary.get(id).map(Piece::token)
    }

    /// Number of tokens, added ones included; every id is below it.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Id of `<s>`, the first token of every prompt.
    pub fn bos_id(&self) -> u32 {
        self.bos
    }

    /// Id of `</s>`, which ends a turn.
    pub fn eos_id(&self) -> u32 {
        self.eos
    }

    /// Id of `<unk>`.
    pub fn unk_id(&self) -> u32 {
        self.unk
    }

    /// Id of `[SEG]`.
    ///
    /// # Errors
    /// [`TextError::MissingToken`] where the tokenizer is not a LISA model's.
    pub fn seg_id(&self) -> Result<u32, TextError> {
        self.required(Self::SEG)
    }

    /// Id of `<im_start>`.
    ///
    /// # Errors
    /// [`TextError::MissingToken`] where the model was trained without it.
    pub fn im_start_id(&self) -> Result<u32, TextError> {
        self.required(Self::IM_START)
    }

    /// Id of `<im_end>`.
    ///
    /// # Errors
    /// [`TextError::MissingToken`] where the model was trained without it.
    pub fn im_end_id(&self) -> Result<u32, TextError> {
        self.required(Self::IM_END)
    }

    fn required(&self, token: &str) -> Result<u32, TextError> {
        self.token_id(token).ok_or_else(|| TextError::MissingToken {
            token: token.to_owned(),
        })
    }

    /// Encodes a text step by step, because `Tokenizer::encode` of the crate would parse added tokens in it.
    fn encode_segment(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        let mut pretokenized = PreTokenizedString::from(self.normalize(text)?);
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pretokenized)?;
        }
        let model = self.inner.get_model();
        pretokenized.tokenize(|segment| model.tokenize(segment.get()))?;
        Ok(pretokenized
            .into_encoding(None, 0, OffsetType::None)?
            .get_ids()
            .to_vec())
    }

    fn normalize(&self, text: &str) -> tokenizers::Result<NormalizedString> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.inner.get_normalizer() {
            normalizer.normalize(&mut normalized)?;
        }
        Ok(normalized)
    }

    /// Finds out how spaces are treated by encoding a sample: some files do it in a normalizer, others in a pre-tokenizer.
    fn observe_whitespace(&self) -> Result<Whitespace, TextError> {
        let ids = self
            .encode_segment("a  a")
            .map_err(|e| TextError::TokenizerJson {
                reason: e.to_string(),
            })?;
        let pieces: String = ids.iter().filter_map(|id| self.token_text(*id)).collect();
        let squeezed = pieces.trim_start_matches(SPACE).matches(SPACE).count() < 2;
        Ok(Whitespace {
            dummy_prefix: pieces.starts_with(SPACE),
            squeezed,
        })
    }

    /// Checks that the name of no special or added token, typed as text, becomes such a token.
    fn check_text_is_data(&self) -> Result<(), TextError> {
        let mut markup = self
            .vocabulary
            .markup()
            .filter(|token| *token != self.unk_text());
        let found = markup.find_map(|text| {
            let id = self
                .encode_text(text)
                .into_iter()
                .find(|id| *id != self.unk && self.vocabulary.is_markup(*id));
            id.map(|id| (text.to_owned(), id))
        });
        found.map_or(Ok(()), |(text, id)| {
            Err(TextError::TextBecomesToken { text, id })
        })
    }

    fn unk_text(&self) -> &str {
        self.token_text(self.unk).unwrap_or_default()
    }
}

impl std::fmt::Debug for LisaTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LisaTokenizer({} tokens)", self.vocab_size())
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_ids_agree() {
        let tokenizer = golden::tokenizer();
        let seg = golden::expected()["seg_token_id"].as_u64().unwrap();
        assert_eq!(u64::from(tokenizer.seg_id().unwrap()), seg);
        assert_eq!(tokenizer.token_id("<s>"), Some(tokenizer.bos_id()));
        assert_eq!(tokenizer.token_id("</s>"), Some(tokenizer.eos_id()));
        assert_eq!(
            tokenizer.token_id("<im_start>"),
            tokenizer.im_start_id().ok()
        );
        assert_eq!(tokenizer.token_id("no such token"), None);
        for id in 0..tokenizer.vocab_size() as u32 {
            assert_eq!(
                tokenizer.token_id(tokenizer.token_text(id).unwrap()),
                Some(id)
            );
        }
        assert_eq!(tokenizer.token_text(tokenizer.vocab_size() as u32), None);
    }

    #[test]
    fn refuses_what_is_not_a_tokenizer() {
        let broken = LisaTokenizer::from_bytes(b"{\"version\": \"1.0\"").unwrap_err();
        assert!(
            matches!(broken, TextError::TokenizerJson { .. }),
            "{broken}"
        );
        let words = br#"{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}}"#;
        let words = LisaTokenizer::from_bytes(words).unwrap_err();
        assert!(
            matches!(words, TextError::UnsupportedModel { .. }),
            "{words}"
        );
        let bare = br#"{"version": "1.0", "model": {"type": "BPE", "vocab": {"<unk>": 0}, "merges": [], "unk_token": "<unk>"}}"#;
        let bare = LisaTokenizer::from_bytes(bare).unwrap_err();
        assert!(
            matches!(&bare, TextError::MissingToken { token } if token == "<s>"),
            "{bare}"
        );
        let absent = LisaTokenizer::from_file(Path::new("no/such/tokenizer.json")).unwrap_err();
        assert!(matches!(absent, TextError::Read { .. }), "{absent}");
    }

    /// Words with every kind of markup among them.
    fn hostile() -> impl Strategy<Value = String> {
        const MARKUP: [&str; 9] = [
            "[SEG]",
            "<im_start>",
            "<im_end>",
            "<im_patch>",
            "<s>",
            "</s>",
            "<unk>",
            "<0x0A>",
            "<image>",
        ];
        let part = prop_oneof![
            prop::sample::select(&MARKUP[..]).prop_map(str::to_owned),
            any::<String>()
        ];
        prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn text_never_becomes_markup(text in hostile()) {
            let tokenizer = golden::tokenizer();
            let ids = tokenizer.encode_text(&text);
            prop_assert!(ids.iter().all(|id| !tokenizer.vocabulary.is_markup(*id)), "{ids:?}");
        }

        #[test]
        fn text_survives_the_round_trip(text in hostile()) {
            // U+2581 is SentencePiece's sign for a space, so it comes back as one.
            let tokenizer = golden::tokenizer();
            let back = tokenizer.decode(&tokenizer.encode_text(&text));
            prop_assert_eq!(back, text.replace(SPACE, " "));
        }
    }
}
