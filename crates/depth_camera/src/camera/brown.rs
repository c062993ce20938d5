//! The Brown-Conrady lens with OpenCV's extensions (`calib3d`, "Detailed Description"): ROS calls it `plumb_bob` and
//! `rational_polynomial`.
//!
//! A ray (x, y, 1) with r² = x² + y² arrives at
//!
//! ```text
//! f  = (1 + k1 r² + k2 r⁴ + k3 r⁶) / (1 + k4 r² + k5 r⁴ + k6 r⁶)
//! x' = x f + 2 p1 x y + p2 (r² + 2x²) + s1 r² + s2 r⁴
//! y' = y f + p1 (r² + 2y²) + 2 p2 x y + s3 r² + s4 r⁴
//! ```
//!
//! and a tilted sensor maps (x', y') by a homography. The order of the coefficients is k1, k2, p1, p2, k3, k4, k5, k6, s1, s2,
//! s3, s4, τx, τy; those that are not given are 0.

use glam::{DMat2, DMat3, DVec2, DVec3};

use super::error::CameraError;
use super::reach::reach;

/// Newton's method converges in 4 to 8 steps over what a calibrated lens shows.
const MAX_STEPS: usize = 40;

/// How often a step is halved at most.
const MAX_HALVINGS: i32 = 40;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Brown {
    /// k1, k2, k3.
    above: [f64; 3],
    /// k4, k5, k6.
    below: [f64; 3],
    p: [f64; 2],
    s: [f64; 4],
    tilt: Option<Tilt>,
    /// Largest r² that the lens shows.
    reach: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Tilt {
    there: DMat3,
    back: DMat3,
}

impl Brown {
    /// The lens of 4, 5, 8, 12 or 14 finite coefficients.
    pub fn new(d: &[f64]) -> Result<Self, CameraError> {
        let at = |index: usize| d.get(index).copied().unwrap_or_default();
        let mut lens = Self {
            above: [at(0), at(1), at(4)],
            below: [at(5), at(6), at(7)],
            p: [at(2), at(3)],
            s: [at(8), at(9), at(10), at(11)],
            tilt: Tilt::new(at(12), at(13))?,
            reach: f64::INFINITY,
        };
        let angle = reach(|angle| {
            let r2 = angle.tan().powi(2);
            let (f, slope, below) = lens.radial(r2);
            below > 0.0 && f + 2.0 * r2 * slope > 0.0
        });
        lens.reach = angle.tan().powi(2);
        Ok(lens)
    }

    /// The factor f, its derivative by r², and its denominator.
    fn radial(&self, r2: f64) -> (f64, f64, f64) {
        let polynomial = |[a, b, c]: [f64; 3]| {
            let value = 1.0 + r2 * (a + r2 * (b + r2 * c));
            (value, a + r2 * (2.0 * b + r2 * 3.0 * c))
        };
        let (above, above_slope) = polynomial(self.above);
        let (below, below_slope) = polynomial(self.below);
        let f = above / below;
        (f, (above_slope - f * below_slope) / below, below)
    }

    /// Where a place arrives before the tilt, and the derivative of that.
    fn bend(&self, place: DVec2) -> (DVec2, DMat2) {
        let DVec2 { x, y } = place;
        let r2 = place.length_squared();
        let (f, slope, _) = self.radial(r2);
        let ([p1, p2], [s1, s2, s3, s4]) = (self.p, self.s);
        let bent = DVec2::new(
            x * f + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x) + r2 * (s1 + s2 * r2),
            y * f + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y + r2 * (s3 + s4 * r2),
        );
        let across = 2.0 * x * y * slope + 2.0 * (p1 * x + p2 * y);
        let (prism_x, prism_y) = (2.0 * (s1 + 2.0 * s2 * r2), 2.0 * (s3 + 2.0 * s4 * r2));
        let by_x = DVec2::new(
            f + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x + x * prism_x,
            across + x * prism_y,
        );
        let by_y = DVec2::new(
            across + y * prism_x,
            f + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x + y * prism_y,
        );
        (bent, DMat2::from_cols(by_x, by_y))
    }

    /// Whether the lens shows a place, given the derivative there: no ray further inside arrives at the same pixel.
    fn shows(&self, place: DVec2, derivative: DMat2) -> bool {
        place.length_squared() <= self.reach && derivative.determinant() > 0.0
    }

    pub fn distort(&self, place: DVec2) -> Option<DVec2> {
        let (bent, derivative) = self.bend(place);
        if !self.shows(place, derivative) {
            return None;
        }
        match &self.tilt {
            None => Some(bent),
            Some(tilt) => apply(tilt.there, bent),
        }
    }

    pub fn undistort(&self, bent: DVec2, tolerance: f64) -> Option<DVec2> {
        let target = match &self.tilt {
            None => bent,
            Some(tilt) => apply(tilt.back, bent)?,
        };
        // From the bent place Newton's method nearly always gets there. Where it does not, it starts where the radial terms alone
        // lead.
        self.newton(target, target, tolerance)
            .or_else(|| self.newton(self.radial_start(target)?, target, tolerance))
    }

    /// Newton's method with steps that are halved until they bring the place nearer.
    fn newton(&self, start: DVec2, target: DVec2, tolerance: f64) -> Option<DVec2> {
        let mut place = start;
        let (mut bent, mut derivative) = self.bend(place);
        let mut error = (bent - target).length();
        for _ in 0..MAX_STEPS {
            if error <= tolerance {
                break;
            }
            let step = derivative.inverse() * (target - bent);
            // A step that leaves what the lens shows may find another place that arrives at the same pixel. None is taken where
            // the derivative has no inverse, as nothing compares with NaN.
            (place, bent, derivative, error) = (0..MAX_HALVINGS).find_map(|halvings| {
                let next = place + step * 0.5f64.powi(halvings);
                let (next_bent, next_derivative) = self.bend(next);
                let next_error = (next_bent - target).length();
                (next_error < error && self.shows(next, next_derivative)).then_some((
                    next,
                    next_bent,
                    next_derivative,
                    next_error,
                ))
            })?;
        }
        (error <= tolerance && self.shows(place, derivative)).then_some(place)
    }

    /// The place in the target's direction whose radius the radial terms take to the target's, to a few digits.
    fn radial_start(&self, target: DVec2) -> Option<DVec2> {
        let radius = target.length();
        let direction = target.try_normalize()?;
        let (mut low, mut high) = (0.0, self.reach.sqrt());
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            match middle * self.radial(middle * middle).0 < radius {
                true => low = middle,
                false => high = middle,
            }
        }
        Some(direction * low)
    }
}

impl Tilt {
    /// The homography of a sensor that is turned by τx, then τy (OpenCV, `computeTiltProjectionMatrix`); none without a turn.
    fn new(x: f64, y: f64) -> Result<Option<Self>, CameraError> {
        if x == 0.0 && y == 0.0 {
            return Ok(None);
        }
        let right = std::f64::consts::FRAC_PI_2;
        if x.abs() >= right || y.abs() >= right {
            return Err(CameraError::Tilt { x, y });
        }
        // OpenCV's rotations are the inverses of the usual ones.
        let rotation = DMat3::from_rotation_y(-y) * DMat3::from_rotation_x(-x);
        let DVec3 { x: a, y: b, z: c } = rotation.z_axis;
        let onto_plane = DMat3::from_cols(
            DVec3::new(c, 0.0, 0.0),
            DVec3::new(0.0, c, 0.0),
            DVec3::new(-a, -b, 1.0),
        );
        let there = onto_plane * rotation;
        let back = there.inverse();
        match back.is_finite() {
            true => Ok(Some(Self { there, back })),
            false => Err(CameraError::Tilt { x, y }),
        }
    }
}

fn apply(homography: DMat3, place: DVec2) -> Option<DVec2> {
    let mapped = homography * place.extend(1.0);
    (mapped.z > 0.0).then(|| mapped.truncate() / mapped.z)
}
