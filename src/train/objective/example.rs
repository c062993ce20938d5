//! An image and its conversations as the network takes them.

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use image::RgbImage;
use rand::{Rng, RngCore};

use super::attention::TokenGrid;
use super::cut_off::CutOff;
use super::{patch_labels, GuidedAnswer, PictureKey};
use crate::data::{read_picture, ClassMap, Conversation, Encoder, Sample, TruthMask, ANSWERS};
use crate::image::{ClipPreprocessor, ClipView, SamPreprocessor};
use crate::text::LisaTokenizer;
use crate::train::{PackedSequence, TrainError};
use crate::weights::LisaConfig;

/// One image with all that is learned from it, prepared by the loader's threads. Tensors are f32 and on the CPU.
#[derive(Clone, Debug)]
pub struct Example {
    /// The image's file.
    pub image: PathBuf,
    /// What the image shows; `None` where it was changed at random, so that it does not come again.
    pub picture: Option<PictureKey>,
    /// Input of SAM's image encoder, `(3, T, T)` with T the side of SAM's square.
    pub sam_pixels: Tensor,
    /// Input of the vision tower, `(3, size, size)`.
    pub clip_pixels: Tensor,
    /// Height and width of the resized image within SAM's square, in pixels.
    pub resized: (usize, usize),
    /// Height and width of the image, in pixels.
    pub original: (usize, usize),
    /// All conversations as one sequence that shares their beginning.
    pub sequence: PackedSequence,
    /// The true mask of each `[SEG]` in the sequence.
    pub masks: Vec<TruthMask>,
    /// For each mask, the ids of the words for what it shows.
    pub phrases: Vec<Vec<u32>>,
    /// Whether the phrases name their objects (classes, expressions) rather than ask for them.
    pub named: bool,
    /// Class of each cell of SAM's grid and of each patch of the tower, where the dataset has a class map.
    pub patches: Option<PatchTruth>,
    /// The same for their attributes.
    pub attributes: Option<PatchTruth>,
    /// What the answers should look at, where attention is guided.
    pub guided: Vec<GuidedAnswer>,
}

/// Indices of classes or of attributes; [`ClassMap::IGNORED`] where a patch has none.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchTruth {
    /// Row by row over SAM's grid.
    pub sam: Vec<u16>,
    /// Row by row over the vision tower's grid.
    pub tower: Vec<u16>,
}

/// Turns samples into examples; shared by the threads that prepare them.
pub struct Preparation {
    encoder: Encoder,
    sam: SamPreprocessor,
    clip: ClipPreprocessor,
    config: LisaConfig,
    /// Whether images are mirrored and brightened at random. None is mirrored about which a phrase says left or right.
    pub augment: bool,
    /// Share of an image token that a mask has to cover for the token to be looked at; `None` where attention is not
    /// guided, and examples say nothing about it.
    pub attend_share: Option<f64>,
    /// First words of LISA's answers.
    openings: Vec<u32>,
    cut_off: CutOff,
}

impl Preparation {
    /// A preparation for a model. Sequences have `max_tokens` tokens at most, the image's features included; `augment` mirrors
    /// and brightens images at random.
    ///
    /// # Errors
    /// A tokenizer that does not fit the model.
    pub fn new(
        config: &LisaConfig,
        tokenizer: std::sync::Arc<LisaTokenizer>,
        max_tokens: usize,
        augment: bool,
    ) -> Result<Self, TrainError> {
        let encoder = Encoder::new(tokenizer, config, max_tokens)?;
        let first = |answer| encoder.tokenizer().encode_answer(answer).first().copied();
        let mut openings: Vec<u32> = ANSWERS
            .into_iter()
            .filter_map(first)
            .map(|id| id as u32)
            .collect();
        openings.sort_unstable();
        openings.dedup();
        Ok(Self {
            encoder,
            openings,
            attend_share: None,
            cut_off: CutOff::default(),
            sam: SamPreprocessor {
                target: config.sam.image_size,
                mean: config.sam_preprocess.mean,
                std: config.sam_preprocess.std,
            },
            clip: config.clip_preprocess.preprocessor(),
            config: config.clone(),
            augment,
        })
    }

    /// What turns conversations into ids and labels.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// How many pictures so far had an answer that was cut off whole, so that nothing is learned from it.
    pub fn cut_off(&self) -> usize {
        self.cut_off.len()
    }

    /// Reads the image and encodes the conversations. Warns about a conversation of which nothing can be learned because it is
    /// too long.
    ///
    /// # Errors
    /// An image that cannot be read, or masks of another size than the image, by the file's name.
    pub fn prepare(&self, sample: Sample, rng: &mut dyn RngCore) -> Result<Example, TrainError> {
        let broken = |reason| TrainError::Broken {
            path: sample.image.clone(),
            reason,
        };
        let mut image = read_picture(&sample.image)?;
        let (width, height) = image.dimensions();
        let (mut masks, mut phrases, mut encoded) = (Vec::new(), Vec::new(), Vec::new());
        for conversation in &sample.conversations {
            let ids = self.encoder.encode(conversation)?;
            if ids.answers.is_empty() {
                if let Some(warning) = self.cut_off.count(&sample.image) {
                    tracing::warn!("{warning}");
                }
            }
            for (mask, phrase) in conversation
                .masks
                .iter()
                .zip(&conversation.phrases)
                .take(ids.masks)
            {
                if (mask.width, mask.height) != (width, height) {
                    return Err(broken(format!(
                        "{}: the image is {width}×{height}, its mask {}×{}",
                        sample.image.display(),
                        mask.width,
                        mask.height
                    )));
                }
                masks.push(mask.clone());
                phrases.push(phrase.to_lowercase());
            }
            encoded.push(ids);
        }
        let (mut classes, mut attributes) = (sample.classes, sample.attributes);
        if self.augment {
            brighten(&mut image, rng);
            let flip: bool = rng.random();
            if flip && !sample.conversations.iter().any(is_sided) {
                image::imageops::flip_horizontal_in_place(&mut image);
                for mask in &mut masks {
                    mirror(&mut mask.pixels, width);
                }
                for map in classes.iter_mut().chain(&mut attributes) {
                    mirror(&mut map.pixels, width);
                }
            }
        }
        let picture = (!self.augment).then(|| PictureKey::of(&image));
        let sam = self.sam.preprocess(&image);
        let clip = self
            .clip
            .preprocess(&image, self.config.clip_preprocess.fit);
        let patches = classes.map(|classes| self.patches(&classes, sam.resized));
        let attributes = attributes.map(|map| self.patches(&map, sam.resized));
        let sequence = PackedSequence::new(
            &encoded,
            self.config.clip.num_features(),
            self.config.tokens.seg,
        );
        Ok(Example {
            guided: self.guide(&sequence, &masks, (width, height)),
            image: sample.image,
            picture,
            resized: sam.resized,
            original: sam.original,
            sam_pixels: tensor(sam.pixels)?,
            clip_pixels: tensor(clip)?,
            sequence,
            masks,
            phrases: phrases
                .iter()
                .map(|phrase| self.encoder.tokenizer().encode_text(phrase))
                .collect(),
            named: sample.source != "reason_seg",
            patches,
            attributes,
        })
    }

    fn patches(&self, classes: &ClassMap, resized: (usize, usize)) -> PatchTruth {
        let sam_grid = self.config.sam.grid();
        let scale = f64::from(classes.height) / resized.0 as f64;
        let side = self.config.sam.image_size as f64 * scale;
        let view = self.view((classes.width, classes.height));
        PatchTruth {
            sam: patch_labels(classes, (0.0, 0.0), (side, side), sam_grid),
            tower: patch_labels(
                classes,
                (view.left, view.top),
                (view.width, view.height),
                self.config.clip.grid(),
            ),
        }
    }

    /// Where the vision tower looks on a picture of that size.
    fn view(&self, size: (u32, u32)) -> ClipView {
        ClipView::new(&self.clip, size, self.config.clip_preprocess.fit)
    }

    fn guide(
        &self,
        sequence: &PackedSequence,
        masks: &[TruthMask],
        size: (u32, u32),
    ) -> Vec<GuidedAnswer> {
        let Some(share) = self.attend_share else {
            return Vec::new();
        };
        let grid = TokenGrid {
            view: self.view(size),
            side: self.config.clip.grid(),
            first_patch: self.config.clip.first_patch(),
            share,
        };
        grid.guide(sequence, masks, &self.openings)
    }
}

fn tensor(pixels: ndarray::Array3<f32>) -> Result<Tensor, TrainError> {
    let shape = pixels.dim();
    let values = pixels.into_raw_vec_and_offset().0;
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Whether a word of the conversation would be wrong about the mirrored image.
fn is_sided(conversation: &Conversation) -> bool {
    let sided = |text: &String| {
        let text = text.to_lowercase();
        text.contains("left") || text.contains("right")
    };
    conversation.phrases.iter().any(sided)
        || conversation
            .turns
            .iter()
            .any(|turn| sided(&turn.question) || sided(&turn.answer))
}

fn mirror<T>(pixels: &mut [T], width: u32) {
    pixels
        .chunks_exact_mut(width.max(1) as usize)
        .for_each(<[T]>::reverse);
}

/// Changes the colour of the light: each channel is scaled by a random factor from 0.85 to 1.15.
fn brighten(image: &mut RgbImage, rng: &mut dyn RngCore) {
    let gains: [f32; 3] = {
        let all: f32 = rng.random_range(0.85..1.15);
        std::array::from_fn(|_| all * rng.random_range(0.96..1.04))
    };
    for pixel in image.pixels_mut() {
        for (value, gain) in pixel.0.iter_mut().zip(gains) {
            *value = (f32::from(*value) * gain).min(255.0) as u8;
        }
    }
}
