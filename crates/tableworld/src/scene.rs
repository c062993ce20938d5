//! A scene: what stands on the table, where, and who looks at it. Lengths in metres, angles in radians.

pub use super::backdrop::Table;
pub use super::camera::Camera;
use super::catalogue::{Category, Colour};

/// A robot's table with objects on it, a camera and a light. Everything follows from `seed`.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it was made from, within its split.
    pub seed: u64,
    /// 3 to 8.
    pub objects: Vec<Object>,
    /// Where it is seen from.
    pub camera: Camera,
    /// How it is lit.
    pub light: Light,
    /// What the things stand on, and the room around it.
    pub table: Table,
}

/// One thing on the table.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is.
    pub category: Category,
    /// The colour a person would name.
    pub colour: Colour,
    /// Centre of its bounding box in the table's frame: x to the right, y away from the camera, z up, 0 the table top.
    pub position: [f32; 3],
    /// Rotation about z.
    pub yaw: f32,
    /// Full extents of its bounding box before the rotation.
    pub size: [f32; 3],
}

/// A far lamp and the light of the room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// Towards the lamp, of unit length.
    pub direction: [f32; 3],
    /// Of the lamp, linear; 1 makes a white surface that faces it white.
    pub colour: [f32; 3],
    /// Of the room, linear.
    pub ambient: [f32; 3],
}

impl Default for Light {
    fn default() -> Self {
        Self {
            direction: [-0.45, -0.4, 0.798],
            colour: [0.8, 0.78, 0.74],
            ambient: [0.34, 0.35, 0.37],
        }
    }
}

/// What the renderer gives of a scene.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The picture, sRGB.
    pub image: image::RgbImage,
    /// Metres along the optical axis, row by row; 0 where nothing is.
    pub depth: Vec<f32>,
    /// Row by row: 0 background, `i + 1` object `i`. Exactly the visible pixels.
    pub instances: Vec<u8>,
    /// Pixels each object would cover if nothing stood before it, inside the frame.
    pub unoccluded: Vec<u32>,
}

impl Frame {
    /// The visible pixels of object `i`: 255 there, 0 elsewhere; all 0 where there is no such object.
    pub fn mask(&self, i: usize) -> image::GrayImage {
        let id = u8::try_from(i + 1).ok();
        let (width, height) = self.image.dimensions();
        image::GrayImage::from_fn(width, height, |x, y| {
            let at = (y * width + x) as usize;
            let there = id.is_some() && self.instances.get(at).copied() == id;
            image::Luma([if there { 255 } else { 0 }])
        })
    }

    /// How many pixels of object `i` are visible.
    pub fn visible(&self, i: usize) -> u32 {
        let id = u8::try_from(i + 1).ok();
        self.instances.iter().filter(|&&v| Some(v) == id).count() as u32
    }
}
