//! From a scene to a picture with depth and exact masks.
//!
//! The pixel's centre decides depth and instance; colour is shaded there too, and again at four places of the pixel
//! where neighbours differ much.

use std::sync::OnceLock;

use super::assembly::Assembly;
use super::camera::Intrinsics;
use super::paint::hash;
use super::primitive::Ray;
use super::raster;
use super::scene::{Frame, Object, Scene};
use super::shapes::assemble;
use super::vector::{v, Vec3};

/// The picture, depth and masks of a scene at that size. One core, no threads of its own; the same bytes each time.
///
/// # Panics
/// Never; a size of 0 gives an empty frame. Only the first 254 objects have a mask.
pub fn render(scene: &Scene, width: u32, height: u32) -> Frame {
    let view = View::new(scene, width, height);
    let (w, h) = (width as usize, height as usize);
    let mut seen = vec![Seen::default(); w * h];
    let mut unoccluded = Vec::with_capacity(scene.objects.len());
    for (i, solid) in view.solids.iter().enumerate() {
        let layer = raster::layer(&solid.thing.parts, &scene.camera, &view.k, width, height);
        unoccluded.push(layer.covered);
        for (at, sample) in layer.covered_pixels(w) {
            if sample.t < seen[at].t {
                seen[at] = Seen {
                    t: sample.t,
                    instance: (i + 1).min(255) as u8,
                    part: sample.part,
                };
            }
        }
    }
    let mut colours = vec![Vec3::default(); w * h];
    let mut depth = vec![0.0; w * h];
    for y in 0..h {
        for x in 0..w {
            let at = y * w + x;
            let ray = scene.camera.ray(&view.k, x as f32, y as f32);
            let (colour, t) = view.shade(&ray, seen[at]);
            colours[at] = colour.min(v(1.0, 1.0, 1.0));
            depth[at] = t;
        }
    }
    let tone = tone();
    let mut image = image::RgbImage::new(width, height);
    let bytes: Vec<[u8; 3]> = colours.iter().map(|c| encode(tone, *c)).collect();
    for y in 0..h {
        for x in 0..w {
            let at = y * w + x;
            let mut pixel = bytes[at];
            if rough(&bytes, x, y, w, h) {
                pixel = encode(tone, view.smooth(&seen, x, y, w, h));
            }
            let grain = (hash(x as i32, y as i32, scene.seed as i32) - 0.5) * 5.0;
            let noisy = pixel.map(|c| (f32::from(c) + grain).clamp(0.0, 255.0) as u8);
            image.put_pixel(x as u32, y as u32, image::Rgb(noisy));
        }
    }
    Frame {
        image,
        depth,
        instances: seen.iter().map(|s| s.instance).collect(),
        unoccluded,
    }
}

/// What a pixel sees: no object where `instance` is 0.
#[derive(Clone, Copy, PartialEq)]
struct Seen {
    t: f32,
    instance: u8,
    part: u16,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            t: f32::MAX,
            instance: 0,
            part: 0,
        }
    }
}

/// An object's primitives with a sphere round them all.
struct Solid {
    thing: Assembly,
    centre: Vec3,
    radius: f32,
}

/// The place of the table from which an object keeps the room's light.
struct Foot {
    at: [f32; 2],
    turn: (f32, f32),
    half: [f32; 2],
    /// How far round it the table is darker.
    reach: f32,
    /// Beyond this distance from its middle it is not.
    far: f32,
}

impl Foot {
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

struct View<'a> {
    scene: &'a Scene,
    feet: Vec<Foot>,
    k: Intrinsics,
    solids: Vec<Solid>,
    light: Vec3,
    lamp: Vec3,
    ambient: Vec3,
}

impl<'a> View<'a> {
    fn new(scene: &'a Scene, width: u32, height: u32) -> Self {
        let solids = scene
            .objects
            .iter()
            .map(|object| Solid {
                thing: assemble(object),
                centre: object.position.into(),
                radius: 0.5 * Vec3::from(object.size).length(),
            })
            .collect();
        Self {
            scene,
            feet: scene.objects.iter().map(Foot::of).collect(),
            k: scene.camera.intrinsics(width, height),
            solids,
            light: Vec3::from(scene.light.direction).unit(),
            lamp: scene.light.colour.into(),
            ambient: scene.light.ambient.into(),
        }
    }

    /// Colour and depth (0 in the open) of what the ray sees.
    fn shade(&self, ray: &Ray, seen: Seen) -> (Vec3, f32) {
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
        for foot in &self.feet {
            let (dx, dy) = (p.x - foot.at[0], p.y - foot.at[1]);
            if dx * dx + dy * dy > foot.far * foot.far {
                continue;
            }
            let (s, c) = foot.turn;
            let u = ((c * dx + s * dy).abs() - foot.half[0]).max(0.0);
            let w = ((c * dy - s * dx).abs() - foot.half[1]).max(0.0);
            let gap = (u * u + w * w).sqrt();
            if gap < foot.reach {
                let t = 1.0 - gap / foot.reach;
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
            !misses(solid.centre, solid.radius)
                && solid.thing.parts.iter().any(|part| {
                    !misses(part.centre, part.radius) && part.meet(&ray, 1e-4, 1e9).is_some()
                })
        })
    }

    /// The mean of four places in the pixel; only surfaces that the pixel or a neighbour sees are looked at.
    fn smooth(&self, seen: &[Seen], x: usize, y: usize, w: usize, h: usize) -> Vec3 {
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
            let mut best = Seen::default();
            for &(instance, part) in &near {
                let primitive = &self.solids[usize::from(instance) - 1].thing.parts[part as usize];
                if let Some(t) = primitive.meet(&ray, 1e-3, best.t) {
                    best = Seen { t, instance, part };
                }
            }
            sum = sum + self.shade(&ray, best).0.min(v(1.0, 1.0, 1.0));
        }
        sum * 0.25
    }
}

/// Whether the pixel differs much from one of its four neighbours.
fn rough(bytes: &[[u8; 3]], x: usize, y: usize, w: usize, h: usize) -> bool {
    let at = y * w + x;
    let far = |other: usize| {
        bytes[at]
            .iter()
            .zip(&bytes[other])
            .any(|(a, b)| a.abs_diff(*b) > 26)
    };
    (x > 0 && far(at - 1))
        || (x + 1 < w && far(at + 1))
        || (y > 0 && far(at - w))
        || (y + 1 < h && far(at + w))
}

/// sRGB for 4096 steps of linear light.
fn tone() -> &'static [u8; 4096] {
    static TONE: OnceLock<[u8; 4096]> = OnceLock::new();
    TONE.get_or_init(|| {
        std::array::from_fn(|i| {
            let c = i as f32 / 4095.0;
            let s = if c <= 0.003_130_8 {
                12.92 * c
            } else {
                1.055 * c.powf(1.0 / 2.4) - 0.055
            };
            (s * 255.0 + 0.5) as u8
        })
    })
}

fn encode(tone: &[u8; 4096], c: Vec3) -> [u8; 3] {
    [c.x, c.y, c.z].map(|c| tone[((c * 4095.0) as usize).min(4095)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Category, Split};

    #[test]
    fn the_same_scene_gives_the_same_bytes() {
        let [a, b] = [(); 2].map(|()| render(&Scene::sample(Split::Train, 5), 160, 120));
        assert_eq!(a.image, b.image);
        assert_eq!(a.depth, b.depth);
        assert_eq!(a.instances, b.instances);
        assert_eq!(a.unoccluded, b.unoccluded);
    }

    #[test]
    fn every_visible_pixel_lies_on_its_object_at_its_depth() {
        for seed in 0..12 {
            let scene = Scene::sample(Split::Val, seed);
            let frame = render(&scene, 320, 240);
            let k = scene.camera.intrinsics(320, 240);
            for (at, (&instance, &depth)) in frame.instances.iter().zip(&frame.depth).enumerate() {
                if instance == 0 {
                    continue;
                }
                let object = &scene.objects[usize::from(instance) - 1];
                let ray = scene.camera.ray(&k, (at % 320) as f32, (at / 320) as f32);
                let p = ray.at(depth) - object.position.into();
                let (s, c) = object.yaw.sin_cos();
                let local = [c * p.x + s * p.y, c * p.y - s * p.x, p.z];
                for (axis, (x, size)) in local.into_iter().zip(object.size).enumerate() {
                    assert!(
                        x.abs() <= 0.5 * size + 2e-4,
                        "{:?}: {x} of {size} along {axis}",
                        object.category
                    );
                }
            }
        }
    }

    #[test]
    fn depth_is_what_projection_says() {
        let scene = Scene::sample(Split::Train, 3);
        let frame = render(&scene, 160, 120);
        let k = scene.camera.intrinsics(160, 120);
        for at in (0..frame.depth.len()).step_by(37) {
            let (u, v) = ((at % 160) as f32, (at / 160) as f32);
            let p = scene.camera.ray(&k, u, v).at(frame.depth[at]);
            let (pu, pv, depth) = scene.camera.project(p.array(), 160, 120).unwrap();
            assert!((pu - u).abs() < 0.02 && (pv - v).abs() < 0.02);
            assert!((depth - frame.depth[at]).abs() < 1e-4);
        }
    }

    #[test]
    fn an_object_alone_is_seen_whole_where_it_projects() {
        let mut scene = Scene::sample(Split::Test, 8);
        for i in 0..scene.objects.len() {
            let mut alone = scene.clone();
            alone.objects = vec![scene.objects[i].clone()];
            let frame = render(&alone, 320, 240);
            assert_eq!(frame.visible(0), frame.unoccluded[0]);
            let mask = frame.mask(0);
            let (mut x, mut n) = (0.0, 0.0);
            for (px, _, p) in mask.enumerate_pixels() {
                if p[0] > 0 {
                    x += px as f32;
                    n += 1.0;
                }
            }
            let (u, _, _) = scene
                .camera
                .project(scene.objects[i].position, 320, 240)
                .unwrap();
            assert!((x / n - u).abs() < 30.0, "{}: {} {u}", i, x / n);
        }
        scene.objects.clear();
        let empty = render(&scene, 32, 24);
        assert!(empty.instances.iter().all(|&i| i == 0) && empty.unoccluded.is_empty());
    }

    #[test]
    fn masks_of_two_sizes_agree() {
        let scene = Scene::sample(Split::Train, 21);
        let (small, large) = (render(&scene, 160, 120), render(&scene, 640, 480));
        for i in 0..scene.objects.len() {
            let ratio = large.visible(i) as f32 / small.visible(i) as f32;
            assert!((ratio - 16.0).abs() < 2.5, "{ratio}");
        }
    }

    #[test]
    fn fruit_has_its_colour() {
        let mut sum = [0u32; 3];
        for seed in 0..40 {
            let scene = Scene::sample(Split::Train, seed);
            let frame = render(&scene, 160, 120);
            for (at, &instance) in frame.instances.iter().enumerate() {
                if instance > 0
                    && scene.objects[usize::from(instance) - 1].category == Category::Orange
                {
                    let p = frame.image.get_pixel(at as u32 % 160, at as u32 / 160);
                    (0..3).for_each(|c| sum[c] += u32::from(p[c]));
                }
            }
        }
        assert!(
            sum[0] > sum[1] * 5 / 4 && sum[1] > sum[2] * 3 / 2,
            "{sum:?}"
        );
    }
}
