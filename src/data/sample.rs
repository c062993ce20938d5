//! What every reader gives: one image, and what is said about it.

use std::path::PathBuf;

/// One image and its conversations. Each conversation stands alone, as one sequence of training.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The dataset it came from, e.g. `refcoco` or `reason_seg`.
    pub source: &'static str,
    /// For [`read_picture`](super::read_picture): a picture's file, or the labels that hold it.
    pub image: PathBuf,
    pub conversations: Vec<Conversation>,
    /// Per-pixel classes, where the dataset has them as a picture.
    pub classes: Option<ClassMap>,
    /// Per-pixel attributes, of the dataset's [`attributes`](super::Dataset::attributes), where it has them.
    pub attributes: Option<ClassMap>,
}

/// Turns of question and answer about one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    pub turns: Vec<Turn>,
    /// One for each `[SEG]` in the answers, in their order.
    pub masks: Vec<TruthMask>,
    /// What the masks are of, in the dataset's own words: a class, an expression, a question. One for each mask.
    pub phrases: Vec<String>,
}

/// A question without the image's markup, and its answer without the end of the turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    pub question: String,
    pub answer: String,
    /// The answer is a refusal: what is asked for is not in the picture. Where the reader of the dataset knows so; an
    /// answer without a mask is none by itself.
    pub absent: bool,
}

impl Turn {
    /// A question and what is answered, which is no refusal.
    pub fn new(question: impl Into<String>, answer: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            answer: answer.into(),
            absent: false,
        }
    }
}

/// A mask of the whole image: 0 background, 1 object, [`IGNORED`](TruthMask::IGNORED) neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruthMask {
    pub width: u32,
    pub height: u32,
    /// Row by row, `width · height`.
    pub pixels: Vec<u8>,
}

impl TruthMask {
    /// A pixel that counts neither for nor against.
    pub const IGNORED: u8 = 255;
}

/// The class, or the attribute, of every pixel; [`IGNORED`](ClassMap::IGNORED) where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    pub width: u32,
    pub height: u32,
    /// Row by row, indices into the dataset's names of them.
    pub pixels: Vec<u16>,
}

impl ClassMap {
    pub const IGNORED: u16 = u16::MAX;
}
