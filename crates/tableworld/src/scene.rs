//! A scene: what stands on the table, where, and who looks at it. Lengths in metres, angles in radians.

pub use super::backdrop::Table;
pub use super::camera::Camera;
use super::catalogue::{Category, Colour};

/// A robot's table with objects on it, a camera and a light. Everything follows from `seed`.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The seed it was made from, within its split.
    pub seed: u64,
    /// The things on the table: 3 to 8 in a sampled scene.
    pub objects: Vec<Object>,
    /// The camera that looks at the table.
    pub camera: Camera,
    /// The light it is seen in.
    pub light: Light,
    /// The table and the room around it.
    pub table: Table,
}

/// One thing on the table.
#[derive(Clone, Debug)]
pub struct Object {
    /// The kind of thing.
    pub category: Category,
    /// The colour a person would name.
    pub colour: Colour,
    /// Centre of its bounding box in the table's frame, metres: x to the right, y away from the camera, z up, with z = 0 at the
    /// table's top.
    pub position: [f32; 3],
    /// Rotation about z, radians.
    pub yaw: f32,
    /// Full extents of its bounding box before the rotation, metres.
    pub size: [f32; 3],
}

/// The light of a scene: a lamp far away, and the even light of the room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// Direction towards the lamp, of unit length, in the table's frame.
    pub direction: [f32; 3],
    /// Linear colour of the lamp. At 1, a white surface that faces the lamp is white in the picture.
    pub colour: [f32; 3],
    /// Linear colour of the room's light.
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

/// What the camera sees of a scene.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The picture, sRGB.
    pub image: image::RgbImage,
    /// Depth along the optical axis, metres, row by row; 0 where there is nothing.
    pub depth: Vec<f32>,
    /// The object of each pixel, row by row: `i + 1` for object `i`, 0 for the background.
    pub instances: Vec<u8>,
    /// The number of pixels inside the frame that each object would cover if nothing stood before it.
    pub unoccluded: Vec<u32>,
}

impl Frame {
    /// The mask of object `i`: 255 at its visible pixels, 0 elsewhere. It is all 0 if there is no such object.
    pub fn mask(&self, i: usize) -> image::GrayImage {
        let id = u8::try_from(i + 1).ok();
        let (width, height) = self.image.dimensions();
        image::GrayImage::from_fn(width, height, |x, y| {
            let at = (y * width + x) as usize;
            let there = id.is_some() && self.instances.get(at).copied() == id;
            image::Luma([if there { 255 } else { 0 }])
        })
    }

    /// The number of visible pixels of object `i`.
    pub fn visible(&self, i: usize) -> u32 {
        let id = u8::try_from(i + 1).ok();
        self.instances.iter().filter(|&&v| Some(v) == id).count() as u32
    }
}
