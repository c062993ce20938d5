//! Depth of simple bodies on a table by ray casting, with a depth camera's faults.

#![allow(dead_code)] // each test uses a part

use object_geometry::{DQuat, DVec3, PixelPoint};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const COLUMNS: u32 = 640;
pub const ROWS: u32 = 480;
/// Focal length, pixels.
pub const FOCAL: f64 = 525.0;

/// What stands on the table z = 0. Its axis is upright.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Size along its own x, y and z, and the angle about z.
    Box {
        size: DVec3,
        yaw: f64,
    },
    /// The same with a hole along its own y, square, of this share of its width and height.
    Frame {
        size: DVec3,
        yaw: f64,
        hole: f64,
    },
    Cylinder {
        radius: f64,
        height: f64,
    },
    Ball {
        radius: f64,
    },
}

impl Body {
    pub fn height(&self) -> f64 {
        match *self {
            Self::Box { size, .. } | Self::Frame { size, .. } => size.z,
            Self::Cylinder { height, .. } => height,
            Self::Ball { radius } => 2.0 * radius,
        }
    }

    /// The whole body's longer and shorter horizontal side, and its height.
    pub fn size(&self) -> DVec3 {
        match *self {
            Self::Box { size, .. } | Self::Frame { size, .. } => {
                DVec3::new(size.x.max(size.y), size.x.min(size.y), size.z)
            }
            Self::Cylinder { radius, height } => DVec3::new(2.0 * radius, 2.0 * radius, height),
            Self::Ball { radius } => DVec3::splat(2.0 * radius),
        }
    }

    pub fn center(&self) -> DVec3 {
        DVec3::Z * (self.height() / 2.0)
    }

    /// The distance along a ray to the body, in lengths of the direction.
    fn hit(&self, origin: DVec3, direction: DVec3) -> Option<f64> {
        match *self {
            Self::Box { size, yaw } => {
                slab(origin - self.center(), direction, size, yaw).map(|(near, _)| near)
            }
            Self::Frame { size, yaw, hole } => {
                let (near, far) = slab(origin - self.center(), direction, size, yaw)?;
                let through = DVec3::new(size.x * hole, 1e3, size.z * hole);
                match slab(origin - self.center(), direction, through, yaw) {
                    // Inside the hole from entering to leaving: nothing is hit.
                    Some((into, out)) if into <= near && out >= far => None,
                    // Entered through the hole's mouth: the ray meets its wall on leaving it.
                    Some((into, out)) if into <= near && out > near => Some(out),
                    _ => Some(near),
                }
            }
            Self::Cylinder { radius, height } => {
                let a = direction.x * direction.x + direction.y * direction.y;
                let b = origin.x * direction.x + origin.y * direction.y;
                let c = origin.x * origin.x + origin.y * origin.y - radius * radius;
                let root = (b * b - a * c).max(0.0).sqrt();
                let side = Some((-b - root) / a).filter(|t| {
                    b * b >= a * c && (0.0..=height).contains(&(origin.z + t * direction.z))
                });
                let top = Some((height - origin.z) / direction.z).filter(|t| {
                    let p = origin + direction * *t;
                    *t > 0.0 && p.x * p.x + p.y * p.y <= radius * radius
                });
                [side, top].into_iter().flatten().min_by(f64::total_cmp)
            }
            Self::Ball { radius } => {
                let from = origin - self.center();
                let (a, b) = (direction.length_squared(), from.dot(direction));
                let root = b * b - a * (from.length_squared() - radius * radius);
                (root >= 0.0).then(|| (-b - root.sqrt()) / a)
            }
        }
    }
}

/// Where a ray enters and leaves a box around 0.
fn slab(origin: DVec3, direction: DVec3, size: DVec3, yaw: f64) -> Option<(f64, f64)> {
    let back = DQuat::from_rotation_z(-yaw);
    let (origin, direction) = (back * origin, back * direction);
    let (mut near, mut far) = (f64::NEG_INFINITY, f64::INFINITY);
    for k in 0..3 {
        let a = (-size[k] / 2.0 - origin[k]) / direction[k];
        let b = (size[k] / 2.0 - origin[k]) / direction[k];
        near = near.max(a.min(b));
        far = far.min(a.max(b));
    }
    (near <= far && near > 0.0).then_some((near, far))
}

/// What a camera does to depth and a segmenter to a mask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The standard deviation of a depth z is this times z².
    pub noise: f64,
    /// The share of the mask's pixels that lie at its edge and get a depth between the object's and the background's.
    pub mixed: f64,
    /// The share of the mask's pixels without depth: half of it single ones, half of it in holes of 2 pixels' radius.
    pub holes: f64,
    /// By how many pixels the mask is too wide.
    pub wide: u32,
    /// Whether what shows through the body belongs to the mask.
    pub filled: bool,
    /// Whether the body hangs in the air, without the table.
    pub hanging: bool,
}

/// What the camera saw.
pub struct CameraView {
    pub points: Vec<PixelPoint>,
    pub mask_pixels: usize,
    pub camera: DVec3,
}

/// A camera that looks at the middle of a body, from this far and from this angle above the horizon; the points are in the
/// table's frame. Behind the body are the table, and a wall at 1.5 m behind it.
pub fn see(body: &Body, distance: f64, pitch: f64, faults: Faults, seed: u64) -> CameraView {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let forward = DVec3::new(pitch.cos(), 0.0, -pitch.sin());
    let camera = body.center() - forward * distance;
    let right = DVec3::NEG_Y;
    let down = forward.cross(right);
    // Of z = 1 along the optical axis, so that a hit's parameter is its depth.
    let ray = |column: u32, row: u32| {
        let (x, y) = (f64::from(column) - 319.5, f64::from(row) - 239.5);
        forward + right * (x / FOCAL) + down * (y / FOCAL)
    };
    let background = |ray: DVec3| {
        let table = Some(-camera.z / ray.z).filter(|t| *t > 0.0 && !faults.hanging);
        let wall = Some((1.5 - camera.x) / ray.x).filter(|t| *t > 0.0);
        [table, wall]
            .into_iter()
            .flatten()
            .fold(f64::INFINITY, f64::min)
    };
    let pixels = (COLUMNS * ROWS) as usize;
    let place = |k: usize| (k as u32 % COLUMNS, k as u32 / COLUMNS);
    let hits: Vec<Option<f64>> = (0..pixels)
        .map(|k| body.hit(camera, ray(place(k).0, place(k).1)))
        .collect();
    let solid = match *body {
        Body::Frame { size, yaw, .. } if faults.filled => Body::Box { size, yaw },
        other => other,
    };
    let mut mask: Vec<bool> = (0..pixels)
        .map(|k| solid.hit(camera, ray(place(k).0, place(k).1)).is_some())
        .collect();
    let near = |mask: &[bool], k: usize| {
        let around = [-1i64, 1, -i64::from(COLUMNS), i64::from(COLUMNS)];
        around.map(|by| mask.get((k as i64 + by) as usize).copied().unwrap_or(false))
    };
    for _ in 0..faults.wide {
        mask = (0..pixels)
            .map(|k| mask[k] || near(&mask, k).contains(&true))
            .collect();
    }
    let inside: Vec<usize> = (0..pixels).filter(|k| mask[*k]).collect();
    let object: Vec<bool> = hits.iter().map(Option::is_some).collect();
    let edge: Vec<usize> = (inside.iter().copied())
        .filter(|k| object[*k] && near(&object, *k).contains(&false))
        .collect();
    let mixed = faults.mixed * inside.len() as f64 / edge.len().max(1) as f64;
    let mut depth: Vec<f64> = (0..pixels)
        .map(|k| {
            let ray = ray(place(k).0, place(k).1);
            hits[k].unwrap_or_else(|| background(ray))
        })
        .collect();
    for &k in &edge {
        if random.random_bool(mixed.min(1.0)) {
            let behind = background(ray(place(k).0, place(k).1));
            let share = random.random_range(0.0..1.0);
            depth[k] += share * (behind - depth[k]);
        }
    }
    for &k in &inside {
        depth[k] += faults.noise * depth[k] * depth[k] * normal(&mut random);
    }
    for &k in &inside {
        if random.random_bool(faults.holes / 2.0) {
            depth[k] = f64::NAN;
        }
        if random.random_bool(faults.holes / 2.0 / 13.0) {
            for row in -2i64..=2 {
                for column in -2i64..=2 {
                    if row * row + column * column <= 4 {
                        let at = k as i64 + row * i64::from(COLUMNS) + column;
                        if let Some(depth) = depth.get_mut(at as usize) {
                            *depth = f64::NAN;
                        }
                    }
                }
            }
        }
    }
    let points = inside.iter().map(|&k| PixelPoint {
        column: place(k).0,
        row: place(k).1,
        position: camera + ray(place(k).0, place(k).1) * depth[k],
    });
    CameraView {
        points: points.collect(),
        mask_pixels: inside.len(),
        camera,
    }
}

/// A normally distributed number (Box and Muller).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (random.random_range(f64::MIN_POSITIVE..1.0), random.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
