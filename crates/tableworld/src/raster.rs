//! Which surface each pixel's centre sees: exact, one primitive after the other, in its rectangle of the picture.

use super::camera::{Camera, Intrinsics};
use super::primitive::{Primitive, Ray};
use super::vector::Vec3;

/// What one pixel sees of one object.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Depth in metres.
    pub t: f32,
    /// Index of the primitive among the object's parts.
    pub part: u16,
}

/// One object as if it were alone: its rectangle of the picture with a sample for each pixel.
#[derive(Clone, Debug)]
pub struct Layer {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
    /// Row by row; t is `f32::MAX` where the object is not.
    pub samples: Vec<Sample>,
    /// Pixels the object covers.
    pub covered: u32,
}

impl Layer {
    /// Pixel index in a picture `stride` wide with the sample, for each pixel covered.
    pub fn covered_pixels(&self, stride: usize) -> impl Iterator<Item = (usize, Sample)> + '_ {
        self.samples
            .chunks_exact(self.width.max(1))
            .enumerate()
            .flat_map(move |(row, samples)| {
                let start = (self.top + row) * stride + self.left;
                samples
                    .iter()
                    .enumerate()
                    .filter(|(_, s)| s.t < f32::MAX)
                    .map(move |(x, &s)| (start + x, s))
            })
    }
}

/// Pixels from (x0, y0) up to, not including, (x1, y1).
#[derive(Clone, Copy)]
struct Rect {
    x0: usize,
    y0: usize,
    x1: usize,
    y1: usize,
}

fn rect(points: &[Vec3], camera: &Camera, width: u32, height: u32) -> Rect {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for p in points {
        let Some((u, v, _)) = camera.project(p.array(), width, height) else {
            return Rect {
                x0: 0,
                y0: 0,
                x1: width as usize,
                y1: height as usize,
            };
        };
        low = [low[0].min(u), low[1].min(v)];
        high = [high[0].max(u), high[1].max(v)];
    }
    let from = |x: f32, size: u32| x.ceil().clamp(0.0, size as f32) as usize;
    let to = |x: f32, size: u32| (x.floor() + 1.0).clamp(0.0, size as f32) as usize;
    let (x0, y0) = (from(low[0], width), from(low[1], height));
    Rect {
        x0,
        y0,
        x1: to(high[0], width).max(x0),
        y1: to(high[1], height).max(y0),
    }
}

/// The object made of `parts` alone in a picture of that size.
pub fn layer(
    parts: &[Primitive],
    camera: &Camera,
    k: &Intrinsics,
    width: u32,
    height: u32,
) -> Layer {
    let rects: Vec<_> = parts
        .iter()
        .map(|p| rect(&p.corners(), camera, width, height))
        .collect();
    let whole = rects
        .iter()
        .filter(|r| r.x1 > r.x0 && r.y1 > r.y0)
        .copied()
        .reduce(|a, b| Rect {
            x0: a.x0.min(b.x0),
            y0: a.y0.min(b.y0),
            x1: a.x1.max(b.x1),
            y1: a.y1.max(b.y1),
        })
        .unwrap_or(Rect {
            x0: 0,
            y0: 0,
            x1: 0,
            y1: 0,
        });
    let (w, h) = (whole.x1 - whole.x0, whole.y1 - whole.y0);
    let nothing = Sample {
        t: f32::MAX,
        part: 0,
    };
    let mut samples = vec![nothing; w * h];
    for (index, (part, r)) in parts.iter().zip(&rects).enumerate() {
        if r.x1 <= r.x0 || r.y1 <= r.y0 {
            continue;
        }
        let corner: Ray = camera.ray(k, 0.0, 0.0);
        let along = camera.ray(k, 1.0, 0.0).direction - corner.direction;
        let down = camera.ray(k, 0.0, 1.0).direction - corner.direction;
        let origin = part.back.point(corner.origin);
        let first = part.back.direction(corner.direction);
        let (along, down) = (part.back.direction(along), part.back.direction(down));
        for y in r.y0..r.y1 {
            let row = first + down * y as f32;
            let start = (y - whole.y0) * w;
            for x in r.x0..r.x1 {
                let sample = &mut samples[start + x - whole.x0];
                let direction = row + along * x as f32;
                if let Some(t) = part.meet_local(origin, direction, 1e-3, sample.t) {
                    *sample = Sample {
                        t,
                        part: index as u16,
                    };
                }
            }
        }
    }
    let covered = samples.iter().filter(|s| s.t < f32::MAX).count() as u32;
    Layer {
        left: whole.x0,
        top: whole.y0,
        width: w,
        height: h,
        samples,
        covered,
    }
}
