//! Filling polygons whose corners are whole pixels, with their outlines, equal to OpenCV's `fillPoly` and `polylines` in every
//! pixel.

/// Binary digits after the point in the x of sides, as in OpenCV.
const SHIFT: i64 = 16;
const ONE: i64 = 1 << SHIFT;

type Point = (i64, i64);

/// A side that is not level. It ends in the row above its lower corner, where the next side begins.
struct Side {
    top: i64,
    bottom: i64,
    /// x at the top, in fixed point.
    x: i64,
    /// By how much x grows with each row.
    dx: i64,
}

/// Sets the pixels inside a closed polygon (by the even-odd rule) and on its outline to `value`. `pixels` holds
/// `width · height` values row by row; corners may lie outside of the picture.
pub fn fill_polygon(pixels: &mut [u8], width: u32, height: u32, corners: &[(i32, i32)], value: u8) {
    if width == 0 || height == 0 {
        return;
    }
    let size = (i64::from(width), i64::from(height));
    let corner = |(x, y): (i32, i32)| (i64::from(x), i64::from(y));
    let mut sides = Vec::with_capacity(corners.len());
    for (i, end) in corners.iter().enumerate() {
        let start = corners[(i + corners.len() - 1) % corners.len()];
        let (start, end) = (corner(start), corner(*end));
        draw_line(pixels, size, start, end, value);
        sides.extend(side(size, start, end));
    }
    let (w, h) = size;
    let top = sides.iter().map(|s| s.top).min().unwrap_or(0).max(0);
    let bottom = sides.iter().map(|s| s.bottom).max().unwrap_or(0).min(h);
    let mut crossings = Vec::new();
    for y in top..bottom {
        crossings.clear();
        let crossed = sides.iter().filter(|s| (s.top..s.bottom).contains(&y));
        crossings.extend(crossed.map(|s| s.x + (y - s.top) * s.dx));
        crossings.sort_unstable();
        for pair in crossings.chunks_exact(2) {
            let from = ((pair[0] + ONE - 1) >> SHIFT).max(0);
            let to = (pair[1] >> SHIFT).min(w - 1);
            if from <= to {
                pixels[(y * w + from) as usize..=(y * w + to) as usize].fill(value);
            }
        }
    }
}

/// The side between two corners; `None` if it is level. As in OpenCV, its slope is that of the part inside the picture.
fn side(size: Point, start: Point, end: Point) -> Option<Side> {
    if start.1 == end.1 {
        return None;
    }
    let (p, q, _) = clip(size, start, end);
    let (mut a, mut b) = ((p.0 << SHIFT, start.1), (q.0 << SHIFT, end.1));
    if p.1 != q.1 {
        (a.1, b.1) = (p.1, q.1);
    }
    let dx = (b.0 - a.0) / (b.1 - a.1);
    let (top, bottom, near) = match start.1 < end.1 {
        true => (start.1, end.1, a),
        false => (end.1, start.1, b),
    };
    Some(Side {
        top,
        bottom,
        x: near.0 + (top - near.1) * dx,
        dx,
    })
}

fn inside((w, h): Point, (x, y): Point) -> bool {
    (0..w).contains(&x) && (0..h).contains(&y)
}

/// The ends of the part of a line that lies inside the picture, rounded toward zero, and whether there is such a part.
fn clip((w, h): Point, mut p: Point, mut q: Point) -> (Point, Point, bool) {
    let (right, bottom) = (w - 1, h - 1);
    let column = |x: i64| u8::from(x < 0) + 2 * u8::from(x > right);
    let row = |y: i64| u8::from(y < 0) + 2 * u8::from(y > bottom);
    let edge = |code: u8, last: i64| if code == 1 { 0 } else { last };
    let apart = |p: Point, q: Point| column(p.0) & column(q.0) != 0 || row(p.1) & row(q.1) != 0;
    let part = |a: i64, b: i64, c: i64| (a as f64 * b as f64 / c as f64) as i64;
    if !apart(p, q) {
        if row(p.1) != 0 {
            let y = edge(row(p.1), bottom);
            p = (p.0 + part(y - p.1, q.0 - p.0, q.1 - p.1), y);
        }
        if row(q.1) != 0 {
            let y = edge(row(q.1), bottom);
            q = (q.0 + part(y - q.1, q.0 - p.0, q.1 - p.1), y);
        }
        if column(p.0) & column(q.0) == 0 {
            if column(p.0) != 0 {
                let x = edge(column(p.0), right);
                p = (x, p.1 + part(x - p.0, q.1 - p.1, q.0 - p.0));
            }
            if column(q.0) != 0 {
                let x = edge(column(q.0), right);
                q = (x, q.1 + part(x - q.0, q.1 - p.1, q.0 - p.0));
            }
        }
    }
    (p, q, inside((w, h), p) && inside((w, h), q))
}

/// Draws the part of a line that lies inside the picture, by Bresenham's algorithm from left to right, with both ends.
fn draw_line(pixels: &mut [u8], size: Point, start: Point, end: Point, value: u8) {
    let (p, q, visible) = clip(size, start, end);
    if !visible {
        return;
    }
    let ((mut x, mut y), (x1, y1)) = if q.0 < p.0 { (q, p) } else { (p, q) };
    let (dx, dy, down) = (x1 - x, (y1 - y).abs(), (y1 - y).signum());
    let (long, short) = (dx.max(dy), dx.min(dy));
    let mut error = long - 2 * short;
    for _ in 0..=long {
        pixels[(y * size.0 + x) as usize] = value;
        let both = error < 0;
        error += if both { 2 * (long - short) } else { -2 * short };
        if both || dx >= dy {
            x += 1;
        }
        if both || dx < dy {
            y += down;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::coco::Segmentation;
    use super::*;

    #[test]
    fn inside_and_outline_are_filled_and_the_rest_cut() {
        let draw = |corners: &[(i32, i32)]| -> Vec<String> {
            let mut pixels = vec![0; 24];
            fill_polygon(&mut pixels, 6, 4, corners, 1);
            pixels
                .chunks(6)
                .map(|row| {
                    row.iter()
                        .map(|p| if *p == 1 { '#' } else { '.' })
                        .collect()
                })
                .collect()
        };
        assert_eq!(
            draw(&[(1, 1), (4, 1), (4, 3), (1, 3)]),
            ["......", ".####.", ".####.", ".####."]
        );
        assert_eq!(
            draw(&[(0, 0), (3, 3), (0, 3)]),
            ["#.....", "##....", "###...", "####.."]
        );
        assert_eq!(
            draw(&[(-5, 2), (9, 2)]),
            ["......", "......", "######", "......"]
        );
        assert_eq!(draw(&[(2, 2)]), ["......", "......", "..#...", "......"]);
        assert_eq!(
            draw(&[]),
            [".".repeat(6), ".".repeat(6), ".".repeat(6), ".".repeat(6)]
        );
    }

    /// Polygons with the masks that pycocotools and OpenCV make of them.
    #[test]
    fn polygons_fill_the_pixels_that_the_reference_s_libraries_fill() {
        #[derive(serde::Deserialize)]
        struct Masks {
            coco: Vec<Case>,
            opencv: Vec<Case>,
        }
        #[derive(serde::Deserialize)]
        struct Case {
            size: [u32; 2],
            #[serde(default)]
            polygons: serde_json::Value,
            #[serde(default)]
            packed: String,
            #[serde(default)]
            corners: Vec<(i32, i32)>,
            /// Row by row, background first.
            runs: Vec<usize>,
        }
        let masks: Masks = serde_json::from_str(include_str!("fixtures/masks.json")).unwrap();
        let filled = |case: &Case| -> Vec<u8> {
            let runs = case.runs.iter().enumerate();
            runs.flat_map(|(i, run)| vec![(i % 2) as u8; *run])
                .collect()
        };
        for (i, case) in masks.coco.iter().enumerate() {
            let [width, height] = case.size;
            let rle = serde_json::json!({"size": [height, width], "counts": case.packed});
            for json in [case.polygons.clone(), rle] {
                let mask: Segmentation = serde_json::from_value(json).unwrap();
                assert_eq!(
                    mask.mask(width, height).unwrap().pixels,
                    filled(case),
                    "coco {i}"
                );
            }
        }
        for (i, case) in masks.opencv.iter().enumerate() {
            let [width, height] = case.size;
            let mut pixels = vec![0; (width * height) as usize];
            fill_polygon(&mut pixels, width, height, &case.corners, 1);
            assert_eq!(pixels, filled(case), "opencv {i}");
        }
    }
}
