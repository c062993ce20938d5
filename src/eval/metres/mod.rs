//! How well places are measured: masks of TableWorld's scenes become metres on the node's own path, and are compared with the
//! scenes themselves.
//!
//! Truth does not come through pictures: rays in 64 bits, three in a row and three in a column of each pixel, meet the scene's
//! shapes, and each hit stands for its piece of surface. What is measured begins with messages, as a robot would send them: depth
//! in 16 bits or floats, calibrations with a lens, `/tf` at 50 Hz. The lens of the made-up cameras is undone by fixed-point
//! iteration and not by [`depth_camera`], which is part of what is measured.
//!
//! | file | what it is |
//! |---|---|
//! | `conditions` | what differs between the rows of a report |
//! | `cameras` | the two cameras, their lenses and where they are |
//! | `images` | depth and instances as they see them; a real sensor's faults |
//! | `masks` | masks that spill over, as a model's do |
//! | `truth` | the visible surface and the box of each object |
//! | `rows` | measuring: from messages to errors |
//! | `places` | boxes against true ones; the few numbers that other reports show |
//! | `world` | the places of what questions about scenes have found |
//! | `report` | medians and 95th percentiles; JSON, and a table for the terminal |

mod cameras;
mod conditions;
mod images;
mod masks;
mod places;
mod report;
mod rows;
mod truth;
mod world;

pub use conditions::{Conditions, DepthPlace, Encoding, Lens, MaskSource, Motion, Sensor};
pub use places::{BoxErrors, PlaceRecord, PlaceRow, PlaceTally, Places};
pub use report::{Cell, MetresReport, MetresRow, METRES_DEFINITIONS};
pub use rows::{measure_scene, Errors, Measured, PredictedMask, SceneErrors, LEAST_OVERLAP};
pub use world::{world_places, ScenePlaces, WorldMasks};

use tableworld::Split;

/// What is measured.
#[derive(Clone, Debug)]
pub struct MetresSettings {
    /// Scenes of this split, …
    pub split: Split,
    /// … from this seed.
    pub seed0: u64,
    /// Width and height of the pictures, pixels.
    pub size: (u32, u32),
    /// The speed of a moving camera, m/s.
    pub speed: f64,
    /// How much newer than the picture the newest transform is, seconds: the time that an answer takes.
    pub delay: f64,
    /// Whether points in the plane around a mask are left out, as usual.
    pub leave_out_support: bool,
}

impl MetresSettings {
    /// Pictures of 640×480, 0.5 m/s, 0.2 s.
    pub fn new(split: Split, seed0: u64) -> Self {
        Self {
            split,
            seed0,
            size: (640, 480),
            speed: 0.5,
            delay: 0.2,
            leave_out_support: true,
        }
    }
}
