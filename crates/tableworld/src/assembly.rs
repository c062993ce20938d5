//! Putting primitives together to a thing, and the thing into the scene.
//!
//! A thing is built round the origin at any size, z up, its front towards −y; [`Assembly::place`] then stretches it
//! to the size of its object.

use super::paint::Material;
use super::primitive::{Primitive, Shape};
use super::scene::Object;
use super::vector::{v, Affine, Vec3};

/// A thing made of primitives.
#[derive(Clone, Debug, Default)]
pub struct Assembly {
    pub parts: Vec<Primitive>,
}

impl Assembly {
    /// Adds a shape that `map` puts into place.
    pub fn add(&mut self, shape: Shape, material: &Material, map: Affine) {
        self.parts
            .push(Primitive::new(shape, material.clone(), map));
    }

    /// Adds a box of half extents `half` round `at`.
    pub fn cuboid(&mut self, at: Vec3, half: Vec3, material: &Material) {
        self.add(Shape::Box, material, Affine::scaled(at, half));
    }

    /// An ellipsoid of half axes `half` round `at`.
    pub fn ball(&mut self, at: Vec3, half: Vec3, material: &Material) {
        self.add(full_ball(), material, Affine::scaled(at, half));
    }

    /// An upright cylinder between two heights.
    pub fn cylinder(&mut self, at: Vec3, radius: f32, height: f32, material: &Material) {
        self.frustum(at, [radius, radius], height, material);
    }

    /// An upright solid frustum that stands on `at`.
    pub fn frustum(&mut self, at: Vec3, radii: [f32; 2], height: f32, material: &Material) {
        self.rod(at, at + v(0.0, 0.0, height), radii, material);
    }

    /// A solid round rod from `a` to `b`.
    pub fn rod(&mut self, a: Vec3, b: Vec3, radii: [f32; 2], material: &Material) {
        let slope = radii[0] - radii[1];
        let slope = slope / (b - a).length();
        // In the cone's frame z is half the length: a normal's z part grows with it.
        let slope = slope * 0.5 * (b - a).length();
        let shape = Shape::Cone {
            radii,
            slopes: [slope; 2],
            bends: [[0.0; 2]; 2],
            caps: [true; 2],
        };
        self.add(shape, material, Affine::along(a, b));
    }

    /// A ring-shaped or round flat surface round `at` that faces `normal`.
    pub fn disc(&mut self, at: Vec3, normal: Vec3, inner: f32, outer: f32, material: &Material) {
        let along = Affine::along(at - normal.unit(), at + normal.unit());
        let map = Affine {
            x: along.x * outer,
            y: along.y * outer,
            ..along
        };
        self.add(
            Shape::Disc {
                inner: inner / outer,
            },
            material,
            map,
        );
    }

    /// A surface of revolution about the z axis through `at`: (radius, height) from bottom to top, shaded smoothly.
    pub fn lathe(&mut self, at: Vec3, profile: &[[f32; 2]], material: &Material) {
        let slope = |i: usize, j: usize| {
            let ([r0, z0], [r1, z1]) = (profile[i], profile[j]);
            let dz = z1 - z0;
            if dz.abs() > 1e-6 {
                (r0 - r1) / dz
            } else {
                0.0
            }
        };
        let last = profile.len().saturating_sub(1);
        let at_knot = |i: usize| slope(i.saturating_sub(1), (i + 1).min(last));
        for i in 0..last {
            let ([r0, z0], [r1, z1]) = (profile[i], profile[i + 1]);
            let half = 0.5 * (z1 - z0);
            if half.abs() < 1e-5 {
                let (inner, outer) = (r0.min(r1), r0.max(r1));
                self.disc(
                    at + v(0.0, 0.0, z0),
                    v(0.0, 0.0, 1.0),
                    inner,
                    outer,
                    material,
                );
                continue;
            }
            let shape = Shape::Cone {
                radii: [r0, r1],
                slopes: [at_knot(i) * half, at_knot(i + 1) * half],
                bends: [[0.0; 2]; 2],
                caps: [false; 2],
            };
            let map = Affine::scaled(at + v(0.0, 0.0, z0 + half), v(1.0, 1.0, half));
            self.add(shape, material, map);
        }
    }

    /// A round tube through `points` with a radius at each; closed where `closed`.
    pub fn tube(&mut self, points: &[Vec3], radii: &[f32], closed: bool, material: &Material) {
        let n = points.len();
        let direction = |i: usize| {
            let before = if i > 0 || closed { (i + n - 1) % n } else { i };
            let after = if i + 1 < n || closed { (i + 1) % n } else { i };
            (points[after] - points[before]).unit()
        };
        for i in 0..n {
            let r = radii[i.min(radii.len() - 1)];
            self.ball(points[i], v(r, r, r), material);
            let j = (i + 1) % n;
            if j == 0 && !closed {
                break;
            }
            let s = radii[j.min(radii.len() - 1)];
            let map = Affine::along(points[i], points[j]);
            let half = map.z.length();
            // How far the tube's direction at a knot leans from this piece's.
            let bend = |knot: usize| {
                let t = direction(knot);
                let lean = half * half / t.dot(map.z).max(1e-9);
                [t.dot(map.x) * lean, t.dot(map.y) * lean]
            };
            let shape = Shape::Cone {
                radii: [r, s],
                slopes: [0.5 * (r - s); 2],
                bends: [bend(i), bend(j)],
                caps: [false; 2],
            };
            self.add(shape, material, map);
        }
    }

    /// A closed round tube along an ellipse with half axes `a` and `b` round `at`.
    pub fn ring(&mut self, at: Vec3, a: Vec3, b: Vec3, radius: f32, material: &Material) {
        let steps = 14;
        let points: Vec<_> = (0..steps)
            .map(|i| {
                let (s, c) = (std::f32::consts::TAU * i as f32 / steps as f32).sin_cos();
                at + a * c + b * s
            })
            .collect();
        self.tube(&points, &[radius], true, material);
    }

    /// A flat plate: the convex polygon `corners` in the xy plane of `map`, z from −1 to 1.
    pub fn plate(&mut self, corners: &[[f32; 2]], map: Affine, material: &Material) {
        self.add(prism(corners), material, map);
    }

    /// A flat box with rounded corners of the radius `round`, half extents `half`.
    pub fn slab(&mut self, at: Vec3, half: Vec3, round: f32, material: &Material) {
        let mut corners = Vec::new();
        for quarter in 0..4 {
            let (sx, sy) = [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)][quarter];
            for step in 0..4 {
                let angle = std::f32::consts::FRAC_PI_2 * (quarter as f32 + step as f32 / 3.0);
                corners.push([
                    (sx * (half.x - round) + round * angle.cos()) / half.x,
                    (sy * (half.y - round) + round * angle.sin()) / half.y,
                ]);
            }
        }
        self.add(prism(&corners), material, Affine::scaled(at, half));
    }

    /// Everything added by `build` is moved by `map`.
    pub fn moved(&mut self, map: Affine, build: impl FnOnce(&mut Self)) {
        let from = self.parts.len();
        build(self);
        for part in &mut self.parts[from..] {
            part.moved(&map);
        }
    }

    /// Lowest and highest corner of all parts along the axes.
    pub fn bounds(&self) -> (Vec3, Vec3) {
        self.parts.iter().map(Primitive::bounds).fold(
            (v(1e9, 1e9, 1e9), v(-1e9, -1e9, -1e9)),
            |(low, high), (l, h)| (low.min(l), high.max(h)),
        )
    }

    /// Full extents of the bounding box.
    pub fn extents(&self) -> Vec3 {
        let (low, high) = self.bounds();
        high - low
    }

    /// Stretches the thing to the object's size, turns it and puts it where the object is.
    pub fn place(&mut self, object: &Object) {
        let (low, high) = self.bounds();
        let middle = (low + high) * 0.5;
        let extent = high - low;
        let [x, y, z] = object.size;
        let scale = v(
            x / extent.x.max(1e-6),
            y / extent.y.max(1e-6),
            z / extent.z.max(1e-6),
        );
        let fit = Affine::scaled(-middle.times(scale), scale);
        let turn = Affine {
            origin: object.position.into(),
            ..Affine::turned(v(0.0, 0.0, 1.0), object.yaw)
        };
        let map = turn.after(&fit);
        for part in &mut self.parts {
            part.moved(&map);
        }
    }
}

/// The whole unit sphere.
pub fn full_ball() -> Shape {
    Shape::Ball {
        low: -1.0,
        high: 1.0,
    }
}

/// The prism over a convex polygon, its corners in either order.
pub fn prism(corners: &[[f32; 2]]) -> Shape {
    let n = corners.len();
    let [mx, my] = corners
        .iter()
        .fold([0.0, 0.0], |m, c| [m[0] + c[0], m[1] + c[1]]);
    let middle = [mx / n as f32, my / n as f32];
    let lines = (0..n)
        .filter_map(|i| {
            let ([x0, y0], [x1, y1]) = (corners[i], corners[(i + 1) % n]);
            let (a, b) = (y1 - y0, x0 - x1);
            let length = a.hypot(b);
            if length < 1e-9 {
                return None;
            }
            let (a, b) = (a / length, b / length);
            let c = a * x0 + b * y0;
            // Outwards, whichever way round the corners go.
            Some(if a * middle[0] + b * middle[1] > c {
                [-a, -b, -c]
            } else {
                [a, b, c]
            })
        })
        .collect();
    Shape::Prism {
        lines,
        corners: corners.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Category, Colour};

    #[test]
    fn a_placed_thing_has_the_size_and_place_of_its_object() {
        let mut thing = Assembly::default();
        let white = Material::plain(v(1.0, 1.0, 1.0));
        thing.ball(v(3.0, 0.0, 0.0), v(1.0, 2.0, 1.0), &white);
        thing.rod(v(3.0, 0.0, 0.0), v(5.0, 0.0, 0.0), [0.5, 0.2], &white);
        thing.place(&Object {
            category: Category::Mug,
            colour: Colour::Red,
            position: [0.1, 0.2, 0.05],
            yaw: 0.0,
            size: [0.2, 0.3, 0.1],
        });
        let (low, high) = thing.bounds();
        assert!((low - v(0.0, 0.05, 0.0)).length() < 1e-5, "{low:?}");
        assert!((high - v(0.2, 0.35, 0.1)).length() < 1e-5, "{high:?}");
    }
}
