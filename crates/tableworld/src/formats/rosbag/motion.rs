//! A camera's way about the table.

use std::f32::consts::TAU;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::vector::{v, Affine, Vec3};
use crate::{Camera, Split};

/// How high above the table the point is about which the camera travels, metres: the middle of small things.
const HEIGHT: f32 = 0.03;

/// A smooth way: to and fro about the table, up and down, nearer and farther, each in its own time, always with the same point of
/// the table in the middle of the picture. At time 0 the camera is where the scene has it.
pub struct Orbit {
    camera: Camera,
    /// The point that the camera circles.
    centre: Vec3,
    /// Radians about the vertical.
    around: Swing,
    /// Radians about the camera's right.
    up: Swing,
    /// Changes of the distance.
    away: Swing,
}

/// `most · sin(time · 2π / period)`.
struct Swing {
    most: f32,
    period: f32,
}

impl Swing {
    fn sample(rng: &mut ChaCha8Rng, most: [f32; 2], period: [f32; 2]) -> Self {
        let most = rng.random_range(most[0]..most[1]);
        let forth = rng.random_bool(0.5);
        Self {
            most: if forth { most } else { -most },
            period: rng.random_range(period[0]..period[1]),
        }
    }

    fn at(&self, seconds: f32) -> f32 {
        self.most * (seconds * TAU / self.period).sin()
    }
}

impl Orbit {
    /// The way about a scene with that camera. It follows from split and seed.
    pub fn sample(split: Split, seed: u64, camera: Camera) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(0x6172_6373 ^ split as u64);
        let (position, [_, _, forward]) =
            (Vec3::from(camera.position), camera.rotation.map(Vec3::from));
        // A camera that does not look down has no such point: a metre before it, then.
        let distance = match forward.z < -0.05 {
            true => (HEIGHT - position.z) / forward.z,
            false => 1.0,
        };
        Self {
            camera,
            centre: position + forward * distance,
            around: Swing::sample(&mut rng, [0.25, 0.4], [6.0, 9.0]),
            up: Swing::sample(&mut rng, [0.04, 0.12], [4.0, 8.0]),
            away: Swing::sample(&mut rng, [0.02, 0.08], [4.0, 8.0]),
        }
    }

    /// The camera at that time, which may be before 0.
    pub fn camera(&self, seconds: f32) -> Camera {
        let [right, down, forward] = self.camera.rotation.map(Vec3::from);
        let around = Affine::turned(v(0.0, 0.0, 1.0), self.around.at(seconds));
        let turn = around.after(&Affine::turned(right, self.up.at(seconds)));
        let back = Vec3::from(self.camera.position) - self.centre;
        let position = self.centre + turn.direction(back) * (1.0 + self.away.at(seconds));
        Camera {
            position: position.array(),
            rotation: [right, down, forward].map(|axis| turn.direction(axis).array()),
            fov: self.camera.fov,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scene;

    fn orbits() -> impl Iterator<Item = (Camera, Orbit)> {
        (0..20).map(|seed| {
            let camera = Scene::sample(Split::Val, seed).camera;
            (camera, Orbit::sample(Split::Val, seed, camera))
        })
    }

    fn apart(a: [f32; 3], b: [f32; 3]) -> f32 {
        (Vec3::from(a) - b.into()).length()
    }

    #[test]
    fn it_passes_the_scenes_own_view_at_time_zero() {
        for (camera, orbit) in orbits() {
            let there = orbit.camera(0.0);
            assert!(apart(there.position, camera.position) < 1e-6);
            assert_eq!(there.rotation, camera.rotation);
        }
    }

    #[test]
    fn it_moves_smoothly_and_keeps_the_table_in_the_middle() {
        for (_, orbit) in orbits() {
            let mut before = orbit.camera(-3.0);
            let mut far = 0.0f32;
            for step in -29..=30 {
                let now = orbit.camera(step as f32 * 0.1);
                let moved = apart(now.position, before.position);
                // Below 0.6 m/s, 0.9 m away from what it looks at.
                assert!(moved < 0.06, "{moved}");
                let (u, v, z) = now.project(orbit.centre.array(), 640, 480).unwrap();
                assert!((u - 319.5).abs() < 0.1 && (v - 239.5).abs() < 0.1);
                assert!((0.5..1.3).contains(&z) && now.position[2] > 0.2);
                far = far.max(apart(now.position, orbit.camera.position));
                before = now;
            }
            assert!(far > 0.1, "{far}");
        }
    }

    #[test]
    fn it_stays_a_rotation() {
        for (_, orbit) in orbits() {
            let [right, down, forward] = orbit.camera(1.7).rotation.map(Vec3::from);
            assert!((right.cross(down) - forward).length() < 1e-5);
            assert!((right.length() - 1.0).abs() < 1e-5 && right.dot(down).abs() < 1e-5);
        }
    }
}
