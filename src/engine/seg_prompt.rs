//! What the mask decoder was asked with for an object, kept so that the object can be found again in another frame.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::request_state::failed;
use super::RequestError;

/// The hidden state that predicted a `[SEG]`: all that the mask decoder knows of the object beside the image. A later frame is
/// segmented with it without the language model ([`AnswerOptions::find_again`](super::AnswerOptions::find_again)).
///
/// It is kept in main memory as f32, which holds f16 and bf16 exactly, so that it outlives the model that it came from.
#[derive(Clone, Default, PartialEq)]
pub struct SegPrompt(Arc<[f32]>);

impl SegPrompt {
    /// # Shapes
    /// `hidden` `(1, hidden)`.
    pub(super) fn of(hidden: &Tensor) -> Result<Self, RequestError> {
        let values = hidden.flatten_all().and_then(|t| t.to_dtype(DType::F32));
        let values = values.and_then(|t| t.to_vec1::<f32>()).map_err(failed)?;
        Ok(Self(values.into()))
    }

    /// The state as the model takes it, `(1, hidden)`.
    pub(super) fn hidden(
        &self,
        size: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, RequestError> {
        if self.0.len() != size {
            return Err(RequestError::OtherModel {
                size: self.0.len(),
                accepted: size,
            });
        }
        let tensor = Tensor::from_slice(&self.0, (1, size), device);
        tensor.and_then(|t| t.to_dtype(dtype)).map_err(failed)
    }
}

impl std::fmt::Debug for SegPrompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegPrompt({} numbers)", self.0.len())
    }
}
