//! The picture that patches of surface are drawn into, nearest first.

use glam::DVec2;

use crate::image::DepthImage;
use crate::transform::GeometryError;

/// A point of a patch in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vertex {
    /// Where it is, pixels.
    pub at: DVec2,
    /// One over its depth, 1/m. Over a plane it is linear in the picture, and 0 is infinitely far.
    pub inverse: f64,
}

/// Slack of the test whether a pixel's centre lies in a triangle, as a part of the triangle, and in its box, in pixels. A centre
/// on the edge that two triangles share belongs to both, and rounding must not leave it to neither.
const SLACK: f64 = 1e-6;

pub(super) struct ZBuffer {
    width: u32,
    height: u32,
    /// The largest inverse depth of each pixel; −1 where nothing was drawn.
    inverse: Vec<f64>,
}

impl ZBuffer {
    /// An empty picture, whose size the caller has looked at.
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            inverse: vec![-1.0; width as usize * height as usize],
        }
    }

    /// Draws a triangle: each pixel whose centre lies in it, its edges included, where nothing nearer was drawn.
    pub fn triangle(&mut self, [a, b, c]: [Vertex; 3]) {
        let (low, high) = (a.at.min(b.at).min(c.at), a.at.max(b.at).max(c.at));
        let (Some(columns), Some(rows)) = (
            centres(low.x, high.x, self.width),
            centres(low.y, high.y, self.height),
        ) else {
            return;
        };
        let (ab, ac) = (b.at - a.at, c.at - a.at);
        let area = ab.perp_dot(ac);
        if area == 0.0 {
            return;
        }
        let (to_b, to_c) = (b.inverse - a.inverse, c.inverse - a.inverse);
        for row in rows {
            for column in columns.clone() {
                let p = DVec2::new(f64::from(column), f64::from(row)) - a.at;
                let (s, t) = (p.perp_dot(ac) / area, ab.perp_dot(p) / area);
                if s < -SLACK || t < -SLACK || s + t > 1.0 + SLACK {
                    continue;
                }
                let inverse = (a.inverse + s * to_b + t * to_c).max(0.0);
                let at = row as usize * self.width as usize + column as usize;
                if let Some(nearest) = self.inverse.get_mut(at) {
                    *nearest = nearest.max(inverse);
                }
            }
        }
    }

    /// The depth image: NaN where nothing was drawn, +∞ where what was drawn is infinitely far.
    pub fn into_image(self) -> Result<DepthImage, GeometryError> {
        let (width, height) = (self.width, self.height);
        let metres = self.inverse.into_iter().map(|inverse| match inverse {
            _ if inverse < 0.0 => f32::NAN,
            _ => (1.0 / inverse) as f32,
        });
        DepthImage::new(width, height, metres.collect())
            .map_err(|_| GeometryError::PictureSize { width, height })
    }
}

/// The pixels of a picture's side whose centres lie from `low` to `high`.
pub(super) fn centres(low: f64, high: f64, side: u32) -> Option<std::ops::RangeInclusive<u32>> {
    let first = (low - SLACK).ceil().max(0.0);
    let last = (high + SLACK).floor().min(f64::from(side) - 1.0);
    // Also none where a bound is NaN.
    (first <= last).then_some(first as u32..=last as u32)
}
