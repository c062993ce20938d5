//! COCO's annotations: polygons and run lengths become masks, equal to pycocotools' in every pixel.

use std::borrow::Cow;

use coco_rle::spans;
pub use coco_rle::Rle;
use serde::Deserialize;
use serde_json::Value;

use super::files::size_is_accepted;
use super::outline::fill_outline;
use super::schema::shown;
use super::TruthMask;
use crate::image::{MAX_PIXELS, MAX_SIDE};

/// Why an annotation is left out if its segmentation [is nothing](Segmentation::is_nothing).
pub(super) const NO_MASK: &str = "without a mask (segmentation is [])";

/// A mask as COCO's JSON holds it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Segmentation {
    /// The union of outlines, each a list of x and y in turn.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths of the whole picture.
    Rle(Rle),
    /// Several run lengths, as the refer datasets and TableWorld write them.
    Rles(Vec<Rle>),
    /// Something else. It is kept so that the error, when the mask is asked for, can name the annotation and what it holds
    /// instead.
    Unknown(Value),
}

impl Default for Segmentation {
    /// The segmentation of an annotation without that field.
    fn default() -> Self {
        Self::Unknown(Value::Null)
    }
}

impl Segmentation {
    /// Whether the annotation says that there is no mask, by a list without an outline. The reference's reader takes it for an
    /// empty mask, and pycocotools refuses it.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Polygons(polygons) if polygons.is_empty())
    }

    /// The mask in a picture of this size, in pixels.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn mask(&self, width: u32, height: u32) -> Result<TruthMask, String> {
        let runs = self.checked_runs(width, height)?;
        let (w, h) = (width as usize, height as usize);
        let mut columns = vec![0u8; w * h];
        for runs in runs {
            for span in spans(&runs) {
                columns[span].fill(1);
            }
        }
        if let Self::Polygons(polygons) = self {
            let mut scratch = vec![0u8; w * h];
            for polygon in polygons {
                fill_outline(&mut columns, &mut scratch, polygon, w, h);
            }
        }
        let mut pixels = vec![0u8; w * h];
        for (x, column) in columns.chunks_exact(h).enumerate() {
            for (y, value) in column.iter().enumerate() {
                pixels[y * w + x] = *value;
            }
        }
        Ok(TruthMask {
            width,
            height,
            pixels,
        })
    }

    /// Checks whether [`mask`](Self::mask) would give a mask, without drawing it.
    ///
    /// # Errors
    /// The same as `mask`.
    pub fn check(&self, width: u32, height: u32) -> Result<(), String> {
        self.checked_runs(width, height).map(|_| ())
    }

    /// Checks the segmentation, and gives its run lengths if it consists of such.
    fn checked_runs(&self, width: u32, height: u32) -> Result<Vec<Cow<'_, [u32]>>, String> {
        if !size_is_accepted(width, height) {
            return Err(format!(
                "its picture is listed as {width}×{height} pixels; \
                accepted: sides of 1 to {MAX_SIDE} and {MAX_PIXELS} pixels in all"
            ));
        }
        let runs = |rle| Rle::runs(rle, width, height).map_err(|error| error.to_string());
        match self {
            Self::Polygons(polygons) => {
                check_polygons(polygons, width, height)?;
                Ok(Vec::new())
            }
            Self::Rle(rle) => Ok(vec![runs(rle)?]),
            Self::Rles(rles) => rles.iter().map(runs).collect(),
            Self::Unknown(value) => Err(format!(
                "its segmentation is {}; accepted: outlines [[x, y, x, y, …], …], \
                or run lengths {{\"size\": [height, width], \"counts\": …}}",
                unknown(value)
            )),
        }
    }
}

fn check_polygons(polygons: &[Vec<f64>], width: u32, height: u32) -> Result<(), String> {
    let short = |polygon: &&Vec<f64>| polygon.len() < 6 || polygon.len() % 2 != 0;
    if let Some(polygon) = polygons.iter().find(short) {
        return Err(format!(
            "a polygon has {} numbers; accepted: x and y of three points or more",
            polygon.len()
        ));
    }
    let range = |first: usize| {
        let sides = polygons
            .iter()
            .flat_map(move |p| p.iter().skip(first).step_by(2));
        sides.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)))
    };
    let ((left, right), (top, bottom)) = (range(0), range(1));
    let beyond = |least: f64, most: f64, length: u32| most <= 0.0 || least >= f64::from(length);
    // An annotation without any polygon is COCO's way to say that there is no mask.
    match !polygons.is_empty() && (beyond(left, right, width) || beyond(top, bottom, height)) {
        false => Ok(()),
        true => Err(format!(
            "its polygons lie outside of the picture: x {left:.0} to {right:.0} and \
            y {top:.0} to {bottom:.0} of {width}×{height} pixels"
        )),
    }
}

/// Describes a value that is no segmentation, for an error.
fn unknown(value: &Value) -> String {
    let Value::Array(items) = value else {
        return shown(value);
    };
    if items.iter().all(Value::is_number) {
        return format!("a flat list of {} numbers", items.len());
    }
    let odd = items.iter().enumerate().find_map(|(i, item)| match item {
        Value::Array(numbers) => {
            let odd = numbers.iter().enumerate().find(|(_, n)| !n.is_number());
            odd.map(|(j, value)| (format!("[{i}][{j}]"), value))
        }
        other => Some((format!("[{i}]"), other)),
    });
    match odd {
        Some((place, value)) => format!("a list that holds {} at {place}", shown(value)),
        None => shown(value),
    }
}

#[cfg(test)]
mod tests {
    use coco_rle::Counts;

    use super::*;

    fn rows(mask: &TruthMask) -> Vec<String> {
        mask.pixels
            .chunks(mask.width as usize)
            .map(|row| {
                row.iter()
                    .map(|p| if *p == 1 { '#' } else { '.' })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_polygon_fills_the_pixels_that_pycocotools_fills() {
        let square = Segmentation::Polygons(vec![vec![1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]]);
        let mask = square.mask(6, 4).unwrap();
        assert_eq!(rows(&mask), ["......", ".###..", ".###..", "......"]);
        let bad = Segmentation::Polygons(vec![vec![1.0, 1.0, 2.0, 2.0]]);
        assert!(bad.mask(6, 4).unwrap_err().contains("4 numbers"));
    }

    #[test]
    fn packed_and_plain_run_lengths_agree() {
        let plain: Segmentation =
            serde_json::from_str(r#"{"size": [4, 5], "counts": [5, 2, 2, 2, 9]}"#).unwrap();
        let mask = plain.mask(5, 4).unwrap();
        assert_eq!(rows(&mask), [".....", ".##..", ".##..", "....."]);
        // The letters hold 5, 2, 2, 2−2 and 9−2: from the fourth on, differences to the run before the last.
        let packed: Segmentation =
            serde_json::from_str(r#"[{"size": [4, 5], "counts": "52207"}]"#).unwrap();
        assert_eq!(packed.mask(5, 4).unwrap(), mask);
        assert!(packed.mask(4, 5).unwrap_err().contains("4×5"));
        let cut: Segmentation =
            serde_json::from_str(r#"{"size": [4, 5], "counts": "5220P"}"#).unwrap();
        assert!(cut.mask(5, 4).unwrap_err().contains("middle"));
    }

    #[test]
    fn packed_run_lengths_that_grow_without_end_are_refused() {
        // From the fourth number on, each is added to the one before the last. With numbers of almost 2⁵⁹, thirty of them are
        // more than 63 bits can hold.
        let number = "o".repeat(11) + "?";
        for letters in [number.repeat(40), "1".repeat(3) + &number] {
            let rle = Rle {
                size: [4, 5],
                counts: Counts::Packed(letters),
            };
            let refused = Segmentation::Rle(rle).mask(5, 4).unwrap_err();
            assert!(refused.contains("a run is 5764607523034234"), "{refused}");
        }
        let long = Segmentation::Rle(Rle {
            size: [4, 5],
            counts: Counts::Plain(vec![u32::MAX; 3]),
        });
        assert!(long
            .mask(5, 4)
            .unwrap_err()
            .contains("add up to 12884901885"));
    }

    #[test]
    fn a_segmentation_that_is_none_is_told_by_what_it_is() {
        for (json, said) in [
            (
                "[1, 2, 3, 4, 5, 6]",
                "is a flat list of 6 numbers; accepted: outlines [[x, y,",
            ),
            ("null", "is null"),
            (r#""poly""#, r#"is "poly""#),
            (r#"[[1, 2, "3", 4, 5, 6]]"#, r#"holds "3" at [0][2]"#),
            ("[[1, 2, 3, 4, 5, 6], null]", "holds null at [1]"),
            ("[[[1, 2], [3, 4], [5, 6]]]", "holds [1,2] at [0][0]"),
            (r#"{"size": [4, 6]}"#, r#"is {"size":[4,6]}"#),
            (r#"{"size": [4, 6], "counts": [-1]}"#, "accepted: outlines"),
        ] {
            let segmentation: Segmentation = serde_json::from_str(json).unwrap();
            let refused = segmentation.mask(6, 4).unwrap_err();
            assert!(refused.contains(said), "{refused}");
            assert_eq!(segmentation.check(6, 4).unwrap_err(), refused);
        }
    }

    #[test]
    fn polygons_outside_of_the_picture_are_refused() {
        let square = |x: f64, y: f64| vec![x, y, x + 2.0, y, x + 2.0, y + 2.0, x, y + 2.0];
        let mask = |polygons: &[Vec<f64>]| {
            let mask = Segmentation::Polygons(polygons.to_vec()).mask(6, 4);
            mask.map(|mask| mask.pixels.iter().filter(|p| **p == 1).count())
        };
        for (x, y) in [(-3.0, 1.0), (6.0, 1.0), (1.0, -2.0), (1.0, 4.0)] {
            let refused = mask(&[square(x, y)]).unwrap_err();
            assert!(refused.contains("outside of the picture"), "{refused}");
        }
        assert_eq!(mask(&[square(100.0, 1.0), square(1.0, 1.0)]), Ok(4));
        assert_eq!(mask(&[square(-1.0, -1.0)]), Ok(1));
        assert_eq!(mask(&[]), Ok(0));
    }

    #[test]
    fn a_picture_s_size_is_bounded_before_anything_is_made_for_it() {
        let square = Segmentation::Polygons(vec![vec![1.0, 1.0, 4.0, 1.0, 4.0, 3.0]]);
        for (width, height) in [(u32::MAX, u32::MAX), (32_769, 1), (0, 4), (20_000, 20_000)] {
            let refused = square.mask(width, height).unwrap_err();
            assert!(refused.contains("accepted: sides of 1 to"), "{refused}");
        }
    }
}
