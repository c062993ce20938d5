//! Depth images of `sensor_msgs/CompressedImage`, as `compressed_depth_image_transport` sends them and as cameras send them
//! without it.

use std::io::Cursor;

use crate::error::{excerpt, DepthError};
use crate::image::{metres_of_millimetres, pixels, DepthImage, Unit};
use crate::rvl::{self, Values};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Bytes of the header that comes first: a number that names the kind, and the two floats with which metres were quantized.
const HEADER: usize = 12;

/// How the values are packed.
#[derive(Clone, Copy)]
enum Packing {
    Png,
    Rvl,
}

/// The two numbers of `z = a / (v − b)`, which gives metres for a quantized value `v`.
#[derive(Clone, Copy)]
struct Quantization {
    a: f32,
    b: f32,
}

/// Reads the depth image of a `sensor_msgs/CompressedImage`.
///
/// # Formats
/// `ENCODING`, `ENCODING; compressedDepth` and `ENCODING; compressedDepth png` are a PNG with one gray value of 16 bits, and
/// `ENCODING; compressedDepth rvl` is [`rvl`]; upper and lower case mean the same. A header of 12 bytes comes
/// first (`compressed_depth_image_transport/compression_common.h`: a number, 0 or −1, and two floats `a` and `b`, all of them
/// little-endian here).
///
/// With the encoding `16UC1` (or `mono16`) the values are millimetres, and the header's floats mean nothing. Some cameras leave
/// the header out, and so does `16UC1; png compressed`, which is `compressed_image_transport`. With `32FC1` a value `v` is `a /
/// (v − b)` metres, and 0 is no measurement. The sender quantizes with `a = q · (q + 1)`, `b = 1 − a / z_max`; with its defaults
/// of `q = 100` and `z_max = 10` m a step is 0.1 mm at 1 m and 2.5 mm at 5 m, and what is nearer than 0.152 m does not fit into
/// 16 bits and arrives as another distance, which nobody can tell from a right one.
///
/// # Errors
/// [`DepthError`]. Sizes are looked at before memory is taken for them.
pub fn decode_compressed(format: &str, data: &[u8]) -> Result<DepthImage, DepthError> {
    let (unit, packing) = parse_format(format).ok_or_else(|| DepthError::Format {
        format: excerpt(format),
    })?;
    let (header, payload) = split_header(packing, data)?;
    let quantization = match (unit, header) {
        (Unit::Millimetres, _) => None,
        (Unit::Metres, None) => return Err(DepthError::NoHeader),
        (Unit::Metres, Some(header)) => Some(header.checked()?),
    };
    let picture = match packing {
        Packing::Png => read_png(payload)?,
        Packing::Rvl => rvl::decode(payload)?,
    };
    let values = picture.values.into_iter();
    let metres = match quantization {
        None => values.map(metres_of_millimetres).collect(),
        Some(quantization) => values.map(|value| quantization.metres(value)).collect(),
    };
    DepthImage::new(picture.width, picture.height, metres)
}

fn parse_format(format: &str) -> Option<(Unit, Packing)> {
    let (encoding, rest) = format.split_once(';').unwrap_or((format, ""));
    let unit = Unit::of_encoding(encoding.trim())?;
    let rest = rest.to_ascii_lowercase();
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    match (words.as_slice(), unit) {
        // Senders from before RVL name no packing, or not even the transport.
        ([] | ["compresseddepth"] | ["compresseddepth", "png"], _) => Some((unit, Packing::Png)),
        (["compresseddepth", "rvl"], _) => Some((unit, Packing::Rvl)),
        (["png", "compressed"], Unit::Millimetres) => Some((unit, Packing::Png)),
        _ => None,
    }
}

/// Parts the header, where there is one, from what follows it.
///
/// A PNG tells by its signature where it begins. RVL begins with the number of columns, which is neither 0 nor 2³² − 1, and the
/// header with 0 or −1.
fn split_header(
    packing: Packing,
    data: &[u8],
) -> Result<(Option<Quantization>, &[u8]), DepthError> {
    let bare = match packing {
        Packing::Png => data.starts_with(PNG),
        Packing::Rvl => match data.first_chunk() {
            Some(first) => !matches!(i32::from_le_bytes(*first), 0 | -1),
            None => false,
        },
    };
    if bare {
        return Ok((None, data));
    }
    match data.split_at_checked(HEADER) {
        Some((header, payload)) if !payload.is_empty() => {
            let float = |at: usize| {
                f32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
            };
            let (a, b) = (float(4), float(8));
            Ok((Some(Quantization { a, b }), payload))
        }
        _ => Err(DepthError::Short { length: data.len() }),
    }
}

impl Quantization {
    fn checked(self) -> Result<Self, DepthError> {
        let Self { a, b } = self;
        // With b below 1, v − b is above 0 for each v that is a measurement.
        match a > 0.0 && a.is_finite() && b < 1.0 && b.is_finite() {
            true => Ok(self),
            false => Err(DepthError::Quantization { a, b }),
        }
    }

    fn metres(self, value: u16) -> f32 {
        match value {
            0 => f32::NAN,
            _ => self.a / (f32::from(value) - self.b),
        }
    }
}

fn read_png(bytes: &[u8]) -> Result<Values, DepthError> {
    let failed = |error: png::DecodingError| DepthError::Png {
        reason: error.to_string(),
    };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let info = decoder.read_header_info().map_err(failed)?;
    let (width, height) = info.size();
    let pixels = pixels(width, height)?;
    if (info.color_type, info.bit_depth) != (png::ColorType::Grayscale, png::BitDepth::Sixteen) {
        let found = format!("{:?}, {} bits", info.color_type, info.bit_depth as u8);
        return Err(DepthError::PngPixels { found });
    }
    // Deflate packs at most 1032 bytes into one (zlib, "Maximum Compression Factor"), so a short file holds no large picture.
    if 2 * pixels as u64 > 1032 * bytes.len() as u64 {
        let reason = format!("{} bytes cannot hold {width}x{height} pixels", bytes.len());
        return Err(DepthError::Png { reason });
    }
    let mut reader = decoder.read_info().map_err(failed)?;
    let mut samples = vec![0; 2 * pixels];
    reader.next_frame(&mut samples).map_err(failed)?;
    // PNG is big-endian.
    let values = samples.chunks_exact(2);
    let values = values.map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
    Ok(Values {
        width,
        height,
        values,
    })
}
