//! Drawing an answer over its frame.

use image::RgbImage;

use super::Answer;
use crate::image::{draw_overlay, Caption, OverlayObject};

impl Answer {
    /// The frame with the answer's masks, boxes, labels and words on it; `alpha` is the masks' opacity, 0 to 1.
    pub fn overlay(&self, frame: &RgbImage, instruction: &str, alpha: f32) -> RgbImage {
        let objects: Vec<OverlayObject<'_>> = self
            .objects
            .iter()
            .map(|object| OverlayObject {
                roi: object.roi,
                mask: &object.mask,
                label: &object.label,
                score: object.score,
            })
            .collect();
        let caption = Caption {
            instruction: instruction.to_owned(),
            answer: self.text.clone(),
        };
        draw_overlay(frame, &objects, Some(&caption), alpha)
    }
}
