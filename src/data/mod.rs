//! LISA's training data: readers of the datasets as they lie on disk, and the form in which the model sees them.
//!
//! | file | what it is |
//! |---|---|
//! | `sample` | what every reader is and gives: an image, conversations, masks |
//! | `semantic` | ADE20K, COCO-Stuff, Mapillary Vistas |
//! | `parts` | PACO-LVIS, PASCAL-Part |
//! | `refer` | refCLEF, RefCOCO, RefCOCO+, RefCOCOg |
//! | `vqa` | LLaVA-Instruct-150k |
//! | `reason_seg` | ReasonSeg with its explanations, and your own pictures in its layout |
//! | `folder`, `labelme` | labelled pictures of a folder, and their labels |
//! | `shape`, `area` | shapes of LabelMe, and the pixels that they cover |
//! | `coco`, `outline`, `polygon` | outlines and run lengths to masks |
//! | `files`, `json`, `schema`, `picture`, `plain_pickle` | folders, class pictures, JSON, pictures, pickles; errors name the file |
//! | `templates`, `encode` | the words around them; ids and labels |
//! | `mixture`, `loader` | the datasets by their names, and which sample comes when; working ahead |
//! | `check` | all files of a mixture, looked at before a training |
//!
//! **Invariants:** sample `i` of a [`Mixture`] depends on its seed and `i` alone. A file that is missing or broken is
//! an error that names it; nothing is skipped in silence. The memory that reading a file takes is bounded by the file's size:
//! no number in it decides alone how much is allocated.

mod area;
mod check;
mod coco;
mod encode;
mod error;
mod files;
mod folder;
mod json;
mod labelme;
mod loader;
mod mixture;
mod outline;
mod parts;
mod picture;
mod plain_pickle;
mod polygon;
mod reason_seg;
mod refer;
mod sample;
mod schema;
mod semantic;
mod shape;
mod templates;
mod vqa;

#[cfg(test)]
mod own_tests;
#[cfg(test)]
mod reason_seg_tests;
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
pub use sample::{ClassMap, Conversation, Dataset, Sample, TruthMask, Turn};
pub(crate) use templates::{ANSWERS, SHORT_QUESTIONS};
