//! The table, the floor and the wall behind: what is there where no object is.

use std::f32::consts::TAU;

use super::primitive::Ray;
use super::texture::{hash, noise};
use super::vector::{v, Vec3};

/// How a surface is patterned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A single colour.
    Plain,
    /// Grain along one direction.
    Wood,
    /// A fine weave.
    Cloth,
    /// Stripes that cross.
    Gingham,
    /// Squares of two colours.
    Checker,
    /// Veins of marble.
    Marble,
    /// Stripes of one direction.
    Stripes,
    /// Squares with joints.
    Tiles,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Pattern; 8] = [
        Pattern::Plain,
        Pattern::Wood,
        Pattern::Cloth,
        Pattern::Gingham,
        Pattern::Checker,
        Pattern::Marble,
        Pattern::Stripes,
        Pattern::Tiles,
    ];
}

/// A patterned surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Covering {
    /// The pattern.
    pub pattern: Pattern,
    /// The two linear colours of the pattern.
    pub colours: [[f32; 3]; 2],
    /// Size of the pattern, metres.
    pub grain: f32,
    /// Rotation of the pattern, radians.
    pub turn: f32,
}

/// The table with the room around it. The table top is z = 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table {
    /// The table top.
    pub top: Covering,
    /// Half the table's width (x) and half its depth (y), metres. The origin is in its middle.
    pub half_size: [f32; 2],
    /// The wall behind the table.
    pub wall: Covering,
    /// The wall's y coordinate, metres, which is beyond the table's far edge.
    pub wall_distance: f32,
    /// The floor.
    pub floor: Covering,
}

impl Default for Table {
    /// A plain brown table before a light wall.
    fn default() -> Self {
        let plain = |c: [f32; 3]| Covering {
            pattern: Pattern::Plain,
            colours: [c, c],
            grain: 0.1,
            turn: 0.0,
        };
        Self {
            top: plain([0.36, 0.22, 0.12]),
            half_size: [1.0, 0.7],
            wall: plain([0.6, 0.6, 0.56]),
            wall_distance: 1.2,
            floor: plain([0.2, 0.19, 0.18]),
        }
    }
}

/// The height of the floor, metres.
pub(super) const FLOOR: f32 = -0.75;

/// Where a ray meets the room.
pub(super) struct Background {
    pub t: f32,
    pub colour: Vec3,
    pub normal: Vec3,
    /// On the table top, where shadows of objects fall.
    pub on_table: bool,
}

impl Table {
    /// Where `ray` meets table, wall or floor; `None` where it leaves to the sky.
    pub(super) fn meet(&self, ray: &Ray) -> Option<Background> {
        let (o, d) = (ray.origin, ray.direction);
        let top = -o.z / d.z;
        let p = ray.at(top);
        let [w, h] = self.half_size;
        if top > 0.0 && p.x.abs() < w && p.y.abs() < h {
            return Some(Background {
                t: top,
                colour: self.top.at(p.x, p.y),
                normal: v(0.0, 0.0, 1.0),
                on_table: true,
            });
        }
        let wall = (self.wall_distance - o.y) / d.y;
        let floor = (FLOOR - o.z) / d.z;
        if floor > 0.0 && (wall <= 0.0 || floor < wall) {
            let p = ray.at(floor);
            return Some(Background {
                t: floor,
                colour: self.floor.at(p.x, p.y) * 0.7,
                normal: v(0.0, 0.0, 1.0),
                on_table: false,
            });
        }
        (wall > 0.0).then(|| {
            let p = ray.at(wall);
            Background {
                t: wall,
                colour: self.wall.at(p.x, p.z),
                normal: v(0.0, -1.0, 0.0),
                on_table: false,
            }
        })
    }
}

impl Covering {
    /// The linear colour at a place of the surface, metres.
    pub(super) fn at(&self, x: f32, y: f32) -> Vec3 {
        let [a, b] = self.colours.map(Vec3::from);
        if self.pattern == Pattern::Plain {
            let speck = noise(x * 60.0, y * 60.0, 9);
            return a * (0.96 + 0.08 * speck);
        }
        let (s, c) = self.turn.sin_cos();
        let (x, y) = ((x * c + y * s) / self.grain, (y * c - x * s) / self.grain);
        let half = |t: f32| (t - t.floor()) < 0.5;
        match self.pattern {
            Pattern::Plain => a,
            Pattern::Wood => {
                let plank = y.floor();
                let shade = hash(plank as i32, 5, 1);
                let edge = y - plank;
                if edge < 0.025 {
                    return a.mix(b, 0.9) * 0.6;
                }
                let along = 0.35 * x + 17.0 * shade;
                let bent = y * 6.0 + 1.6 * noise(along, y * 1.5, 2);
                let ring = noise(along * 0.8, bent * 2.0, 3);
                a.mix(b, 0.25 * shade + 0.6 * ring)
            }
            Pattern::Cloth => {
                let (u, w) = (x * 14.0 * TAU, y * 14.0 * TAU);
                let weave = 0.5 + 0.25 * (u.sin() + w.sin());
                a.mix(b, 0.45 * weave + 0.3 * noise(x * 2.0, y * 2.0, 4))
            }
            Pattern::Gingham => {
                let t = 0.5 * (f32::from(half(x)) + f32::from(half(y)));
                a.mix(b, t)
            }
            Pattern::Checker => {
                if half(x) == half(y) {
                    a
                } else {
                    b
                }
            }
            Pattern::Marble => {
                let warp = noise(x * 1.3, y * 1.3, 6) + 0.5 * noise(x * 3.1, y * 3.1, 7);
                let vein = (6.0 * warp + 2.0 * x + y).sin().abs();
                a.mix(b, (1.0 - vein).powi(4))
            }
            Pattern::Stripes => {
                if half(x) {
                    a
                } else {
                    b
                }
            }
            Pattern::Tiles => {
                let (fx, fy) = (x - x.floor(), y - y.floor());
                if fx < 0.04 || fy < 0.04 {
                    b
                } else {
                    a * (0.9 + 0.2 * hash(x.floor() as i32, y.floor() as i32, 8))
                }
            }
        }
    }
}
