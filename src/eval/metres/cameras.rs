//! The two cameras: their lenses, their places in time, and what they say of themselves.

use depth_camera::CameraInfo;
use tableworld::glam::{DVec2, DVec3};
use tableworld::Scene;
use tf_buffer::{DQuat, InsertError, TfBuffer, Transform};

use super::{Lens, MetresSettings, Motion};

/// The frame in which the scene stands still.
pub const TABLE: &str = "table";
/// The colour camera's optical frame.
pub const COLOUR: &str = "camera_optical_frame";
/// The depth camera's optical frame.
pub const DEPTH: &str = "depth_optical_frame";
/// The stamp of the picture, nanoseconds.
pub const PICTURE: i64 = 1_700_000_000_000_000_000;
/// How much later a depth camera of its own measures, nanoseconds.
pub const DEPTH_LATER: i64 = 12_000_000;
const SECOND: f64 = 1e9;
/// How fast a moving camera turns about its optical axis, rad/s.
const ROLL: f64 = 0.1;

/// A camera that looks through a lens.
#[derive(Clone, Copy, Debug)]
pub struct MadeUpCamera {
    pub size: (u32, u32),
    pub focal: f64,
    pub centre: DVec2,
    /// Five coefficients of `plumb_bob`: k1, k2, p1, p2, k3.
    pub d: [f64; 5],
}

impl MadeUpCamera {
    /// The scene's own camera. With a straight lens it sees what the scene's picture shows.
    pub fn colour(scene: &Scene, size: (u32, u32), lens: Lens) -> Self {
        let focal = 0.5 * f64::from(size.0) / (0.5 * f64::from(scene.camera.fov)).tan();
        Self {
            size,
            focal,
            centre: DVec2::new(f64::from(size.0 - 1), f64::from(size.1 - 1)) / 2.0,
            d: match lens {
                Lens::Straight => [0.0; 5],
                Lens::PlumbBob => [-0.2, 0.06, 0.001, -0.0008, 0.0],
            },
        }
    }

    /// A depth camera with a view of 86° that is 848 pixels wide where the picture has 640.
    pub fn depth(size: (u32, u32), lens: Lens) -> Self {
        let (width, height) = (size.0 * 53 / 40, size.1);
        Self {
            size: (width, height),
            focal: 0.5 * f64::from(width) / 0.75f64.tan(),
            centre: DVec2::new(f64::from(width) / 2.0 + 3.3, f64::from(height) / 2.0 - 2.1),
            d: match lens {
                Lens::Straight => [0.0; 5],
                Lens::PlumbBob => [-0.06, 0.012, -0.0005, 0.0004, 0.0],
            },
        }
    }

    /// The ray of each pixel, row by row, with 1 along the optical axis.
    pub fn rays(&self) -> Vec<DVec3> {
        let (width, height) = self.size;
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let ray = |(x, y): (u32, u32)| {
            let bent = (DVec2::new(x.into(), y.into()) - self.centre) / self.focal;
            self.straightened(bent).extend(1.0)
        };
        pixels.map(ray).collect()
    }

    /// The place whose ray the lens bends to another one: the forward formula, solved for the place that it multiplies, again and
    /// again.
    fn straightened(&self, bent: DVec2) -> DVec2 {
        let [k1, k2, p1, p2, k3] = self.d;
        let mut at = bent;
        if self.d == [0.0; 5] {
            return at;
        }
        for _ in 0..100 {
            let r2 = at.length_squared();
            let radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3));
            let aside = DVec2::new(
                2.0 * p1 * at.x * at.y + p2 * (r2 + 2.0 * at.x * at.x),
                p1 * (r2 + 2.0 * at.y * at.y) + 2.0 * p2 * at.x * at.y,
            );
            at = (bent - aside) / radial;
        }
        at
    }

    /// What its driver would say of it.
    pub fn info(&self) -> CameraInfo {
        let (f, c) = (self.focal, self.centre);
        CameraInfo {
            width: self.size.0,
            height: self.size.1,
            distortion_model: "plumb_bob".to_owned(),
            d: self.d.to_vec(),
            k: [f, 0.0, c.x, 0.0, f, c.y, 0.0, 0.0, 1.0],
            ..CameraInfo::default()
        }
    }
}

/// Where the colour camera is in the table's frame.
#[derive(Clone, Copy, Debug)]
pub struct Travel {
    /// When the picture is taken.
    pub at_picture: Transform,
    speed: f64,
    roll: f64,
}

impl Travel {
    /// At the picture's time it is where the scene has its camera.
    pub fn of(scene: &Scene, settings: &MetresSettings, motion: Motion) -> Self {
        let pose = scene.camera.pose();
        let rotation = DQuat::from_array(pose.quaternion()).normalize();
        let at_picture = Transform::new(DVec3::from(pose.position.map(f64::from)), rotation);
        let (speed, roll) = match motion {
            Motion::Still => (0.0, 0.0),
            Motion::Moving => (settings.speed, ROLL),
        };
        Self {
            at_picture,
            speed,
            roll,
        }
    }

    /// So many nanoseconds after the picture.
    pub fn after(&self, nanoseconds: i64) -> Transform {
        let seconds = nanoseconds as f64 / SECOND;
        self.at_picture.then(&Transform::new(
            DVec3::X * (self.speed * seconds),
            DQuat::from_rotation_z(self.roll * seconds),
        ))
    }

    /// What `/tf` and `/tf_static` have said by the time the answer is there: 50 Hz, and none of it at the stamps that are asked for.
    pub fn transforms(&self, delay: f64) -> Result<TfBuffer, InsertError> {
        let mut buffer = TfBuffer::default();
        buffer.insert_static(COLOUR, DEPTH, depth_mount())?;
        let until = (delay * SECOND) as i64;
        let times = (0..).map(|k| -193_000_000 + k * 20_000_000);
        for after in times.take_while(|after| *after < until).chain([until]) {
            buffer.insert(TABLE, COLOUR, PICTURE + after, self.after(after))?;
        }
        Ok(buffer)
    }
}

/// The depth camera in the colour camera's frame: 50 mm to the right of it, and not quite parallel.
pub fn depth_mount() -> Transform {
    Transform::new(
        DVec3::new(0.05, 0.003, -0.004),
        DQuat::from_euler(tableworld::glam::EulerRot::XYZ, 0.01, -0.008, 0.005),
    )
}
