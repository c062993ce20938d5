//! What is true of each object: the surface that the colour camera sees, and its box.

use object_geometry::OrientedBox;
use tableworld::glam::{DQuat, DVec3};
use tableworld::{Object, RayCaster};
use tf_buffer::Transform;

use super::cameras::MadeUpCamera;

/// Rays in a row, and in a column, of each pixel.
const RAYS: f64 = 3.0;
/// A surface that rays meet at less than this sine, 11° from edge-on, is not counted: the camera has next to no pixels of it, and nobody
/// can take hold of it. Neighbouring points up to there make up a surface for [`object_geometry`], too.
const FLATTEST: f64 = 0.196;

/// An object as it is.
#[derive(Clone, Copy, Debug)]
pub struct TrueObject {
    /// The centroid of the visible surface by area, in the table's frame, metres; `None` where nothing of it is seen.
    pub surface: Option<DVec3>,
    /// The whole object's box: x is the longer horizontal side, z up.
    pub bounding_box: OrientedBox,
}

impl TrueObject {
    /// Object `index`, seen by the colour camera without its lens.
    pub fn of(
        caster: &RayCaster,
        object: &Object,
        index: usize,
        camera: &MadeUpCamera,
        place: &Transform,
    ) -> Self {
        let bounding_box = true_box(object);
        Self {
            surface: surface(caster, &bounding_box, index, camera, place),
            bounding_box,
        }
    }
}

fn true_box(object: &Object) -> OrientedBox {
    let [x, y, z] = object.size.map(f64::from);
    let yaw = f64::from(object.yaw);
    let (size, turn) = match y > x {
        true => (DVec3::new(y, x, z), yaw + std::f64::consts::FRAC_PI_2),
        false => (DVec3::new(x, y, z), yaw),
    };
    OrientedBox {
        center: DVec3::from(object.position.map(f64::from)),
        rotation: DQuat::from_rotation_z(turn),
        size,
    }
}

/// The piece of surface of each ray is z² dx dy / |n · d| for a ray d with 1 along the optical axis.
fn surface(
    caster: &RayCaster,
    bounds: &OrientedBox,
    index: usize,
    camera: &MadeUpCamera,
    place: &Transform,
) -> Option<DVec3> {
    let back = place.inverse();
    let seen = bounds.corners().map(|corner| back.point(corner));
    let focal = camera.focal * RAYS;
    let places = seen.map(|p| p.truncate() / p.z * focal);
    let low = places.into_iter().reduce(|a, b| a.min(b))?.floor();
    let high = places.into_iter().reduce(|a, b| a.max(b))?.ceil();
    let (mut moment, mut area) = (DVec3::ZERO, 0.0);
    for row in low.y as i64..=high.y as i64 {
        for column in low.x as i64..=high.x as i64 {
            let ray = DVec3::new(column as f64 / focal, row as f64 / focal, 1.0);
            let direction = place.direction(ray);
            let Some(hit) = caster.cast(place.translation, direction) else {
                continue;
            };
            if usize::from(hit.instance) != index + 1 {
                continue;
            }
            let sine = (hit.normal.dot(direction) / direction.length()).abs();
            if sine < FLATTEST {
                continue;
            }
            let piece = hit.distance * hit.distance / (sine * direction.length());
            moment += (place.translation + direction * hit.distance) * piece;
            area += piece;
        }
    }
    (area > 0.0).then(|| moment / area)
}
