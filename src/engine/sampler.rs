//! From logits to the next token.

use candle_core::{DType, Tensor};

use crate::nn::Result;
use candle_transformers::generation::{LogitsProcessor, Sampling};

use super::AnswerOptions;

/// Greedy at temperature 0, otherwise samples from the whole distribution with the request's seed.
pub(super) struct Sampler(LogitsProcessor);

impl Sampler {
    pub fn new(options: &AnswerOptions) -> Self {
        let sampling = if options.temperature <= 0.0 {
            Sampling::ArgMax
        } else {
            Sampling::All {
                temperature: options.temperature,
            }
        };
        Self(LogitsProcessor::from_sampling(options.seed, sampling))
    }

    /// # Shapes
    /// `logits` `(1, vocab)`.
    pub fn next(&mut self, logits: &Tensor) -> Result<u32> {
        self.0.sample(&logits.squeeze(0)?.to_dtype(DType::F32)?)
    }
}
