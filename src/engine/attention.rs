//! Where the model looked before it answered.

use candle_core::{DType, Tensor, D};
use image::RgbImage;

use super::prefix_cache::PositionKey;
use crate::image::{draw_heat, ClipView};
use crate::nn::Result;
use crate::weights::ClipConfig;

/// How the attention of the model's guided head is divided at the position that predicts the answer's first word. The
/// rest, 1 − `sink` − Σ `weights`, lies on the prompt's words.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMap {
    /// Image tokens along a side.
    pub grid: usize,
    /// Attention on each image token, `grid²`, row by row.
    pub weights: Vec<f32>,
    /// Attention on the start token `<s>`, where the head looks if the thing is not in the image.
    pub sink: f32,
    /// Where the tokens lie on the frame.
    pub view: ClipView,
}

/// A single token with this much attention is drawn at full heat.
const FULL: f32 = 0.1;

impl AttentionMap {
    /// Attention on the whole image, 0 to 1.
    pub fn on_image(&self) -> f32 {
        self.weights.iter().sum()
    }

    /// The frame with the attention on it; `alpha` in 0..=1 is how much of it is covered.
    pub fn draw(&self, frame: &RgbImage, alpha: f32) -> RgbImage {
        draw_heat(frame, &self.view, self.grid, &self.weights, FULL, alpha)
    }

    /// Reads the head's scores; `None` if the prompt has no image.
    ///
    /// # Shapes
    /// `scores` `(1, prompt)`, before the softmax.
    pub(super) fn read(
        scores: &Tensor,
        prompt: &[PositionKey],
        clip: &ClipConfig,
        view: ClipView,
    ) -> Result<Option<Self>> {
        let image = prompt
            .iter()
            .position(|key| matches!(key, PositionKey::Image { row: 0, .. }));
        let Some(image) = image else {
            return Ok(None);
        };
        let scores = scores.to_dtype(DType::F32)?;
        let shares = candle_nn::ops::softmax(&scores, D::Minus1)?;
        let shares = shares.squeeze(0)?.to_vec1::<f32>()?;
        let first = image + clip.first_patch();
        Ok(Some(Self {
            grid: clip.grid(),
            weights: shares[first..first + clip.num_patches()].to_vec(),
            sink: shares[0],
            view,
        }))
    }
}
