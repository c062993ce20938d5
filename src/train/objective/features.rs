//! Features of frozen encoders, computed once for each image.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use candle_core::Tensor;

use crate::train::TrainError;

/// Keeps the features that a frozen encoder computed of images, up to a number of images. Those of further images are computed
/// each time.
#[derive(Debug)]
pub struct FeatureCache {
    features: Mutex<HashMap<PathBuf, Tensor>>,
    images: usize,
}

impl FeatureCache {
    /// A cache for the features of `images` images; 0 keeps none.
    pub fn new(images: usize) -> Self {
        Self {
            features: Mutex::default(),
            images,
        }
    }

    /// The features of an image: those that are kept, or what `compute` gives.
    pub fn get_or(
        &self,
        image: &Path,
        compute: impl FnOnce() -> Result<Tensor, TrainError>,
    ) -> Result<Tensor, TrainError> {
        if let Some(found) = self.lock().get(image) {
            return Ok(found.clone());
        }
        let features = compute()?.detach();
        let mut held = self.lock();
        if held.len() < self.images {
            held.insert(image.to_owned(), features.clone());
        }
        Ok(features)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Tensor>> {
        // If a thread panicked while it held the lock, the map is still whole: an entry is inserted or it is not.
        self.features
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
