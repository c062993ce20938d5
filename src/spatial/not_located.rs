//! Why an object has a mask and no place.

use std::fmt;
use std::time::Duration;

use depth_camera::CameraError;
use object_geometry::GeometryError;

use crate::frames::Stamp;

/// Which of the two cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Camera {
    /// The one that took the picture.
    Colour,
    /// The one that measured depth.
    Depth,
}

impl fmt::Display for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Colour => "colour camera",
            Self::Depth => "depth camera",
        })
    }
}

/// The kinds of reasons, as messages carry them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotLocatedCode {
    /// There is no depth image for the picture, or it cannot be read.
    NoDepth,
    /// A calibration is missing, or does not fit its picture.
    NoCameraInfo,
    /// It is not known where the cameras were.
    NoTransform,
    /// Too little of the mask has depth.
    TooFewPoints,
}

impl NotLocatedCode {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::NoDepth,
        Self::NoCameraInfo,
        Self::NoTransform,
        Self::TooFewPoints,
    ];

    /// Its name, e.g. `NO_DEPTH`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoDepth => "NO_DEPTH",
            Self::NoCameraInfo => "NO_CAMERA_INFO",
            Self::NoTransform => "NO_TRANSFORM",
            Self::TooFewPoints => "TOO_FEW_POINTS",
        }
    }
}

/// Why there is no place. Its `Display` is one line that says what is missing and how to get it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotLocated {
    /// No depth image came for the picture.
    #[error(
        "no depth image within {:.3} s of the picture's stamp {stamp}: {}; accepted: depth images and pictures stamped by one clock, \
         or a larger offset",
        max_offset.as_secs_f64(), nearest_text(*stamp, *nearest)
    )]
    NoDepth {
        /// When the picture was taken.
        stamp: Stamp,
        /// How far apart the two may be.
        max_offset: Duration,
        /// The nearest depth image.
        nearest: Option<Stamp>,
    },
    /// The depth image holds nothing that can be read.
    #[error("the depth image cannot be read: {why}")]
    UnreadableDepth {
        /// What is wrong with it, and what is accepted.
        why: String,
    },
    /// A camera has sent no calibration.
    #[error("no CameraInfo of the {camera} has come; accepted: a calibrated camera that publishes it beside its pictures")]
    NoCameraInfo {
        /// Which camera.
        camera: Camera,
    },
    /// A calibration gives no camera model.
    #[error("CameraInfo of the {camera}: {error}")]
    BadCameraInfo {
        /// Which camera.
        camera: Camera,
        /// What is wrong with it, and what is accepted.
        error: CameraError,
    },
    /// A calibration is of a picture with other proportions.
    #[error(
        "the {camera}'s picture is {}x{} pixels, its CameraInfo is of {}x{}; accepted: the same size, or the same proportions",
        picture.0, picture.1, info.0, info.1
    )]
    OtherSize {
        /// Which camera.
        camera: Camera,
        /// Width and height of the picture, pixels.
        picture: (u32, u32),
        /// Width and height that the calibration gives, pixels.
        info: (u32, u32),
    },
    /// A mask is of another size than the picture.
    #[error(
        "the mask is of a picture of {}x{} pixels, the picture is {}x{}; accepted: the same size",
        mask.0, mask.1, picture.0, picture.1
    )]
    MaskSize {
        /// Width and height of the mask's frame, pixels.
        mask: (u32, u32),
        /// Width and height of the picture, pixels.
        picture: (u32, u32),
    },
    /// It is not known where one frame was in another.
    #[error(
        "no transform from {from} to {to} at {stamp}: {why}; accepted: transforms on /tf or /tf_static that connect the two at that time"
    )]
    NoTransform {
        /// The frame that the points are in.
        from: String,
        /// The frame that they shall be in.
        to: String,
        /// When.
        stamp: Stamp,
        /// What is missing, and how to get it.
        why: String,
    },
    /// A transform or a direction is no such thing.
    #[error("{why}")]
    BadTransform {
        /// What is wrong, and what is accepted.
        why: String,
    },
    /// Too few points of the mask have depth.
    #[error("{0}")]
    TooFewPoints(GeometryError),
}

impl NotLocated {
    /// The kind of reason.
    pub fn code(&self) -> NotLocatedCode {
        match self {
            Self::NoDepth { .. } | Self::UnreadableDepth { .. } => NotLocatedCode::NoDepth,
            Self::NoCameraInfo { .. }
            | Self::BadCameraInfo { .. }
            | Self::OtherSize { .. }
            | Self::MaskSize { .. } => NotLocatedCode::NoCameraInfo,
            Self::NoTransform { .. } | Self::BadTransform { .. } => NotLocatedCode::NoTransform,
            Self::TooFewPoints(_) => NotLocatedCode::TooFewPoints,
        }
    }
}

fn nearest_text(stamp: Stamp, nearest: Option<Stamp>) -> String {
    match nearest {
        Some(nearest) => format!("the nearest is {:.3} s away", nearest.gap_s(stamp)),
        None => "none has come, is the depth topic published?".to_owned(),
    }
}
