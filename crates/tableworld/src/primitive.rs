//! The few surfaces everything is made of, met by rays exactly.
//!
//! Each is a fixed shape in a frame of its own, put into the scene by an affine map; so an ellipsoid is a ball, and
//! any frustum, oblique or not, a cone between z = −1 and 1.

use super::paint::Material;
use super::vector::{v, Affine, Vec3};

/// A surface in its own frame.
#[derive(Clone, Debug)]
pub enum Shape {
    /// −1 to 1 along each axis.
    Box,
    /// The part of the unit sphere between two heights.
    Ball { low: f32, high: f32 },
    /// The side of a frustum from z = −1 to 1 with the radii there. `slopes` are the z parts of the normals at both
    /// ends per unit of the radial part, between which it is shaded; `bends` (x and y, at both ends) tilt the
    /// normals of a piece of a bent tube.
    Cone {
        radii: [f32; 2],
        slopes: [f32; 2],
        bends: [[f32; 2]; 2],
        caps: [bool; 2],
    },
    /// z = 0 between the radii `inner` and 1.
    Disc { inner: f32 },
    /// A convex polygon in the xy plane, as lines a x + b y ≤ c with its corners, between z = −1 and 1.
    Prism {
        lines: Vec<[f32; 3]>,
        corners: Vec<[f32; 2]>,
    },
}

/// A ray. `direction` is not of unit length: what is measured along it is in its own units.
#[derive(Clone, Copy, Debug)]
pub struct Ray {
    pub origin: Vec3,
    pub direction: Vec3,
}

impl Ray {
    pub fn at(&self, t: f32) -> Vec3 {
        self.origin + self.direction * t
    }
}

/// A surface with its material and place.
#[derive(Clone, Debug)]
pub struct Primitive {
    pub shape: Shape,
    pub material: Material,
    pub map: Affine,
    pub back: Affine,
    /// A sphere around it.
    pub centre: Vec3,
    pub radius: f32,
}

impl Primitive {
    pub fn new(shape: Shape, material: Material, map: Affine) -> Self {
        let mut made = Self {
            shape,
            material,
            map,
            back: map.inverse(),
            centre: Vec3::default(),
            radius: 0.0,
        };
        made.enclose();
        made
    }

    /// Moves it by `outer`.
    pub fn moved(&mut self, outer: &Affine) {
        self.map = outer.after(&self.map);
        self.back = self.map.inverse();
        self.enclose();
    }

    fn enclose(&mut self) {
        let corners = self.corners();
        let centre = corners.iter().fold(Vec3::default(), |a, &c| a + c) * 0.125;
        let mut radius = corners
            .iter()
            .fold(0.0f32, |r, &c| r.max((c - centre).length()));
        if matches!(self.shape, Shape::Ball { .. }) {
            let m = &self.map;
            let largest = m.x.length().max(m.y.length()).max(m.z.length());
            let stretched = 1.42 * largest;
            radius = radius.min(stretched);
        }
        self.centre = centre;
        self.radius = radius;
    }

    /// Half extents and middle of the shape in its own frame.
    fn extent(&self) -> (Vec3, Vec3) {
        match &self.shape {
            Shape::Box => (v(1.0, 1.0, 1.0), Vec3::default()),
            Shape::Ball { low, high } => {
                let r = widest(*low, *high);
                (v(r, r, 0.5 * (high - low)), v(0.0, 0.0, 0.5 * (high + low)))
            }
            Shape::Cone { radii, .. } => {
                let r = radii[0].max(radii[1]);
                (v(r, r, 1.0), Vec3::default())
            }
            Shape::Disc { .. } => (v(1.0, 1.0, 0.0), Vec3::default()),
            Shape::Prism { corners, .. } => {
                let (mut low, mut high) = (v(f32::MAX, f32::MAX, -1.0), v(f32::MIN, f32::MIN, 1.0));
                for &[x, y] in corners {
                    low = low.min(v(x, y, -1.0));
                    high = high.max(v(x, y, 1.0));
                }
                ((high - low) * 0.5, (high + low) * 0.5)
            }
        }
    }

    /// The corners of a box around it, in the outer frame.
    pub fn corners(&self) -> [Vec3; 8] {
        let (half, middle) = self.extent();
        std::array::from_fn(|i| {
            let sign = |bit: usize| if i >> bit & 1 == 0 { -1.0 } else { 1.0 };
            self.map
                .point(middle + half.times(v(sign(0), sign(1), sign(2))))
        })
    }

    /// Its tight bounds along the outer axes: lowest and highest corner.
    pub fn bounds(&self) -> (Vec3, Vec3) {
        let m = &self.map;
        let reach = |f: &dyn Fn(f32, f32, f32) -> f32| {
            v(
                f(m.x.x, m.y.x, m.z.x),
                f(m.x.y, m.y.y, m.z.y),
                f(m.x.z, m.y.z, m.z.z),
            )
        };
        let ring = |z: f32, r: f32| {
            let middle = m.point(v(0.0, 0.0, z));
            let half = reach(&|x, y, _| r * x.hypot(y));
            (middle - half, middle + half)
        };
        let both = |a: (Vec3, Vec3), b: (Vec3, Vec3)| (a.0.min(b.0), a.1.max(b.1));
        match &self.shape {
            Shape::Ball { low, high } if *low <= -1.0 && *high >= 1.0 => {
                let half = reach(&|x, y, z| (x * x + y * y + z * z).sqrt());
                (m.origin - half, m.origin + half)
            }
            Shape::Ball { low, high } => {
                let at = |z: f32| ring(z, (1.0 - z * z).max(0.0).sqrt());
                both(both(at(*low), at(*high)), at(0.0f32.clamp(*low, *high)))
            }
            Shape::Cone { radii, .. } => both(ring(-1.0, radii[0]), ring(1.0, radii[1])),
            Shape::Disc { .. } => ring(0.0, 1.0),
            Shape::Box => {
                let half = reach(&|x, y, z| x.abs() + y.abs() + z.abs());
                (m.origin - half, m.origin + half)
            }
            Shape::Prism { corners, .. } => corners
                .iter()
                .flat_map(|&[x, y]| [m.point(v(x, y, -1.0)), m.point(v(x, y, 1.0))])
                .fold((v(1e9, 1e9, 1e9), v(-1e9, -1e9, -1e9)), |(low, high), p| {
                    (low.min(p), high.max(p))
                }),
        }
    }

    /// Where the ray first meets it beyond `nearest` and before `farthest`.
    #[inline]
    pub fn meet(&self, ray: &Ray, nearest: f32, farthest: f32) -> Option<f32> {
        let o = self.back.point(ray.origin);
        let d = self.back.direction(ray.direction);
        self.meet_local(o, d, nearest, farthest)
    }

    /// [`Primitive::meet`] with the ray already in the primitive's frame.
    #[inline]
    pub fn meet_local(&self, o: Vec3, d: Vec3, nearest: f32, farthest: f32) -> Option<f32> {
        let inside = |t: f32| t > nearest && t < farthest;
        match &self.shape {
            Shape::Box => {
                let (t0, t1) = slab(o.x, d.x, -1e30, 1e30);
                let (t0, t1) = slab(o.y, d.y, t0, t1);
                let (t0, t1) = slab(o.z, d.z, t0, t1);
                span(t0, t1).filter(|&t| inside(t))
            }
            Shape::Ball { low, high } => {
                let (t0, t1) = quadratic(d.dot(d), o.dot(d), o.dot(o) - 1.0)?;
                let good = |t: f32| {
                    let z = o.z + t * d.z;
                    inside(t) && z >= *low && z <= *high
                };
                [t0, t1].into_iter().find(|&t| good(t))
            }
            Shape::Cone { radii, caps, .. } => {
                let (mean, growth) = (0.5 * (radii[0] + radii[1]), 0.5 * (radii[1] - radii[0]));
                let (r, g) = (mean + growth * o.z, growth * d.z);
                let a = d.x * d.x + d.y * d.y - g * g;
                let b = o.x * d.x + o.y * d.y - r * g;
                let c = o.x * o.x + o.y * o.y - r * r;
                let mut best = f32::MAX;
                if let Some((t0, t1)) = quadratic(a, b, c) {
                    for t in [t0, t1] {
                        let z = o.z + t * d.z;
                        if t < best && inside(t) && z.abs() <= 1.0 {
                            best = t;
                        }
                    }
                }
                for (end, z) in [-1.0f32, 1.0].into_iter().enumerate() {
                    if caps[end] && d.z.abs() > 1e-9 {
                        let t = (z - o.z) / d.z;
                        let (x, y) = (o.x + t * d.x, o.y + t * d.y);
                        if t < best && inside(t) && x * x + y * y <= radii[end] * radii[end] {
                            best = t;
                        }
                    }
                }
                (best < f32::MAX).then_some(best)
            }
            Shape::Disc { inner } => {
                let t = -o.z / d.z;
                if !inside(t) {
                    return None;
                }
                let (x, y) = (o.x + t * d.x, o.y + t * d.y);
                let r2 = x * x + y * y;
                (r2 <= 1.0 && r2 >= inner * inner).then_some(t)
            }
            Shape::Prism { lines, .. } => {
                let (mut t0, mut t1) = slab(o.z, d.z, -1e30, 1e30);
                for &[a, b, c] in lines {
                    let (height, slope) = (c - a * o.x - b * o.y, a * d.x + b * d.y);
                    if slope.abs() < 1e-9 {
                        if height < 0.0 {
                            return None;
                        }
                    } else if slope > 0.0 {
                        t1 = t1.min(height / slope);
                    } else {
                        t0 = t0.max(height / slope);
                    }
                }
                span(t0, t1).filter(|&t| inside(t))
            }
        }
    }

    /// The normal in its own frame at a point `p` of the surface, not of unit length.
    pub fn normal_local(&self, p: Vec3) -> Vec3 {
        match &self.shape {
            Shape::Box => {
                let a = v(p.x.abs(), p.y.abs(), p.z.abs());
                if a.x > a.y && a.x > a.z {
                    v(p.x.signum(), 0.0, 0.0)
                } else if a.y > a.z {
                    v(0.0, p.y.signum(), 0.0)
                } else {
                    v(0.0, 0.0, p.z.signum())
                }
            }
            Shape::Ball { .. } => p,
            Shape::Cone {
                radii,
                slopes,
                bends,
                caps,
            } => {
                let r = (p.x * p.x + p.y * p.y).sqrt();
                let side = 0.5 * (radii[0] + radii[1]) + 0.5 * (radii[1] - radii[0]) * p.z;
                let end = usize::from(p.z > 0.0);
                if caps[end] && p.z.abs() > 0.9995 && r < side - 1e-4 * side {
                    return v(0.0, 0.0, p.z.signum());
                }
                let t = (0.5 * (p.z + 1.0)).clamp(0.0, 1.0);
                let slope = slopes[0] + (slopes[1] - slopes[0]) * t;
                let bend = |axis: usize| bends[0][axis] + (bends[1][axis] - bends[0][axis]) * t;
                let inv = 1.0 / r.max(1e-9);
                let (x, y) = (p.x * inv, p.y * inv);
                v(x, y, slope - x * bend(0) - y * bend(1))
            }
            Shape::Disc { .. } => v(0.0, 0.0, 1.0),
            Shape::Prism { lines, .. } => {
                let mut best = (1.0 - p.z.abs(), v(0.0, 0.0, p.z.signum()));
                for &[a, b, c] in lines {
                    let gap = c - a * p.x - b * p.y;
                    if gap < best.0 {
                        best = (gap, v(a, b, 0.0));
                    }
                }
                best.1
            }
        }
    }
}

fn widest(low: f32, high: f32) -> f32 {
    let z = 0.0f32.clamp(low, high);
    (1.0 - z * z).max(0.0).sqrt()
}

#[inline]
fn slab(o: f32, d: f32, t0: f32, t1: f32) -> (f32, f32) {
    let inv = 1.0 / if d.abs() < 1e-12 { 1e-12 } else { d };
    let (a, b) = ((-1.0 - o) * inv, (1.0 - o) * inv);
    (t0.max(a.min(b)), t1.min(a.max(b)))
}

/// The entry into a solid; where the ray starts inside it, nothing.
#[inline]
fn span(t0: f32, t1: f32) -> Option<f32> {
    (t0 < t1).then_some(t0)
}

/// The roots of a t² + 2 b t + c, the smaller first.
#[inline]
fn quadratic(a: f32, b: f32, c: f32) -> Option<(f32, f32)> {
    if a.abs() < 1e-12 {
        let t = -0.5 * c / b;
        return Some((t, t));
    }
    let disc = b * b - a * c;
    if disc < 0.0 {
        return None;
    }
    let root = disc.sqrt();
    // The larger of the two sums first: no cancellation.
    let q = if b > 0.0 { -b - root } else { -b + root };
    let (t0, t1) = (q / a, if q.abs() > 1e-20 { c / q } else { 0.0 });
    Some((t0.min(t1), t0.max(t1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paint::Material;

    fn hit(shape: Shape, origin: Vec3, direction: Vec3) -> Option<f32> {
        let map = Affine::scaled(v(0.0, 0.0, 0.0), v(2.0, 1.0, 1.0));
        Primitive::new(shape, Material::plain(v(1.0, 1.0, 1.0)), map).meet(
            &Ray { origin, direction },
            0.0,
            1e9,
        )
    }

    #[test]
    fn rays_meet_shapes_where_geometry_says() {
        let ball = Shape::Ball {
            low: -1.0,
            high: 1.0,
        };
        let towards = v(-2.0, 0.0, 0.0);
        for shape in [Shape::Box, ball] {
            let t = hit(shape.clone(), v(10.0, 0.0, 0.0), towards).unwrap();
            assert!((t - 4.0).abs() < 1e-5, "{shape:?}: {t}");
            assert!(hit(shape, v(10.0, 1.1, 0.0), towards).is_none());
        }
        let cone = Shape::Cone {
            radii: [1.0, 0.5],
            slopes: [0.25; 2],
            bends: [[0.0; 2]; 2],
            caps: [false; 2],
        };
        let t = hit(cone, v(10.0, 0.0, 1.0 - 1e-6), towards).unwrap();
        assert!((t - 4.5).abs() < 1e-3, "{t}");
    }

    #[test]
    fn an_open_cone_shows_its_inside() {
        let cone = Shape::Cone {
            radii: [1.0, 1.0],
            slopes: [0.0; 2],
            bends: [[0.0; 2]; 2],
            caps: [true, false],
        };
        let t = hit(cone, v(0.0, 0.0, 3.0), v(0.0, 0.0, -1.0)).unwrap();
        assert!((t - 4.0).abs() < 1e-5, "{t}");
    }
}
