//! Choosing a scene: what, where, in which light, seen from where. Everything from a split and a seed.

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::backdrop::Table;
use super::camera::Camera;
use super::catalogue::{Category, Colour};
use super::raster::{self, Layer};
use super::scene::{Object, Scene};
use super::setting;
use super::shapes::{assemble, has_front, usual_size};

/// The part of a data set that a scene belongs to. The same seed gives another scene in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Scenes to train on.
    Train,
    /// Scenes to choose settings by.
    Val,
    /// Scenes to measure with.
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }

    /// The split that has this [`Split::name`]; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    fn rng(self, seed: u64) -> ChaCha8Rng {
        // The split fills a part of the key that no seed reaches.
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = match self {
            Split::Train => 1,
            Split::Val => 2,
            Split::Test => 3,
        };
        ChaCha8Rng::from_seed(key)
    }
}

/// Size of the picture in which positions are tried.
const TRIAL: (u32, u32) = (160, 120);
/// Least visible pixels of an object in it: 1200 at 640×480, and a little.
const LEAST: u32 = 84;
/// Least part of an object that stays visible.
const LEAST_PART: f32 = 0.52;

impl Scene {
    /// The scene of that split and seed.
    ///
    /// It has 3 to 8 objects. Of each, at least half of what could be seen is visible, and about 1,200 pixels at 640×480. All but
    /// a sliver of each lies in the middle square of the picture.
    pub fn sample(split: Split, seed: u64) -> Scene {
        let mut rng = split.rng(seed);
        loop {
            if let Some(scene) = attempt(seed, &mut rng) {
                return scene;
            }
        }
    }
}

fn attempt(seed: u64, rng: &mut ChaCha8Rng) -> Option<Scene> {
    let mut kinds = kinds(rng);
    // The large ones first, while there is room.
    let room = |&(category, colour): &(Category, Colour)| {
        let [x, y, z] = usual_size(category, colour);
        -(x.max(y) + z)
    };
    kinds.sort_by(|a, b| room(a).total_cmp(&room(b)));
    let crowd = (kinds.len() as f32 - 3.0) / 5.0;
    let (camera, azimuth) = setting::camera(rng, crowd);
    let mut scene = Scene {
        seed,
        objects: Vec::new(),
        camera,
        light: setting::light(rng),
        table: setting::table(rng),
    };
    let mut layers = Vec::new();
    for (category, colour) in kinds {
        let close = rng.random_bool(0.4);
        for attempt in 0..24 {
            let near = scene.objects.choose(rng).filter(|_| attempt < 8 && close);
            let object = object(rng, &scene.camera, azimuth, category, colour, near);
            let beside = |other| overlap(other, &object);
            if !on_table(&object, &scene.table) || scene.objects.iter().any(beside) {
                continue;
            }
            let k = scene.camera.intrinsics(TRIAL.0, TRIAL.1);
            let thing = assemble(&object);
            let layer = raster::layer(&thing.parts, &scene.camera, &k, TRIAL.0, TRIAL.1);
            layers.push(layer);
            if well_placed(layers.last()?) && all_visible(&layers) {
                scene.objects.push(object);
                break;
            }
            layers.pop();
        }
    }
    scene.objects.shuffle(rng);
    (scene.objects.len() >= 3).then_some(scene)
}

/// What stands on the table: one category twice in about a third of all scenes, otherwise all different.
fn kinds(rng: &mut ChaCha8Rng) -> Vec<(Category, Colour)> {
    let count = *[3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7, 8]
        .choose(rng)
        .unwrap_or(&4);
    let mut kinds: Vec<(Category, Colour)> = Category::ALL
        .choose_multiple(rng, count)
        .map(|&category| (category, Colour::Black))
        .collect();
    for kind in &mut kinds {
        kind.1 = colour(rng, kind.0);
    }
    if rng.random_bool(0.42) {
        let (category, first) = kinds[0];
        let mut second = colour(rng, category);
        if rng.random_bool(0.8) {
            for _ in 0..8 {
                if second == first {
                    second = colour(rng, category);
                }
            }
        }
        kinds[1] = (category, second);
    }
    kinds
}

fn colour(rng: &mut ChaCha8Rng, category: Category) -> Colour {
    *category.colours().choose(rng).unwrap_or(&Colour::Grey)
}

/// An object somewhere in the middle of the picture, or close behind or before another one.
fn object(
    rng: &mut ChaCha8Rng,
    camera: &Camera,
    azimuth: f32,
    category: Category,
    colour: Colour,
    near: Option<&Object>,
) -> Object {
    let scale = rng.random_range(0.88f32..1.2);
    let mut usual = usual_size(category, colour);
    for s in &mut usual {
        *s *= scale * rng.random_range(0.95f32..1.05);
    }
    let size = usual;
    let yaw = if has_front(category) {
        azimuth + rng.random_range(-0.65f32..0.65)
    } else {
        rng.random_range(-std::f32::consts::PI..std::f32::consts::PI)
    };
    let k = camera.intrinsics(640, 480);
    let ray = camera.ray(
        &k,
        rng.random_range(125.0f32..515.0),
        rng.random_range(95.0f32..415.0),
    );
    // The middle of the object lies on the ray.
    let height = 0.5 * size[2];
    let t = (height - ray.origin.z) / ray.direction.z.min(-0.05);
    let mut p = ray.at(t);
    if let Some(other) = near {
        let away = 0.5 * (size[1] + other.size[1]) + rng.random_range(0.0f32..0.06);
        let away = if rng.random_bool(0.6) { away } else { -away };
        let aside = rng.random_range(-0.09f32..0.09);
        p.x = other.position[0] - azimuth.sin() * away + azimuth.cos() * aside;
        p.y = other.position[1] + azimuth.cos() * away + azimuth.sin() * aside;
    }
    Object {
        category,
        colour,
        position: [p.x, p.y, height],
        yaw,
        size,
    }
}

/// Whether an object stands on the table, not over its edge.
fn on_table(object: &Object, table: &Table) -> bool {
    let reach = 0.5 * object.size[0].hypot(object.size[1]);
    (0..2).all(|i| object.position[i].abs() + reach < table.half_size[i])
}

/// Whether the footprints of two objects come nearer than 8 mm.
fn overlap(a: &Object, b: &Object) -> bool {
    let apart = |a: &Object, b: &Object| {
        // Separating axes of a.
        let (s, c) = a.yaw.sin_cos();
        let (dx, dy) = (b.position[0] - a.position[0], b.position[1] - a.position[1]);
        let (bs, bc) = (b.yaw - a.yaw).sin_cos();
        let half = |object: &Object, axis: usize| 0.5 * object.size[axis];
        let (bx, by) = (half(b, 0), half(b, 1));
        let x = (c * dx + s * dy).abs() - half(a, 0) - (bc.abs() * bx + bs.abs() * by);
        let y = (c * dy - s * dx).abs() - half(a, 1) - (bs.abs() * bx + bc.abs() * by);
        x > 0.008 || y > 0.008
    };
    !(apart(a, b) || apart(b, a))
}

/// Whether an object lies inside the picture and nearly wholly in its middle square.
fn well_placed(layer: &Layer) -> bool {
    let (w, h) = (TRIAL.0 as usize, TRIAL.1 as usize);
    let margin = (w - h) / 2;
    let inside = layer.left > 0
        && layer.top > 0
        && layer.left + layer.width < w
        && layer.top + layer.height < h;
    let out = layer
        .covered_pixels(w)
        .filter(|(at, _)| at % w < margin || at % w >= w - margin)
        .count();
    inside && layer.covered >= LEAST && (out as f32) < 0.02 * layer.covered as f32
}

/// Whether enough of each object is seen with all of them there.
fn all_visible(layers: &[Layer]) -> bool {
    let (w, h) = (TRIAL.0 as usize, TRIAL.1 as usize);
    let mut nearest = vec![(f32::MAX, usize::MAX); w * h];
    for (i, layer) in layers.iter().enumerate() {
        for (at, sample) in layer.covered_pixels(w) {
            if sample.t < nearest[at].0 {
                nearest[at] = (sample.t, i);
            }
        }
    }
    let mut visible = vec![0u32; layers.len()];
    for (_, i) in nearest {
        if let Some(count) = visible.get_mut(i) {
            *count += 1;
        }
    }
    layers.iter().zip(visible).all(|(layer, visible)| {
        visible >= LEAST && visible as f32 >= LEAST_PART * layer.covered as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    #[test]
    fn splits_and_seeds_give_different_scenes() {
        let mut seen = std::collections::HashSet::new();
        for split in Split::ALL {
            for seed in 0..30 {
                let text = format!("{:?}", Scene::sample(split, seed).objects);
                assert!(seen.insert(text), "{split:?} {seed}");
            }
            assert_eq!(Split::parse(split.name()), Some(split));
        }
    }

    #[test]
    fn a_scene_follows_from_its_seed() {
        let text = |seed| format!("{:?}", Scene::sample(Split::Val, seed));
        assert_eq!(text(77), text(77));
    }

    #[test]
    fn objects_are_seen_well_and_stand_on_the_table() {
        for seed in 0..25 {
            let scene = Scene::sample(Split::Train, seed);
            assert!((3..=8).contains(&scene.objects.len()));
            let frame = render(&scene, 640, 480);
            for (i, object) in scene.objects.iter().enumerate() {
                let (visible, whole) = (frame.visible(i), frame.unoccluded[i]);
                assert!(visible >= 1200, "{seed}: {object:?} has {visible} pixels");
                assert!(
                    2 * visible >= whole,
                    "{seed}: {object:?} {visible} of {whole}"
                );
                assert!((object.position[2] - 0.5 * object.size[2]).abs() < 1e-6);
                let outside = frame
                    .mask(i)
                    .enumerate_pixels()
                    .filter(|(x, _, p)| p[0] > 0 && !(80..560).contains(x))
                    .count();
                assert!(
                    outside as f32 <= 0.04 * visible as f32,
                    "{seed}: {object:?}"
                );
            }
        }
    }

    #[test]
    fn every_category_and_colour_comes_up_and_some_come_twice() {
        let mut kinds = std::collections::HashSet::new();
        let (mut doubles, mut crowded) = (0, 0);
        for seed in 0..1500 {
            let scene = Scene::sample(Split::Train, seed);
            let mut categories: Vec<_> = scene.objects.iter().map(|o| o.category).collect();
            categories.sort();
            doubles += usize::from(categories.windows(2).any(|w| w[0] == w[1]));
            crowded += usize::from(scene.objects.len() >= 6);
            kinds.extend(scene.objects.iter().map(|o| (o.category, o.colour)));
        }
        for category in Category::ALL {
            for &colour in category.colours() {
                assert!(
                    kinds.contains(&(category, colour)),
                    "{category:?} {colour:?}"
                );
            }
        }
        assert!((400..700).contains(&doubles), "{doubles}");
        assert!(crowded > 200, "{crowded}");
    }
}
