//! A depth image, and how it is read from the bytes of a `sensor_msgs/Image` (REP 118).

use crate::error::{excerpt, DepthError};
use crate::size::pixel_count;

/// What a depth camera says of a pixel (REP 117, REP 118).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Depth {
    /// The distance along the camera's optical axis, metres, finite and above 0. It is not the range along the pixel's ray.
    Measured(f32),
    /// There is no measurement.
    Missing,
    /// Something is nearer than the camera can measure.
    TooNear,
    /// Nothing is as near as the camera can measure.
    TooFar,
}

impl Depth {
    /// Reads a value of a [`DepthImage`] or of a `32FC1` picture: −∞ is too near, +∞ too far, and NaN, 0 and whatever is negative
    /// is missing. REP 118 leaves 0 undefined in metres; drivers that fill in 0 mean what 0 means in millimetres.
    pub fn of(metres: f32) -> Self {
        match metres {
            f32::INFINITY => Self::TooFar,
            f32::NEG_INFINITY => Self::TooNear,
            metres if metres > 0.0 => Self::Measured(metres),
            _ => Self::Missing,
        }
    }

    /// The value that a [`DepthImage`] holds for it, metres: NaN where it is missing, −∞ too near, +∞ too far.
    pub fn metres(self) -> f32 {
        match self {
            Self::Measured(metres) => metres,
            Self::Missing => f32::NAN,
            Self::TooNear => f32::NEG_INFINITY,
            Self::TooFar => f32::INFINITY,
        }
    }
}

/// How many pixels of a depth image are of each kind of [`Depth`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepthCounts {
    /// Pixels with a distance.
    pub measured: usize,
    /// Pixels without a measurement.
    pub missing: usize,
    /// Pixels with something nearer than can be measured.
    pub too_near: usize,
    /// Pixels with nothing as near as can be measured.
    pub too_far: usize,
}

impl DepthCounts {
    pub(crate) fn add(&mut self, depth: Depth) {
        *match depth {
            Depth::Measured(_) => &mut self.measured,
            Depth::Missing => &mut self.missing,
            Depth::TooNear => &mut self.too_near,
            Depth::TooFar => &mut self.too_far,
        } += 1;
    }
}

/// A picture of distances along the camera's optical axis, in metres.
///
/// # Shapes
/// `width · height` values, row by row from the top left. Each is finite and above 0, or stands for one of the other three kinds
/// of [`Depth`]: NaN missing, −∞ too near, +∞ too far.
#[derive(Clone, Debug)]
pub struct DepthImage {
    width: u32,
    height: u32,
    metres: Vec<f32>,
}

impl DepthImage {
    /// A depth image of the given values, metres; what is 0 or negative becomes NaN (see [`Depth::of`]).
    ///
    /// # Errors
    /// [`DepthError::Size`], [`DepthError::Values`].
    pub fn new(width: u32, height: u32, mut metres: Vec<f32>) -> Result<Self, DepthError> {
        let pixels = pixels(width, height)?;
        if metres.len() != pixels {
            let values = metres.len();
            return Err(DepthError::Values {
                values,
                width,
                height,
            });
        }
        for value in &mut metres {
            *value = Depth::of(*value).metres();
        }
        Ok(Self {
            width,
            height,
            metres,
        })
    }

    /// Width, pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The values, row by row: see [`DepthImage`].
    pub fn metres(&self) -> &[f32] {
        &self.metres
    }

    /// What the camera says of the pixel in column `x` and row `y`; `None` outside the picture.
    pub fn at(&self, x: u32, y: u32) -> Option<Depth> {
        if x >= self.width {
            return None;
        }
        let at = y as usize * self.width as usize + x as usize;
        self.metres.get(at).map(|metres| Depth::of(*metres))
    }

    /// How many pixels are of each kind.
    pub fn counts(&self) -> DepthCounts {
        let mut counts = DepthCounts::default();
        for metres in &self.metres {
            counts.add(Depth::of(*metres));
        }
        counts
    }
}

/// The number of pixels of a size that is accepted.
pub(crate) fn pixels(width: u32, height: u32) -> Result<usize, DepthError> {
    pixel_count(width, height).ok_or(DepthError::Size { width, height })
}

/// What a number of a depth image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// 16 bits, millimetres, 0 where there is no measurement.
    Millimetres,
    /// A float, metres; when compressed, a quantized one of 16 bits.
    Metres,
}

impl Unit {
    /// The unit that an encoding of `sensor_msgs/Image` names; upper and lower case mean the same.
    pub fn of_encoding(encoding: &str) -> Option<Self> {
        // OpenNI's drivers call their millimetres mono16, and image_pipeline takes it as such.
        let is = |name: &str| encoding.eq_ignore_ascii_case(name);
        match encoding {
            _ if is("16UC1") || is("mono16") => Some(Self::Millimetres),
            _ if is("32FC1") => Some(Self::Metres),
            _ => None,
        }
    }
}

/// Metres of a number of millimetres; 0 is no measurement.
pub(crate) fn metres_of_millimetres(millimetres: u16) -> f32 {
    match millimetres {
        0 => f32::NAN,
        _ => f32::from(millimetres) / 1000.0,
    }
}

/// Reads the depth image of a `sensor_msgs/Image` (REP 118): `16UC1` and `mono16` are millimetres, with 0 where there is no
/// measurement, and `32FC1` is metres, read by [`Depth::of`].
///
/// # Shapes
/// `data` holds `height` rows of `step` bytes, of which the first `width` values count; the last row need not be padded, and what
/// follows it is not looked at. `is_bigendian` is the byte order of the values, not this machine's.
///
/// # Errors
/// [`DepthError::Encoding`], [`DepthError::Size`], [`DepthError::Step`], [`DepthError::Length`]. The size is looked at before
/// any memory is taken.
pub fn decode(
    encoding: &str,
    width: u32,
    height: u32,
    step: u32,
    is_bigendian: bool,
    data: &[u8],
) -> Result<DepthImage, DepthError> {
    let Some(unit) = Unit::of_encoding(encoding) else {
        let encoding = excerpt(encoding);
        return Err(DepthError::Encoding { encoding });
    };
    let pixels = pixels(width, height)?;
    let row = u64::from(width)
        * match unit {
            Unit::Millimetres => 2,
            Unit::Metres => 4,
        };
    if u64::from(step) < row {
        return Err(DepthError::Step { step, needed: row });
    }
    let needed = u64::from(step) * u64::from(height - 1) + row;
    let length = data.len() as u64;
    if length < needed {
        return Err(DepthError::Length { length, needed });
    }
    let rows = data.chunks(step as usize).take(height as usize);
    let rows = rows.flat_map(|bytes| bytes.get(..row as usize));
    let mut metres = Vec::with_capacity(pixels);
    match unit {
        Unit::Millimetres => {
            let number = match is_bigendian {
                true => u16::from_be_bytes,
                false => u16::from_le_bytes,
            };
            for row in rows {
                let values = row.chunks_exact(2).map(|b| number([b[0], b[1]]));
                metres.extend(values.map(metres_of_millimetres));
            }
        }
        Unit::Metres => {
            let number = match is_bigendian {
                true => f32::from_be_bytes,
                false => f32::from_le_bytes,
            };
            for row in rows {
                let values = row.chunks_exact(4);
                metres.extend(values.map(|b| number([b[0], b[1], b[2], b[3]])));
            }
        }
    }
    DepthImage::new(width, height, metres)
}
