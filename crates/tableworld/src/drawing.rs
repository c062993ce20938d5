//! What is drawn on screens, keys, dials and covers. All colours linear, all places in the primitive's own frame.

use super::texture::{fract, grey, hash};
use super::vector::{v, Vec3};

/// A television's picture, x and z from −1 to 1.
pub fn programme(x: f32, z: f32, which: u32) -> Vec3 {
    match which % 4 {
        0 => {
            // A landscape.
            let hill = -0.15 + 0.2 * (2.6 * x + 0.8).sin();
            let sun = (x - 0.45).powi(2) + (0.6 * (z - 0.5)).powi(2);
            if sun < 0.022 {
                v(1.0, 0.85, 0.25)
            } else if z > hill {
                v(0.16, 0.5, 0.95).mix(v(0.02, 0.2, 0.7), 0.5 + 0.5 * z)
            } else {
                v(0.08, 0.45, 0.1)
            }
        }
        1 => {
            // Colour bars.
            let bars = [
                v(0.8, 0.8, 0.8),
                v(0.8, 0.75, 0.05),
                v(0.05, 0.7, 0.75),
                v(0.05, 0.65, 0.1),
                v(0.7, 0.05, 0.65),
                v(0.7, 0.05, 0.05),
                v(0.05, 0.08, 0.7),
            ];
            bars[((x + 1.0) * 3.5).clamp(0.0, 6.0) as usize]
        }
        2 => {
            // News: a head before a blue wall, a red line below.
            if z < -0.55 {
                return v(0.75, 0.05, 0.05);
            }
            let head = (x + 0.2).powi(2) * 2.4 + (z - 0.2).powi(2);
            let body = (x + 0.2).powi(2) * 1.6 + (z + 0.6).powi(2);
            if head < 0.07 {
                v(0.8, 0.5, 0.35)
            } else if body < 0.3 {
                v(0.08, 0.08, 0.12)
            } else {
                v(0.1, 0.3, 0.75).mix(v(0.2, 0.6, 0.9), 0.5 + 0.5 * x)
            }
        }
        _ => {
            // Football: a green field with white lines.
            let line = x.abs() < 0.03 || ((x * x + z * z).sqrt() - 0.4).abs() < 0.03;
            if line || z.abs() > 0.92 {
                v(0.85, 0.9, 0.85)
            } else if fract(x * 3.0) < 0.5 {
                v(0.1, 0.5, 0.12)
            } else {
                v(0.07, 0.4, 0.09)
            }
        }
    }
}

/// A laptop's screen, x and z from −1 to 1.
pub fn desktop(x: f32, z: f32, wallpaper: Vec3) -> Vec3 {
    if z < -0.86 {
        return grey(0.08);
    }
    if within(x, z, [-0.8, 0.25, -0.55, 0.8]) {
        if z > 0.64 {
            return v(0.15, 0.3, 0.65);
        }
        let line =
            fract(z * 5.0) < 0.42 && x < 0.2 * hash((z * 5.0).floor() as i32, 0, 7) && x > -0.7;
        return if line { grey(0.25) } else { grey(0.92) };
    }
    if within(x, z, [0.4, 0.85, -0.1, 0.6]) {
        return v(0.9, 0.6, 0.15);
    }
    wallpaper.mix(grey(0.6), 0.25 * (z + 1.0))
}

/// A phone's screen, x and y from −1 to 1.
pub fn icons(x: f32, y: f32, wallpaper: Vec3) -> Vec3 {
    if y > 0.86 {
        return wallpaper * 0.5;
    }
    let (cx, cy) = ((x + 1.0) * 1.5, (y + 1.0) * 2.5);
    let (ix, iy) = (cx.floor(), cy.floor());
    let (dx, dy) = (cx - ix - 0.5, cy - iy - 0.5);
    let there = iy < 0.5 || hash(ix as i32, iy as i32, 11) > 0.25;
    if there && dx.abs() < 0.3 && dy.abs() < 0.3 {
        let k = (hash(ix as i32, iy as i32, 12) * 5.99) as usize;
        return [
            v(0.9, 0.12, 0.1),
            v(0.1, 0.7, 0.2),
            v(0.95, 0.75, 0.1),
            v(0.9, 0.9, 0.92),
            v(0.1, 0.65, 0.9),
            v(0.9, 0.4, 0.05),
        ][k];
    }
    wallpaper.mix(wallpaper * 2.2, 0.5 + 0.5 * y)
}

/// A laptop's keys and touchpad.
pub fn keyboard(x: f32, y: f32, base: Vec3, key: Vec3) -> Vec3 {
    if within(x, y, [-0.9, 0.9, -0.1, 0.86]) {
        let (cx, cy) = ((x + 0.9) / 1.8 * 11.0, (y + 0.1) / 0.96 * 4.0);
        let shift = 0.3 * cy.floor();
        let (dx, dy) = (fract(cx + shift), fract(cy));
        return if dx > 0.16 && dy > 0.2 { key } else { base };
    }
    if within(x, y, [-0.3, 0.3, -0.82, -0.26]) {
        return base.mix(key, 0.35);
    }
    base
}

/// A remote control's keys.
pub fn buttons(x: f32, y: f32, base: Vec3, key: Vec3) -> Vec3 {
    // y counts about three times x in length.
    let round = |cx: f32, cy: f32, r: f32| (x - cx).powi(2) + (3.0 * (y - cy)).powi(2) < r * r;
    if round(-0.45, 0.83, 0.26) {
        return v(0.85, 0.04, 0.03);
    }
    if round(0.0, 0.45, 0.68) {
        return if round(0.0, 0.45, 0.24) || !round(0.0, 0.45, 0.5) {
            key
        } else {
            base * 0.6
        };
    }
    if within(x, y, [-0.84, 0.84, -0.88, 0.12]) {
        let (cx, cy) = ((x + 0.84) / 1.68 * 3.0, (y + 0.88) / 4.0 * 16.0);
        let (dx, dy) = (fract(cx) - 0.5, fract(cy) - 0.5);
        if dx.abs() < 0.31 && dy.abs() < 0.27 {
            let top = cy.floor() > 2.5;
            return match (top, cx.floor() as i32) {
                (true, 0) => v(0.1, 0.25, 0.8),
                (true, 1) => v(0.85, 0.7, 0.05),
                (true, _) => v(0.05, 0.5, 0.12),
                _ => key,
            };
        }
    }
    base
}

/// A clock's dial within r = 1, the hour's and the minute's hand at those angles.
pub fn dial(x: f32, y: f32, hands: [f32; 2]) -> Vec3 {
    let ink = grey(0.02);
    let r = x.hypot(y);
    if r < 0.1 {
        return v(0.6, 0.03, 0.03);
    }
    for (angle, reach, half) in [(hands[0], 0.5, 0.085), (hands[1], 0.78, 0.06)] {
        let (s, c) = angle.sin_cos();
        let (along, across) = (x * s + y * c, x * c - y * s);
        if along > -0.1 && along < reach && across.abs() < half {
            return ink;
        }
    }
    if r > 0.74 && r < 0.93 {
        let turn = 12.0 * (x.atan2(y) / std::f32::consts::TAU + 1.0);
        let off = (fract(turn + 0.5) - 0.5).abs();
        let quarter = (turn.round() as i32) % 3 == 0;
        if off < if quarter { 0.17 } else { 0.1 } {
            return ink;
        }
    }
    v(0.93, 0.93, 0.9)
}

/// A book's front.
pub fn cover(x: f32, y: f32, base: Vec3, ink: Vec3, style: u32) -> Vec3 {
    if x < -0.86 {
        return base * 0.6;
    }
    match style % 3 {
        0 => {
            // A title between two lines.
            let title = within(x, y, [-0.5, 0.7, 0.38, 0.5]) || within(x, y, [-0.3, 0.5, 0.2, 0.3]);
            if title || within(x, y, [-0.4, 0.6, -0.72, -0.64]) {
                ink
            } else {
                base
            }
        }
        1 => {
            // A label.
            if !within(x, y, [-0.55, 0.75, 0.1, 0.65]) {
                base
            } else if within(x, y, [-0.35, 0.55, 0.42, 0.52])
                || within(x, y, [-0.35, 0.35, 0.24, 0.32])
            {
                grey(0.05)
            } else {
                ink
            }
        }
        _ => {
            // A frame and a round figure.
            let r = ((x - 0.07) * 0.75).hypot(y + 0.15);
            let frame = !(-0.72..=0.84).contains(&x) || y.abs() > 0.9;
            if r < 0.32 || within(x, y, [-0.45, 0.6, 0.5, 0.66]) && !frame {
                ink
            } else if frame {
                base * 0.75
            } else {
                base
            }
        }
    }
}

fn within(x: f32, y: f32, rect: [f32; 4]) -> bool {
    x >= rect[0] && x <= rect[1] && y >= rect[2] && y <= rect[3]
}
