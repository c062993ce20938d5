//! From a scene to a picture with depth and exact masks.
//!
//! The pixel's centre decides depth and instance; colour is shaded there too, and again at four places of the pixel
//! where neighbours differ much.

use std::sync::OnceLock;

use super::raster;
use super::scene::{Frame, Scene};
use super::shading::{PixelHit, ShadingView};
use super::texture::hash;
use super::vector::{v, Vec3};

/// Renders a scene: its picture, depth and masks at that size, on one core and with the same bytes each time.
///
/// A size of 0 gives an empty frame. Only the first 254 objects are drawn.
pub fn render(scene: &Scene, width: u32, height: u32) -> Frame {
    let view = ShadingView::new(scene, width, height);
    let (w, h) = (width as usize, height as usize);
    let mut seen = vec![PixelHit::default(); w * h];
    let mut unoccluded = Vec::with_capacity(scene.objects.len());
    for (i, solid) in view.solids.iter().enumerate() {
        let layer = raster::layer(&solid.thing.parts, &scene.camera, &view.k, width, height);
        unoccluded.push(layer.covered);
        for (at, sample) in layer.covered_pixels(w) {
            if sample.t < seen[at].t {
                seen[at] = PixelHit {
                    t: sample.t,
                    instance: (i + 1) as u8,
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
    use crate::{Category, Split};

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
            assert!(frame.instances.iter().any(|&instance| instance > 0));
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
