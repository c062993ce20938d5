//! From the classes of pixels to the classes of an image's patches.

use crate::data::ClassMap;

/// Share of a cell that its class has to cover. It is less than a half since otherwise a thin object such as a knife would be in
/// no cell at all.
const LEAST_COVER: f64 = 0.25;

/// The most frequent class within each cell of a grid, as `grid²` labels row by row. Cells of which no class covers a quarter,
/// such as those outside of the image, are [`ClassMap::IGNORED`].
///
/// The position and the size of the grid are in pixels of the class map.
pub fn patch_labels(
    classes: &ClassMap,
    (left, top): (f64, f64),
    (width, height): (f64, f64),
    grid: usize,
) -> Vec<u16> {
    let (column_width, row_height) = (width / grid as f64, height / grid as f64);
    let range = |start: f64, end: f64, limit: u32| {
        let clamp = |v: f64| v.round().clamp(0.0, f64::from(limit)) as usize;
        clamp(start)..clamp(end)
    };
    let least = LEAST_COVER * column_width * row_height;
    let mut labels = Vec::with_capacity(grid * grid);
    let mut counts: Vec<(u16, u32)> = Vec::new();
    for row in 0..grid {
        let y = top + row as f64 * row_height;
        for column in 0..grid {
            let x = left + column as f64 * column_width;
            counts.clear();
            for py in range(y, y + row_height, classes.height) {
                let line = &classes.pixels[py * classes.width as usize..];
                let pixels = &line[range(x, x + column_width, classes.width)];
                for class in pixels.iter().filter(|c| **c != ClassMap::IGNORED) {
                    match counts.iter_mut().find(|(c, _)| c == class) {
                        Some((_, n)) => *n += 1,
                        None => counts.push((*class, 1)),
                    }
                }
            }
            let best = counts
                .iter()
                .filter(|(_, n)| f64::from(*n) >= least)
                .max_by_key(|(class, n)| (*n, std::cmp::Reverse(*class)));
            labels.push(best.map_or(ClassMap::IGNORED, |(class, _)| *class));
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_class_names_a_patch_and_outside_there_is_none() {
        let classes = ClassMap {
            width: 4,
            height: 2,
            pixels: vec![7, 7, 1, 2, 7, 3, 2, 2],
        };
        let none = ClassMap::IGNORED;
        assert_eq!(
            patch_labels(&classes, (0.0, 0.0), (4.0, 4.0), 2),
            [7, 2, none, none]
        );
        assert_eq!(patch_labels(&classes, (1.0, 0.0), (2.0, 2.0), 1), [1]);
        assert_eq!(
            patch_labels(&classes, (0.0, 0.0), (4.0, 2.0), 2),
            [7, 1, 3, 2]
        );
    }

    #[test]
    fn a_class_needs_a_quarter_of_a_patch_and_not_more_than_what_has_none() {
        let none = ClassMap::IGNORED;
        let mut classes = ClassMap {
            width: 4,
            height: 2,
            pixels: vec![none; 8],
        };
        classes.pixels[0] = 5;
        let labels = |classes: &ClassMap| patch_labels(classes, (0.0, 0.0), (4.0, 2.0), 1);
        assert_eq!(labels(&classes), [none], "an eighth");
        classes.pixels[5] = 5;
        assert_eq!(labels(&classes), [5], "a quarter");
    }
}
