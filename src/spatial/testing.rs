//! What several tests here share.

use depth_camera::{CameraInfo, DepthImage};

use super::{DepthFrame, DepthMessage};
use crate::frames::Stamp;

/// A wall at 1 m, 64×48 pixels.
pub fn flat_depth(stamp: Stamp, frame_id: &str) -> DepthFrame {
    depth_of(stamp, frame_id, (64, 48), vec![1.0; 64 * 48])
}

pub fn depth_of(stamp: Stamp, frame_id: &str, size: (u32, u32), metres: Vec<f32>) -> DepthFrame {
    let image = DepthImage::new(size.0, size.1, metres).unwrap();
    DepthFrame::new(stamp, frame_id, DepthMessage::Decoded(image.into()))
}

/// A camera of that size without a lens, with a focal length of its width.
pub fn info(width: u32, height: u32) -> CameraInfo {
    let f = f64::from(width);
    let (cx, cy) = (f64::from(width - 1) / 2.0, f64::from(height - 1) / 2.0);
    CameraInfo {
        width,
        height,
        k: [f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0],
        p: [f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        ..CameraInfo::default()
    }
}
