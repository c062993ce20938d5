//! Segment Anything (Kirillov et al. 2023, arXiv 2304.02643), prompted by an embedding instead of a click.

mod image_encoder;
mod mask_decoder;
mod postprocess;
mod prompt_encoder;
mod relative_position;
mod two_way_transformer;

pub use image_encoder::ImageEncoder;
pub use mask_decoder::{DecodedMasks, MaskDecoder};
pub use postprocess::mask_logits_at;
pub use prompt_encoder::PromptEncoder;

/// Epsilon of the layer norms in the image encoder, and of all norms over channels.
const ENCODER_EPS: f64 = 1e-6;
/// Epsilon of the layer norms in the two-way transformer, PyTorch's default.
const TRANSFORMER_EPS: f64 = 1e-5;
