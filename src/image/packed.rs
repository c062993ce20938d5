//! Encodings that store pixel after pixel: colour, with its channels in some order, and gray.

use super::layout::Rows;

/// Colour of one byte a channel: `channels` bytes a pixel, of which `rgb` says where red, green and blue stand.
pub(super) fn colour(rows: Rows<'_>, channels: usize, rgb: [usize; 3], out: &mut [u8]) {
    // The number of bytes of a pixel is a constant in each branch, so that the compiler can vectorize the loop.
    match (channels, rgb) {
        (3, [0, 1, 2]) => {
            let mut out = out;
            for row in rows.iter() {
                let (this, rest) = out.split_at_mut(row.len());
                this.copy_from_slice(row);
                out = rest;
            }
        }
        (3, _) => pixels::<3>(rows, out, |p| [p[2], p[1], p[0]]),
        (_, [0, 1, 2]) => pixels::<4>(rows, out, |p| [p[0], p[1], p[2]]),
        _ => pixels::<4>(rows, out, |p| [p[2], p[1], p[0]]),
    }
}

/// Colour of two bytes a channel, of which the upper ones are kept.
pub(super) fn colour16(
    rows: Rows<'_>,
    channels: usize,
    rgb: [usize; 3],
    is_bigendian: bool,
    out: &mut [u8],
) {
    let [r, g, b] = rgb.map(|channel| 2 * channel + usize::from(!is_bigendian));
    match channels {
        3 => pixels::<6>(rows, out, |p| [p[r], p[g], p[b]]),
        _ => pixels::<8>(rows, out, |p| [p[r], p[g], p[b]]),
    }
}

/// The upper byte of every two, row after row without padding.
pub(super) fn upper_bytes(rows: Rows<'_>, is_bigendian: bool) -> Vec<u8> {
    let upper = usize::from(!is_bigendian);
    rows.iter()
        .flat_map(|row| row.iter().skip(upper).step_by(2).copied())
        .collect()
}

/// Gray of one byte a pixel.
pub(super) fn mono8(rows: Rows<'_>, out: &mut [u8]) {
    pixels::<1>(rows, out, |p| [p[0]; 3]);
}

/// Gray of two bytes a pixel, of which the upper one is kept.
pub(super) fn mono16(rows: Rows<'_>, is_bigendian: bool, out: &mut [u8]) {
    if is_bigendian {
        pixels::<2>(rows, out, |p| [p[0]; 3]);
    } else {
        pixels::<2>(rows, out, |p| [p[1]; 3]);
    }
}

/// Makes one RGB pixel of every `N` bytes of every row.
fn pixels<const N: usize>(rows: Rows<'_>, out: &mut [u8], rgb: impl Fn(&[u8; N]) -> [u8; 3]) {
    let mut out = out;
    for row in rows.iter() {
        let (this, rest) = out.split_at_mut(row.len() / N * 3);
        for (to, from) in this.chunks_exact_mut(3).zip(row.chunks_exact(N)) {
            // A chunk has N bytes, so this always holds, and the compiler removes the test.
            if let Ok(from) = from.try_into() {
                to.copy_from_slice(&rgb(from));
            }
        }
        out = rest;
    }
}
