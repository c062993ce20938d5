//! Embeddings of the frames asked about most recently.

use candle_core::Tensor;

use super::FrameId;
use crate::image::ClipFit;

/// What is known of one frame. Filled as it is needed.
#[derive(Clone, Default)]
pub(super) struct FrameFeatures {
    /// By fit: vision features `(features, vision hidden)` and the image's tokens `(features, hidden)`.
    pub clip: Option<(ClipFit, Tensor, Tensor)>,
    /// SAM's image embedding and the size the frame had inside the padded input, `(height, width)`.
    pub sam: Option<(Tensor, (usize, usize))>,
}

/// Least recently used frame leaves first.
pub(super) struct FrameCache {
    frames: Vec<(FrameId, FrameFeatures)>,
    max: usize,
}

impl FrameCache {
    pub fn new(max: usize) -> Self {
        Self {
            frames: Vec::new(),
            max: max.max(1),
        }
    }

    /// The frame's features, empty when it is new.
    pub fn entry(&mut self, id: FrameId) -> &mut FrameFeatures {
        let features = match self.frames.iter().position(|(known, _)| *known == id) {
            Some(at) => self.frames.remove(at).1,
            None => FrameFeatures::default(),
        };
        if self.frames.len() >= self.max {
            self.frames.remove(0);
        }
        self.frames.push((id, features));
        let last = self.frames.len() - 1;
        &mut self.frames[last].1
    }

    pub fn clear(&mut self) {
        self.frames.clear();
    }
}
