//! What a surface looks like: plain paint and the drawn patterns, all in the primitive's own frame.

use super::vector::{v, Vec3};

/// A surface's look.
#[derive(Clone, Debug)]
pub struct Material {
    pub paint: Paint,
    /// Strength of the highlight, 0 to 1.
    pub gloss: f32,
    /// Light it gives itself, in parts of its own colour.
    pub glow: f32,
}

/// Colours over a primitive. All colours linear.
#[derive(Clone, Debug)]
pub enum Paint {
    Plain(Vec3),
    /// Two colours in soft blotches, `scale` to a unit.
    Mottled(Vec3, Vec3, f32),
    /// Grain along y.
    Grain(Vec3, Vec3),
    /// `count` stripes along an axis (0, 1 or 2).
    Stripes(Vec3, Vec3, f32, usize),
    /// Round spots.
    Dots(Vec3, Vec3, f32),
    /// A television's picture in the xz plane; the number chooses the programme.
    Programme(u32),
    /// A laptop's screen with windows in the xz plane.
    Desktop(Vec3),
    /// A phone's screen with icons in the xy plane; the case's colour round it.
    Icons {
        case: Vec3,
        wallpaper: Vec3,
    },
    /// Rows of keys in the xy plane.
    Keyboard {
        base: Vec3,
        key: Vec3,
    },
    /// A remote control's keys in the xy plane.
    Buttons {
        base: Vec3,
        key: Vec3,
    },
    /// A clock's dial in the xy plane with the hands at those angles.
    Dial([f32; 2]),
    /// A book's cover in the xy plane.
    Cover {
        base: Vec3,
        ink: Vec3,
        style: u32,
    },
    /// A label round a bottle or cup.
    Label {
        base: Vec3,
        ink: Vec3,
    },
    /// Curly noodles with vegetables.
    Noodles,
}

impl Material {
    pub fn plain(colour: Vec3) -> Self {
        Self::of(Paint::Plain(colour))
    }

    pub fn of(paint: Paint) -> Self {
        Self {
            paint,
            gloss: 0.12,
            glow: 0.0,
        }
    }

    pub fn gloss(mut self, gloss: f32) -> Self {
        self.gloss = gloss;
        self
    }

    pub fn glow(mut self, glow: f32) -> Self {
        self.glow = glow;
        self
    }
}

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

fn fract(x: f32) -> f32 {
    x - x.floor()
}

fn within(x: f32, y: f32, rect: [f32; 4]) -> bool {
    x >= rect[0] && x <= rect[1] && y >= rect[2] && y <= rect[3]
}

impl Paint {
    /// The linear colour at `p`, with `n` the normal there, both in the primitive's frame.
    pub fn at(&self, p: Vec3, n: Vec3) -> Vec3 {
        match self {
            Paint::Plain(c) => *c,
            Paint::Mottled(a, b, scale) => {
                let t = 0.5
                    * (noise(p.x * scale, p.y * scale + 0.7 * p.z * scale, 1)
                        + noise(p.z * scale * 1.3, (p.x - p.y) * scale, 2));
                a.mix(*b, t)
            }
            Paint::Grain(a, b) => {
                let ring = noise(p.x * 9.0 + 3.0 * p.z, p.y * 1.2, 3);
                a.mix(*b, fract(ring * 3.0))
            }
            Paint::Stripes(a, b, count, axis) => {
                let t = [p.x, p.y, p.z][*axis];
                if fract(0.5 * (t + 1.0) * count) < 0.5 {
                    *a
                } else {
                    *b
                }
            }
            Paint::Dots(a, b, scale) => {
                let (x, y) = facing(p, n);
                let (x, y) = (x * scale, y * scale * 0.8);
                let (dx, dy) = (
                    fract(x + 0.5 * fract(y.floor() * 0.5).round()) - 0.5,
                    fract(y) - 0.5,
                );
                if dx * dx + dy * dy < 0.07 {
                    *b
                } else {
                    *a
                }
            }
            Paint::Programme(which) => programme(p.x, p.z, *which),
            Paint::Desktop(wallpaper) => desktop(p.x, p.z, *wallpaper),
            Paint::Icons { case, wallpaper } => {
                if n.z.abs() < 0.9 || p.x.abs() > 0.84 || p.y.abs() > 0.88 {
                    *case
                } else {
                    icons(p.x / 0.84, p.y / 0.88, *wallpaper)
                }
            }
            Paint::Keyboard { base, key } => {
                if n.z < 0.5 {
                    return *base;
                }
                keyboard(p.x, p.y, *base, *key)
            }
            Paint::Buttons { base, key } => {
                if n.z < 0.5 {
                    return *base;
                }
                buttons(p.x, p.y, *base, *key)
            }
            Paint::Dial(hands) => dial(p.x, p.y, *hands),
            Paint::Cover { base, ink, style } => cover(p.x, p.y, *base, *ink, *style),
            Paint::Label { base, ink } => {
                let around = p.y.atan2(p.x) * 1.9;
                if p.z.abs() > 0.86
                    || (fract(around) > 0.2 && fract(around) < 0.8 && (p.z - 0.1).abs() < 0.42)
                {
                    *ink
                } else {
                    *base
                }
            }
            Paint::Noodles => {
                let (a, r) = (p.y.atan2(p.x), p.x.hypot(p.y));
                let w = (r * 16.0 + 2.2 * (3.0 * a + 5.0 * r).sin()).sin();
                let piece = noise(p.x * 3.2, p.y * 3.2, 5);
                if piece > 0.8 {
                    v(0.06, 0.35, 0.05)
                } else if piece < 0.17 {
                    v(0.75, 0.1, 0.03)
                } else {
                    v(0.45, 0.22, 0.04).mix(v(0.95, 0.68, 0.2), 0.5 + 0.5 * w)
                }
            }
        }
    }
}

/// The two coordinates of `p` along the side that `n` faces.
fn facing(p: Vec3, n: Vec3) -> (f32, f32) {
    let (x, y, z) = (n.x.abs(), n.y.abs(), n.z.abs());
    if z >= x && z >= y {
        (p.x, p.y)
    } else if x >= y {
        (p.y, p.z)
    } else {
        (p.x, p.z)
    }
}

fn programme(x: f32, z: f32, which: u32) -> Vec3 {
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

fn desktop(x: f32, z: f32, wallpaper: Vec3) -> Vec3 {
    if z < -0.86 {
        return grey(0.08);
    }
    if within(x, z, [-0.8, 0.25, -0.55, 0.8]) {
        if z > 0.64 {
            return v(0.15, 0.3, 0.65);
        }
        let line = fract(z * 5.0) < 0.42
            && x < -0.0 + 0.2 * hash((z * 5.0).floor() as i32, 0, 7)
            && x > -0.7;
        return if line { grey(0.25) } else { grey(0.92) };
    }
    if within(x, z, [0.4, 0.85, -0.1, 0.6]) {
        return v(0.9, 0.6, 0.15);
    }
    wallpaper.mix(grey(0.6), 0.25 * (z + 1.0))
}

fn icons(x: f32, y: f32, wallpaper: Vec3) -> Vec3 {
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

fn keyboard(x: f32, y: f32, base: Vec3, key: Vec3) -> Vec3 {
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

fn buttons(x: f32, y: f32, base: Vec3, key: Vec3) -> Vec3 {
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

fn dial(x: f32, y: f32, hands: [f32; 2]) -> Vec3 {
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

fn cover(x: f32, y: f32, base: Vec3, ink: Vec3, style: u32) -> Vec3 {
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
            let frame = x > 0.84 || x < -0.72 || y.abs() > 0.9;
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
