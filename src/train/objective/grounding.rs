//! Grounding: draws the projected feature of a patch to the word vectors of the name of the class that it shows.
//!
//! LLaVA's projector has learned this from half a million captions before LISA's training begins. Without it, a model that
//! begins from random weights would have to find out which of 144 features is a mug from answers like "there is no mug" alone.

use candle_core::{DType, Tensor};

use crate::data::ClassMap;
use crate::model::Llama;
use crate::nn::Result;
use crate::train::loss::cross_entropy_sum;

/// Sum over the patches of −log softmax(feature · word vectors / √hidden)[class]. Patches that show no class count as one
/// more class, whose logit is 0.
///
/// # Shapes
/// `image_tokens` `(patches, hidden)`; `labels` has a class for each patch, `names` the ids of each class's name. The result
/// is a scalar.
pub(super) fn grounding_loss(
    llama: &Llama,
    image_tokens: &Tensor,
    labels: &[u16],
    names: &[Vec<u32>],
) -> Result<Tensor> {
    let device = image_tokens.device();
    let ids: Vec<u32> = names.concat();
    // A name of several tokens has the mean of their vectors.
    let mut mean = vec![0f32; names.len() * ids.len()];
    let mut first = 0;
    for (row, name) in mean.chunks_exact_mut(ids.len().max(1)).zip(names) {
        row[first..first + name.len()].fill(1.0 / name.len().max(1) as f32);
        first += name.len();
    }
    let mean = Tensor::from_vec(mean, (names.len(), ids.len()), device)?;
    let words = mean.matmul(&llama.embed(&ids, device)?.to_dtype(DType::F32)?)?; // (names, hidden)
    let (patches, hidden) = image_tokens.dims2()?;
    let features = (image_tokens.to_dtype(DType::F32)? * (hidden as f64).powf(-0.5))?;
    let none = Tensor::zeros((patches, 1), DType::F32, device)?;
    let logits = Tensor::cat(&[&features.matmul(&words.t()?)?, &none], 1)?;
    let targets: Vec<u32> = labels
        .iter()
        .map(|label| match *label {
            ClassMap::IGNORED => names.len() as u32,
            class => u32::from(class).min(names.len() as u32),
        })
        .collect();
    cross_entropy_sum(&logits, &targets)
}
