//! What a patch shows, said in words: projected features are drawn to the vectors of their classes' names.
//!
//! LLaVA's projector has learned that from half a million captions before LISA's training begins. A model that begins
//! from nothing would have to find out which of 144 features is a mug from "there is no mug" alone.
//!
//! A patch of no object tells what the whole image shows instead, in equal parts. Most patches are such ones, and words
//! that look at all of them alike, as those of an untrained model do, then read what is there and what is not.

use candle_core::{DType, Tensor, D};

use crate::model::Llama;
use crate::nn::Result;

/// Sum over the patches of the divergence of softmax(feature · word vectors / √hidden) from what the patch should tell: its
/// class, or else, in equal parts, the classes of all the patches. Of an image without any a patch tells nothing, which
/// is one more class, whose logit is 0.
///
/// # Shapes
/// `image_tokens` `(patches, hidden)`, one label each, the ids of each class's name → a scalar.
pub(super) fn grounding_loss(
    llama: &Llama,
    image_tokens: &Tensor,
    labels: &[u16],
    names: &[Vec<u32>],
) -> Result<Tensor> {
    let device = image_tokens.device();
    let ids: Vec<u32> = names.concat();
    // A name of several words is their mean.
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
    divergence_sum(&logits, &told(labels, names.len()))
}

/// What each patch should tell: a row of `classes + 1` shares for each label.
fn told(labels: &[u16], classes: usize) -> Vec<f32> {
    let mut whole = vec![0f32; classes + 1];
    for label in labels {
        if let Some(share) = whole[..classes].get_mut(usize::from(*label)) {
            *share = 1.0;
        }
    }
    let shown: f32 = whole.iter().sum();
    match shown {
        0.0 => whole[classes] = 1.0,
        _ => whole.iter_mut().for_each(|share| *share /= shown),
    }
    let mut rows = Vec::with_capacity(labels.len() * whole.len());
    for label in labels.iter().map(|label| usize::from(*label)) {
        match label < classes {
            true => rows.extend((0..=classes).map(|class| f32::from(u8::from(class == label)))),
            false => rows.extend_from_slice(&whole),
        }
    }
    rows
}

/// Sum over the rows of KL(shares ‖ softmax(logits)): 0 where they agree.
fn divergence_sum(logits: &Tensor, shares: &[f32]) -> Result<Tensor> {
    let entropy: f64 = shares
        .iter()
        .filter(|share| **share > 0.0)
        .map(|share| -f64::from(*share) * f64::from(*share).ln())
        .sum();
    let shares = Tensor::from_slice(shares, logits.dims2()?, logits.device())?;
    let max = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&max)?;
    let log_sum = shifted.exp()?.sum(D::Minus1)?.log()?.sum_all()?;
    Ok(((log_sum - (shifted * shares)?.sum_all()?)? - entropy)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ClassMap;
    use candle_core::{Device, Var};

    #[test]
    fn a_patch_without_a_class_tells_what_the_image_shows() {
        let none = ClassMap::IGNORED;
        let half = [0.5, 0.0, 0.5, 0.0];
        assert_eq!(
            told(&[2, none, 0], 3),
            [[0.0, 0.0, 1.0, 0.0], half, [1.0, 0.0, 0.0, 0.0]].concat()
        );
        assert_eq!(told(&[none], 2), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn the_divergence_is_zero_where_logits_agree_and_draws_them_there() {
        let shares = [0.5, 0.25, 0.25, 1.0, 0.0, 0.0];
        let agreeing = [[2f32.ln(), 0.0, 0.0], [60.0, 0.0, 0.0]];
        let logits = Tensor::new(&agreeing, &Device::Cpu).unwrap();
        let loss = |logits: &Tensor| divergence_sum(logits, &shares).unwrap();
        assert!(loss(&logits).to_scalar::<f32>().unwrap().abs() < 1e-5);
        let logits = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let before = loss(&logits);
        let grad = before.backward().unwrap().remove(&logits).unwrap();
        let after = loss(&(logits.as_tensor() - (grad * 0.1).unwrap()).unwrap());
        let [before, after] = [before, after].map(|loss| loss.to_scalar::<f32>().unwrap());
        assert!(after < before && after > 0.0, "{before} {after}");
    }
}
