//! How much two boxes have in common.

use glam::DVec3;

use crate::OrientedBox;

impl OrientedBox {
    /// The eight corners, metres, in the frame that the box is in.
    pub fn corners(&self) -> [DVec3; 8] {
        std::array::from_fn(|k| {
            let sign = |axis: usize| if k >> axis & 1 == 0 { -0.5 } else { 0.5 };
            self.center + self.rotation * (self.size * DVec3::new(sign(0), sign(1), sign(2)))
        })
    }

    /// The volume, cubic metres.
    pub fn volume(&self) -> f64 {
        self.size.element_product()
    }

    /// The volume that is in both boxes, cubic metres: exact up to rounding, however they are turned. The one box is cut by the
    /// six planes of the other (Sutherland and Hodgman 1974).
    pub fn intersection_volume(&self, other: &Self) -> f64 {
        // Relative to the one's centre, so that a far origin costs no digits.
        let origin = self.center;
        let mut faces = self.faces(origin);
        for axis in [DVec3::X, DVec3::Y, DVec3::Z] {
            let normal = other.rotation * axis;
            let middle = normal.dot(other.center - origin);
            let half = other.size.dot(axis) / 2.0;
            faces = cut(faces, normal, middle + half);
            faces = cut(faces, -normal, half - middle);
        }
        volume(&faces)
    }

    /// The volume of the intersection over that of the union, 0 to 1; 0 where one of the boxes is flat.
    pub fn iou(&self, other: &Self) -> f64 {
        let both = self.intersection_volume(other);
        let either = self.volume() + other.volume() - both;
        match either > 0.0 {
            true => (both / either).clamp(0.0, 1.0),
            false => 0.0,
        }
    }

    /// Six faces, the corners of each going around counterclockwise as seen from outside.
    fn faces(&self, origin: DVec3) -> Vec<Vec<DVec3>> {
        let corners = self.corners();
        let around = [
            [0, 4, 6, 2],
            [1, 3, 7, 5],
            [0, 1, 5, 4],
            [2, 6, 7, 3],
            [0, 2, 3, 1],
            [4, 5, 7, 6],
        ];
        let face = |of: [usize; 4]| of.map(|k| corners[k] - origin).to_vec();
        around.into_iter().map(face).collect()
    }
}

/// What of a convex body is in `normal · p ≤ bound`.
fn cut(faces: Vec<Vec<DVec3>>, normal: DVec3, bound: f64) -> Vec<Vec<DVec3>> {
    let over = |p: DVec3| normal.dot(p) - bound;
    let mut rim: Vec<DVec3> = Vec::new();
    let mut kept: Vec<Vec<DVec3>> = Vec::new();
    let mut is_cut = false;
    for face in faces {
        let mut rest = Vec::with_capacity(face.len() + 1);
        for (k, &to) in face.iter().enumerate() {
            let from = face[(k + face.len() - 1) % face.len()];
            let (a, b) = (over(from), over(to));
            if (a < 0.0 && b > 0.0) || (a > 0.0 && b < 0.0) {
                let at = from + (to - from) * (a / (a - b));
                rest.push(at);
                rim.push(at);
            }
            if b <= 0.0 {
                rest.push(to);
                if b == 0.0 {
                    rim.push(to);
                }
            }
            is_cut |= b > 0.0;
        }
        if rest.len() >= 3 {
            kept.push(rest);
        }
    }
    if is_cut && rim.len() >= 3 {
        kept.push(around(rim, normal));
    }
    kept
}

/// The corners of a convex face in their order around its normal.
fn around(mut corners: Vec<DVec3>, normal: DVec3) -> Vec<DVec3> {
    let middle = corners.iter().sum::<DVec3>() / corners.len() as f64;
    let (first, second) = crate::boxes::plane_axes(normal);
    let angle = |p: &DVec3| {
        let at = *p - middle;
        at.dot(second).atan2(at.dot(first))
    };
    corners.sort_by(|a, b| angle(a).total_cmp(&angle(b)));
    corners
}

/// The volume within faces that are seen from outside (the divergence theorem).
fn volume(faces: &[Vec<DVec3>]) -> f64 {
    let of_face = |face: &Vec<DVec3>| {
        let [first, rest @ ..] = face.as_slice() else {
            return 0.0;
        };
        let triangles = rest.iter().zip(rest.iter().skip(1));
        triangles.map(|(a, b)| first.dot(a.cross(*b))).sum::<f64>() / 6.0
    };
    faces.iter().map(of_face).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DQuat;
    use proptest::prelude::*;

    fn a_box(center: [f64; 3], size: [f64; 3], rotation: DQuat) -> OrientedBox {
        OrientedBox {
            center: center.into(),
            rotation,
            size: size.into(),
        }
    }

    #[test]
    fn overlaps_computed_by_hand() {
        let unit = a_box([0.0; 3], [1.0; 3], DQuat::IDENTITY);
        assert!((unit.iou(&unit) - 1.0).abs() < 1e-12);
        let half = a_box([0.5, 0.0, 0.0], [1.0; 3], DQuat::IDENTITY);
        assert!((unit.iou(&half) - 1.0 / 3.0).abs() < 1e-12);
        let beside = a_box([1.5, 0.0, 0.0], [1.0; 3], DQuat::IDENTITY);
        assert_eq!(unit.iou(&beside), 0.0);
        let flat = a_box([0.0; 3], [1.0, 1.0, 0.0], DQuat::IDENTITY);
        assert_eq!(unit.iou(&flat), 0.0);
        // Two squares turned by 45° have a regular octagon in common, of the area 2·√2 − 2.
        let turned = a_box(
            [0.0; 3],
            [1.0; 3],
            DQuat::from_rotation_z(std::f64::consts::FRAC_PI_4),
        );
        let octagon = 2.0 * 2f64.sqrt() - 2.0;
        assert!((unit.intersection_volume(&turned) - octagon).abs() < 1e-12);
        let inner = a_box([0.1, -0.05, 0.0], [0.2; 3], DQuat::from_rotation_x(0.4));
        assert!((unit.intersection_volume(&inner) - 0.008).abs() < 1e-12);
    }

    fn any_box() -> impl Strategy<Value = OrientedBox> {
        let part = || proptest::array::uniform3(-1.0..1.0f64);
        let side = proptest::array::uniform3(0.1..2.0f64);
        (part(), side, part(), -3.0..3.0f64).prop_map(|(center, size, axis, angle)| {
            let axis = DVec3::from(axis).try_normalize().unwrap_or(DVec3::Z);
            a_box(center, size, DQuat::from_axis_angle(axis, angle))
        })
    }

    proptest! {
        #[test]
        fn it_is_what_counting_points_gives(a in any_box(), b in any_box()) {
            let both = a.intersection_volume(&b);
            prop_assert!((both - b.intersection_volume(&a)).abs() < 1e-9);
            prop_assert!(both <= a.volume().min(b.volume()) + 1e-9);
            let steps = 24;
            let inside = (0..steps * steps * steps).filter(|k| {
                let at = [k % steps, k / steps % steps, k / steps / steps];
                let at = DVec3::from(at.map(|k| (f64::from(k) + 0.5) / f64::from(steps) - 0.5));
                let p = a.center + a.rotation * (at * a.size);
                let q = b.rotation.conjugate() * (p - b.center);
                q.abs().cmple(b.size / 2.0).all()
            });
            let counted = a.volume() * inside.count() as f64 / f64::from(steps * steps * steps);
            prop_assert!((both - counted).abs() < 0.04 * a.volume(), "{both} {counted}");
        }
    }
}
