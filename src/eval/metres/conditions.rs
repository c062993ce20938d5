//! What differs between the rows of a report.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How depth is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Encoding {
    /// Whole millimetres in 16 bits.
    #[serde(rename = "16UC1")]
    Millimetres,
    /// Metres as floats.
    #[serde(rename = "32FC1")]
    Metres,
}

/// The lenses of both cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lens {
    /// Rays pass straight.
    Straight,
    /// Five coefficients of `plumb_bob`.
    PlumbBob,
}

/// Where depth is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthPlace {
    /// In the colour camera's pixels, at its stamp.
    Registered,
    /// By a camera 50 mm beside it with a wider view, 12 ms later.
    Beside,
}

/// What the cameras do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// They stand still.
    Still,
    /// They travel to the right, and turn slowly about the optical axis.
    Moving,
}

/// How good depth is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensor {
    /// Exact, but for the encoding.
    Exact,
    /// σ = 0.002 z² m, mixed pixels at edges, holes.
    Real,
}

/// Where masks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskSource {
    /// The object's visible pixels.
    Truth,
    /// Those and what is up to so many pixels away.
    Dilated(u32),
    /// Less what is up to so many pixels from the outline.
    Eroded(u32),
    /// Moved by so many columns, and as many rows.
    Shifted(i32),
    /// A model's, where it overlaps the truth by half at least.
    Predicted,
}

/// All of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conditions {
    /// How good depth is.
    pub sensor: Sensor,
    /// Where masks come from.
    pub masks: MaskSource,
    /// Where depth is measured.
    pub depth: DepthPlace,
    /// The lenses.
    pub lens: Lens,
    /// What the cameras do.
    pub motion: Motion,
    /// How depth is sent.
    pub encoding: Encoding,
}

impl Conditions {
    /// Exact depth in the picture's own pixels, straight rays, cameras that stand still, true masks.
    pub const PLAIN: Self = Self {
        sensor: Sensor::Exact,
        masks: MaskSource::Truth,
        depth: DepthPlace::Registered,
        lens: Lens::Straight,
        motion: Motion::Still,
        encoding: Encoding::Millimetres,
    };

    /// The 32 rows with true masks, and with both sensors those with masks that spill over.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for sensor in [Sensor::Exact, Sensor::Real] {
            all.extend(Self::geometry(sensor));
            for masks in [
                MaskSource::Eroded(1),
                MaskSource::Eroded(2),
                MaskSource::Dilated(1),
                MaskSource::Dilated(2),
                MaskSource::Dilated(3),
                MaskSource::Shifted(2),
                MaskSource::Predicted,
            ] {
                let plain = Self {
                    sensor,
                    masks,
                    ..Self::PLAIN
                };
                let beside = Self {
                    depth: DepthPlace::Beside,
                    motion: Motion::Moving,
                    ..plain
                };
                all.extend([plain, beside]);
            }
        }
        all
    }

    /// The 16 rows with true masks and this sensor.
    pub fn geometry(sensor: Sensor) -> Vec<Self> {
        let mut all = Vec::new();
        for depth in [DepthPlace::Registered, DepthPlace::Beside] {
            for lens in [Lens::Straight, Lens::PlumbBob] {
                for motion in [Motion::Still, Motion::Moving] {
                    for encoding in [Encoding::Millimetres, Encoding::Metres] {
                        all.push(Self {
                            sensor,
                            masks: MaskSource::Truth,
                            depth,
                            lens,
                            motion,
                            encoding,
                        });
                    }
                }
            }
        }
        all
    }
}

impl fmt::Display for MaskSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth => write!(f, "truth"),
            Self::Dilated(by) => write!(f, "dilated {by} px"),
            Self::Eroded(by) => write!(f, "eroded {by} px"),
            Self::Shifted(by) => write!(f, "shifted {by} px"),
            Self::Predicted => write!(f, "predicted"),
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = match self.encoding {
            Encoding::Millimetres => "16UC1",
            Encoding::Metres => "32FC1",
        };
        let depth = match self.depth {
            DepthPlace::Registered => "registered",
            DepthPlace::Beside => "beside",
        };
        let lens = match self.lens {
            Lens::Straight => "straight",
            Lens::PlumbBob => "plumb_bob",
        };
        let motion = match self.motion {
            Motion::Still => "still",
            Motion::Moving => "moving",
        };
        write!(f, "{encoding} {depth} {lens} {motion}")
    }
}
