//! The pinhole camera that looks at the table, in ROS's optical convention: x right, y down, z forward.

use super::primitive::Ray;
use super::vector::{v, Vec3};

/// A pinhole camera: its position, its orientation and its field of view, whatever the size of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// In the table's frame, metres.
    pub position: [f32; 3],
    /// Rows: the camera's right, down and forward directions in the table's frame; takes table directions to the
    /// camera's optical frame.
    pub rotation: [[f32; 3]; 3],
    /// Horizontal field of view, radians.
    pub fov: f32,
}

/// A camera's position in the table's frame and the rotation from the table's to the optical frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// In the table's frame, metres.
    pub position: [f32; 3],
    /// Row by row; `optical = rotation · (table − position)`.
    pub rotation: [[f32; 3]; 3],
}

impl Pose {
    /// The rotation from the optical to the table's frame, which is how ROS says where a camera is: x, y, z, w, of length 1.
    pub fn quaternion(&self) -> [f64; 4] {
        // Row r, column c of the matrix that takes optical directions to the table's.
        let m = |r: usize, c: usize| f64::from(self.rotation[c][r]);
        let [xx, yy, zz] = [m(0, 0), m(1, 1), m(2, 2)];
        let [xy, xz, yz] = [m(1, 0) + m(0, 1), m(0, 2) + m(2, 0), m(2, 1) + m(1, 2)];
        let [xw, yw, zw] = [m(2, 1) - m(1, 2), m(0, 2) - m(2, 0), m(1, 0) - m(0, 1)];
        // Each row is the quaternion, times four of its parts; the longest row is the most exact.
        let rows = [
            [1.0 + xx - yy - zz, xy, xz, xw],
            [xy, 1.0 - xx + yy - zz, yz, yw],
            [xz, yz, 1.0 - xx - yy + zz, zw],
            [xw, yw, zw, 1.0 + xx + yy + zz],
        ];
        let length = |q: &[f64; 4]| q.iter().map(|part| part * part).sum::<f64>().sqrt();
        let longest = rows
            .into_iter()
            .max_by(|a, b| length(a).total_cmp(&length(b)))
            .unwrap_or([0.0, 0.0, 0.0, 1.0]);
        longest.map(|part| part / length(&longest))
    }
}

/// Pinhole intrinsics in pixels; a pixel's centre lies at whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intrinsics {
    /// Focal length along the rows.
    pub fx: f32,
    /// Focal length along the columns.
    pub fy: f32,
    /// Column of the optical axis.
    pub cx: f32,
    /// Row of the optical axis.
    pub cy: f32,
}

impl Default for Camera {
    /// 0.9 m before the table's origin, 40° above it.
    fn default() -> Self {
        Self::look_at([0.0, -0.69, 0.58], [0.0, 0.0, 0.03], 0.0, 0.9)
    }
}

impl Camera {
    /// A camera at `position` with `target` in the middle of its picture, turned about its axis by `roll`.
    pub fn look_at(position: [f32; 3], target: [f32; 3], roll: f32, fov: f32) -> Self {
        let forward = (Vec3::from(target) - position.into()).unit();
        let right = forward.cross(v(0.0, 0.0, 1.0)).unit();
        let down = forward.cross(right);
        let (s, c) = roll.sin_cos();
        Self {
            position,
            rotation: [
                (right * c + down * s).array(),
                (down * c - right * s).array(),
                forward.array(),
            ],
            fov,
        }
    }

    /// Its intrinsics for a picture of that size, pixels.
    pub fn intrinsics(&self, width: u32, height: u32) -> Intrinsics {
        let f = 0.5 * width as f32 / (0.5 * self.fov).tan();
        Intrinsics {
            fx: f,
            fy: f,
            cx: 0.5 * (width as f32 - 1.0),
            cy: 0.5 * (height as f32 - 1.0),
        }
    }

    /// Its position and orientation.
    pub fn pose(&self) -> Pose {
        Pose {
            position: self.position,
            rotation: self.rotation,
        }
    }

    /// Projects a point of the table's frame into a picture of that size. Gives the pixel u, v, which may lie outside the picture,
    /// and the depth in metres; `None` for a point behind the camera.
    pub fn project(&self, point: [f32; 3], width: u32, height: u32) -> Option<(f32, f32, f32)> {
        let p = Vec3::from(point) - self.position.into();
        let [x, y, z] = self.rotation.map(|row| Vec3::from(row).dot(p));
        if z <= 1e-4 {
            return None;
        }
        let k = self.intrinsics(width, height);
        Some((k.fx * x / z + k.cx, k.fy * y / z + k.cy, z))
    }

    /// The ray through pixel (u, v); what is measured along it is depth in metres.
    pub(super) fn ray(&self, k: &Intrinsics, u: f32, v: f32) -> Ray {
        let [right, down, forward] = self.rotation.map(Vec3::from);
        Ray {
            origin: self.position.into(),
            direction: right * ((u - k.cx) / k.fx) + down * ((v - k.cy) / k.fy) + forward,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_in_the_middle_and_axes_follow_ros() {
        let camera = Camera::default();
        let (u, v, depth) = camera.project([0.0, 0.0, 0.03], 640, 480).unwrap();
        assert!((u - 319.5).abs() < 1e-2 && (v - 239.5).abs() < 1e-2);
        assert!((depth - 0.8813).abs() < 1e-2, "{depth}");
        let right = camera.project([0.1, 0.0, 0.03], 640, 480).unwrap();
        let above = camera.project([0.0, 0.0, 0.13], 640, 480).unwrap();
        assert!(right.0 > u + 10.0 && above.1 < v - 10.0);
        assert!(camera.project([0.0, -2.0, 0.58], 640, 480).is_none());
    }

    #[test]
    fn intrinsics_scale_with_the_picture() {
        let camera = Camera::default();
        let (small, large) = (camera.intrinsics(320, 240), camera.intrinsics(640, 480));
        assert!((large.fx - 2.0 * small.fx).abs() < 1e-3);
        assert_eq!(large.cx, 319.5);
        assert_eq!(small.cy, 119.5);
    }

    #[test]
    fn the_quaternion_turns_as_the_matrix_does() {
        // Also half turns, where its real part vanishes.
        let mut poses = vec![
            [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
            [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]],
            [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]],
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        ];
        for i in 0..12 {
            let around = i as f32 * 0.7;
            let position = [around.sin(), around.cos(), 0.4];
            let camera = Camera::look_at(position, [0.0, 0.0, 0.1], around, 0.9);
            poses.push(camera.rotation);
        }
        for rotation in poses {
            let pose = Pose {
                position: [0.0; 3],
                rotation,
            };
            let [x, y, z, w] = pose.quaternion();
            assert!((x * x + y * y + z * z + w * w - 1.0).abs() < 1e-12);
            // The images of the optical axes are the rows.
            let axes = [
                [
                    1.0 - 2.0 * (y * y + z * z),
                    2.0 * (x * y + z * w),
                    2.0 * (x * z - y * w),
                ],
                [
                    2.0 * (x * y - z * w),
                    1.0 - 2.0 * (x * x + z * z),
                    2.0 * (y * z + x * w),
                ],
                [
                    2.0 * (x * z + y * w),
                    2.0 * (y * z - x * w),
                    1.0 - 2.0 * (x * x + y * y),
                ],
            ];
            for (axis, row) in axes.iter().zip(rotation) {
                for (a, b) in axis.iter().zip(row) {
                    assert!((a - f64::from(b)).abs() < 1e-6, "{rotation:?}");
                }
            }
        }
    }

    #[test]
    fn a_ray_passes_the_point_that_projects_to_its_pixel() {
        let camera = Camera::look_at([0.1, -0.8, 0.5], [0.0, 0.1, 0.0], 0.05, 0.8);
        let p = [0.12, 0.05, 0.08];
        let (u, v, depth) = camera.project(p, 320, 240).unwrap();
        let q = camera.ray(&camera.intrinsics(320, 240), u, v).at(depth);
        assert!((q - p.into()).length() < 1e-5);
    }
}
