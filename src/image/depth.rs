//! Tells depth maps from pictures. The numbers of a depth map are lengths, and a model that takes them for colours sees nonsense.

use std::fmt;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Bytes of the header before a compressed depth map (`compressed_depth_image_transport`): a number that names the kind, and the
/// two floats with which depth in metres was quantized.
pub const DEPTH_HEADER: usize = 12;

/// The kind of a depth map. Its `Display` describes it in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// `sensor_msgs/Image` of `16UC1`: millimetres (REP 118).
    Millimetres,
    /// `sensor_msgs/Image` of `32FC1`: metres (REP 118).
    Metres,
    /// `sensor_msgs/CompressedImage` with a PNG of 16 bits a pixel.
    Png {
        /// Whether the numbers are quantized metres (`32FC1`); otherwise they are millimetres (`16UC1`).
        metres: bool,
        /// Whether [`DEPTH_HEADER`] bytes stand before the PNG.
        header: bool,
    },
    /// `sensor_msgs/CompressedImage` with run lengths (RVL) instead of a PNG.
    Rvl {
        /// Whether the numbers are quantized metres (`32FC1`); otherwise they are millimetres (`16UC1`).
        metres: bool,
    },
    /// `compressedDepth` that is neither PNG nor RVL.
    Other,
}

impl Depth {
    /// The depth map that an encoding of `sensor_msgs/Image` names, if it names one.
    pub fn of_encoding(encoding: &str) -> Option<Self> {
        match encoding {
            _ if encoding.eq_ignore_ascii_case("16UC1") => Some(Self::Millimetres),
            _ if encoding.eq_ignore_ascii_case("32FC1") => Some(Self::Metres),
            _ => None,
        }
    }

    /// The depth map that a `sensor_msgs/CompressedImage` holds, if it holds one. It is recognized by its format
    /// (`16UC1; compressedDepth png`, `16UC1; png compressed`) and by its content, because some publishers write `png` alone as
    /// the format and some leave the header out.
    pub fn of_compressed(format: &str, data: &[u8]) -> Option<Self> {
        let format = format.to_ascii_lowercase();
        let encoding = format.split(';').next().unwrap_or_default().trim();
        let metres = encoding == "32fc1";
        let behind = data.get(DEPTH_HEADER..).unwrap_or_default();
        if behind.starts_with(PNG) && !data.starts_with(PNG) {
            let header = true;
            return Some(Self::Png { metres, header });
        }
        let named = format.contains("compresseddepth");
        if data.starts_with(PNG) && (named || Self::of_encoding(encoding).is_some()) {
            let header = false;
            return Some(Self::Png { metres, header });
        }
        match named {
            true if format.contains("rvl") => Some(Self::Rvl { metres }),
            true => Some(Self::Other),
            false => None,
        }
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = |metres: bool| match metres {
            true => "32FC1, metres, quantized",
            false => "16UC1, millimetres",
        };
        match *self {
            Self::Millimetres => f.write_str("16UC1, millimetres"),
            Self::Metres => f.write_str("32FC1, metres"),
            Self::Png { metres, header } => {
                let header_is = if header { "behind" } else { "without" };
                write!(
                    f,
                    "compressedDepth: {}, as PNG {header_is} its header of {DEPTH_HEADER} bytes",
                    unit(metres)
                )
            }
            Self::Rvl { metres } => write!(f, "compressedDepth: {}, as RVL", unit(metres)),
            Self::Other => f.write_str("compressedDepth, neither PNG nor RVL"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_named_for_what_it_is() {
        let with_header = [&[0; DEPTH_HEADER], PNG].concat();
        let depth_of = |format: &str, data: &[u8]| {
            Depth::of_compressed(format, data).map(|depth| depth.to_string())
        };
        for (format, data, expected) in [
            (
                "16UC1; compressedDepth png",
                &with_header[..],
                "compressedDepth: 16UC1, millimetres, as PNG behind its header of 12 bytes",
            ),
            // What older versions write as the format, and what publishers write who do not name the depth.
            (
                "16UC1; compressedDepth",
                &with_header,
                "compressedDepth: 16UC1, millimetres, as PNG behind its header of 12 bytes",
            ),
            (
                "png",
                &with_header,
                "compressedDepth: 16UC1, millimetres, as PNG behind its header of 12 bytes",
            ),
            (
                "32FC1; compressedDepth png",
                &with_header,
                "compressedDepth: 32FC1, metres, quantized, as PNG behind its header of 12 bytes",
            ),
            (
                "16UC1; compressedDepth png",
                PNG,
                "compressedDepth: 16UC1, millimetres, as PNG without its header of 12 bytes",
            ),
            (
                "16UC1; png compressed ",
                PNG,
                "compressedDepth: 16UC1, millimetres, as PNG without its header of 12 bytes",
            ),
            (
                "16UC1; compressedDepth rvl",
                &[0; 40],
                "compressedDepth: 16UC1, millimetres, as RVL",
            ),
            (
                "16UC1; compressedDepth",
                &[0; 40],
                "compressedDepth, neither PNG nor RVL",
            ),
        ] {
            assert_eq!(
                depth_of(format, data).as_deref(),
                Some(expected),
                "{format}"
            );
        }
        for format in [
            "png",
            "",
            "rgb8; png compressed bgr8",
            "mono16; png compressed mono16",
        ] {
            assert_eq!(depth_of(format, PNG), None, "{format}");
        }
        assert_eq!(depth_of("jpeg", &[0xff, 0xd8, 0xff]), None);
        assert_eq!(Depth::of_encoding("16uc1"), Some(Depth::Millimetres));
        assert_eq!(Depth::of_encoding("mono16"), None);
    }
}
