//! YUV images: each pixel has a brightness (Y), and neighbours share their colour (U and V).
//!
//! The conversion is that of OpenCV's `cvtColor`: BT.601 in limited range (Y 16..=235, U and V 16..=240), in fixed point with 20
//! fractional bits.

use super::layout::{Order422, Planes, Rows};

const BITS: u32 = 20;

const fn fixed(x: f64) -> i32 {
    (x * (1 << BITS) as f64) as i32
}

const Y: i32 = fixed(1.164);
const V_TO_R: i32 = fixed(1.596);
const U_TO_G: i32 = fixed(-0.391);
const V_TO_G: i32 = fixed(-0.813);
const U_TO_B: i32 = fixed(2.018);

/// Converts 4:2:2, where four bytes are two pixels. A row of an odd width ends in half of such a quadruple, or in a whole one if
/// its padding has room for it.
///
/// # Shapes
/// `out` (rows, `width`, 3).
pub(super) fn yuv422(rows: Rows<'_>, width: usize, order: Order422, out: &mut [u8]) {
    let rows = rows.widened(width.div_ceil(2) * 4);
    match order {
        Order422::Uyvy => pairs(rows, width, out, |[u, y0, v, y1]| (y0, y1, u, v)),
        Order422::Yuyv => pairs(rows, width, out, |[y0, u, y1, v]| (y0, y1, u, v)),
    }
}

fn pairs(
    rows: Rows<'_>,
    width: usize,
    out: &mut [u8],
    split: impl Fn([u8; 4]) -> (u8, u8, u8, u8),
) {
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(3 * width)) {
        let mut pixels = out.chunks_exact_mut(6);
        for (to, from) in pixels.by_ref().zip(row.chunks_exact(4)) {
            let (y0, y1, u, v) = split([from[0], from[1], from[2], from[3]]);
            let chroma = Chroma::new(u, v);
            to[..3].copy_from_slice(&chroma.rgb(y0));
            to[3..].copy_from_slice(&chroma.rgb(y1));
        }
        let last = pixels.into_remainder();
        if !last.is_empty() {
            let (before, half) = row.split_at(width / 2 * 4);
            // The bytes that half a quadruple lacks are taken from the quadruple before it; where there is none, the pixel is
            // gray.
            let mut quadruple = before.last_chunk().copied().unwrap_or([128; 4]);
            for (to, from) in quadruple.iter_mut().zip(half) {
                *to = *from;
            }
            let (y0, _, u, v) = split(quadruple);
            last.copy_from_slice(&Chroma::new(u, v).rgb(y0));
        }
    }
}

/// Converts a plane of Y that is followed by a plane of U and V. That of `Nv12` and `Nv21` has half as many rows and the same
/// step; that of `Nv24` has as many rows, each of two steps.
///
/// # Shapes
/// `out` (`height`, width, 3).
pub(super) fn planar(rows: Rows<'_>, planes: Planes, height: usize, out: &mut [u8]) {
    let mut out = out;
    for y in 0..height {
        let luma = rows.get(y);
        let (this, rest) = out.split_at_mut(luma.len() * 3);
        match planes {
            Planes::Nv12 => row420(luma, rows.get(height + y / 2), |[u, v]| (u, v), this),
            Planes::Nv21 => row420(luma, rows.get(height + y / 2), |[v, u]| (u, v), this),
            Planes::Nv24 => row444(luma, rows.pair(height + 2 * y, 2 * luma.len()), this),
        }
        out = rest;
    }
}

fn row420(luma: &[u8], chroma: &[u8], split: impl Fn([u8; 2]) -> (u8, u8), out: &mut [u8]) {
    let pairs = luma.chunks_exact(2).zip(chroma.chunks_exact(2));
    for (to, (y, uv)) in out.chunks_exact_mut(6).zip(pairs) {
        let (u, v) = split([uv[0], uv[1]]);
        let chroma = Chroma::new(u, v);
        to[..3].copy_from_slice(&chroma.rgb(y[0]));
        to[3..].copy_from_slice(&chroma.rgb(y[1]));
    }
}

fn row444(luma: &[u8], chroma: &[u8], out: &mut [u8]) {
    let pixels = luma.iter().zip(chroma.chunks_exact(2));
    for (to, (y, uv)) in out.chunks_exact_mut(3).zip(pixels) {
        to.copy_from_slice(&Chroma::new(uv[0], uv[1]).rgb(*y));
    }
}

/// What U and V add to red, green and blue, in fixed point and with the half that rounds the sum.
struct Chroma([i32; 3]);

impl Chroma {
    fn new(u: u8, v: u8) -> Self {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let half = 1 << (BITS - 1);
        Self([
            half + V_TO_R * v,
            half + U_TO_G * u + V_TO_G * v,
            half + U_TO_B * u,
        ])
    }

    fn rgb(&self, y: u8) -> [u8; 3] {
        let y = Y * i32::from(y.saturating_sub(16));
        self.0.map(|c| ((y + c) >> BITS).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with OpenCV's `cvtColor(..., COLOR_YUV2RGB_UYVY)`.
    #[test]
    fn known_colours() {
        for ((y, u, v), rgb) in [
            ((16, 128, 128), [0, 0, 0]),
            ((235, 128, 128), [255, 255, 255]),
            ((81, 90, 240), [254, 0, 0]),
            ((145, 54, 34), [0, 255, 1]),
            ((41, 240, 110), [0, 0, 255]),
            ((126, 128, 128), [128, 128, 128]),
            ((0, 0, 0), [0, 154, 0]),
        ] {
            assert_eq!(Chroma::new(u, v).rgb(y), rgb, "YUV {y} {u} {v}");
        }
    }
}
