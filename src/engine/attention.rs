//! Where the model looked before it answered.

use candle_core::{DType, Tensor, D};
use image::RgbImage;

use super::prefix_cache::Cell;
use crate::image::{draw_heat, ClipView};
use crate::nn::Result;
use crate::weights::ClipConfig;

/// Of the model's guided head, at the row that predicts the answer's first word: how its attention is divided. The
/// rest, 1 − `sink` − Σ `weights`, lies on the prompt's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Image tokens along a side.
    pub grid: usize,
    /// Attention on each image token, `grid²`, row by row.
    pub weights: Vec<f32>,
    /// On `<s>`, where the head looks for what is not in the picture.
    pub sink: f32,
    /// Where the tokens lie on the frame.
    pub view: ClipView,
}

/// The attention on a single token that is drawn as full.
const FULL: f32 = 0.1;

impl Attention {
    /// Attention on the whole picture.
    pub fn on_image(&self) -> f32 {
        self.weights.iter().sum()
    }

    /// The frame with the attention on it; `alpha` in 0..=1 is how much of it is covered.
    pub fn draw(&self, frame: &RgbImage, alpha: f32) -> RgbImage {
        draw_heat(frame, &self.view, self.grid, &self.weights, FULL, alpha)
    }

    /// # Shapes
    /// `scores` `(1, prompt)`, before the softmax. `None` of a prompt without an image.
    pub(super) fn read(
        scores: &Tensor,
        prompt: &[Cell],
        clip: &ClipConfig,
        view: ClipView,
    ) -> Result<Option<Self>> {
        let image = prompt
            .iter()
            .position(|cell| matches!(cell, Cell::Image { row: 0, .. }));
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
