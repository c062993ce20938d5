//! Bayer images: the sensor has one colour a pixel, and the other two are interpolated bilinearly from the neighbours.
//!
//! Beyond the edge the image is mirrored about its outermost pixels, which continues the pattern. OpenCV repeats the outermost
//! result instead, so the outermost pixels may differ from OpenCV's.

use super::layout::{Pattern, Rows};

/// Interpolates an image of 2×2 pixels or more.
///
/// # Shapes
/// `rows` (`height`, `width`) → `out` (`height`, `width`, 3).
pub(super) fn demosaic(
    rows: Rows<'_>,
    pattern: Pattern,
    width: usize,
    height: usize,
    out: &mut [u8],
) {
    let (red_x, red_y) = pattern.red_at();
    // Three rows, each with a mirrored pixel at both ends, so that the inner loop needs no cases for the edges.
    let [mut up, mut mid, mut down] = [(); 3].map(|()| vec![0; width + 2]);
    mirrored(rows.get(1), &mut up);
    mirrored(rows.get(0), &mut mid);
    for (y, out) in out.chunks_exact_mut(3 * width).enumerate() {
        let below = if y + 1 < height { y + 1 } else { y - 1 };
        mirrored(rows.get(below), &mut down);
        let window = [&up[..], &mid, &down];
        // A row holds green and one more colour, which is red in every second row and blue in the others.
        if y % 2 == red_y {
            row(window, red_x, [0, 2], out);
        } else {
            row(window, 1 - red_x, [2, 0], out);
        }
        std::mem::swap(&mut up, &mut mid);
        std::mem::swap(&mut mid, &mut down);
    }
}

fn mirrored(row: &[u8], line: &mut [u8]) {
    let n = row.len();
    line[1..=n].copy_from_slice(row);
    line[0] = row[1];
    line[n + 1] = row[n - 2];
}

/// Interpolates one row from itself and its two neighbours. `own` is the parity of the columns that hold the row's colour that is
/// not green. `this` is the output channel of that colour, `other` that of the colour in the rows above and below.
fn row([up, mid, down]: [&[u8]; 3], own: usize, [this, other]: [usize; 2], out: &mut [u8]) {
    let windows = up.windows(3).zip(mid.windows(3)).zip(down.windows(3));
    for (x, (to, ((u, m), d))) in out.chunks_exact_mut(3).zip(windows).enumerate() {
        let [ul, uc, ur] = [u[0], u[1], u[2]].map(u32::from);
        let [ml, mr] = [m[0], m[2]].map(u32::from);
        let [dl, dc, dr] = [d[0], d[1], d[2]].map(u32::from);
        if x % 2 == own {
            to[this] = m[1];
            to[1] = ((ml + mr + uc + dc + 2) / 4) as u8;
            to[other] = ((ul + ur + dl + dr + 2) / 4) as u8;
        } else {
            to[this] = ((ml + mr).div_ceil(2)) as u8;
            to[1] = m[1];
            to[other] = ((uc + dc).div_ceil(2)) as u8;
        }
    }
}
