//! Why a calibration is no camera model.

/// Names and numbers of coefficients that are accepted, for the messages.
pub(super) const MODELS: &str =
    "plumb_bob (4 or 5 coefficients), rational_polynomial (8, 12 or 14), equidistant (4)";

/// A calibration that gives no camera model. Its `Display` is one line that says what was wrong and what is accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CameraError {
    /// The picture has no pixels: the calibration does not say its size, or the binning leaves nothing of it.
    #[error("the camera's picture is {width}x{height} pixels; accepted: sides of at least 1")]
    Size {
        /// Width of the picture, pixels.
        width: u32,
        /// Height of the picture, pixels.
        height: u32,
    },
    /// The region of interest is not inside the full picture, or has an offset but no size.
    #[error(
        "the region of interest is {width}x{height} pixels at ({x_offset}, {y_offset}); accepted: all 0, or a part of the full \
         {full_width}x{full_height}"
    )]
    Roi {
        /// Leftmost column.
        x_offset: u32,
        /// Uppermost row.
        y_offset: u32,
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Width of the full picture, pixels.
        full_width: u32,
        /// Height of the full picture, pixels.
        full_height: u32,
    },
    /// K (of a raw picture) or P (of a rectified one) begins with 0, which is how an uncalibrated camera says so.
    #[error("{matrix} is empty (its first element is 0): the camera is not calibrated for {pictures} pictures")]
    Uncalibrated {
        /// `K` or `P`.
        matrix: &'static str,
        /// `raw` or `rectified`.
        pictures: &'static str,
    },
    /// K or P is not of the form that the message defines.
    #[error(
        "{matrix} is {values:?}; accepted: rows (fx, 0, cx), (0, fy, cy), (0, 0, 1) with positive focal lengths, in P a fourth column \
         (Tx, Ty, 0)"
    )]
    Matrix {
        /// `K` or `P`.
        matrix: &'static str,
        /// Its elements, row by row.
        values: Vec<f64>,
    },
    /// R is not a rotation.
    #[error("R is {values:?}; accepted: a rotation matrix, or zeros where nothing was rectified")]
    Rotation {
        /// Its elements, row by row.
        values: [f64; 9],
    },
    /// There is no model of that name.
    #[error("distortion model {name:?} is unknown; accepted: {MODELS}")]
    Model {
        /// The name, at most 64 characters of it.
        name: String,
    },
    /// The model has another number of coefficients.
    #[error("distortion model {model} with {count} coefficients; accepted: {accepted}")]
    Coefficients {
        /// The model.
        model: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        accepted: &'static str,
    },
    /// A coefficient is NaN or infinite, or so large that the lens shows nothing.
    #[error("distortion coefficient {index} is {value}; accepted: finite numbers")]
    Coefficient {
        /// Its place in D, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The sensor is tilted so far that it does not face the lens.
    #[error("the sensor is tilted by ({x}, {y}) rad (coefficients 12 and 13); accepted: less than a right angle each")]
    Tilt {
        /// Around the x axis, radians.
        x: f64,
        /// Around the y axis, radians.
        y: f64,
    },
}
