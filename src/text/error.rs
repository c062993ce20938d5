//! [`TextError`]: what can be wrong with a tokenizer, its files, or the name of a template.

use std::path::PathBuf;

/// A tokenizer that cannot be read, or that would not give the ids that the reference gives.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A tokenizer file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A repository was cloned without Git LFS, so that a small text file stands in the place of the tokenizer.
    #[error(
        "{path} is a Git LFS pointer, which stands for the file itself; {}",
        lisa_files::lfs::WAY_OUT
    )]
    Pointer {
        /// The pointer file.
        path: PathBuf,
    },
    /// A checkpoint folder holds neither of the two files that a tokenizer is read from.
    #[error("{dir} has no tokenizer; accepted: tokenizer.model (SentencePiece) or tokenizer.json")]
    NoTokenizer {
        /// The folder.
        dir: PathBuf,
    },
    /// A `tokenizer.model` is not the protobuf message of a SentencePiece model, or it has no pieces.
    #[error("{path} is not a SentencePiece model: {reason}")]
    NotSentencePiece {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, in words.
        reason: String,
    },
    /// The tokenizer is of another kind than byte-pair encoding, e.g. Unigram or WordPiece.
    #[error("the tokenizer's model is {found}; accepted: BPE")]
    UnsupportedModel {
        /// The kind, as the file names it.
        found: String,
    },
    /// A SentencePiece model rewrites characters before it splits the text; Llama models do not.
    #[error("the tokenizer normalizes text by the rule {name:?} ({bytes} bytes of character map); accepted: identity")]
    UnsupportedNormalizer {
        /// Name of the rule, e.g. `nmt_nfkc`.
        name: String,
        /// Size of its character map, in bytes.
        bytes: usize,
    },
    /// A SentencePiece model has a user-defined or unused piece, which `tokenizer.json` cannot express exactly.
    #[error("piece {id} {piece:?} is {kind}; accepted: normal, unknown, control and byte pieces")]
    UnsupportedPiece {
        /// Id of the piece.
        id: usize,
        /// Its text.
        piece: String,
        /// Its kind: `user-defined` or `unused`.
        kind: &'static str,
    },
    /// The tokenizer is set up in a way that `tokenizer.json` or the decoder here cannot follow.
    #[error("the tokenizer sets {option}; accepted: {accepted}")]
    UnsupportedOption {
        /// The option, with its value.
        option: &'static str,
        /// The setting that is accepted.
        accepted: &'static str,
    },
    /// A SentencePiece model has the same piece twice, so that its id is ambiguous.
    #[error("pieces {first} and {second} are both {piece:?}; a piece must be unique")]
    DuplicatePiece {
        /// Text of the piece.
        piece: String,
        /// The lower of its two ids.
        first: usize,
        /// The higher of its two ids.
        second: usize,
    },
    /// Two pieces of a SentencePiece model have the same score, so that the order of their merges is undefined.
    #[error("pieces {first:?} and {second:?} have the same score {score}; the order of merges needs distinct scores")]
    EqualScores {
        /// Text of one piece.
        first: String,
        /// Text of the other piece.
        second: String,
        /// The score of both.
        score: f32,
    },
    /// A SentencePiece model falls back to bytes and lacks the piece of one of the 256.
    #[error("byte fallback needs a piece for each of the 256 bytes; {piece} is missing")]
    MissingBytePiece {
        /// The piece that is missing, e.g. `<0x0A>`.
        piece: String,
    },
    /// A JSON file about added tokens does not have the form that transformers writes.
    #[error("{path} is malformed: {reason}; accepted: {accepted}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, in words.
        reason: String,
        /// The form that is accepted.
        accepted: &'static str,
    },
    /// An added token does not follow the last id of the vocabulary, so that ids between have no token.
    #[error("added token {token:?} has id {id}, but the next free id is {expected}; added tokens follow the vocabulary without gaps")]
    AddedTokenGap {
        /// The added token.
        token: String,
        /// Its id.
        id: u32,
        /// The next free id.
        expected: u32,
    },
    /// Two of a checkpoint's files give the same added token different ids.
    #[error("added token {token:?} has id {first} in one file and {second} in another")]
    AddedTokenConflict {
        /// The added token.
        token: String,
        /// Its id in the file that was read first.
        first: u32,
        /// Its id in the file that was read second.
        second: u32,
    },
    /// A `tokenizer.json` cannot be parsed, contradicts itself, or could not be made from texts.
    #[error("tokenizer.json does not load: {reason}")]
    TokenizerJson {
        /// What is wrong with it, in words.
        reason: String,
    },
    /// The tokenizer lacks a token that the program cannot do without, e.g. `<s>` or `[SEG]`.
    #[error("the tokenizer has no token {token:?}, which LISA needs")]
    MissingToken {
        /// The token.
        token: String,
    },
    /// The tokenizer's merges join ordinary text to a special token, so that a person could write markup.
    #[error("the words {text:?} typed by a person would become token {id}; a tokenizer must spell them out")]
    TextBecomesToken {
        /// The words that do so.
        text: String,
        /// Id of the special token.
        id: u32,
    },
    /// A name is none of [`Template`](super::Template).
    #[error("there is no conversation template {name:?}; accepted: llava_v1, llava_llama_2")]
    UnknownTemplate {
        /// The name.
        name: String,
    },
}
