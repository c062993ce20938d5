//! The equidistant lens (Kannala and Brandt 2006; OpenCV's `fisheye`): the angle θ between a ray and the optical axis arrives at
//! the radius θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸).
//!
//! With four zeros this is still a fisheye, as in OpenCV; `image_geometry` takes four zeros for a lens that bends nothing.

use glam::DVec2;

use super::reach::reach;

/// Newton's method on one number, kept inside a bracket, needs fewer than ten.
const MAX_STEPS: usize = 60;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fisheye {
    k: [f64; 4],
    /// Largest angle that the lens shows, radians.
    reach: f64,
    /// The radius at which that angle arrives.
    radius: f64,
}

impl Fisheye {
    /// The lens of four finite coefficients.
    pub fn new(k: [f64; 4]) -> Self {
        let mut lens = Self {
            k,
            reach: 0.0,
            radius: 0.0,
        };
        lens.reach = reach(|angle| lens.bend(angle).1 > 0.0);
        lens.radius = lens.bend(lens.reach).0;
        lens
    }

    /// The radius at which an angle arrives, and its derivative.
    fn bend(&self, angle: f64) -> (f64, f64) {
        let [k1, k2, k3, k4] = self.k;
        let a2 = angle * angle;
        let radius = angle * (1.0 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))));
        let slope = 1.0 + a2 * (3.0 * k1 + a2 * (5.0 * k2 + a2 * (7.0 * k3 + a2 * 9.0 * k4)));
        (radius, slope)
    }

    pub fn distort(&self, place: DVec2) -> Option<DVec2> {
        let r = place.length();
        if r == 0.0 {
            return Some(place);
        }
        let angle = r.atan();
        (angle <= self.reach).then(|| place * (self.bend(angle).0 / r))
    }

    pub fn undistort(&self, bent: DVec2, tolerance: f64) -> Option<DVec2> {
        let target = bent.length();
        if target == 0.0 {
            return Some(bent);
        }
        if target.is_nan() || target > self.radius {
            return None;
        }
        let (mut low, mut high) = (0.0, self.reach);
        let mut angle = target.min(self.reach);
        for _ in 0..MAX_STEPS {
            let (radius, slope) = self.bend(angle);
            if (radius - target).abs() <= tolerance {
                return Some(bent * (angle.tan() / target));
            }
            match radius < target {
                true => low = angle,
                false => high = angle,
            }
            let next = angle - (radius - target) / slope;
            angle = match low < next && next < high {
                true => next,
                false => 0.5 * (low + high),
            };
        }
        None
    }
}
