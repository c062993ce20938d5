//! TableWorld: a procedural world of a robot's table, which gives pictures with exact answers to any amount.
//!
//! [`Scene::sample`] puts 3 to 8 household things on a table, chooses the light, the room and the camera, all from
//! a seed; [`render`] makes the picture, metric depth and the exact visible mask of each thing on one core. Scenes
//! of one [`Split`] never occur in another.

pub mod camera;
pub mod catalogue;
pub mod formats;
pub mod language;
pub mod scene;

mod assembly;
mod backdrop;
mod drawing;
mod paint;
mod primitive;
mod raster;
mod render;
mod sample;
mod setting;
mod shade;
mod shapes;
mod texture;
mod vector;

pub use backdrop::{Covering, Pattern};
pub use camera::{Camera, Intrinsics, Pose};
pub use catalogue::{Category, Colour};
pub use render::render;
pub use sample::Split;
pub use scene::{Frame, Light, Object, Scene, Table};
