//! What frozen encoders make of a picture, computed once for each picture that comes again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor};
use image::RgbImage;
use sha2::{Digest, Sha256};

use super::feature_folder::FeatureFolder;
use super::Example;
use crate::model::Lisa;
use crate::train::{Parameters, TrainError};
use crate::weights::{ModelDir, IMAGE_ENCODER_PREFIX, VISION_TOWER_PREFIX};

/// Changes whenever features that an earlier program kept must not be used any more.
const GENERATION: u32 = 1;

/// What a picture shows: the SHA-256 of its size and pixels, as they are after the file was decoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PictureKey([u8; 32]);

impl PictureKey {
    /// The key of a picture.
    pub fn of(image: &RgbImage) -> Self {
        let mut hash = Sha256::new();
        for side in [image.width(), image.height()] {
            hash.update(side.to_le_bytes());
        }
        hash.update(image.as_raw());
        Self(hash.finalize().into())
    }
}

impl fmt::Display for PictureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PictureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PictureKey({self})")
    }
}

/// Where features are kept, and how many.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// Pictures whose features stay in memory. Those that come first stay.
    pub images: usize,
    /// A folder for the features of these and further pictures.
    pub folder: Option<Arc<FeatureFolder>>,
}

/// The features that both encoders computed, kept where the encoder is frozen.
pub struct Features {
    image_encoder: FeatureCache,
    vision_tower: FeatureCache,
}

impl Features {
    /// Nothing is kept.
    pub fn not_kept() -> Self {
        Self {
            image_encoder: FeatureCache::new(String::new(), Keep::default()),
            vision_tower: FeatureCache::new(String::new(), Keep::default()),
        }
    }

    /// Features are kept in memory alone, of up to `images` pictures.
    pub fn in_memory(images: usize) -> Self {
        let keep = |name: &str| {
            let keep = Keep {
                images,
                folder: None,
            };
            FeatureCache::new(name.to_owned(), keep)
        };
        Self {
            image_encoder: keep("image_encoder"),
            vision_tower: keep("vision_tower"),
        }
    }

    /// Features are kept as `keep` says. What is kept in a folder belongs to the encoders of `model`; others' are removed.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn of_model(
        model: &ModelDir,
        parameters: &Parameters,
        keep: &Keep,
    ) -> Result<Self, TrainError> {
        let config = &model.config;
        let sam = (&config.sam, &config.sam_preprocess);
        let clip = (&config.clip, &config.clip_preprocess);
        let image_encoder = encoder(model, parameters, IMAGE_ENCODER_PREFIX, &sam)?;
        let vision_tower = encoder(model, parameters, VISION_TOWER_PREFIX, &clip)?;
        let image_encoder = format!("image_encoder-{image_encoder}");
        let vision_tower = format!("vision_tower-{vision_tower}");
        if let Some(folder) = &keep.folder {
            folder.keep_only(&[&image_encoder, &vision_tower]);
        }
        Ok(Self {
            image_encoder: FeatureCache::new(image_encoder, keep.clone()),
            vision_tower: FeatureCache::new(vision_tower, keep.clone()),
        })
    }

    /// SAM's embedding of a picture.
    ///
    /// # Shapes
    /// → `(1, prompt_dim, grid, grid)`.
    pub fn image_embedding(
        &self,
        lisa: &Lisa,
        parameters: &Parameters,
        example: &Example,
    ) -> Result<Tensor, TrainError> {
        let compute = || {
            let pixels = parameters.input(&example.sam_pixels)?;
            Ok(lisa.image_encoder.forward(&pixels, &|| false)?)
        };
        if parameters.trains(IMAGE_ENCODER_PREFIX) {
            return compute();
        }
        self.image_encoder
            .get_or(example.picture, parameters.device(), compute)
    }

    /// The vision tower's features of a picture.
    ///
    /// # Shapes
    /// → `(1, features, hidden)`.
    pub fn vision_features(
        &self,
        lisa: &Lisa,
        parameters: &Parameters,
        example: &Example,
    ) -> Result<Tensor, TrainError> {
        let compute = || {
            let pixels = parameters.input(&example.clip_pixels)?;
            Ok(lisa.vision_tower.forward(&pixels, &|| false)?)
        };
        if parameters.trains(VISION_TOWER_PREFIX) {
            return compute();
        }
        self.vision_tower
            .get_or(example.picture, parameters.device(), compute)
    }
}

/// All that an encoder's features depend on beside the picture, in sixteen hexadecimal digits: its tensors, its dimensions and how
/// pictures are prepared for it, the number format, the kind of device, and the program.
fn encoder(
    model: &ModelDir,
    parameters: &Parameters,
    prefix: &str,
    settings: &impl serde::Serialize,
) -> Result<String, TrainError> {
    let unreadable = |e: serde_json::Error| TrainError::Unusable(format!("{prefix}: {e}"));
    let tensors = model.fingerprint(|name| name.starts_with(prefix))?;
    let text = [
        GENERATION.to_string(),
        env!("CARGO_PKG_VERSION").to_owned(),
        serde_json::to_string(&tensors).map_err(unreadable)?,
        serde_json::to_string(settings).map_err(unreadable)?,
        format!("{:?}", parameters.dtype()),
        format!("{}", parameters.device().is_cpu()),
        format!("{}", crate::nn::kernels_enabled()),
    ];
    let hash = Sha256::digest(text.join("\n"));
    Ok(hash[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The features that one frozen encoder computed: those in memory are looked for first, then those in the folder.
#[derive(Debug)]
struct FeatureCache {
    /// The encoder's name and what its features depend on; the names of its files begin so.
    encoder: String,
    keep: Keep,
    held: Mutex<HashMap<PictureKey, Tensor>>,
}

impl FeatureCache {
    fn new(encoder: String, keep: Keep) -> Self {
        Self {
            encoder,
            keep,
            held: Mutex::default(),
        }
    }

    /// The features of a picture on `device`: those that are kept, or what `compute` gives. Those of a picture without a key, which
    /// does not come again, are not kept. They are kept in the memory of the CPU, since that of a GPU is scarce.
    fn get_or(
        &self,
        picture: Option<PictureKey>,
        device: &Device,
        compute: impl FnOnce() -> Result<Tensor, TrainError>,
    ) -> Result<Tensor, TrainError> {
        let Some(picture) = picture else {
            return compute();
        };
        if let Some(found) = self.lock().get(&picture) {
            return Ok(found.to_device(device)?);
        }
        let folder = self.keep.folder.as_ref();
        let file = format!("{}-{picture}", self.encoder);
        if let Some(found) = folder.and_then(|folder| folder.read(&file)) {
            self.hold(picture, &found);
            return Ok(found.to_device(device)?);
        }
        let features = compute()?.detach();
        if self.keep.images > 0 || folder.is_some() {
            let kept = features.to_device(&Device::Cpu)?;
            self.hold(picture, &kept);
            if let Some(folder) = folder {
                folder.write(&file, &kept);
            }
        }
        Ok(features)
    }

    fn hold(&self, picture: PictureKey, features: &Tensor) {
        let mut held = self.lock();
        if held.len() < self.keep.images {
            held.insert(picture, features.clone());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PictureKey, Tensor>> {
        // If a thread panicked while it held the lock, the map is still whole: an entry is inserted or it is not.
        self.held
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(red: u8) -> RgbImage {
        RgbImage::from_pixel(2, 3, image::Rgb([red, 0, 0]))
    }

    #[test]
    fn a_key_is_of_pixels_and_size() {
        let key = PictureKey::of(&picture(1));
        assert_eq!(key, PictureKey::of(&picture(1)));
        assert_ne!(key, PictureKey::of(&picture(2)));
        let turned = RgbImage::from_raw(3, 2, picture(1).into_raw()).unwrap();
        assert_ne!(key, PictureKey::of(&turned));
        assert_eq!(key.to_string().len(), 64);
    }

    /// Asks for the features of a picture; returns them and whether they were computed.
    fn ask(cache: &FeatureCache, key: Option<PictureKey>, value: f32) -> (f32, bool) {
        let mut computed = false;
        let found = cache.get_or(key, &Device::Cpu, || {
            computed = true;
            Ok(Tensor::new(&[value], &Device::Cpu)?)
        });
        (found.unwrap().to_vec1::<f32>().unwrap()[0], computed)
    }

    #[test]
    fn memory_is_asked_first_then_the_folder_and_pictures_that_do_not_come_again_never() {
        let place = tempfile::tempdir().unwrap();
        let folder = || Some(Arc::new(FeatureFolder::open(place.path(), 1 << 20)));
        let cache = |images, folder| {
            FeatureCache::new("image_encoder-0".to_owned(), Keep { images, folder })
        };
        let keys = [1, 2].map(|red| Some(PictureKey::of(&picture(red))));

        let memory = cache(1, None);
        assert_eq!(ask(&memory, keys[0], 5.0), (5.0, true));
        assert_eq!(ask(&memory, keys[0], 6.0), (5.0, false));
        assert_eq!(ask(&memory, keys[1], 7.0), (7.0, true));
        assert_eq!(ask(&memory, keys[1], 8.0), (8.0, true), "there is no room");
        assert_eq!(ask(&memory, None, 9.0), (9.0, true));

        let both = cache(1, folder());
        assert_eq!(ask(&both, keys[0], 5.0), (5.0, true));
        assert_eq!(ask(&both, keys[1], 6.0), (6.0, true));
        assert_eq!(
            ask(&both, keys[1], 7.0),
            (6.0, false),
            "it is in the folder"
        );
        assert_eq!(ask(&both, None, 9.0), (9.0, true));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);

        // A later run finds both, and one of another encoder finds none.
        let later = cache(0, folder());
        assert_eq!(ask(&later, keys[0], 8.0), (5.0, false));
        assert_eq!(ask(&later, keys[1], 8.0), (6.0, false));
        let other = Keep {
            images: 0,
            folder: folder(),
        };
        let other = FeatureCache::new("image_encoder-1".to_owned(), other);
        assert_eq!(ask(&other, keys[0], 8.0), (8.0, true));
    }
}
