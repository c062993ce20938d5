//! Mask logits to masks: threshold, region of interest, area, union and overlap.

use ::image::{GrayImage, Luma};
use cv_convert::ToCv;
use ndarray::Array2;

use super::Roi;

/// A mask that cannot be made from what was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MaskError {
    /// The number of logits is not that of the frame's pixels.
    #[error("{found} logits for a frame of {width}x{height} pixels; there must be {needed}")]
    Logits {
        /// Logits that were given.
        found: usize,
        /// Width of the frame, in pixels.
        width: u32,
        /// Height of the frame, in pixels.
        height: u32,
        /// Logits that the frame needs, `width * height`.
        needed: u64,
    },
    /// The threshold is no probability strictly between 0 and 1; holds the number that was given.
    #[error("mask_threshold is {0}; accepted: a probability above 0 and below 1")]
    Threshold(f32),
}

/// The logit that a pixel must exceed to be in the mask: ln(p / (1 − p)). A probability of 0.5 gives exactly 0, the threshold
/// of the reference.
///
/// # Errors
/// [`MaskError::Threshold`] unless `probability` is in (0, 1).
pub fn threshold_logit(probability: f32) -> Result<f32, MaskError> {
    if !(probability > 0.0 && probability < 1.0) {
        return Err(MaskError::Threshold(probability));
    }
    let p = f64::from(probability);
    Ok((p / (1.0 - p)).ln() as f32)
}

/// The pixels of one object in a frame. Only the tight box around them is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    roi: Roi,
    pixels: GrayImage,
    area: usize,
    frame: (u32, u32),
}

impl Mask {
    /// Takes the pixels whose logit is strictly above `threshold`, which [`threshold_logit`] gives. A NaN is outside.
    ///
    /// # Shapes
    /// `logits` (`height`, `width`), row by row, at the size of the frame.
    ///
    /// # Errors
    /// [`MaskError::Logits`] where their number is not `width * height`.
    pub fn from_logits(
        logits: &[f32],
        width: u32,
        height: u32,
        threshold: f32,
    ) -> Result<Self, MaskError> {
        Self::build(logits, width, height, |logit| logit > threshold)
    }

    /// Takes the pixels of a full-frame picture that are not 0.
    pub fn from_frame(frame: &GrayImage) -> Self {
        let (width, height) = frame.dimensions();
        // The number of pixels is right by construction, so this never fails.
        Self::build(frame.as_raw(), width, height, |v| v > 0)
            .unwrap_or_else(|_| Self::empty(width, height))
    }

    /// The mask of a frame of `frame` pixels (width, height) whose box is cut out already: `pixels`, of the size of `roi`, that are
    /// not 0.
    pub fn cropped(frame: (u32, u32), roi: Roi, pixels: GrayImage) -> Self {
        Self {
            roi,
            area: pixels.as_raw().iter().filter(|v| **v > 0).count(),
            pixels,
            frame,
        }
    }

    fn empty(width: u32, height: u32) -> Self {
        Self {
            roi: Roi::default(),
            pixels: GrayImage::new(0, 0),
            area: 0,
            frame: (width, height),
        }
    }

    /// A first pass finds box and area, a second one writes the pixels of the box.
    fn build<T: Copy>(
        values: &[T],
        width: u32,
        height: u32,
        inside: impl Fn(T) -> bool,
    ) -> Result<Self, MaskError> {
        let needed = u64::from(width) * u64::from(height);
        if values.len() as u64 != needed {
            return Err(MaskError::Logits {
                found: values.len(),
                width,
                height,
                needed,
            });
        }
        let mut mask = Self::empty(width, height);
        if needed == 0 {
            return Ok(mask);
        }
        let row_len = width as usize;
        let (mut left, mut right) = (row_len, 0);
        let (mut top, mut bottom) = (None, 0);
        for (y, row) in values.chunks_exact(row_len).enumerate() {
            // The compiler vectorizes this count of u32, so that rows without a pixel of the object cost little.
            let count = row.iter().map(|&v| u32::from(inside(v))).sum::<u32>() as usize;
            if count == 0 {
                continue;
            }
            mask.area += count;
            top.get_or_insert(y);
            bottom = y + 1;
            let first = row.iter().position(|&v| inside(v)).unwrap_or(0);
            let last = row.iter().rposition(|&v| inside(v)).unwrap_or(row_len - 1);
            left = left.min(first);
            right = right.max(last + 1);
        }
        let Some(top) = top else {
            return Ok(mask);
        };
        mask.roi = Roi {
            x: left as u32,
            y: top as u32,
            width: (right - left) as u32,
            height: (bottom - top) as u32,
        };
        mask.pixels = GrayImage::new(mask.roi.width, mask.roi.height);
        let rows = values.chunks_exact(row_len).skip(top);
        for (to, from) in mask.pixels.chunks_exact_mut(right - left).zip(rows) {
            for (to, &from) in to.iter_mut().zip(&from[left..right]) {
                *to = if inside(from) { 255 } else { 0 };
            }
        }
        Ok(mask)
    }

    /// The tight box around the mask, in the frame's pixels.
    pub fn roi(&self) -> Roi {
        self.roi
    }

    /// The mask cropped to [`roi`](Self::roi): 255 in the object, 0 elsewhere.
    pub fn pixels(&self) -> &GrayImage {
        &self.pixels
    }

    /// Number of pixels of the object.
    pub fn area(&self) -> usize {
        self.area
    }

    /// Whether the object has no pixel.
    pub fn is_empty(&self) -> bool {
        self.area == 0
    }

    /// (width, height) of the frame the mask lies in.
    pub fn frame(&self) -> (u32, u32) {
        self.frame
    }

    /// Takes the mask apart into its box and its cropped pixels, without a copy.
    pub fn into_parts(self) -> (Roi, GrayImage) {
        (self.roi, self.pixels)
    }

    /// Number of pixels that are in both masks. Frames of different sizes are laid on each other at their top left corners.
    pub fn intersection_area(&self, other: &Mask) -> usize {
        let both = self.roi.intersection(&other.roi);
        (both.y..both.bottom())
            .map(|y| {
                let pairs = self.row(y, both).iter().zip(other.row(y, both));
                pairs.map(|(a, b)| u32::from(a & b == 255)).sum::<u32>() as usize
            })
            .sum()
    }

    /// Intersection over union, in 0..=1. That of two empty masks is 1, because they agree.
    pub fn iou(&self, other: &Mask) -> f32 {
        let both = self.intersection_area(other);
        match self.area + other.area - both {
            0 => 1.0,
            either => (both as f64 / either as f64) as f32,
        }
    }

    /// The pixels of the frame's row `y` in the columns of `part`, which lies within the roi.
    fn row(&self, y: u32, part: Roi) -> &[u8] {
        let start =
            (y - self.roi.y) as usize * self.roi.width as usize + (part.x - self.roi.x) as usize;
        &self.pixels.as_raw()[start..][..part.width as usize]
    }
}

impl ToCv<GrayImage> for Mask {
    /// The whole frame, 0 or 255.
    fn to_cv(&self) -> GrayImage {
        let (width, height) = self.frame;
        union_masks(width, height, [(self.roi, &self.pixels)])
    }
}

impl ToCv<Array2<u8>> for Mask {
    /// The whole frame, (height, width), 0 or 255.
    fn to_cv(&self) -> Array2<u8> {
        let frame: GrayImage = self.to_cv();
        let columns = frame.width() as usize;
        Array2::from_shape_fn((frame.height() as usize, columns), |(y, x)| {
            frame.as_raw()[y * columns + x]
        })
    }
}

/// Puts several cropped masks into one full-frame picture, which is 255 where any of them is not 0. Pixels outside the frame are
/// left out.
pub fn union_masks<'a>(
    width: u32,
    height: u32,
    masks: impl IntoIterator<Item = (Roi, &'a GrayImage)>,
) -> GrayImage {
    let mut frame = GrayImage::new(width, height);
    for (roi, mask) in masks {
        paste_mask(&mut frame, roi, mask);
    }
    frame
}

/// Sets the frame to 255 where the mask is not 0. The mask's top left pixel stands at (`roi.x`, `roi.y`).
pub fn paste_mask(frame: &mut GrayImage, roi: Roi, mask: &GrayImage) {
    let (width, height) = frame.dimensions();
    let inside = roi.intersection(&Roi {
        x: 0,
        y: 0,
        width,
        height,
    });
    let columns = inside.width.min(mask.width()) as usize;
    if columns == 0 || inside.height == 0 {
        return;
    }
    let rows = frame.chunks_exact_mut(width as usize).skip(roi.y as usize);
    let mask_rows = mask
        .chunks_exact(mask.width() as usize)
        .take(inside.height as usize);
    for (to, from) in rows.zip(mask_rows) {
        for (to, &from) in to[roi.x as usize..][..columns].iter_mut().zip(from) {
            *to |= if from == 0 { 0 } else { 255 };
        }
    }
}

/// The part of a full-frame picture inside `roi`; what lies outside the frame is 0.
pub fn crop_mask(frame: &GrayImage, roi: Roi) -> GrayImage {
    GrayImage::from_fn(roi.width, roi.height, |x, y| {
        let at = (roi.x.checked_add(x), roi.y.checked_add(y));
        match at {
            (Some(x), Some(y)) => *frame.get_pixel_checked(x, y).unwrap_or(&Luma([0])),
            _ => Luma([0]),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Masks of one frame, with few pixels to nearly all.
    fn masks(count: usize) -> impl Strategy<Value = (u32, u32, Vec<Vec<f32>>)> {
        (1u32..20, 1u32..15, -1.0f32..1.0).prop_flat_map(move |(w, h, bias)| {
            let logits = prop::collection::vec(-1.0f32..1.0, (w * h) as usize);
            let logits = logits.prop_map(move |v| v.into_iter().map(|x| x + bias).collect());
            (Just(w), Just(h), prop::collection::vec(logits, count))
        })
    }

    fn mask(logits: &[f32], width: u32, height: u32) -> Mask {
        Mask::from_logits(logits, width, height, 0.0).unwrap()
    }

    proptest! {
        #[test]
        fn paste_undoes_crop((w, h, logits) in masks(1)) {
            let mask = mask(&logits[0], w, h);
            let frame: GrayImage = mask.to_cv();
            let plain: Vec<u8> = logits[0].iter().map(|&l| if l > 0.0 { 255 } else { 0 }).collect();
            prop_assert_eq!(frame.as_raw(), &plain);
            prop_assert_eq!(crop_mask(&frame, mask.roi()), mask.pixels().clone());
            prop_assert_eq!(mask.area(), plain.iter().filter(|&&v| v == 255).count());
            prop_assert_eq!(Mask::from_frame(&frame), mask);
        }

        #[test]
        fn the_box_is_tight((w, h, logits) in masks(1)) {
            let mask = mask(&logits[0], w, h);
            let (roi, pixels) = (mask.roi(), mask.pixels());
            prop_assert_eq!(pixels.dimensions(), (roi.width, roi.height));
            if !mask.is_empty() {
                prop_assert!(roi.right() <= w && roi.bottom() <= h);
                let any = |at: &dyn Fn(u32) -> (u32, u32), n: u32| (0..n).any(|i| { let (x, y) = at(i); pixels.get_pixel(x, y)[0] == 255 });
                prop_assert!(any(&|x| (x, 0), roi.width) && any(&|x| (x, roi.height - 1), roi.width));
                prop_assert!(any(&|y| (0, y), roi.height) && any(&|y| (roi.width - 1, y), roi.height));
            }
        }

        #[test]
        fn laws_of_union_and_overlap((w, h, logits) in masks(2)) {
            let (a, b) = (mask(&logits[0], w, h), mask(&logits[1], w, h));
            let both = union_masks(w, h, [(a.roi(), a.pixels()), (b.roi(), b.pixels())]);
            let swapped = union_masks(w, h, [(b.roi(), b.pixels()), (a.roi(), a.pixels())]);
            prop_assert_eq!(&both, &swapped);
            let either = Mask::from_frame(&both);
            prop_assert_eq!(either.area() + a.intersection_area(&b), a.area() + b.area());
            prop_assert_eq!(either.intersection_area(&a), a.area());
            prop_assert_eq!(a.iou(&b), b.iou(&a));
            prop_assert_eq!(a.iou(&a), 1.0);
            prop_assert!((0.0..=1.0).contains(&a.iou(&b)));
        }

        #[test]
        fn pasting_outside_the_frame_is_harmless(x: u32, y: u32, w in 0u32..9, h in 0u32..9, near in any::<bool>()) {
            let (x, y) = if near { (x % 12, y % 12) } else { (x, y) };
            let roi = Roi { x, y, width: w, height: h };
            let patch = GrayImage::from_pixel(w, h, Luma([255]));
            let frame = union_masks(10, 10, [(roi, &patch)]);
            let set = frame.pixels().filter(|p| p[0] == 255).count() as u32;
            let inside = roi.intersection(&Roi { x: 0, y: 0, width: 10, height: 10 });
            prop_assert_eq!(set, inside.width * inside.height);
            prop_assert_eq!(crop_mask(&frame, roi).dimensions(), (w, h));
        }
    }

    #[test]
    fn the_threshold_is_strict_and_half_is_zero() {
        assert_eq!(threshold_logit(0.5), Ok(0.0));
        assert!((threshold_logit(0.9).unwrap() - 9f32.ln()).abs() < 1e-6);
        for p in [0.0, 1.0, -0.1, 1.1, f32::NAN] {
            let error = threshold_logit(p).unwrap_err().to_string();
            assert!(
                error.ends_with("accepted: a probability above 0 and below 1"),
                "{error}"
            );
        }
        let mask = mask(&[0.0, 1e-30, f32::NAN, f32::INFINITY], 4, 1);
        assert_eq!(mask.pixels().as_raw(), &[255, 0, 255]);
        assert_eq!(
            mask.roi(),
            Roi {
                x: 1,
                y: 0,
                width: 3,
                height: 1
            }
        );
    }

    #[test]
    fn nothing_and_the_wrong_number() {
        let empty = mask(&[-1.0; 6], 3, 2);
        assert!(empty.is_empty() && empty.roi() == Roi::default());
        assert_eq!(empty.iou(&empty), 1.0);
        assert!(mask(&[], 0, 7).is_empty());
        let error = Mask::from_logits(&[0.0; 5], 3, 2, 0.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "5 logits for a frame of 3x2 pixels; there must be 6"
        );
    }
}
