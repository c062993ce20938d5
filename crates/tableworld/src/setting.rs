//! Choosing what is round the objects: camera, light, table and room.

use rand::seq::IndexedRandom;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::backdrop::{Covering, Pattern, Table};
use super::camera::Camera;
use super::scene::Light;
use super::vector::{v, Vec3};

/// A camera before and above the table, farther away the more the table is crowded (0 to 1), and how far to the right
/// of the table's y axis it stands, as an angle.
pub fn camera(rng: &mut ChaCha8Rng, crowd: f32) -> (Camera, f32) {
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

/// A lamp above and mostly before the table.
pub fn light(rng: &mut ChaCha8Rng) -> Light {
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
    let tone = Vec3::from(*tones.choose(rng).unwrap_or(&[0.4; 3])) * rng.random_range(0.8f32..1.2);
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

/// A table in a room. No colour or pattern is one of a thing's.
pub fn table(rng: &mut ChaCha8Rng) -> Table {
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
