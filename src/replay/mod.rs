//! Recorded bags as the node would see them.
//!
//! | file | one idea |
//! |---|---|
//! | `images.rs` | which topics are pictures; a message becomes pixels, by the decoders the node uses |
//! | `error.rs` | what can be wrong, each in one line |

mod error;
mod images;

pub use error::ReplayError;
pub use images::{
    picture, picture_file, picture_topic, picture_topics, raw_image, Picture, PictureFile,
    PictureTopic, RawPicture,
};
