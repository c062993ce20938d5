//! What can be wrong with a case or a report.

use std::path::PathBuf;

/// A case that cannot be scored, or a report that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A predicted mask and the true one have different sizes.
    #[error(
        "case {case}: the predicted mask is {predicted:?} pixels (width, height), the true one \
         {truth:?}; both must have the image's size"
    )]
    Size {
        /// The case's name.
        case: String,
        /// Width and height of the predicted mask, in pixels.
        predicted: (u32, u32),
        /// Width and height of the true mask, in pixels.
        truth: (u32, u32),
    },
    /// The image to be shown has another size than one of its masks.
    #[error(
        "case {case}: the image is {image:?} pixels (width, height), its mask {mask:?}; both must \
         be equal"
    )]
    ImageSize {
        /// The case's name.
        case: String,
        /// Width and height of the image, in pixels.
        image: (u32, u32),
        /// Width and height of the mask, in pixels.
        mask: (u32, u32),
    },
    /// A true mask holds another number of pixels than its size says.
    #[error("case {case}: the true mask has {found} pixels; {width}x{height} of them are needed")]
    TruthLength {
        /// The case's name.
        case: String,
        /// Pixels that the mask holds.
        found: usize,
        /// Width that the mask states, in pixels.
        width: u32,
        /// Height that the mask states, in pixels.
        height: u32,
    },
    /// A pixel of a true mask is neither background nor object nor ignored.
    #[error(
        "case {case}: the true mask has the value {value}; accepted: 0 background, 1 object, 255 \
         ignored"
    )]
    TruthValue {
        /// The case's name.
        case: String,
        /// The pixel's value.
        value: u8,
    },
    /// A picture for the report cannot be encoded as JPEG.
    #[error("case {case}: its picture cannot be encoded: {source}")]
    CaseImage {
        /// The case's name.
        case: String,
        /// What the encoder says.
        source: ::image::ImageError,
    },
    /// A report cannot be written.
    #[error("cannot write {}: {source}; give a path in a folder that exists and can be written to", .path.display())]
    Write {
        /// Where the report was to go.
        path: PathBuf,
        /// What the system says about it.
        source: std::io::Error,
    },
    /// The model could not answer a question.
    #[error("case {case}: {reason}")]
    Answer {
        /// The question's name.
        case: String,
        /// What went wrong, in words.
        reason: String,
    },
    /// A dataset to evaluate on is missing or broken.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// A picture that is asked about cannot be read.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    /// The model directory cannot be read.
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightsError),
    /// The model's tokenizer or a question's text cannot be used.
    #[error(transparent)]
    Text(#[from] crate::text::TextError),
    /// The network cannot be built from the model's tensors, or cannot compute on this input.
    #[error("{0}")]
    Model(#[from] crate::model::ModelError),
    /// An operation on tensors failed, e.g. because memory ran out.
    #[error("computing: {0}")]
    Compute(#[from] candle_core::Error),
    /// The report cannot be turned into JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
