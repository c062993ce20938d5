//! Pictures to the input of the CLIP vision tower, equal to `CLIPImageProcessor` of transformers.

use std::fmt;
use std::str::FromStr;

use ::image::RgbImage;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::normalise::Normalise;
use super::resample::{resize, Canvas, Filter, Window};

/// How a frame that is not square is fitted to the vision tower's square input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipFit {
    /// The short side is resized to the size of the input and the centre is cut out. Published models were trained so. They do
    /// not see 44 % of the width of a picture of 16:9.
    #[default]
    Crop,
    /// The picture is padded to a square with the mean colour, then resized. Everything is seen, at a smaller scale. This is
    /// LLaVA's `image_aspect_ratio = pad`.
    Pad,
    /// Both sides are resized to the size of the input. Everything is seen, distorted.
    Squash,
}

impl ClipFit {
    /// Every way to fit.
    pub const ALL: [ClipFit; 3] = [ClipFit::Crop, ClipFit::Pad, ClipFit::Squash];

    /// The name of the way: `crop`, `pad` or `squash`.
    pub fn name(self) -> &'static str {
        match self {
            ClipFit::Crop => "crop",
            ClipFit::Pad => "pad",
            ClipFit::Squash => "squash",
        }
    }
}

impl fmt::Display for ClipFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that is none of the names of [`ClipFit`]; holds the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clip_fit is {0:?}; accepted: crop, pad, squash")]
pub struct ClipFitError(pub String);

impl FromStr for ClipFit {
    type Err = ClipFitError;

    fn from_str(text: &str) -> Result<Self, ClipFitError> {
        let known = ClipFit::ALL.into_iter().find(|fit| fit.name() == text);
        known.ok_or_else(|| ClipFitError(text.to_owned()))
    }
}

/// Makes the input of the vision tower; the fields are those of `preprocessor_config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipPreprocessor {
    /// Short side after resizing, in pixels.
    pub size: usize,
    /// Side of the square that the vision tower reads, in pixels.
    pub crop: usize,
    /// Mean of red, green and blue in 0..=1.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

impl Default for ClipPreprocessor {
    /// The preprocessing of OpenAI's CLIP at 224 pixels.
    fn default() -> Self {
        Self {
            size: 224,
            crop: 224,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }
}

impl ClipPreprocessor {
    /// Resizes (bicubic, antialiased), cuts or pads, and normalises. Equal to the reference to the bit for [`ClipFit::Crop`].
    ///
    /// A picture that is smaller than `crop` after resizing gets black around it, as in the reference. Where the difference is
    /// odd, the reference gives a picture that is one pixel short; here it has its full size. Work and memory are bounded by the
    /// part that is seen, whatever the proportions of the picture. A picture without pixels gives black.
    ///
    /// # Shapes
    /// → (3, `crop`, `crop`)
    pub fn preprocess(&self, image: &RgbImage, fit: ClipFit) -> Array3<f32> {
        let side = self.crop;
        let normalise = Normalise::new(1.0 / 255.0, self.mean, self.std);
        let whole = Window {
            left: 0,
            top: 0,
            width: side,
            height: side,
        };
        let (pixels, left, top) = match fit {
            ClipFit::Crop => {
                let (width, height) = self.resized(image.width() as usize, image.height() as usize);
                let (x, y) = (CentreCrop::new(width, side), CentreCrop::new(height, side));
                let window = Window {
                    left: x.skip,
                    top: y.skip,
                    width: x.take,
                    height: y.take,
                };
                let pixels = resize(Canvas::new(image), width, height, window, Filter::Bicubic);
                (pixels, x.pad, y.pad)
            }
            ClipFit::Pad => {
                let colour = self.mean.map(|mean| (mean * 255.0) as u8);
                let square = Canvas::square(image, colour);
                (resize(square, side, side, whole, Filter::Bicubic), 0, 0)
            }
            ClipFit::Squash => (
                resize(Canvas::new(image), side, side, whole, Filter::Bicubic),
                0,
                0,
            ),
        };
        let black = normalise.black();
        let mut out = Array3::from_shape_fn((3, side, side), |(c, _, _)| black[c]);
        normalise.write(&pixels, left, top, &mut out);
        out
    }

    /// The part of a picture that the square input covers: `((left, width), (top, height))`, in pixels of the picture.
    /// [`ClipView`](super::ClipView) is made of it.
    pub(super) fn covered(
        &self,
        width: usize,
        height: usize,
        fit: ClipFit,
    ) -> ((f64, f64), (f64, f64)) {
        let (width, height) = (width.max(1), height.max(1));
        match fit {
            ClipFit::Crop => {
                let resized = self.resized(width, height);
                let axis = |length: usize, resized: usize| {
                    let crop = CentreCrop::new(resized, self.crop);
                    let scale = length as f64 / resized.max(1) as f64;
                    let start = crop.skip as f64 - crop.pad as f64;
                    (start * scale, self.crop as f64 * scale)
                };
                (axis(width, resized.0), axis(height, resized.1))
            }
            ClipFit::Pad => {
                let side = width.max(height);
                let axis = |length: usize| (-(((side - length) / 2) as f64), side as f64);
                (axis(width), axis(height))
            }
            ClipFit::Squash => ((0.0, width as f64), (0.0, height as f64)),
        }
    }

    /// (width, height) after the short side is resized to `size`; the long side is rounded down.
    fn resized(&self, width: usize, height: usize) -> (usize, usize) {
        // The product is exact and the quotient is rounded once, as in the reference.
        let long =
            |long: usize, short: usize| ((self.size * long) as f64 / short.max(1) as f64) as usize;
        if width <= height {
            (self.size, long(height, width))
        } else {
            (long(width, height), self.size)
        }
    }
}

/// The centre of one axis: `skip` pixels are left out, then `take` pixels are taken and put after `pad` black ones.
struct CentreCrop {
    skip: usize,
    take: usize,
    pad: usize,
}

impl CentreCrop {
    fn new(length: usize, side: usize) -> Self {
        Self {
            skip: length.saturating_sub(side) / 2,
            take: length.min(side),
            // The reference rounds a negative offset down, so of an odd number of black pixels the greater half comes first.
            pad: side.saturating_sub(length).div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use crate::testing::{child_with, golden_dir};
    use ::image::Rgb;

    fn config() -> ClipPreprocessor {
        let name = "preprocessor_config.json";
        let file = std::fs::read(child_with(&golden_dir(), name).join(name)).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let three = |key: &str| serde_json::from_value(json[key].clone()).unwrap();
        ClipPreprocessor {
            size: json["size"]["shortest_edge"].as_u64().unwrap() as usize,
            crop: json["crop_size"]["height"].as_u64().unwrap() as usize,
            mean: three("image_mean"),
            std: three("image_std"),
        }
    }

    #[test]
    fn equal_to_the_reference() {
        let (shape, expected) = golden::tensor("clip_pixels");
        let pixels = config().preprocess(&golden::image(), ClipFit::Crop);
        assert_eq!(pixels.shape(), shape);
        let error = golden::relative_l2(&pixels, &expected);
        assert!(error <= 1e-7, "relative L2 {error:e}");
    }

    /// The expected sums over the bits of the output were computed with `CLIPImageProcessor` of transformers 4.31.
    #[test]
    fn bit_equal_at_other_sizes() {
        for (width, height, side, expected) in [
            (1280, 720, 224, 0xa7ce7084),
            (333, 517, 224, 0x58cb1eda),
            (640, 480, 224, 0xb495e65d),
            (100, 37, 224, 0xbff0dd4f),
            (1280, 720, 336, 0x1c685c6f),
            (333, 517, 336, 0x3ef07848),
            (640, 480, 336, 0x7eb8ea7b),
            (100, 37, 336, 0x3a2897ee),
        ] {
            let image = RgbImage::from_fn(width, height, |x, y| {
                Rgb([0, 1, 2].map(|c| ((x * x * 13 + y * 29 + c * 71 + x * y * 7) % 256) as u8))
            });
            let clip = ClipPreprocessor {
                size: side,
                crop: side,
                ..ClipPreprocessor::default()
            };
            let pixels = clip.preprocess(&image, ClipFit::Crop);
            let weights = (1..=65521).cycle();
            let sum = pixels
                .iter()
                .zip(weights)
                .fold(0u32, |sum, (value, weight)| {
                    sum.wrapping_add(value.to_bits().wrapping_mul(weight))
                });
            assert_eq!(sum, expected, "{width}x{height} to {side}");
        }
    }

    /// The shapes that the reference gives for these sizes, and the windows that it cuts out.
    #[test]
    fn the_long_side_is_rounded_down() {
        let clip = ClipPreprocessor::default();
        for ((w, h), expected) in [
            ((1280, 720), (398, 224)),
            ((720, 1280), (224, 398)),
            ((640, 480), (298, 224)),
            ((224, 224), (224, 224)),
            ((3, 1000), (224, 74666)),
        ] {
            assert_eq!(clip.resized(w, h), expected);
        }
    }

    fn halves() -> RgbImage {
        RgbImage::from_fn(400, 100, |x, _| {
            Rgb(if x < 200 { [255, 0, 0] } else { [0, 0, 255] })
        })
    }

    /// The red values of the middle row, brought back to 0..=1.
    fn red(pixels: &Array3<f32>, clip: &ClipPreprocessor, x: usize) -> f32 {
        pixels[(0, clip.crop / 2, x)] * clip.std[0] + clip.mean[0]
    }

    #[test]
    fn pad_and_squash_see_everything() {
        let clip = ClipPreprocessor::default();
        let padded = clip.preprocess(&halves(), ClipFit::Pad);
        assert!(
            (red(&padded, &clip, 2) - 1.0).abs() < 0.01 && red(&padded, &clip, 221).abs() < 0.01
        );
        // Above the picture lies padding of the mean colour, whose normalised value is 0.
        assert!((0..3).all(|c| padded[(c, 3, 100)].abs() < 0.02));
        let squashed = clip.preprocess(&halves(), ClipFit::Squash);
        assert!(
            (red(&squashed, &clip, 2) - 1.0).abs() < 0.01
                && red(&squashed, &clip, 221).abs() < 0.01
        );
        assert_ne!(padded, squashed);
    }

    #[test]
    fn padding_equals_a_padded_picture() {
        let clip = ClipPreprocessor::default();
        let colour = Rgb(clip.mean.map(|m| (m * 255.0) as u8));
        let tall = ::image::imageops::rotate90(&halves());
        for (image, at) in [(halves(), (0, 150)), (tall, (150, 0))] {
            let mut square = RgbImage::from_pixel(400, 400, colour);
            ::image::imageops::replace(&mut square, &image, at.0, at.1);
            assert_eq!(
                clip.preprocess(&image, ClipFit::Pad),
                clip.preprocess(&square, ClipFit::Squash)
            );
        }
    }

    #[test]
    fn a_crop_larger_than_the_picture_is_padded_with_black() {
        let clip = ClipPreprocessor {
            size: 4,
            crop: 7,
            ..ClipPreprocessor::default()
        };
        let pixels = clip.preprocess(&RgbImage::from_pixel(4, 4, Rgb([255; 3])), ClipFit::Crop);
        let white: Vec<usize> = (0..7).filter(|&x| pixels[(0, 3, x)] > 0.0).collect();
        assert_eq!(white, [2, 3, 4, 5]);
        assert_eq!(pixels[(1, 0, 0)], -clip.mean[1] / clip.std[1]);
    }

    #[test]
    fn extreme_proportions_stay_cheap() {
        let clip = ClipPreprocessor::default();
        for (width, height) in [(30_000, 1), (1, 30_000), (0, 0)] {
            let image = RgbImage::new(width, height);
            for fit in [ClipFit::Crop, ClipFit::Squash] {
                assert_eq!(clip.preprocess(&image, fit).dim(), (3, 224, 224));
            }
        }
        for (width, height) in [(3_000, 1), (1, 3_000), (0, 0)] {
            let image = RgbImage::new(width, height);
            assert_eq!(clip.preprocess(&image, ClipFit::Pad).dim(), (3, 224, 224));
        }
    }

    #[test]
    fn names_go_out_and_come_back() {
        for fit in ClipFit::ALL {
            assert_eq!(fit.to_string().parse(), Ok(fit));
            assert_eq!(serde_json::to_string(&fit).unwrap(), format!("\"{fit}\""));
        }
        let error = "zoom".parse::<ClipFit>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "clip_fit is \"zoom\"; accepted: crop, pad, squash"
        );
    }
}
