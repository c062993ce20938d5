//! What each token id stands for.

use super::checkpoint::byte_of_piece;
use super::TextError;

/// One token, as the decoders see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// A piece of text, `▁` standing for a space.
    Text(String),
    /// One byte of a character that has no piece of its own.
    Byte(u8, String),
    /// Begin or end of a sequence; no text.
    Control(String),
    /// Stands for a character the vocabulary cannot spell.
    Unknown(String),
    /// Added after training: `[SEG]`, `<im_start>` and their like.
    Added(String),
}

impl Piece {
    pub fn token(&self) -> &str {
        match self {
            Piece::Text(t)
            | Piece::Byte(_, t)
            | Piece::Control(t)
            | Piece::Unknown(t)
            | Piece::Added(t) => t,
        }
    }
}

/// Pieces by id, without gaps from 0.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    pieces: Vec<Piece>,
    /// Added tokens in order of id, `(token, id)`.
    pub added: Vec<(String, u32)>,
}

/// A token of `added_tokens` in `tokenizer.json`; the other fields say nothing that binds here.
#[derive(serde::Deserialize)]
pub(super) struct ListedToken {
    pub id: u32,
    pub content: String,
}

impl Vocabulary {
    /// `base` is the model's own vocabulary in any order; `listed` are the file's special and added tokens.
    pub fn new(
        base: impl IntoIterator<Item = (String, u32)>,
        mut listed: Vec<ListedToken>,
        unk: &str,
        byte_fallback: bool,
    ) -> Result<Self, TextError> {
        let mut base: Vec<_> = base.into_iter().collect();
        base.sort_by_key(|(_, id)| *id);
        listed.sort_by_key(|token| token.id);

        let mut pieces = Vec::with_capacity(base.len() + listed.len());
        for (expected, (token, id)) in base.into_iter().enumerate() {
            if id as usize != expected {
                let reason = format!(
                    "token {token:?} has id {id}, expected {expected}; ids must have no gaps"
                );
                return Err(TextError::TokenizerJson { reason });
            }
            pieces.push(match byte_of_piece(&token) {
                _ if token == unk => Piece::Unknown(token),
                Some(byte) if byte_fallback => Piece::Byte(byte, token),
                _ => Piece::Text(token),
            });
        }
        let mut added = Vec::new();
        for ListedToken { id, content } in listed {
            let next = pieces.len();
            match pieces.get_mut(id as usize) {
                Some(piece) if piece.token() != content => {
                    let reason = format!(
                        "added token {content:?} has id {id}, which is {:?}",
                        piece.token()
                    );
                    return Err(TextError::TokenizerJson { reason });
                }
                Some(piece @ Piece::Text(_)) => *piece = Piece::Control(content),
                Some(_) => {}
                None if id as usize != next => {
                    let expected = next as u32;
                    return Err(TextError::AddedTokenGap {
                        token: content,
                        id,
                        expected,
                    });
                }
                None => {
                    pieces.push(Piece::Added(content.clone()));
                    added.push((content, id));
                }
            }
        }
        Ok(Self { pieces, added })
    }

    pub fn get(&self, id: u32) -> Option<&Piece> {
        self.pieces.get(id as usize)
    }

    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Special and added tokens: what text must never become.
    pub fn markup(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Control(t) | Piece::Unknown(t) | Piece::Added(t) => Some(t.as_str()),
            Piece::Text(_) | Piece::Byte(..) => None,
        })
    }

    pub fn is_markup(&self, id: u32) -> bool {
        matches!(
            self.get(id),
            Some(Piece::Control(_) | Piece::Unknown(_) | Piece::Added(_))
        )
    }
}
