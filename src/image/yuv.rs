//! Encodings with one brightness a pixel and colour shared between neighbours.
//!
//! BT.601 in limited range (Y 16..=235, U and V 16..=240), the conversion OpenCV's `cvtColor` does for these
//! encodings, in fixed point with 20 fractional bits.

use super::encoding::Rows;

const BITS: u32 = 20;

const fn fixed(x: f64) -> i32 {
    (x * (1 << BITS) as f64) as i32
}

const Y: i32 = fixed(1.164);
const V_TO_R: i32 = fixed(1.596);
const U_TO_G: i32 = fixed(-0.391);
const V_TO_G: i32 = fixed(-0.813);
const U_TO_B: i32 = fixed(2.018);

/// Order of the four bytes that two neighbours share in 4:2:2.
#[derive(Clone, Copy)]
pub(super) enum Order422 {
    /// U Y V Y, ROS's `yuv422`.
    Uyvy,
    /// Y U Y V, ROS's `yuv422_yuy2`.
    Yuyv,
}

/// Rows of byte quadruples, each two pixels.
pub(super) fn yuv422(rows: Rows<'_>, order: Order422, out: &mut [u8]) {
    match order {
        Order422::Uyvy => pairs(rows, out, |[u, y0, v, y1]| (y0, y1, u, v)),
        Order422::Yuyv => pairs(rows, out, |[y0, u, y1, v]| (y0, y1, u, v)),
    }
}

fn pairs(rows: Rows<'_>, out: &mut [u8], split: impl Fn([u8; 4]) -> (u8, u8, u8, u8)) {
    let mut out = out;
    for row in rows.iter() {
        let (this, rest) = out.split_at_mut(row.len() / 2 * 3);
        for (to, from) in this.chunks_exact_mut(6).zip(row.chunks_exact(4)) {
            let (y0, y1, u, v) = split([from[0], from[1], from[2], from[3]]);
            let chroma = Chroma::new(u, v);
            to[..3].copy_from_slice(&chroma.rgb(y0));
            to[3..].copy_from_slice(&chroma.rgb(y1));
        }
        out = rest;
    }
}

/// A full-size plane of Y, then a half-height plane of U and V in turn with the same step.
pub(super) fn nv12(rows: Rows<'_>, height: usize, out: &mut [u8]) {
    let mut out = out;
    for y in 0..height {
        let (luma, chroma) = (rows.get(y), rows.get(height + y / 2));
        let (this, rest) = out.split_at_mut(luma.len() * 3);
        for ((to, y), uv) in this
            .chunks_exact_mut(6)
            .zip(luma.chunks_exact(2))
            .zip(chroma.chunks_exact(2))
        {
            let chroma = Chroma::new(uv[0], uv[1]);
            to[..3].copy_from_slice(&chroma.rgb(y[0]));
            to[3..].copy_from_slice(&chroma.rgb(y[1]));
        }
        out = rest;
    }
}

/// What U and V add to red, green and blue, rounding included.
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

    /// Values of OpenCV's `cvtColor(..., COLOR_YUV2RGB_UYVY)`.
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
            let got = Chroma::new(u, v).rgb(y);
            let near = got
                .iter()
                .zip(rgb)
                .all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 1);
            assert!(near, "YUV {y} {u} {v} became {got:?}, not {rgb:?}");
        }
    }
}
