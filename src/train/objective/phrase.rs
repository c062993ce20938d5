//! Makes prompts for the mask decoder from a few words, without a language model.

use candle_core::{DType, Device, Tensor};
use rand_chacha::ChaCha8Rng;

use crate::nn::Mlp;
use crate::train::parameters::normal;
use crate::train::{Parameters, TrainError};
use crate::weights::{Activation, Weights};

/// Beginning of the names of the phrase encoder's tensors.
const PREFIX: &str = "aux.phrase";

/// Encodes a phrase: the sum of its tokens' vectors, divided by the root of their number, goes through a small MLP. The order
/// of the words is lost, which matters little for a phrase like "the red mug".
pub struct PhraseEncoder {
    /// `(vocab, dim)`: a vector for each token.
    table: Tensor,
    mlp: Mlp,
}

impl PhraseEncoder {
    /// Adds the tensors of a new phrase encoder to the trained ones.
    pub fn add_new(
        parameters: &mut Parameters,
        vocab: usize,
        dim: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), TrainError> {
        parameters.add(&format!("{PREFIX}.table"), &normal(rng, (vocab, dim), 0.5)?)?;
        for (layer, (output, input)) in [(2 * dim, dim), (dim, 2 * dim)].into_iter().enumerate() {
            let weight = normal(rng, (output, input), (1.0 / input as f64).sqrt())?;
            parameters.add(&format!("{PREFIX}.mlp.{layer}.weight"), &weight)?;
            let bias = Tensor::zeros(output, DType::F32, &Device::Cpu)?;
            parameters.add(&format!("{PREFIX}.mlp.{layer}.bias"), &bias)?;
        }
        Ok(())
    }

    /// Loads the encoder from the tensors `table` and `mlp.…` of `weights`, for `vocab` tokens and prompts of width `dim`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, vocab: usize, dim: usize) -> Result<Self, TrainError> {
        let dims = [dim, 2 * dim, dim];
        Ok(Self {
            table: weights.get((vocab, dim), "table")?,
            mlp: Mlp::load(&weights.pp("mlp"), &["0", "1"], &dims, Activation::Gelu)?,
        })
    }

    /// The prompts for some phrases, each given as token ids.
    ///
    /// # Shapes
    /// `(phrases, dim)`.
    pub fn forward(&self, phrases: &[Vec<u32>]) -> Result<Tensor, TrainError> {
        let mut sums = Vec::with_capacity(phrases.len());
        for phrase in phrases {
            let ids = Tensor::from_slice(phrase, phrase.len(), self.table.device())?;
            // A sum of n independent vectors grows with √n, so dividing by √n gives prompts of one length to phrases of any.
            let scale = (phrase.len().max(1) as f64).sqrt().recip();
            sums.push((self.table.index_select(&ids, 0)?.sum_keepdim(0)? * scale)?);
        }
        Ok(self.mlp.forward(&Tensor::cat(&sums, 0)?)?)
    }
}
