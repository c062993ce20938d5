//! What a surface looks like: plain paint and the drawn patterns, all in the primitive's own frame.

use super::drawing;
use super::texture::{fract, noise};
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
            Paint::Programme(which) => drawing::programme(p.x, p.z, *which),
            Paint::Desktop(wallpaper) => drawing::desktop(p.x, p.z, *wallpaper),
            Paint::Icons { case, wallpaper } => {
                if n.z.abs() < 0.9 || p.x.abs() > 0.84 || p.y.abs() > 0.88 {
                    *case
                } else {
                    drawing::icons(p.x / 0.84, p.y / 0.88, *wallpaper)
                }
            }
            Paint::Keyboard { base, key } => {
                if n.z < 0.5 {
                    return *base;
                }
                drawing::keyboard(p.x, p.y, *base, *key)
            }
            Paint::Buttons { base, key } => {
                if n.z < 0.5 {
                    return *base;
                }
                drawing::buttons(p.x, p.y, *base, *key)
            }
            Paint::Dial(hands) => drawing::dial(p.x, p.y, *hands),
            Paint::Cover { base, ink, style } => drawing::cover(p.x, p.y, *base, *ink, *style),
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
