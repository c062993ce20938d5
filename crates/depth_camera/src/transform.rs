//! Rigid transforms between frames, and what can be wrong with what is handed to the geometry.

use glam::{DMat3, DQuat, DVec3};

/// A transform, or an image, that does not fit. Its `Display` is one line that says what was wrong and what is accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GeometryError {
    /// The quaternion is no rotation.
    #[error(
        "rotation (x, y, z, w) is {rotation:?}; accepted: a quaternion of length 1, within 0.01"
    )]
    Rotation {
        /// x, y, z, w.
        rotation: [f64; 4],
    },
    /// The translation is not finite.
    #[error("translation is {translation:?}; accepted: finite numbers of metres")]
    Translation {
        /// x, y, z, metres.
        translation: [f64; 3],
    },
    /// The depth image is of another size than its camera's picture.
    #[error(
        "the depth image is {}x{} pixels, its camera's picture is {}x{}; accepted: the same size",
        image.0, image.1, camera.0, camera.1
    )]
    ImageSize {
        /// Width and height of the image, pixels.
        image: (u32, u32),
        /// Width and height of the camera's picture, pixels.
        camera: (u32, u32),
    },
    /// The camera's picture is larger than a depth image may be.
    #[error(
        "a depth image for a picture of {width}x{height} pixels; accepted: 1 to {} pixels",
        crate::MAX_PIXELS
    )]
    PictureSize {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// A pixel lies outside the depth image.
    #[error("pixel ({x}, {y}) lies outside the depth image of {width}x{height} pixels")]
    Pixel {
        /// Column.
        x: u32,
        /// Row.
        y: u32,
        /// Width of the image, pixels.
        width: u32,
        /// Height of the image, pixels.
        height: u32,
    },
}

/// The transform of a child frame's coordinates into its parent's, as tf2 has it: `p_parent = rotation · p_child + translation`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RigidTransform {
    rotation: DQuat,
    translation: DVec3,
}

impl RigidTransform {
    /// The transform between a frame and itself.
    pub const IDENTITY: Self = Self {
        rotation: DQuat::IDENTITY,
        translation: DVec3::ZERO,
    };

    /// The transform of a `geometry_msgs/Transform`: a quaternion (x, y, z, w) of length 1, and metres. A length that is off by
    /// at most 0.01 (tf2's bound) is mended.
    ///
    /// # Errors
    /// [`GeometryError::Rotation`], [`GeometryError::Translation`].
    pub fn new(rotation: [f64; 4], translation: [f64; 3]) -> Result<Self, GeometryError> {
        let quaternion = DQuat::from_array(rotation);
        let length = quaternion.length();
        let is_unit = (length - 1.0).abs() <= 0.01;
        if !is_unit {
            return Err(GeometryError::Rotation { rotation });
        }
        let vector = DVec3::from_array(translation);
        if !vector.is_finite() {
            return Err(GeometryError::Translation { translation });
        }
        // A quaternion of length 1 stays as it is to the last bit.
        let rotation = if length == 1.0 {
            quaternion
        } else {
            quaternion.normalize()
        };
        Ok(Self {
            rotation,
            translation: vector,
        })
    }

    /// A child's point, metres, in the parent's coordinates.
    pub fn apply(&self, point: DVec3) -> DVec3 {
        self.rotation * point + self.translation
    }

    /// The transform of the parent's coordinates into the child's.
    pub fn inverse(&self) -> Self {
        let rotation = self.rotation.conjugate();
        Self {
            rotation,
            translation: -(rotation * self.translation),
        }
    }

    /// First this transform, then `parent_into_grandparent`: a child's coordinates into its grandparent's.
    pub fn then(&self, parent_into_grandparent: &Self) -> Self {
        Self {
            rotation: (parent_into_grandparent.rotation * self.rotation).normalize(),
            translation: parent_into_grandparent.apply(self.translation),
        }
    }

    /// The rotation, a quaternion of length 1.
    pub fn rotation(&self) -> DQuat {
        self.rotation
    }

    /// The translation, metres: where the child's origin lies in the parent's coordinates.
    pub fn translation(&self) -> DVec3 {
        self.translation
    }

    pub(crate) fn matrix(&self) -> DMat3 {
        DMat3::from_quat(self.rotation)
    }
}
