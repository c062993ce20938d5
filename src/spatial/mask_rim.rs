//! The pixels a little outside a mask, and those of it that are near its outline.

use crate::image::Mask;

/// Pixels of the mask up to this many away from its outline may be of what the object stands on: masks of models are off by one to
/// three.
pub const RIM: u32 = 4;
/// Pixels outside the mask are looked at from this distance, where a mask that is too small has left the object behind, …
const GAP: u32 = 3;
/// … up to this one.
pub const REACH: u32 = 8;

/// A mask with its surroundings, in a window of the picture.
#[derive(Clone, Debug)]
pub struct MaskRim {
    /// Of the object: column, row, and whether the outline is near.
    pub object: Vec<(u32, u32, bool)>,
    /// Beside it: column and row.
    pub beside: Vec<(u32, u32)>,
}

impl MaskRim {
    /// Pixels in the order of the rows. Distances are the larger of columns and rows, and the picture's border is no outline.
    pub fn of(mask: &Mask) -> Self {
        let (roi, (width, height)) = (mask.roi(), mask.frame());
        let (left, top) = (roi.x.saturating_sub(REACH), roi.y.saturating_sub(REACH));
        let columns = (roi.right() + REACH).min(width).saturating_sub(left) as usize;
        let rows = (roi.bottom() + REACH).min(height).saturating_sub(top) as usize;
        let mut inside = vec![false; columns * rows];
        for (x, y, pixel) in mask.pixels().enumerate_pixels() {
            let (x, y) = ((roi.x + x - left) as usize, (roi.y + y - top) as usize);
            inside[y * columns + x] = pixel[0] > 0;
        }
        let outside: Vec<bool> = inside.iter().map(|inside| !inside).collect();
        let near_outline = grown(&outside, columns, rows, RIM);
        let wide = grown(&inside, columns, rows, REACH);
        let narrow = grown(&inside, columns, rows, GAP - 1);
        let mut found = Self {
            object: Vec::with_capacity(mask.area()),
            beside: Vec::new(),
        };
        for (at, inside) in inside.into_iter().enumerate() {
            let (x, y) = (left + (at % columns) as u32, top + (at / columns) as u32);
            if inside {
                found.object.push((x, y, near_outline[at]));
            } else if wide[at] && !narrow[at] {
                found.beside.push((x, y));
            }
        }
        found
    }
}

/// The set with everything up to `by` columns and rows away from it.
fn grown(set: &[bool], columns: usize, rows: usize, by: u32) -> Vec<bool> {
    let by = by as usize;
    let spread = |line: &mut dyn Iterator<Item = usize>, from: &[bool], to: &mut [bool]| {
        // How far back the last one of the set lies.
        let mut since = usize::MAX;
        for at in line {
            since = match from[at] {
                true => 0,
                false => since.saturating_add(1),
            };
            to[at] |= since <= by;
        }
    };
    let mut across = vec![false; set.len()];
    for row in 0..rows {
        let line = row * columns..(row + 1) * columns;
        spread(&mut line.clone(), set, &mut across);
        spread(&mut line.rev(), set, &mut across);
    }
    let mut both = vec![false; set.len()];
    for column in 0..columns {
        let line = || (0..rows).map(|row| row * columns + column);
        spread(&mut line(), &across, &mut both);
        spread(&mut line().rev(), &across, &mut both);
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{GrayImage, Luma};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rim_and_surroundings_are_what_distances_say(
            width in 1u32..40,
            height in 1u32..30,
            seed in proptest::collection::vec((0u32..40, 0u32..30), 1..60),
        ) {
            let mut frame = GrayImage::new(width, height);
            for (x, y) in seed {
                frame.put_pixel(x % width, y % height, Luma([255]));
            }
            let found = MaskRim::of(&Mask::from_frame(&frame));
            let all = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let distance = |(x, y): (u32, u32), to: bool| {
                let there = all().filter(|(i, j)| (frame.get_pixel(*i, *j)[0] > 0) == to);
                there.map(|(i, j)| i.abs_diff(x).max(j.abs_diff(y))).min().unwrap_or(u32::MAX)
            };
            let object: Vec<_> = all().filter(|at| distance(*at, true) == 0)
                .map(|(x, y)| (x, y, distance((x, y), false) <= RIM)).collect();
            prop_assert_eq!(found.object, object);
            let beside: Vec<_> = all().filter(|at| (GAP..=REACH).contains(&distance(*at, true))).collect();
            prop_assert_eq!(found.beside, beside);
        }
    }

    #[test]
    fn an_empty_mask_has_nothing() {
        let found = MaskRim::of(&Mask::from_frame(&GrayImage::new(5, 4)));
        assert!(found.object.is_empty());
    }
}
