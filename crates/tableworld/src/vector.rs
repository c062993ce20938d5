//! Three numbers, and the affine maps between the frames of a scene.

use std::ops::{Add, Mul, Neg, Sub};

/// A point, a direction or a linear colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

/// Shorthand for a [`Vec3`].
pub const fn v(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    pub fn cross(self, o: Self) -> Self {
        v(
            self.y * o.z - self.z * o.y,
            self.z * o.x - self.x * o.z,
            self.x * o.y - self.y * o.x,
        )
    }

    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Length 1; the upward direction where there is no direction.
    pub fn unit(self) -> Self {
        let length = self.length();
        if length > 1e-12 {
            self * (1.0 / length)
        } else {
            v(0.0, 0.0, 1.0)
        }
    }

    /// Component by component.
    pub fn times(self, o: Self) -> Self {
        v(self.x * o.x, self.y * o.y, self.z * o.z)
    }

    pub fn min(self, o: Self) -> Self {
        v(self.x.min(o.x), self.y.min(o.y), self.z.min(o.z))
    }

    pub fn max(self, o: Self) -> Self {
        v(self.x.max(o.x), self.y.max(o.y), self.z.max(o.z))
    }

    /// `self` at 0, `o` at 1.
    pub fn mix(self, o: Self, t: f32) -> Self {
        self + (o - self) * t
    }

    pub fn array(self) -> [f32; 3] {
        [self.x, self.y, self.z]
    }
}

impl From<[f32; 3]> for Vec3 {
    fn from([x, y, z]: [f32; 3]) -> Self {
        v(x, y, z)
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        v(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        v(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        v(-self.x, -self.y, -self.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, s: f32) -> Self {
        v(self.x * s, self.y * s, self.z * s)
    }
}

/// `p ↦ x p.x + y p.y + z p.z + origin`.
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    pub x: Vec3,
    pub y: Vec3,
    pub z: Vec3,
    pub origin: Vec3,
}

impl Affine {
    /// Stretches by `scale` along the axes, then moves the origin to `at`.
    pub fn scaled(at: Vec3, scale: Vec3) -> Self {
        Self {
            x: v(scale.x, 0.0, 0.0),
            y: v(0.0, scale.y, 0.0),
            z: v(0.0, 0.0, scale.z),
            origin: at,
        }
    }

    /// Turns by `angle` about an axis through the origin.
    pub fn turned(axis: Vec3, angle: f32) -> Self {
        let (s, c) = angle.sin_cos();
        let k = axis.unit();
        let turn = |p: Vec3| p * c + k.cross(p) * s + k * (k.dot(p) * (1.0 - c));
        Self {
            x: turn(v(1.0, 0.0, 0.0)),
            y: turn(v(0.0, 1.0, 0.0)),
            z: turn(v(0.0, 0.0, 1.0)),
            origin: Vec3::default(),
        }
    }

    /// Takes the z axis to the line from `a` to `b` (z = −1 at `a`, 1 at `b`), x and y to lengths 1.
    pub fn along(a: Vec3, b: Vec3) -> Self {
        let half = (b - a) * 0.5;
        let z = half.unit();
        let helper = if z.z.abs() < 0.9 {
            v(0.0, 0.0, 1.0)
        } else {
            v(1.0, 0.0, 0.0)
        };
        let x = helper.cross(z).unit();
        Self {
            x,
            y: z.cross(x),
            z: half,
            origin: (a + b) * 0.5,
        }
    }

    pub fn point(&self, p: Vec3) -> Vec3 {
        self.direction(p) + self.origin
    }

    pub fn direction(&self, p: Vec3) -> Vec3 {
        self.x * p.x + self.y * p.y + self.z * p.z
    }

    /// `self` after `first`.
    pub fn after(&self, first: &Self) -> Self {
        Self {
            x: self.direction(first.x),
            y: self.direction(first.y),
            z: self.direction(first.z),
            origin: self.point(first.origin),
        }
    }

    /// The way back. A flat map is treated as if it had a tiny thickness.
    pub fn inverse(&self) -> Self {
        let (a, b, c) = (self.x, self.y, self.z);
        let (bc, ca, ab) = (b.cross(c), c.cross(a), a.cross(b));
        let det = a.dot(bc);
        let inv = if det.abs() > 1e-20 { 1.0 / det } else { 1e20 };
        // The rows of the inverse are bc, ca, ab over the determinant.
        let (r0, r1, r2) = (bc * inv, ca * inv, ab * inv);
        let linear = Self {
            x: v(r0.x, r1.x, r2.x),
            y: v(r0.y, r1.y, r2.y),
            z: v(r0.z, r1.z, r2.z),
            origin: Vec3::default(),
        };
        Self {
            origin: -linear.direction(self.origin),
            ..linear
        }
    }

    /// The transpose of the linear part times `n`: takes normals back through the inverse map.
    pub fn transposed(&self, n: Vec3) -> Vec3 {
        v(self.x.dot(n), self.y.dot(n), self.z.dot(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_leads_back() {
        let map = Affine::turned(v(1.0, 2.0, 0.5), 0.7)
            .after(&Affine::scaled(v(0.1, -0.3, 2.0), v(0.05, 2.0, 0.3)));
        let p = v(0.4, -1.1, 0.9);
        assert!((map.inverse().point(map.point(p)) - p).length() < 1e-4);
    }
}
