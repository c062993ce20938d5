//! The lens models by their ROS names.

use glam::DVec2;

use super::brown::Brown;
use super::error::CameraError;
use super::fisheye::Fisheye;
use super::CameraInfo;
use crate::error::excerpt;

/// How a lens bends rays. Places are those of the plane at distance 1: a ray (x, y, 1) has the place (x, y).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lens {
    /// Rays pass straight.
    Pinhole,
    /// `plumb_bob` and `rational_polynomial`.
    Brown(Box<Brown>),
    /// `equidistant`.
    Fisheye(Fisheye),
}

impl Lens {
    /// The lens that a calibration describes; without coefficients, or with zeros alone, `plumb_bob` and `rational_polynomial`
    /// bend nothing.
    pub fn of(info: &CameraInfo) -> Result<Self, CameraError> {
        let d = info.d.as_slice();
        let straight = d.iter().all(|value| *value == 0.0);
        let of_count = |model: &'static str, counts: &[usize], accepted: &'static str| {
            let count = d.len();
            match counts.contains(&count) {
                true => Ok(()),
                false => Err(CameraError::Coefficients {
                    model,
                    count,
                    accepted,
                }),
            }
        };
        let name = info.distortion_model.as_str();
        match name {
            "plumb_bob" => of_count("plumb_bob", &[0, 4, 5], "4 or 5, or none at all")?,
            "rational_polynomial" => of_count(
                "rational_polynomial",
                &[0, 8, 12, 14],
                "8, 12 or 14, or none at all",
            )?,
            "equidistant" => of_count("equidistant", &[4], "4")?,
            // A simulator's ideal camera often says nothing at all. Any model without coefficients is the same one.
            "" if straight => {}
            _ => {
                return Err(CameraError::Model {
                    name: excerpt(name),
                });
            }
        }
        if let Some(index) = d.iter().position(|value| !value.is_finite()) {
            let value = d.get(index).copied().unwrap_or_default();
            return Err(CameraError::Coefficient { index, value });
        }
        Ok(match name {
            "equidistant" => Self::Fisheye(Fisheye::new([d[0], d[1], d[2], d[3]])),
            _ if straight => Self::Pinhole,
            _ => Self::Brown(Box::new(Brown::new(d)?)),
        })
    }

    /// Where the ray of a place arrives; `None` where it is not part of what the lens shows.
    pub fn distort(&self, place: DVec2) -> Option<DVec2> {
        match self {
            Self::Pinhole => Some(place),
            Self::Brown(lens) => lens.distort(place),
            Self::Fisheye(lens) => lens.distort(place),
        }
    }

    /// The place whose ray arrives at `bent`, up to `tolerance` measured where it arrives; `None` where there is none.
    pub fn undistort(&self, bent: DVec2, tolerance: f64) -> Option<DVec2> {
        match self {
            Self::Pinhole => Some(bent),
            Self::Brown(lens) => lens.undistort(bent, tolerance),
            Self::Fisheye(lens) => lens.undistort(bent, tolerance),
        }
    }
}
