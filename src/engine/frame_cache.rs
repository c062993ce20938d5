//! Embeddings of the frames asked about most recently.

use candle_core::Tensor;

use super::FrameId;
use crate::image::ClipFit;

/// What the encoders have made of one frame so far. SAM runs only if the answer names an object, so each may be missing.
#[derive(Clone, Default)]
pub(super) struct FrameFeatures {
    /// The fit, vision features `(features, vision hidden)` and the image's tokens `(features, hidden)`.
    pub clip: Option<(ClipFit, Tensor, Tensor)>,
    /// SAM's image embedding and the size the frame had inside the padded input, `(height, width)`.
    pub sam: Option<(Tensor, (usize, usize))>,
}

/// The features of a bounded number of frames; the one longest unused leaves first.
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

    /// The frame's features, which are empty if it is new. Makes the frame the most recently used one.
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

    /// Frames that are kept.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn clear(&mut self) {
        self.frames.clear();
    }
}
