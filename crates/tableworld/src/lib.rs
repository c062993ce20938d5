//! TableWorld: a procedural world of a robot's table, which makes pictures with exact masks, depth, questions and answers.
//!
//! [`Scene::sample`] chooses 3 to 8 household things on a table, the light, the room and the camera, all from a seed.
//! [`render`] makes the picture, metric depth and the exact visible mask of each thing, on one core. [`language`] asks about the
//! scene, and [`formats`] writes data sets. Scenes of one [`Split`] never occur in another, and the same split and seed give the
//! same bytes.
//!
//! | file | what it is about |
//! |---|---|
//! | `scene.rs`, `sample.rs`, `setting.rs` | a scene; how its objects are chosen and placed; camera, light and room |
//! | `catalogue.rs`, `shapes/`, `assembly.rs` | categories and colours; what each is built from |
//! | `vector.rs`, `camera.rs`, `primitive.rs`, `raster.rs` | geometry: which surface a pixel sees, and how far away |
//! | `cast.rs` | single rays in 64 bits, for truth and for cameras of other kinds |
//! | `texture.rs`, `drawing.rs`, `paint.rs`, `backdrop.rs` | colours and patterns of surfaces |
//! | `shading.rs`, `render.rs` | light; from a scene to a picture |
//! | `language/` | questions and answers |
//! | `formats/` | data sets on disk |

pub mod camera;
pub mod catalogue;
pub mod formats;
pub mod language;
pub mod scene;

mod assembly;
mod backdrop;
mod cast;
mod drawing;
mod paint;
mod primitive;
mod raster;
mod render;
mod sample;
mod setting;
mod shading;
mod shapes;
mod texture;
mod vector;

pub use backdrop::{Covering, Pattern};
pub use camera::{Camera, Intrinsics, Pose};
pub use cast::{RayCaster, RayHit};
pub use catalogue::{Category, Colour};
/// The vectors of [`RayCaster`].
pub use glam;
pub use render::render;
pub use sample::Split;
pub use scene::{Frame, Light, Object, Scene, Table};

/// The example of the README, which has to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
