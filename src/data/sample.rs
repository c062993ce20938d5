//! What every reader of a dataset is, and what it gives: one image, and what is said about it.

use std::path::PathBuf;

use rand_chacha::ChaCha8Rng;

use super::DataError;

/// A training set: numbered items, each of which gives samples at random.
pub trait Dataset: Send + Sync {
    /// The dataset's name, e.g. `refcoco`.
    fn name(&self) -> &str;

    /// Number of items; at least 1.
    fn len(&self) -> usize;

    /// Whether there are no items, which an open dataset never is.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the classes in its class maps; empty where it has no class maps.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// Names of the attributes (e.g. colours) in its attribute maps; empty where it has no attribute maps.
    fn attributes(&self) -> &[String] {
        &[]
    }

    /// A sample of item `index`, which is below [`len`](Dataset::len); `rng` chooses among what the item offers.
    ///
    /// # Errors
    /// A file that is missing or broken, by its path.
    fn sample(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Sample, DataError>;

    /// A text that tells item `index` from others: the file names of its pictures, and what is asked about them where the
    /// dataset's list holds it. It has no folders, since the data may lie elsewhere another time.
    fn item_name(&self, index: usize) -> String;

    /// Looks at all files that item `index` is read from, without decoding a picture. Returns what is missing or broken, with at
    /// most one error for each file.
    fn check(&self, index: usize) -> Vec<DataError>;

    /// The dataset's size in words, e.g. `100 images, 250 expressions`.
    fn describe(&self) -> String;
}

/// One image and its conversations. Each conversation stands alone, as one sequence of training.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The dataset it came from, e.g. `refcoco` or `reason_seg`.
    pub source: &'static str,
    /// What [`read_picture`](super::read_picture) reads: a picture's file, or the labels that hold it.
    pub image: PathBuf,
    /// What is asked and answered about the image; each conversation is independent of the others.
    pub conversations: Vec<Conversation>,
    /// The class of every pixel, where the dataset has a picture of them.
    pub classes: Option<ClassMap>,
    /// The attribute of every pixel, one of the dataset's [`attributes`](Dataset::attributes), where it has a picture
    /// of them.
    pub attributes: Option<ClassMap>,
}

/// Turns of question and answer about one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// Questions and answers, oldest first.
    pub turns: Vec<Turn>,
    /// One mask for each `[SEG]` in the answers, in their order.
    pub masks: Vec<TruthMask>,
    /// What the masks are of, in the dataset's own words: a class, an expression, a question. One for each mask.
    pub phrases: Vec<String>,
}

/// A question without the image's markup, and its answer without the end of the turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// What is asked.
    pub question: String,
    /// What is answered; holds `[SEG]` where a mask is given.
    pub answer: String,
    /// Whether the answer is a refusal, because what is asked for is not in the picture. Only the reader of a dataset can
    /// know: an answer without a mask need not be a refusal.
    pub absent: bool,
}

impl Turn {
    /// A question and an answer that is not a refusal.
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
    /// Width of the image in pixels.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// `width · height` values, row by row.
    pub pixels: Vec<u8>,
}

impl TruthMask {
    /// A pixel that counts neither for nor against.
    pub const IGNORED: u8 = 255;
}

/// The class, or the attribute, of every pixel; [`IGNORED`](ClassMap::IGNORED) where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    /// Width of the image in pixels.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// `width · height` indices into the dataset's list of names, row by row.
    pub pixels: Vec<u16>,
}

impl ClassMap {
    /// A pixel that shows none of the dataset's classes or attributes.
    pub const IGNORED: u16 = u16::MAX;
}
