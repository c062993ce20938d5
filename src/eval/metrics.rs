//! Intersection and union of a predicted mask with the truth, as the reference counts them.

use ::image::GrayImage;

use super::EvalError;
use crate::data::TruthMask;

/// Pixels of a predicted mask and a true one, without those the truth ignores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Pixels that are object in both masks.
    pub intersection: u64,
    /// Pixels that are object in at least one of them.
    pub union: u64,
}

impl Overlap {
    /// Compares masks of one image. `case` is named in errors. In `predicted` every value but 0 is object; `None`
    /// is a mask without a pixel. A pixel labelled [`TruthMask::IGNORED`] counts on neither side.
    ///
    /// # Shapes
    /// Both are full frames of the same width and height.
    ///
    /// # Errors
    /// [`EvalError::Size`], [`EvalError::TruthLength`], [`EvalError::TruthValue`].
    pub fn of(
        case: &str,
        predicted: Option<&GrayImage>,
        truth: &TruthMask,
    ) -> Result<Self, EvalError> {
        let (width, height) = (truth.width, truth.height);
        if truth.pixels.len() as u64 != u64::from(width) * u64::from(height) {
            return Err(EvalError::TruthLength {
                case: case.to_owned(),
                found: truth.pixels.len(),
                width,
                height,
            });
        }
        let is_label = |v: &u8| matches!(*v, 0 | 1 | TruthMask::IGNORED);
        if let Some(&value) = truth.pixels.iter().find(|v| !is_label(v)) {
            let case = case.to_owned();
            return Err(EvalError::TruthValue { case, value });
        }
        let Some(predicted) = predicted else {
            let union = truth.pixels.iter().filter(|&&v| v == 1).count() as u64;
            let intersection = 0;
            return Ok(Self {
                intersection,
                union,
            });
        };
        if predicted.dimensions() != (width, height) {
            return Err(EvalError::Size {
                case: case.to_owned(),
                predicted: predicted.dimensions(),
                truth: (width, height),
            });
        }
        let mut overlap = Self::default();
        for (&p, &t) in predicted.as_raw().iter().zip(&truth.pixels) {
            let counts = t != TruthMask::IGNORED;
            overlap.intersection += u64::from(counts & (p > 0) & (t == 1));
            overlap.union += u64::from(counts & ((p > 0) | (t == 1)));
        }
        Ok(overlap)
    }

    /// Intersection over union as the reference computes it: I / (U + 1e-5), and 1 where the union is empty. The value is in
    /// 0..=1.
    pub fn iou(self) -> f64 {
        match self.union {
            0 => 1.0,
            union => self.intersection as f64 / (union as f64 + 1e-5),
        }
    }

    /// Whether the intersection is at least half of the union, decided on whole pixels; true where the union is empty.
    pub fn at_least_half(self) -> bool {
        2 * self.intersection >= self.union
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, golden_items, mask, truth};
    use super::*;

    #[test]
    fn golden_masks_overlap_as_in_the_reference() {
        for (name, item) in golden_items() {
            let (predicted, truth) = golden(&name);
            let overlap = Overlap::of(&name, Some(&predicted), &truth).unwrap();
            // The numbers and the masks are from two runs of the reference, between which a pixel whose logit is about 0 may
            // differ. Counting the ignored pixels, of which 54 and 1057 are predicted, would be further off than the tolerance.
            let near = |what: &str, ours: f64, scale: f64| {
                let reference = item[what].as_f64().unwrap();
                let error = (ours - reference).abs() / scale;
                assert!(
                    error <= 1e-3,
                    "{name}: {what} {ours}, reference {reference}"
                );
            };
            let union = overlap.union as f64;
            near("intersection", overlap.intersection as f64, union);
            near("union", union, union);
            near("iou", overlap.iou(), 1.0);
        }
    }

    #[test]
    fn ignored_pixels_count_on_neither_side() {
        let truth = truth(4, 2, &[1, 1, 0, 0, 255, 255, 1, 0]);
        let predicted = mask(4, 2, &[255, 0, 255, 0, 255, 0, 1, 0]);
        let overlap = Overlap::of("a", Some(&predicted), &truth).unwrap();
        assert_eq!((overlap.intersection, overlap.union), (2, 4));
        assert!(overlap.at_least_half());
        let none = Overlap::of("a", None, &truth).unwrap();
        assert_eq!((none.intersection, none.union), (0, 3));
        assert!(!none.at_least_half());
    }

    #[test]
    fn an_empty_union_is_one_and_a_pixel_in_it_is_zero() {
        let truth = truth(2, 1, &[0, 255]);
        let of = |pixels| Overlap::of("a", Some(&mask(2, 1, pixels)), &truth).unwrap();
        assert_eq!(of(&[0, 255]).iou(), 1.0);
        assert_eq!(of(&[255, 0]).iou(), 0.0);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let small = mask(2, 1, &[0, 0]);
        let error = |t: &TruthMask| Overlap::of("tv", Some(&small), t).unwrap_err().to_string();
        assert_eq!(
            error(&truth(1, 2, &[0, 0])),
            "case tv: the predicted mask is (2, 1) pixels (width, height), the true one (1, 2); \
             both must have the image's size"
        );
        assert!(error(&truth(2, 1, &[0])).contains("has 1 pixels; 2x1"));
        assert!(error(&truth(2, 1, &[0, 7])).contains("value 7; accepted: 0 background"));
    }
}
