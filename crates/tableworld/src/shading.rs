//! The colour of what a ray sees: paint, lamp, shadow, the room's light.

use super::assembly::Assembly;
use super::camera::Intrinsics;
use super::primitive::Ray;
use super::scene::{Object, Scene};
use super::shapes::assemble;
use super::vector::{v, Vec3};

/// An instance is one byte, 0 the background.
pub(super) const MOST: usize = 254;

/// What a pixel sees: no object where `instance` is 0.
#[derive(Clone, Copy, PartialEq)]
pub struct PixelHit {
    /// Depth in metres.
    pub t: f32,
    pub instance: u8,
    pub part: u16,
}

impl Default for PixelHit {
    fn default() -> Self {
        Self {
            t: f32::MAX,
            instance: 0,
            part: 0,
        }
    }
}

/// An object's primitives with a box round them all, along the table's axes.
pub struct Solid {
    pub thing: Assembly,
    low: Vec3,
    high: Vec3,
}

impl Solid {
    /// Whether a ray from `p` meets the box; `inverse` is one over each part of its direction.
    #[inline]
    fn may_meet(&self, p: Vec3, inverse: Vec3) -> bool {
        let (a, b) = (
            (self.low - p).times(inverse),
            (self.high - p).times(inverse),
        );
        let (near, far) = (a.min(b), a.max(b));
        let entry = near.x.max(near.y).max(near.z).max(0.0);
        entry <= far.x.min(far.y).min(far.z)
    }
}

/// Where an object keeps the room's light from the table: the rectangle below it and a darker rim around.
struct ContactShadow {
    at: [f32; 2],
    turn: (f32, f32),
    half: [f32; 2],
    /// How far round it the table is darker.
    reach: f32,
    /// Beyond this distance from its middle it is not.
    far: f32,
}

impl ContactShadow {
    fn of(object: &Object) -> Self {
        let half = [0.42 * object.size[0], 0.42 * object.size[1]];
        let reach = 0.018 + 0.22 * object.size[2].min(0.12);
        Self {
            at: [object.position[0], object.position[1]],
            turn: object.yaw.sin_cos(),
            half,
            reach,
            far: half[0].hypot(half[1]) + reach,
        }
    }
}

/// A scene prepared for shading: its objects as primitives, where they darken the table, and its light.
pub struct ShadingView<'a> {
    scene: &'a Scene,
    contact_shadows: Vec<ContactShadow>,
    pub k: Intrinsics,
    pub solids: Vec<Solid>,
    light: Vec3,
    /// One over each part of `light`.
    inverse: Vec3,
    lamp: Vec3,
    ambient: Vec3,
}

impl<'a> ShadingView<'a> {
    /// For a picture of that size.
    pub fn new(scene: &'a Scene, width: u32, height: u32) -> Self {
        let light = Vec3::from(scene.light.direction).unit();
        let over = |x: f32| 1.0 / if x.abs() < 1e-9 { 1e-9 } else { x };
        let solids = scene
            .objects
            .iter()
            .take(MOST)
            .map(|object| {
                let thing = assemble(object);
                let (low, high) = thing.bounds();
                Solid { thing, low, high }
            })
            .collect();
        Self {
            scene,
            contact_shadows: scene.objects.iter().map(ContactShadow::of).collect(),
            k: scene.camera.intrinsics(width, height),
            solids,
            light,
            inverse: v(over(light.x), over(light.y), over(light.z)),
            lamp: scene.light.colour.into(),
            ambient: scene.light.ambient.into(),
        }
    }

    /// Colour and depth (0 in the open) of what the ray sees.
    pub fn shade(&self, ray: &Ray, seen: PixelHit) -> (Vec3, f32) {
        let part = (seen.instance > 0)
            .then(|| &self.solids[usize::from(seen.instance) - 1].thing.parts[seen.part as usize]);
        let Some(part) = part else {
            return self.shade_room(ray);
        };
        let p = ray.at(seen.t);
        let local = part.back.point(p);
        let n_local = part.normal_local(local);
        let mut n = part.back.transposed(n_local).unit();
        let towards = (-ray.direction).unit();
        if n.dot(towards) < 0.0 {
            n = -n;
        }
        let material = &part.material;
        let albedo = material.paint.at(local, n_local);
        let facing = n.dot(self.light);
        let lit = facing > 0.0 && !self.shadowed(p + n * 0.0015);
        let sky = 0.72 + 0.28 * n.z;
        let near_table = 0.75 + 0.25 * (p.z * 25.0).clamp(0.0, 1.0);
        let mut light = self.ambient * (sky * near_table);
        let mut colour = Vec3::default();
        if lit {
            light = light + self.lamp * facing;
            let half = (self.light + towards).unit();
            let shine = n.dot(half).max(0.0).powi(40) * material.gloss * 0.7;
            colour = self.lamp * shine;
        }
        // A faint rim of the room's light on glossy things.
        let rim = (1.0 - n.dot(towards)).powi(3) * material.gloss * 0.25;
        colour = colour + albedo.times(light) + albedo * material.glow + self.ambient * rim;
        (colour, seen.t)
    }

    fn shade_room(&self, ray: &Ray) -> (Vec3, f32) {
        let Some(hit) = self.scene.table.meet(ray) else {
            return (self.ambient, 0.0);
        };
        let facing = hit.normal.dot(self.light).max(0.0);
        let mut light = self.ambient;
        if hit.on_table {
            let p = ray.at(hit.t);
            light = light * self.openness(p);
            if !self.shadowed(p + v(0.0, 0.0, 0.0008)) {
                light = light + self.lamp * facing;
            }
        } else {
            light = light + self.lamp * (0.75 * facing.max(0.3));
        }
        (hit.colour.times(light), hit.t)
    }

    /// How much of the room's light reaches a place of the table: less near things.
    fn openness(&self, p: Vec3) -> f32 {
        let mut open = 1.0;
        for shadow in &self.contact_shadows {
            let (dx, dy) = (p.x - shadow.at[0], p.y - shadow.at[1]);
            if dx * dx + dy * dy > shadow.far * shadow.far {
                continue;
            }
            let (s, c) = shadow.turn;
            let u = ((c * dx + s * dy).abs() - shadow.half[0]).max(0.0);
            let w = ((c * dy - s * dx).abs() - shadow.half[1]).max(0.0);
            let gap = (u * u + w * w).sqrt();
            if gap < shadow.reach {
                let t = 1.0 - gap / shadow.reach;
                open *= 1.0 - 0.5 * t * t;
            }
        }
        open
    }

    /// Whether something stands between `p` and the lamp.
    fn shadowed(&self, p: Vec3) -> bool {
        let ray = Ray {
            origin: p,
            direction: self.light,
        };
        let misses = |centre: Vec3, radius: f32| {
            let to = centre - p;
            let along = to.dot(self.light);
            along < -radius || to.dot(to) - along * along > radius * radius
        };
        self.solids.iter().any(|solid| {
            solid.may_meet(p, self.inverse)
                && solid.thing.parts.iter().any(|part| {
                    !misses(part.centre, part.radius) && part.meet(&ray, 1e-4, 1e9).is_some()
                })
        })
    }

    /// The mean of four places in the pixel; only surfaces that the pixel or a neighbour sees are looked at.
    pub fn smooth(&self, seen: &[PixelHit], x: usize, y: usize, w: usize, h: usize) -> Vec3 {
        let mut near: Vec<(u8, u16)> = Vec::with_capacity(9);
        for row in y.saturating_sub(1)..(y + 2).min(h) {
            for s in &seen[row * w + x.saturating_sub(1)..row * w + (x + 2).min(w)] {
                if s.instance > 0 && !near.contains(&(s.instance, s.part)) {
                    near.push((s.instance, s.part));
                }
            }
        }
        let mut sum = Vec3::default();
        for (du, dv) in [
            (-0.125, -0.375),
            (0.375, -0.125),
            (0.125, 0.375),
            (-0.375, 0.125),
        ] {
            let ray = self.scene.camera.ray(&self.k, x as f32 + du, y as f32 + dv);
            let mut best = PixelHit::default();
            for &(instance, part) in &near {
                let primitive = &self.solids[usize::from(instance) - 1].thing.parts[part as usize];
                if let Some(t) = primitive.meet(&ray, 1e-3, best.t) {
                    best = PixelHit { t, instance, part };
                }
            }
            sum = sum + self.shade(&ray, best).0.min(v(1.0, 1.0, 1.0));
        }
        sum * 0.25
    }
}
