//! What can be wrong with a case or a report.

use std::path::PathBuf;

/// A case that cannot be scored, or a report that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error(
        "case {case}: the predicted mask is {predicted:?} pixels (width, height), the true one \
         {truth:?}; both must have the image's size"
    )]
    Size {
        case: String,
        predicted: (u32, u32),
        truth: (u32, u32),
    },
    #[error(
        "case {case}: the image is {image:?} pixels (width, height), its mask {mask:?}; both must \
         be equal"
    )]
    ImageSize {
        case: String,
        image: (u32, u32),
        mask: (u32, u32),
    },
    #[error("case {case}: the true mask has {found} pixels; {width}x{height} of them are needed")]
    TruthLength {
        case: String,
        found: usize,
        width: u32,
        height: u32,
    },
    #[error(
        "case {case}: the true mask has the value {value}; accepted: 0 background, 1 object, 255 \
         ignored"
    )]
    TruthValue { case: String, value: u8 },
    #[error("case {case}: its picture cannot be encoded: {source}")]
    Picture {
        case: String,
        source: ::image::ImageError,
    },
    #[error("cannot write {}: {source}; give a path in a folder that exists and can be written to", .path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("case {case}: {reason}")]
    Answer { case: String, reason: String },
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightsError),
    #[error(transparent)]
    Text(#[from] crate::text::TextError),
    #[error("{0}")]
    Model(#[from] crate::model::ModelError),
    #[error("computing: {0}")]
    Compute(#[from] candle_core::Error),
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
