//! Points of pixels, by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use depth_camera::glam::DVec3;
use depth_camera::{
    points, Camera, CameraInfo, DepthCounts, DepthImage, GeometryError, Rectification,
};

#[test]
fn a_point_is_the_ray_times_the_depth() {
    let camera = Camera::pinhole((4, 3), (2.0, 4.0), (1.5, 1.0)).unwrap();
    let mut metres = vec![2.0; 12];
    metres[1] = f32::NAN;
    metres[2] = f32::INFINITY;
    metres[3] = f32::NEG_INFINITY;
    let image = DepthImage::new(4, 3, metres).unwrap();
    let asked = [(3, 2), (0, 0), (1, 0), (2, 0), (3, 0), (0, 0)];
    let found = points(&camera, &image, asked).unwrap();
    let pixels: Vec<(u32, u32)> = found.points.iter().map(|point| point.pixel).collect();
    assert_eq!(pixels, [(3, 2), (0, 0), (0, 0)]);
    // ((3 − 1.5) / 2 · 2, (2 − 1) / 4 · 2, 2): its range is 2.55 m, its depth 2 m.
    assert_eq!(found.points[0].point, DVec3::new(1.5, 0.5, 2.0));
    assert_eq!(found.points[1].point, DVec3::new(-1.5, -0.5, 2.0));
    let counts = DepthCounts {
        measured: 3,
        missing: 1,
        too_near: 1,
        too_far: 1,
    };
    assert_eq!((found.counts, found.without_ray), (counts, 0));
}

#[test]
fn what_does_not_fit_is_refused_or_counted() {
    let camera = Camera::pinhole((4, 3), (2.0, 4.0), (1.5, 1.0)).unwrap();
    let image = DepthImage::new(4, 3, vec![2.0; 12]).unwrap();
    assert_eq!(
        points(&camera, &image, [(0, 0), (4, 0)])
            .unwrap_err()
            .to_string(),
        "pixel (4, 0) lies outside the depth image of 4x3 pixels"
    );
    let other = DepthImage::new(3, 4, vec![2.0; 12]).unwrap();
    let (image_size, camera_size) = ((3, 4), (4, 3));
    assert_eq!(
        points(&camera, &other, []).unwrap_err(),
        GeometryError::ImageSize {
            image: image_size,
            camera: camera_size
        }
    );
    // r (1 − r² / 2) is never 0.75, where the leftmost column would be.
    let info = CameraInfo {
        width: 4,
        height: 3,
        distortion_model: "plumb_bob".to_owned(),
        d: vec![-0.5, 0.0, 0.0, 0.0],
        k: [2.0, 0.0, 1.5, 0.0, 4.0, 1.0, 0.0, 0.0, 1.0],
        ..CameraInfo::default()
    };
    let bent = Camera::new(&info, Rectification::Raw).unwrap();
    let found = points(&bent, &image, [(0, 1), (1, 1)]).unwrap();
    assert_eq!((found.points.len(), found.without_ray), (1, 1));
}
