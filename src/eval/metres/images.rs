//! Depth and instances as a camera sees them, the faults of a real sensor, and messages.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tableworld::RayCaster;
use tf_buffer::Transform;

use super::cameras::MadeUpCamera;
use super::Encoding;
use crate::spatial::DepthMessage;

/// The standard deviation of a depth z is this times z².
const NOISE: f64 = 0.002;
/// Neighbours whose depths differ by more than this share are an edge.
const EDGE: f64 = 0.02;
/// So many of an edge's pixels are a mixture of both sides.
const MIXED: f64 = 0.3;
/// So many pixels have no depth.
const HOLES: f64 = 0.01;
/// There is a disc without depth for so many pixels.
const PIXELS_A_DISC: usize = 20_000;

/// What a camera sees.
#[derive(Clone, Debug)]
pub struct SeenImage {
    pub size: (u32, u32),
    /// Along the optical axis, metres, row by row; NaN where there is nothing.
    pub depth: Vec<f64>,
    /// `i + 1` for object `i`, 0 for the background.
    pub instances: Vec<u8>,
}

impl SeenImage {
    /// With a ray through each pixel's centre.
    pub fn of(caster: &RayCaster, camera: &MadeUpCamera, place: &Transform) -> Self {
        let rays = camera.rays().into_iter();
        let hits = rays.map(|ray| caster.cast(place.translation, place.direction(ray)));
        let (depth, instances) = hits
            .map(|hit| hit.map_or((f64::NAN, 0), |hit| (hit.distance, hit.instance)))
            .unzip();
        Self {
            size: camera.size,
            depth,
            instances,
        }
    }

    /// The same with the faults of a real sensor.
    pub fn with_faults(&self, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let mut depth = self.depth.clone();
        for (at, z) in depth.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width);
            let around = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then_some(at + 1),
                (y > 0).then(|| at - width),
                (y + 1 < height).then_some(at + width),
            ];
            let edge = around
                .into_iter()
                .flatten()
                .map(|beside| self.depth[beside])
                .find(|beside| (beside - *z).abs() > EDGE * *z);
            if let Some(beside) = edge.filter(|_| rng.random_bool(MIXED)) {
                *z += (beside - *z) * rng.random_range(0.0..1.0);
            }
            let normal: f64 = StandardNormal.sample(&mut rng);
            *z += NOISE * *z * *z * normal;
            if rng.random_bool(HOLES) {
                *z = f64::NAN;
            }
        }
        for _ in 0..depth.len() / PIXELS_A_DISC {
            let (x, y) = (rng.random_range(0..width), rng.random_range(0..height));
            let radius: usize = rng.random_range(2..6);
            for row in y.saturating_sub(radius)..(y + radius).min(height) {
                for column in x.saturating_sub(radius)..(x + radius).min(width) {
                    let (dx, dy) = (column.abs_diff(x), row.abs_diff(y));
                    if dx * dx + dy * dy < radius * radius {
                        depth[row * width + column] = f64::NAN;
                    }
                }
            }
        }
        Self {
            depth,
            ..self.clone()
        }
    }

    /// The message of its depth.
    pub fn message(&self, encoding: Encoding) -> DepthMessage {
        let (width, height) = self.size;
        let (name, bytes, data): (_, _, Vec<u8>) = match encoding {
            Encoding::Millimetres => {
                // A number that does not fit, and NaN, become 0 or the largest one: no measurement, or one that is far away.
                let values = self.depth.iter().map(|z| (z * 1000.0).round() as u16);
                ("16UC1", 2, values.flat_map(u16::to_le_bytes).collect())
            }
            Encoding::Metres => {
                let values = self.depth.iter().map(|z| *z as f32);
                ("32FC1", 4, values.flat_map(f32::to_le_bytes).collect())
            }
        };
        DepthMessage::Image {
            encoding: name.to_owned(),
            width,
            height,
            step: width * bytes,
            is_bigendian: false,
            data: Arc::from(data),
        }
    }
}
