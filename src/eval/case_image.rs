//! A case as small pictures: the prediction tinted; where the model looked; the truth outlined in both.

use ::image::codecs::jpeg::JpegEncoder;
use ::image::imageops::{resize, FilterType};
use ::image::{Rgb, RgbImage};

use super::{Case, EvalError};
use crate::data::TruthMask;
use crate::engine::AttentionMap;

/// Longer side of a picture in pixels: larger images are reduced to it.
const LONGEST: u32 = 640;
/// Longer side in pixels to which smaller images are enlarged, so that an outline of two pixels stays thin beside the object.
const SHORTEST: u32 = 320;
/// JPEG qualities, tried in turn until the file is small enough; the last is taken as it is.
const QUALITIES: [u8; 4] = [80, 60, 40, 20];
/// Thirty pictures of this size in base64 are five megabytes.
pub(super) const MOST_BYTES: usize = 120_000;
/// The same for a picture of attention, which needs fewer bytes: it shows a few hundred tokens, not the edge of a mask.
const MOST_BYTES_OF_ATTENTION: usize = MOST_BYTES / 3;
/// Opacity of the attention's colours over the picture.
const HEAT: f32 = 0.6;

/// Colour of the predicted mask. It and [`TRUE`] are rare in photographs and also differ in brightness, for people who do not
/// tell them apart by hue.
pub(super) const PREDICTED: [u8; 3] = [225, 20, 150];
/// Colour of the true mask's outline.
pub(super) const TRUE: [u8; 3] = [120, 214, 255];

/// A JPEG file and its size in pixels.
#[derive(Clone, Debug)]
pub(super) struct CaseImage {
    pub jpeg: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// The pictures that show a case.
#[derive(Clone, Debug)]
pub(super) struct CaseImages {
    /// The image with the predicted mask and the outline of the true one.
    pub masks: CaseImage,
    /// The image with the attention of the guided head; `None` where it is not known where the model looked.
    pub attention: Option<CaseImage>,
}

impl From<CaseImage> for CaseImages {
    fn from(masks: CaseImage) -> Self {
        Self {
            masks,
            attention: None,
        }
    }
}

/// Draws prediction and truth over the image, and attention and truth over another copy of it, both at the size of the report.
///
/// # Errors
/// [`EvalError::ImageSize`] where a mask has another size than the image, [`EvalError::CaseImage`] where an image
/// without pixels cannot be encoded.
pub(super) fn draw(case: &Case<'_>, image: &RgbImage) -> Result<CaseImages, EvalError> {
    let size = image.dimensions();
    let masks = [
        case.truth.map(|truth| (truth.width, truth.height)),
        case.predicted.map(|mask| mask.dimensions()),
    ];
    if let Some(mask) = masks.into_iter().flatten().find(|mask| *mask != size) {
        return Err(EvalError::ImageSize {
            case: case.name.to_owned(),
            image: size,
            mask,
        });
    }
    let attention = case.attention.map(|attention| {
        let picture = paint_attention(case, attention, image);
        encode(case, &picture, MOST_BYTES_OF_ATTENTION)
    });
    Ok(CaseImages {
        masks: encode(case, &paint(case, image), MOST_BYTES)?,
        attention: attention.transpose()?,
    })
}

fn encode(case: &Case<'_>, picture: &RgbImage, most: usize) -> Result<CaseImage, EvalError> {
    let mut jpeg = Vec::new();
    for quality in QUALITIES {
        jpeg.clear();
        JpegEncoder::new_with_quality(&mut jpeg, quality)
            .encode_image(picture)
            .map_err(|source| EvalError::CaseImage {
                case: case.name.to_owned(),
                source,
            })?;
        if jpeg.len() <= most {
            break;
        }
    }
    Ok(CaseImage {
        jpeg,
        width: picture.width(),
        height: picture.height(),
    })
}

/// Masks have the image's size.
fn paint(case: &Case<'_>, image: &RgbImage) -> RgbImage {
    let mut out = fit(image, LONGEST);
    if let Some(mask) = case.predicted {
        let predicted = Grid::new(image, &out, mask.as_raw(), |v| v > 0);
        for (x, y, pixel) in out.enumerate_pixels_mut() {
            if predicted.at(x, y) {
                let edge = predicted.beside(x, y, 1, false);
                *pixel = mix(*pixel, PREDICTED, if edge { 1.0 } else { 0.45 });
            }
        }
    }
    outline(case, image, &mut out);
    out
}

/// The truth has the image's size.
fn paint_attention(case: &Case<'_>, attention: &AttentionMap, image: &RgbImage) -> RgbImage {
    let mut out = fit(&attention.draw(image, HEAT), SHORTEST);
    outline(case, image, &mut out);
    out
}

/// Outlines the truth on `out`, which is the image reduced or enlarged.
fn outline(case: &Case<'_>, image: &RgbImage, out: &mut RgbImage) {
    let Some(truth) = case.truth else {
        return;
    };
    let (width, height) = out.dimensions();
    let ignored = Grid::new(image, out, &truth.pixels, |v| v == TruthMask::IGNORED);
    let inside = Grid::new(image, out, &truth.pixels, |v| v == 1);
    for y in 0..height {
        for x in 0..width {
            let pixel = out.get_pixel_mut(x, y);
            if inside.at(x, y) {
                if inside.beside(x, y, 2, false) {
                    *pixel = Rgb(TRUE);
                }
            } else if inside.beside(x, y, 1, true) {
                *pixel = Rgb([0; 3]);
            } else if ignored.at(x, y) && (x + y) % 8 < 3 {
                *pixel = mix(*pixel, [0; 3], 0.5);
            }
        }
    }
}

/// The image resized so that its longer side is from [`SHORTEST`] to `longest`.
fn fit(image: &RgbImage, longest: u32) -> RgbImage {
    let longer = image.width().max(image.height());
    let side = longer.clamp(SHORTEST, longest);
    if longer == side || longer == 0 {
        return image.clone();
    }
    let scaled = |v: u32| (u64::from(v) * u64::from(side) / u64::from(longer)).max(1) as u32;
    let (width, height) = (scaled(image.width()), scaled(image.height()));
    resize(image, width, height, FilterType::Triangle)
}

fn mix(Rgb(from): Rgb<u8>, to: [u8; 3], share: f32) -> Rgb<u8> {
    let mix = |i: usize| f32::from(from[i]) * (1.0 - share) + f32::from(to[i]) * share;
    Rgb(std::array::from_fn(|i| mix(i).round() as u8))
}

/// A mask at the picture's size. A pixel is set if any of the mask's pixels that it stands for is set, so that small objects
/// stay visible.
struct Grid {
    width: u32,
    height: u32,
    set: Vec<bool>,
}

impl Grid {
    /// `values`: row by row, as many as `image` has pixels.
    fn new(image: &RgbImage, out: &RgbImage, values: &[u8], is: impl Fn(u8) -> bool) -> Self {
        let (width, height) = out.dimensions();
        let span = |i: u32, n: u32, of: u32| {
            let edge = |i: u32| (u64::from(i) * u64::from(of) / u64::from(n)) as usize;
            edge(i)..edge(i + 1).max(edge(i) + 1)
        };
        let mut set = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height {
            for x in 0..width {
                let mut rows = span(y, height, image.height());
                set.push(rows.any(|row| {
                    let start = row * image.width() as usize;
                    let mut columns = span(x, width, image.width());
                    columns.any(|column| values.get(start + column).is_some_and(|v| is(*v)))
                }));
            }
        }
        Self { width, height, set }
    }

    fn at(&self, x: u32, y: u32) -> bool {
        self.set[y as usize * self.width as usize + x as usize]
    }

    /// Whether any pixel at most `reach` away is `wanted`; beyond the frame none is.
    fn beside(&self, x: u32, y: u32, reach: u32, wanted: bool) -> bool {
        let edge = x < reach || y < reach || x + reach >= self.width || y + reach >= self.height;
        if edge && !wanted {
            return true;
        }
        let rows = y.saturating_sub(reach)..=(y + reach).min(self.height - 1);
        let columns = x.saturating_sub(reach)..=(x + reach).min(self.width - 1);
        rows.into_iter()
            .any(|y| columns.clone().any(|x| self.at(x, y) == wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{attention, case};
    use super::*;
    use ::image::{GrayImage, Luma};

    fn square(side: u32, from: u32, to: u32) -> (GrayImage, TruthMask) {
        let inside = |v: u32| (from..to).contains(&v);
        let mask = GrayImage::from_fn(side, side, |x, y| Luma([u8::from(inside(x) && inside(y))]));
        let truth = TruthMask {
            width: side,
            height: side,
            pixels: mask.as_raw().clone(),
        };
        (mask, truth)
    }

    #[test]
    fn the_prediction_is_tinted_and_the_truth_outlined() {
        let image = RgbImage::from_pixel(400, 400, Rgb([100; 3]));
        let (predicted, _) = square(400, 50, 150);
        let (_, truth) = square(400, 100, 300);
        let mut case = case("a", "short");
        (case.predicted, case.truth) = (Some(&predicted), Some(&truth));
        let out = paint(&case, &image);
        let tinted = mix(Rgb([100; 3]), PREDICTED, 0.45);
        assert_eq!(*out.get_pixel(60, 60), tinted);
        assert_eq!(*out.get_pixel(120, 120), tinted);
        assert_eq!(*out.get_pixel(50, 60), Rgb(PREDICTED));
        assert_eq!(*out.get_pixel(200, 200), Rgb([100; 3]));
        assert_eq!(*out.get_pixel(100, 200), Rgb(TRUE));
        assert_eq!(*out.get_pixel(101, 200), Rgb(TRUE));
        assert_eq!(*out.get_pixel(99, 200), Rgb([0; 3]));
        assert_eq!(*out.get_pixel(350, 350), Rgb([100; 3]));
    }

    #[test]
    fn where_the_model_looked_is_bright_and_the_truth_outlined() {
        let image = RgbImage::from_pixel(400, 400, Rgb([100; 3]));
        let (_, truth) = square(400, 250, 350);
        let looked = attention((400, 400), [0.0, 0.0, 0.9, 0.0], 0.1);
        let mut case = case("a", "short");
        (case.truth, case.attention) = (Some(&truth), Some(&looked));
        let out = paint_attention(&case, &looked, &image);
        assert_eq!(out.dimensions(), (320, 320));
        let light = |x, y| {
            out.get_pixel(x, y)
                .0
                .iter()
                .map(|v| u32::from(*v))
                .sum::<u32>()
        };
        // The lower left is where the model looked most, the upper right where it looked least.
        assert!(light(60, 260) > 300 + 100 && light(260, 60) < 300 - 100);
        assert_eq!(*out.get_pixel(201, 240), Rgb(TRUE));
    }

    #[test]
    fn a_single_pixel_of_a_large_image_stays_visible() {
        let image = RgbImage::new(900, 900);
        let (_, truth) = square(900, 451, 452);
        let mut case = case("a", "short");
        case.truth = Some(&truth);
        let out = paint(&case, &image);
        assert_eq!(out.dimensions(), (640, 640));
        assert!(out.pixels().any(|p| *p == Rgb(TRUE)));
    }

    #[test]
    fn sizes_are_bounded_and_odd_ones_do_not_panic() {
        for (width, height) in [(1, 1), (7, 900), (5000, 1), (319, 2)] {
            let image = RgbImage::new(width, height);
            let truth = TruthMask {
                width,
                height,
                pixels: vec![1; (width * height) as usize],
            };
            let mut case = case("a", "short");
            case.truth = Some(&truth);
            let looked = attention((width, height), [0.1, 0.2, 0.3, 0.4], 0.0);
            case.attention = Some(&looked);
            let pictures = draw(&case, &image).unwrap();
            let heat = pictures.attention.unwrap();
            assert_eq!(heat.width.max(heat.height), SHORTEST);
            let picture = pictures.masks;
            let longer = picture.width.max(picture.height);
            assert!((SHORTEST..=LONGEST).contains(&longer), "{width}x{height}");
        }
        let error = draw(&case("e", "short"), &RgbImage::new(0, 0)).unwrap_err();
        assert!(error.to_string().starts_with("case e: its picture"));
    }

    #[test]
    fn noise_is_kept_small() {
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let image = RgbImage::from_fn(LONGEST, LONGEST * 3 / 4, |_, _| {
            Rgb([noise(), noise(), noise()])
        });
        let looked = attention((LONGEST, LONGEST * 3 / 4), [0.0; 4], 0.0);
        let mut case = case("a", "short");
        assert!(draw(&case, &image).unwrap().attention.is_none());
        case.attention = Some(&looked);
        let pictures = draw(&case, &image).unwrap();
        let bytes = [&pictures.masks, &pictures.attention.unwrap()].map(|p| p.jpeg.len());
        assert!(
            bytes[0] <= MOST_BYTES && bytes[1] <= MOST_BYTES_OF_ATTENTION,
            "{bytes:?}"
        );
    }

    #[test]
    fn a_mask_of_another_size_is_refused() {
        let (mask, _) = square(8, 0, 1);
        let mut case = case("b", "short");
        case.predicted = Some(&mask);
        let error = draw(&case, &RgbImage::new(9, 8)).unwrap_err().to_string();
        assert!(error.contains("case b: the image is (9, 8) pixels") && error.contains("(8, 8)"));
    }
}
