//! LISA's training data: readers of the datasets as they lie on disk, and the form in which the model sees them.
//!
//! | file | what it is |
//! |---|---|
//! | `sample` | what every reader gives: an image, conversations, masks |
//! | `semantic` | ADE20K, COCO-Stuff, Mapillary Vistas |
//! | `parts` | PACO-LVIS, PASCAL-Part |
//! | `refer` | refCLEF, RefCOCO, RefCOCO+, RefCOCOg |
//! | `vqa` | LLaVA-Instruct-150k |
//! | `reason_seg` | ReasonSeg with its explanations, and pictures of one's own in its layout |
//! | `folder`, `labelme`, `shape` | labelled pictures of a folder, their labels, and what these cover |
//! | `coco`, `outline`, `polygon` | outlines and run lengths to masks |
//! | `files`, `json`, `form`, `picture`, `pickle` | folders, class pictures, JSON, pictures, pickles; errors name the file |
//! | `templates`, `encode` | the words around them; ids and labels |
//! | `mixture`, `loader` | which sample comes when; working ahead |
//! | `check` | all files of a mixture, looked at before a training |
//!
//! **Invariants:** sample `i` of a [`Mixture`] depends on its seed and `i` alone. A file that is missing or broken is
//! an error that names it; nothing is skipped in silence. The memory that reading a file takes is bounded by the file's size:
//! no number in it decides alone how much is allocated.

mod check;
mod coco;
mod encode;
mod error;
mod files;
mod folder;
mod form;
mod json;
mod labelme;
mod loader;
mod mixture;
mod outline;
mod parts;
mod pickle;
mod picture;
mod polygon;
mod reason_seg;
mod refer;
mod sample;
mod semantic;
mod shape;
mod templates;
mod vqa;

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod own_tests;
#[cfg(test)]
mod refer_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use encode::{Encoded, EncodedAnswer, Encoder, EndOfTurn, IGNORED_LABEL, IMAGE_TOKEN};
pub use error::DataError;
pub use loader::Loader;
pub use mixture::{GroupSpec, ItemList, Mixture, MixtureOptions};
pub use picture::read_picture;
pub use reason_seg::{ReasonSegDataset, ReasonSegItem};
pub use refer::{ReferDataset, ReferItem};
pub use sample::{ClassMap, Conversation, Sample, TruthMask, Turn};
pub(crate) use templates::{ANSWERS, SHORT_QUESTIONS};

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use parts::PartsDataset;
use semantic::SemanticDataset;
use vqa::VqaDataset;

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

/// A file's name without its folder.
fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Opens a dataset by the reference's name for it. It lies below `root` in the reference's layout.
///
/// # Errors
/// A name that is no dataset, or files that are missing or broken.
fn open_dataset(
    root: &Path,
    name: &str,
    options: MixtureOptions,
) -> Result<Arc<dyn Dataset>, DataError> {
    let n = options.samples_per_image;
    let refer = |name| ReferDataset::open(root, name, "train", n).map(|d| Arc::new(d) as _);
    Ok(match name {
        "ade20k" => Arc::new(SemanticDataset::ade20k(root, "training", n)?),
        "ade20k|validation" => Arc::new(SemanticDataset::ade20k(root, "validation", n)?),
        "cocostuff" => Arc::new(SemanticDataset::coco_stuff(root, n)?),
        "mapillary" => Arc::new(SemanticDataset::mapillary(root, n)?),
        "paco_lvis" => Arc::new(PartsDataset::paco_lvis(root, n)?),
        "pascal_part" => Arc::new(PartsDataset::pascal_part(root, n)?),
        "refclef" => refer("refclef")?,
        "refcoco" => refer("refcoco")?,
        "refcoco+" => refer("refcoco+")?,
        "refcocog" => refer("refcocog")?,
        "llava_instruct_150k" => Arc::new(VqaDataset::open(root, n)?),
        _ => match name.split_once('|') {
            Some(("ReasonSeg", split)) => {
                Arc::new(ReasonSegDataset::open(root, split, n, options.explanatory)?)
            }
            _ => {
                return Err(DataError::Setting(format!(
                    "there is no dataset '{name}'; accepted: ade20k, ade20k|validation, cocostuff, mapillary, paco_lvis, pascal_part, refclef, refcoco, refcoco+, refcocog, llava_instruct_150k, ReasonSeg|train"
                )))
            }
        },
    })
}
