//! [`Vocabulary`]: what each token id stands for.

use super::TextError;

/// The character that stands for a space inside a piece.
pub(super) const SPACE: char = '▁';

/// What a token stands for when ids are decoded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// A piece of text, in which [`SPACE`] stands for a space.
    Text(String),
    /// One byte of a character that has no piece of its own, with the name of the token.
    Byte(u8, String),
    /// `<s>` or `</s>`, which begin and end a sequence and are no text.
    Control(String),
    /// `<unk>`, which stands for a character that the vocabulary cannot spell.
    Unknown(String),
    /// A token that was added after the vocabulary was trained, such as `[SEG]` or `<im_start>`.
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

/// The pieces of a tokenizer; ids go from 0 without gaps.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    pieces: Vec<Piece>,
    /// Added tokens in order of id, `(token, id)`.
    pub added: Vec<(String, u32)>,
}

/// An entry of `added_tokens` in `tokenizer.json`. Its other fields say how text is split around the token, which never happens
/// here: text is encoded without special tokens.
#[derive(serde::Deserialize)]
pub(super) struct ListedToken {
    pub id: u32,
    pub content: String,
}

impl Vocabulary {
    /// `base` is the vocabulary of the model in any order; `listed` are the special and added tokens of the file.
    ///
    /// # Errors
    /// [`TextError::TokenizerJson`] where ids have gaps or contradict each other, [`TextError::AddedTokenGap`].
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

    /// The special and added tokens, which text must never become.
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

/// The byte that a piece such as `<0x0A>` stands for. SentencePiece writes a character that it has no piece for in such bytes.
pub(super) fn byte_of_piece(piece: &str) -> Option<u8> {
    let hex = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (hex.len() == 2).then(|| u8::from_str_radix(hex, 16).ok())?
}
