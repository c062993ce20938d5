//! Resizes mask logits from the size of the decoder's output to that of the frame.

use candle_core::{DType, Tensor};

use crate::nn::BilinearMatrix;
use crate::nn::Result;

/// Resizes to the input size of the image encoder, crops the padding, and resizes to the size of the frame, both times
/// bilinearly.
///
/// The reference computes the padded image in between. Here the three steps are composed to one linear map of two small matrix
/// products, which is differentiable.
///
/// # Shapes
/// `(objects, low, low)` → `(objects, height, width)`, f32. `resized` and `original` are `(height, width)`.
pub fn mask_logits_at(
    low_res: &Tensor,
    encoder_size: usize,
    resized: (usize, usize),
    original: (usize, usize),
) -> Result<Tensor> {
    let (objects, low, _) = low_res.dims3()?;
    let side = |resized: usize, original: usize| {
        BilinearMatrix::resize(low, encoder_size)
            .crop(resized)
            .then_resize(original)
            .to_tensor(low_res.device())
    };
    let rows = side(resized.0, original.0)?; // (height, low)
    let columns = side(resized.1, original.1)?; // (width, low)
    let (height, width) = original;
    // The height is resized first, while the image is narrow: (objects·low_w, low_h) × (low_h, height).
    let low_res = low_res.to_dtype(DType::F32)?;
    let x = low_res
        .transpose(1, 2)?
        .reshape((objects * low, low))?
        .matmul(&rows.t()?)?
        .reshape((objects, low, height))?
        .transpose(1, 2)?
        .reshape((objects * height, low))?;
    x.matmul(&columns.t()?)?.reshape((objects, height, width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::resize_bilinear;
    use crate::nn::testing::{random, relative_error};

    #[test]
    fn equals_the_chain_of_the_reference() {
        let low = random((2, 16, 16));
        let ours = mask_logits_at(&low, 64, (36, 64), (90, 160)).unwrap();
        let chain = resize_bilinear(&low, 64, 64)
            .unwrap()
            .narrow(1, 0, 36)
            .unwrap();
        let chain = resize_bilinear(&chain, 90, 160).unwrap();
        assert!(relative_error(&ours, &chain) < 1e-5);
    }
}
