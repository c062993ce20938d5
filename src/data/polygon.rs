//! Filling polygons of whole pixels, their outline included, as OpenCV's `fillPoly` and `polylines` do.

/// Sets the pixels inside a closed polygon, and on its outline, to `value`. Corners may lie outside the picture.
pub fn fill_polygon(pixels: &mut [u8], width: u32, height: u32, corners: &[(i32, i32)], value: u8) {
    let (w, h) = (i64::from(width), i64::from(height));
    let sides: Vec<((i64, i64), (i64, i64))> = corners
        .iter()
        .zip(corners.iter().cycle().skip(1))
        .map(|(a, b)| ((i64::from(a.0), i64::from(a.1)), (i64::from(b.0), i64::from(b.1))))
        .collect();
    let mut crossings: Vec<f64> = Vec::new();
    for y in 0..h {
        crossings.clear();
        for &((x0, y0), (x1, y1)) in &sides {
            // Half open, so that a corner counts once.
            if (y0 <= y) != (y1 <= y) {
                crossings.push(x0 as f64 + (y - y0) as f64 * (x1 - x0) as f64 / (y1 - y0) as f64);
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let (from, to) = (pair[0].ceil().max(0.0) as i64, (pair[1].floor() as i64).min(w - 1));
            if from <= to {
                pixels[(y * w + from) as usize..=(y * w + to) as usize].fill(value);
            }
        }
    }
    for (from, to) in sides {
        draw_line(pixels, (w, h), from, to, value);
    }
}

/// Bresenham's line, both ends included, cut at the picture's edges.
fn draw_line(
    pixels: &mut [u8],
    (w, h): (i64, i64),
    (mut x, mut y): (i64, i64),
    (x1, y1): (i64, i64),
    value: u8,
) {
    // Annotations lie at most a little outside; anything further is not drawn pixel by pixel.
    if [x, y, x1, y1].iter().any(|v| v.abs() > 1 << 20) {
        return;
    }
    let (dx, dy) = ((x1 - x).abs(), -(y1 - y).abs());
    let (sx, sy) = ((x1 - x).signum(), (y1 - y).signum());
    let mut error = dx + dy;
    loop {
        if (0..w).contains(&x) && (0..h).contains(&y) {
            pixels[(y * w + x) as usize] = value;
        }
        if (x, y) == (x1, y1) {
            return;
        }
        let twice = 2 * error;
        if twice >= dy {
            error += dy;
            x += sx;
        }
        if twice <= dx {
            error += dx;
            y += sy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_and_outline_are_filled_and_the_rest_cut() {
        let draw = |corners: &[(i32, i32)]| -> Vec<String> {
            let mut pixels = vec![0; 24];
            fill_polygon(&mut pixels, 6, 4, corners, 1);
            pixels
                .chunks(6)
                .map(|row| row.iter().map(|p| if *p == 1 { '#' } else { '.' }).collect())
                .collect()
        };
        assert_eq!(
            draw(&[(1, 1), (4, 1), (4, 3), (1, 3)]),
            ["......", ".####.", ".####.", ".####."]
        );
        assert_eq!(draw(&[(0, 0), (3, 3), (0, 3)]), ["#.....", "##....", "###...", "####.."]);
        assert_eq!(draw(&[(-5, 2), (9, 2)]), ["......", "......", "######", "......"]);
        assert_eq!(draw(&[(2, 2)]), ["......", "......", "..#...", "......"]);
    }
}
