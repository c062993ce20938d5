//! What single rays meet in a scene, in 64 bits: truth for whoever measures with the pictures.
//!
//! [`render`](crate::render()) draws in 32 bits, from a pinhole camera and at pixels' centres. Here a ray goes anywhere, so that any
//! camera can be made of it, one beside the scene's own or one with a lens; and it says where the surface faces.

use glam::{DAffine3, DVec3};

use super::backdrop::{Table, FLOOR};
use super::primitive::{Primitive, Shape};
use super::scene::Scene;
use super::shading::MOST;
use super::shapes::assemble;
use super::vector::Vec3;

/// What a ray meets first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RayHit {
    /// How far along the ray, in lengths of its direction.
    pub distance: f64,
    /// `i + 1` for object `i`, 0 for table, wall and floor, as in [`Frame::instances`](crate::Frame::instances).
    pub instance: u8,
    /// Where the surface faces in the table's frame, of length 1; to the side that the ray comes from.
    pub normal: DVec3,
}

/// A scene prepared for rays.
#[derive(Clone, Debug)]
pub struct RayCaster {
    solids: Vec<Solid>,
    table: Table,
}

/// An object: its parts, and a ball around all of them.
#[derive(Clone, Debug)]
struct Solid {
    parts: Vec<Part>,
    ball: Ball,
}

#[derive(Clone, Debug)]
struct Part {
    shape: Shape,
    /// From the scene into the shape's own frame.
    back: DAffine3,
    ball: Ball,
}

#[derive(Clone, Copy, Debug)]
struct Ball {
    centre: DVec3,
    radius: f64,
}

impl RayCaster {
    /// The first 254 objects of a scene, its table, wall and floor.
    pub fn new(scene: &Scene) -> Self {
        let solid = |object| {
            let parts: Vec<Part> = assemble(object).parts.into_iter().map(Part::of).collect();
            let ball = Ball::around(&parts);
            Solid { parts, ball }
        };
        Self {
            solids: scene.objects.iter().take(MOST).map(solid).collect(),
            table: scene.table,
        }
    }

    /// What a ray meets first, in the table's frame, metres; `None` where it leaves to the sky. The direction need not be of length 1:
    /// if its part along a camera's optical axis is 1, the distance is a depth.
    pub fn cast(&self, origin: DVec3, direction: DVec3) -> Option<RayHit> {
        let mut nearest = self.background(origin, direction);
        for (solid, instance) in self.solids.iter().zip(1u8..) {
            if !solid.ball.may_meet(origin, direction) {
                continue;
            }
            for part in &solid.parts {
                let farthest = nearest.map_or(f64::INFINITY, |hit| hit.distance);
                if let Some((distance, normal)) = part.meet(origin, direction, farthest) {
                    nearest = Some(RayHit {
                        distance,
                        instance,
                        normal,
                    });
                }
            }
        }
        nearest.map(|hit| match hit.normal.dot(direction) > 0.0 {
            true => RayHit {
                normal: -hit.normal,
                ..hit
            },
            false => hit,
        })
    }

    fn background(&self, origin: DVec3, direction: DVec3) -> Option<RayHit> {
        let hit = |distance: f64, normal: DVec3| RayHit {
            distance,
            instance: 0,
            normal,
        };
        let top = -origin.z / direction.z;
        let at = origin + direction * top;
        let [w, h] = self.table.half_size.map(f64::from);
        if top > 0.0 && at.x.abs() < w && at.y.abs() < h {
            return Some(hit(top, DVec3::Z));
        }
        let wall = (f64::from(self.table.wall_distance) - origin.y) / direction.y;
        let floor = (f64::from(FLOOR) - origin.z) / direction.z;
        match floor > 0.0 && (wall <= 0.0 || floor < wall) {
            true => Some(hit(floor, DVec3::Z)),
            false => (wall > 0.0).then(|| hit(wall, DVec3::NEG_Y)),
        }
    }
}

impl Ball {
    fn around(parts: &[Part]) -> Self {
        let balls = || parts.iter().map(|part| part.ball);
        let centre = balls().map(|ball| ball.centre).sum::<DVec3>() / parts.len().max(1) as f64;
        let reach = balls().map(|ball| ball.centre.distance(centre) + ball.radius);
        Self {
            centre,
            radius: reach.fold(0.0, f64::max),
        }
    }

    fn may_meet(&self, origin: DVec3, direction: DVec3) -> bool {
        let to = self.centre - origin;
        to.cross(direction).length_squared()
            <= self.radius * self.radius * direction.length_squared()
    }
}

impl Part {
    fn of(primitive: Primitive) -> Self {
        let wide = |v: Vec3| DVec3::from_array(v.array().map(f64::from));
        let map = primitive.map;
        let map = DAffine3 {
            matrix3: glam::DMat3::from_cols(wide(map.x), wide(map.y), wide(map.z)),
            translation: wide(map.origin),
        };
        Self {
            back: map.inverse(),
            ball: Ball {
                centre: wide(primitive.centre),
                // The ball was computed in 32 bits.
                radius: f64::from(primitive.radius) * 1.001 + 1e-6,
            },
            shape: primitive.shape,
        }
    }

    fn meet(&self, origin: DVec3, direction: DVec3, farthest: f64) -> Option<(f64, DVec3)> {
        if !self.ball.may_meet(origin, direction) {
            return None;
        }
        let (o, d) = (
            self.back.transform_point3(origin),
            self.back.transform_vector3(direction),
        );
        let (distance, normal) = meet(&self.shape, o, d, farthest)?;
        Some((
            distance,
            (self.back.matrix3.transpose() * normal).normalize(),
        ))
    }
}

/// Where a ray meets a shape before `farthest`, and the shape's normal there, not of length 1; both in the shape's own frame.
fn meet(shape: &Shape, o: DVec3, d: DVec3, farthest: f64) -> Option<(f64, DVec3)> {
    let inside = |t: f64| t > 1e-9 && t < farthest;
    let axes = [DVec3::X, DVec3::Y, DVec3::Z];
    match shape {
        Shape::Box => {
            let mut walls = Walls::default();
            for axis in axes {
                walls.between(axis, o, d, [-1.0, 1.0]);
            }
            walls.entry().filter(|(t, _)| inside(*t))
        }
        Shape::Prism { lines, .. } => {
            let mut walls = Walls::default();
            walls.between(DVec3::Z, o, d, [-1.0, 1.0]);
            for [a, b, c] in lines.iter().map(|line| line.map(f64::from)) {
                walls.below(DVec3::new(a, b, 0.0), o, d, c);
            }
            walls.entry().filter(|(t, _)| inside(*t))
        }
        Shape::Ball { low, high } => {
            let heights = f64::from(*low)..=f64::from(*high);
            let roots = roots(d.dot(d), o.dot(d), o.dot(o) - 1.0)?;
            let good = |t: &f64| inside(*t) && heights.contains(&(o.z + t * d.z));
            let t = roots.into_iter().find(good)?;
            Some((t, o + d * t))
        }
        Shape::Cone { radii, caps, .. } => {
            let radii = radii.map(f64::from);
            let (mean, growth) = (0.5 * (radii[0] + radii[1]), 0.5 * (radii[1] - radii[0]));
            let (r, g) = (mean + growth * o.z, growth * d.z);
            let side = roots(
                d.x * d.x + d.y * d.y - g * g,
                o.x * d.x + o.y * d.y - r * g,
                o.x * o.x + o.y * o.y - r * r,
            );
            let side = side.into_iter().flatten().filter_map(|t| {
                let p = o + d * t;
                let out = DVec3::new(p.x, p.y, -growth * (mean + growth * p.z));
                (inside(t) && p.z.abs() <= 1.0).then_some((t, out))
            });
            let ends = (0..2).filter_map(|end| {
                let z = [-1.0, 1.0][end];
                let t = (z - o.z) / d.z;
                let p = o + d * t;
                let on = caps[end] && inside(t) && p.x.hypot(p.y) <= radii[end];
                on.then_some((t, DVec3::new(0.0, 0.0, z)))
            });
            side.chain(ends).min_by(|a, b| a.0.total_cmp(&b.0))
        }
        Shape::Disc { inner } => {
            let t = -o.z / d.z;
            let p = o + d * t;
            let radius = p.x.hypot(p.y);
            let on = inside(t) && (f64::from(*inner)..=1.0).contains(&radius);
            on.then_some((t, DVec3::Z))
        }
    }
}

/// The part of a ray within half-spaces, and the wall through which it comes in.
struct Walls {
    from: f64,
    to: f64,
    normal: DVec3,
}

impl Default for Walls {
    fn default() -> Self {
        Self {
            from: f64::NEG_INFINITY,
            to: f64::INFINITY,
            normal: DVec3::Z,
        }
    }
}

impl Walls {
    /// Keeps what is in `normal · p ≤ bound`.
    fn below(&mut self, normal: DVec3, o: DVec3, d: DVec3, bound: f64) {
        let (height, slope) = (bound - normal.dot(o), normal.dot(d));
        let t = height / slope;
        if slope > 0.0 {
            self.to = self.to.min(t);
        } else if slope < 0.0 {
            if t > self.from {
                (self.from, self.normal) = (t, normal);
            }
        } else if height < 0.0 {
            self.to = f64::NEG_INFINITY;
        }
    }

    fn between(&mut self, axis: DVec3, o: DVec3, d: DVec3, [low, high]: [f64; 2]) {
        self.below(axis, o, d, high);
        self.below(-axis, o, d, -low);
    }

    fn entry(&self) -> Option<(f64, DVec3)> {
        (self.from < self.to).then_some((self.from, self.normal))
    }
}

/// The roots of a t² + 2 b t + c, the smaller first.
fn roots(a: f64, b: f64, c: f64) -> Option<[f64; 2]> {
    if a.abs() < 1e-15 {
        let t = -0.5 * c / b;
        return Some([t, t]);
    }
    let below = b * b - a * c;
    if below < 0.0 {
        return None;
    }
    // The sum without cancellation first.
    let q = -b - below.sqrt().copysign(b);
    let (t0, t1) = (q / a, if q == 0.0 { 0.0 } else { c / q });
    Some([t0.min(t1), t0.max(t1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render, Split};

    /// Rendering in 32 bits sees the same object at the same depth, but for pixels at an object's very edge.
    #[test]
    fn rays_meet_what_the_picture_shows() {
        let (width, height) = (160, 120);
        let (mut pixels, mut apart) = (0, 0);
        for seed in 0..8 {
            let scene = Scene::sample(Split::Val, seed);
            let caster = RayCaster::new(&scene);
            let frame = render(&scene, width, height);
            let k = scene.camera.intrinsics(width, height);
            for (at, (&instance, &depth)) in frame.instances.iter().zip(&frame.depth).enumerate() {
                let (u, v) = (at as u32 % width, at as u32 / width);
                let ray = scene.camera.ray(&k, u as f32, v as f32);
                let wide = |p: Vec3| DVec3::from_array(p.array().map(f64::from));
                let hit = caster.cast(wide(ray.origin), wide(ray.direction));
                let (of, at) = hit.map_or((0, 0.0), |hit| (hit.instance, hit.distance));
                pixels += 1;
                if of != instance || (at - f64::from(depth)).abs() > 2e-4 {
                    apart += 1;
                }
                if let Some(hit) = hit {
                    assert!((hit.normal.length() - 1.0).abs() < 1e-9);
                    assert!(hit.normal.dot(wide(ray.direction)) <= 0.0);
                }
            }
        }
        assert!(apart * 1000 < pixels, "{apart} of {pixels}");
    }
}
