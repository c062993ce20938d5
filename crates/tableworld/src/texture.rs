//! What surfaces are painted from: linear colours, hashed lattices and smooth noise.

use super::vector::{v, Vec3};

/// From sRGB 0 to 255 to linear 0 to 1.
pub fn linear([r, g, b]: [u8; 3]) -> Vec3 {
    let one = |c: u8| {
        let c = f32::from(c) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    v(one(r), one(g), one(b))
}

/// A grey of that linear brightness.
pub const fn grey(value: f32) -> Vec3 {
    v(value, value, value)
}

/// A number in 0 to 1 from lattice coordinates.
#[inline]
pub fn hash(x: i32, y: i32, z: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ (z as u32).wrapping_mul(0xcb1a_b31f);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 / 16_777_216.0
}

/// Smooth noise in the plane, 0 to 1; `layer` gives another one.
pub fn noise(x: f32, y: f32, layer: i32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (smooth(x - fx), smooth(y - fy));
    let (a, b) = (hash(ix, iy, layer), hash(ix + 1, iy, layer));
    let (c, d) = (hash(ix, iy + 1, layer), hash(ix + 1, iy + 1, layer));
    let (low, high) = (a + (b - a) * tx, c + (d - c) * tx);
    low + (high - low) * ty
}

/// What is over the next lower whole number.
pub fn fract(x: f32) -> f32 {
    x - x.floor()
}
