//! What can be wrong with a tokenizer, its files, or a prompt's ingredients.

use std::path::PathBuf;

/// A tokenizer that cannot be read, or cannot be had exactly as the reference has it.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{path} is a Git LFS pointer, which stands for the file itself; {}",
        lisa_files::lfs::WAY_OUT
    )]
    Pointer { path: PathBuf },
    #[error("{dir} has no tokenizer; accepted: tokenizer.model (SentencePiece) or tokenizer.json")]
    NoTokenizer { dir: PathBuf },
    #[error("{path} is not a SentencePiece model: {reason}")]
    NotSentencePiece { path: PathBuf, reason: String },
    #[error("the tokenizer's model is {found}; accepted: BPE")]
    UnsupportedModel { found: String },
    #[error("the tokenizer normalizes text by the rule {name:?} ({bytes} bytes of character map); accepted: identity")]
    UnsupportedNormalizer { name: String, bytes: usize },
    #[error("piece {id} {piece:?} is {kind}; accepted: normal, unknown, control and byte pieces")]
    UnsupportedPiece {
        id: usize,
        piece: String,
        kind: &'static str,
    },
    #[error("the tokenizer sets {option}; accepted: {accepted}")]
    UnsupportedOption {
        option: &'static str,
        accepted: &'static str,
    },
    #[error("pieces {first} and {second} are both {piece:?}; a piece must be unique")]
    DuplicatePiece {
        piece: String,
        first: usize,
        second: usize,
    },
    #[error("pieces {first:?} and {second:?} have the same score {score}; the order of merges needs distinct scores")]
    EqualScores {
        first: String,
        second: String,
        score: f32,
    },
    #[error("byte fallback needs a piece for each of the 256 bytes; {piece} is missing")]
    MissingBytePiece { piece: String },
    #[error("{path} is malformed: {reason}; accepted: {accepted}")]
    Malformed {
        path: PathBuf,
        reason: String,
        accepted: &'static str,
    },
    #[error("added token {token:?} has id {id}, but the next free id is {expected}; added tokens follow the vocabulary without gaps")]
    AddedTokenGap {
        token: String,
        id: u32,
        expected: u32,
    },
    #[error("added token {token:?} has id {first} in one file and {second} in another")]
    AddedTokenConflict {
        token: String,
        first: u32,
        second: u32,
    },
    #[error("tokenizer.json does not load: {reason}")]
    TokenizerJson { reason: String },
    #[error("the tokenizer has no token {token:?}, which LISA needs")]
    MissingToken { token: String },
    #[error("the words {text:?} typed by a person would become token {id}; a tokenizer must spell them out")]
    TextBecomesToken { text: String, id: u32 },
    #[error("there is no conversation template {name:?}; accepted: llava_v1, llava_llama_2")]
    UnknownTemplate { name: String },
}
