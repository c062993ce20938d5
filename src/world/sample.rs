//! Choosing a scene: what, where, in which light, seen from where. Everything from a split and a seed.

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::backdrop::{Covering, Pattern, Table};
use super::camera::Camera;
use super::catalogue::{Category, Colour};
use super::raster::{self, Layer};
use super::scene::{Light, Object, Scene};
use super::shapes::{assemble, has_front, usual_size};
use super::vector::v;

/// What a scene is for. The same seed gives another scene in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    Train,
    Val,
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

    /// The split of that [`Split::name`]; `None` for any other text.
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
    /// 3 to 8 objects; of each at least half of what could be seen and about 1,200 pixels at 640×480 are visible,
    /// inside the middle square of the picture but for a sliver.
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
    let (camera, azimuth) = camera(rng, crowd);
    let mut scene = Scene {
        seed,
        objects: Vec::new(),
        camera,
        light: light(rng),
        table: table(rng),
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

fn camera(rng: &mut ChaCha8Rng, crowd: f32) -> (Camera, f32) {
    let azimuth = rng.random_range(-0.3f32..0.3);
    let pitch = rng.random_range(0.6f32..1.02);
    let distance = rng.random_range(0.74f32..0.86) + 0.13 * crowd;
    let fov = rng.random_range(0.78f32..0.92);
    let roll = rng.random_range(-0.03f32..0.03);
    let target = [
        rng.random_range(-0.02f32..0.02),
        rng.random_range(-0.01f32..0.03),
        rng.random_range(0.02f32..0.05),
    ];
    let away = distance * pitch.cos();
    let position = [
        target[0] + away * azimuth.sin(),
        target[1] - away * azimuth.cos(),
        target[2] + distance * pitch.sin(),
    ];
    (Camera::look_at(position, target, roll, fov), azimuth)
}

fn light(rng: &mut ChaCha8Rng) -> Light {
    let height = rng.random_range(0.75f32..1.3);
    let around = rng.random_range(0.0..std::f32::consts::TAU);
    // Rarely from behind: things would show their dark side.
    let around = if around.sin() > 0.4 && rng.random_bool(0.7) {
        -around
    } else {
        around
    };
    let strength = rng.random_range(0.6f32..0.95);
    let warmth = rng.random_range(-0.1f32..0.12);
    let fill = rng.random_range(0.26f32..0.46);
    Light {
        direction: [
            height.cos() * around.cos(),
            height.cos() * around.sin(),
            height.sin(),
        ],
        colour: [
            strength * (1.0 + warmth),
            strength,
            strength * (1.0 - warmth),
        ],
        ambient: [
            fill * (1.0 - 0.5 * warmth),
            fill,
            fill * (1.0 + 0.5 * warmth),
        ],
    }
}

/// Two tones of one of the colours that tables and walls have.
fn covering(rng: &mut ChaCha8Rng, patterns: &[Pattern], grain: [f32; 2]) -> Covering {
    let pattern = *patterns.choose(rng).unwrap_or(&Pattern::Plain);
    let tones: &[[f32; 3]] = match pattern {
        Pattern::Wood => &[
            [0.42, 0.24, 0.11],
            [0.26, 0.13, 0.06],
            [0.58, 0.4, 0.22],
            [0.14, 0.08, 0.05],
            [0.45, 0.33, 0.22],
        ],
        Pattern::Marble => &[
            [0.72, 0.71, 0.69],
            [0.3, 0.32, 0.33],
            [0.5, 0.46, 0.4],
            [0.12, 0.15, 0.14],
        ],
        _ => &[
            [0.6, 0.58, 0.52],
            [0.35, 0.36, 0.37],
            [0.13, 0.14, 0.16],
            [0.2, 0.28, 0.36],
            [0.3, 0.36, 0.26],
            [0.48, 0.36, 0.28],
            [0.42, 0.3, 0.34],
            [0.12, 0.22, 0.2],
            [0.28, 0.08, 0.09],
            [0.07, 0.1, 0.22],
        ],
    };
    let tone = v3(*tones.choose(rng).unwrap_or(&[0.4; 3])) * rng.random_range(0.8f32..1.2);
    let second = match pattern {
        Pattern::Wood => tone * rng.random_range(0.4f32..0.65),
        Pattern::Gingham | Pattern::Checker if rng.random_bool(0.4) => {
            tone.mix(v(0.75, 0.75, 0.72), 0.8)
        }
        _ => tone * rng.random_range(0.5f32..0.8),
    };
    Covering {
        pattern,
        colours: [tone.array(), second.array()],
        grain: rng.random_range(grain[0]..grain[1]),
        turn: rng.random_range(-0.6f32..0.6),
    }
}

fn v3(c: [f32; 3]) -> super::vector::Vec3 {
    c.into()
}

fn table(rng: &mut ChaCha8Rng) -> Table {
    let tops = [
        Pattern::Plain,
        Pattern::Plain,
        Pattern::Wood,
        Pattern::Wood,
        Pattern::Wood,
        Pattern::Cloth,
        Pattern::Gingham,
        Pattern::Checker,
        Pattern::Marble,
        Pattern::Stripes,
    ];
    let walls = [
        Pattern::Plain,
        Pattern::Plain,
        Pattern::Stripes,
        Pattern::Tiles,
        Pattern::Cloth,
    ];
    let floors = [Pattern::Plain, Pattern::Wood, Pattern::Tiles];
    let top = covering(rng, &tops, [0.06, 0.14]);
    let mut wall = covering(rng, &walls, [0.08, 0.2]);
    wall.turn = 0.0;
    Table {
        top,
        half_size: [rng.random_range(0.6f32..1.4), rng.random_range(0.5f32..0.8)],
        wall,
        wall_distance: rng.random_range(0.8f32..1.8),
        floor: covering(rng, &floors, [0.15, 0.4]),
    }
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
    use crate::world::render;

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
