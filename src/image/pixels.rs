//! Camera images with all bits that they have: gray stays gray, 16 bits stay 16 bits, and depth stays a length.
//!
//! The networks read RGB of 8 bits and get it from `encoding`. A file that somebody will measure in must lose nothing.

use ::image::{GrayImage, ImageBuffer, Luma, RgbImage};
use cv_convert::TryToCv;

use super::encoding::RosImage;
use super::error::EncodingError;
use super::layout::Rows;

/// A picture of one channel of 16 bits.
pub type Gray16Image = ImageBuffer<Luma<u16>, Vec<u16>>;

/// The pixels of a camera image, by what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Colour, 8 bits a channel.
    Rgb(RgbImage),
    /// `mono8` and `8UC1`: gray, or a mask.
    Gray(GrayImage),
    /// `mono16`: gray of 16 bits.
    Gray16(Gray16Image),
    /// `16UC1` and `32FC1`: depth in millimetres, 0 where nothing was measured (REP 118).
    Depth(Gray16Image),
}

impl Pixels {
    /// Width and height, in pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        match self {
            Self::Rgb(image) => image.dimensions(),
            Self::Gray(image) => image.dimensions(),
            Self::Gray16(image) | Self::Depth(image) => image.dimensions(),
        }
    }
}

impl TryToCv<Pixels> for RosImage<'_> {
    type Error = EncodingError;

    /// Colour is converted as [`RosImage`] says. Depth in metres (`32FC1`) becomes whole millimetres; a depth that is NaN,
    /// negative or above 65.535 m becomes 0.
    fn try_to_cv(&self) -> Result<Pixels, EncodingError> {
        let is = |name: &str| name.eq_ignore_ascii_case(self.encoding);
        let big = self.is_bigendian;
        if is("mono8") || is("8UC1") {
            let gray = self.pixels("mono8", |&[gray]| gray)?;
            return self.image(gray).map(Pixels::Gray);
        }
        let sixteen = |bytes: &[u8; 2]| match big {
            true => u16::from_be_bytes(*bytes),
            false => u16::from_le_bytes(*bytes),
        };
        if is("mono16") {
            return self
                .image(self.pixels("mono16", sixteen)?)
                .map(Pixels::Gray16);
        }
        if is("16UC1") {
            return self
                .image(self.pixels("16UC1", sixteen)?)
                .map(Pixels::Depth);
        }
        if is("32FC1") {
            let depth = self.pixels("32FC1", |bytes: &[u8; 4]| {
                millimetres(match big {
                    true => f32::from_be_bytes(*bytes),
                    false => f32::from_le_bytes(*bytes),
                })
            })?;
            return self.image(depth).map(Pixels::Depth);
        }
        TryToCv::<RgbImage>::try_to_cv(self).map(Pixels::Rgb)
    }
}

impl RosImage<'_> {
    /// The value of every `N` bytes, row by row without padding.
    fn pixels<T: Default, const N: usize>(
        &self,
        encoding: &'static str,
        value: impl Fn(&[u8; N]) -> T,
    ) -> Result<Vec<T>, EncodingError> {
        self.check_size()?;
        let rows: Rows<'_> = self.rows(encoding, N, u64::from(self.height))?;
        let mut values = Vec::with_capacity(self.width as usize * self.height as usize);
        for row in rows.iter() {
            // A chunk has N bytes, so the default is never taken, and the compiler removes it.
            let value = |bytes: &[u8]| bytes.try_into().map(&value).unwrap_or_default();
            values.extend(row.chunks_exact(N).map(value));
        }
        Ok(values)
    }

    fn image<T>(&self, values: Vec<T>) -> Result<ImageBuffer<Luma<T>, Vec<T>>, EncodingError>
    where
        T: ::image::Primitive,
        Luma<T>: ::image::Pixel<Subpixel = T>,
    {
        let (width, height) = (self.width, self.height);
        ImageBuffer::from_raw(width, height, values).ok_or(EncodingError::Empty { width, height })
    }
}

fn millimetres(metres: f32) -> u16 {
    let millimetres = (metres * 1000.0).round();
    // A NaN lies in no range, so that it becomes 0.
    match (0.0..=65_535.0).contains(&millimetres) {
        true => millimetres as u16,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: &str, is_bigendian: bool, step: u32, data: &[u8]) -> Pixels {
        let image = RosImage {
            width: 2,
            height: 2,
            encoding,
            is_bigendian,
            step,
            data,
        };
        image.try_to_cv().unwrap()
    }

    fn gray16(values: [u16; 4]) -> Gray16Image {
        Gray16Image::from_raw(2, 2, values.to_vec()).unwrap()
    }

    #[test]
    fn gray_keeps_its_bits_and_loses_its_padding() {
        let gray = GrayImage::from_raw(2, 2, vec![1, 2, 3, 255]).unwrap();
        let data = [1, 2, 9, 3, 255, 9];
        assert_eq!(read("mono8", false, 3, &data), Pixels::Gray(gray.clone()));
        assert_eq!(read("8uc1", false, 3, &data), Pixels::Gray(gray));
        let values = [1, 256, 40_000, 65_535];
        let little: Vec<u8> = values.into_iter().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = values.into_iter().flat_map(u16::to_be_bytes).collect();
        for (bytes, is_bigendian) in [(little, false), (big, true)] {
            let mono = read("mono16", is_bigendian, 4, &bytes);
            assert_eq!(mono, Pixels::Gray16(gray16(values)));
            let depth = read("16UC1", is_bigendian, 4, &bytes);
            assert_eq!(depth, Pixels::Depth(gray16(values)));
        }
    }

    #[test]
    fn metres_become_millimetres() {
        for (metres, expected) in [
            ([1.0, 0.0005, 65.535, 0.0], [1000, 1, 65_535, 0]),
            ([f32::NAN, f32::INFINITY, -1.0, 65.6], [0, 0, 0, 0]),
        ] {
            let little: Vec<u8> = metres.into_iter().flat_map(f32::to_le_bytes).collect();
            let big: Vec<u8> = metres.into_iter().flat_map(f32::to_be_bytes).collect();
            for (bytes, is_bigendian) in [(little, false), (big, true)] {
                let depth = read("32FC1", is_bigendian, 8, &bytes);
                assert_eq!(depth, Pixels::Depth(gray16(expected)));
            }
        }
    }

    #[test]
    fn colour_is_as_the_network_sees_it_and_faults_are_named() {
        let Pixels::Rgb(rgb) = read("bgr8", false, 6, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        else {
            panic!("not colour");
        };
        assert_eq!(rgb.get_pixel(0, 0).0, [3, 2, 1]);
        let error = |encoding, step, data: &[u8]| {
            let image = RosImage {
                width: 2,
                height: 2,
                encoding,
                is_bigendian: false,
                step,
                data,
            };
            TryToCv::<Pixels>::try_to_cv(&image)
                .unwrap_err()
                .to_string()
        };
        assert!(error("32FC1", 4, &[0; 16]).starts_with("step is 4 bytes"));
        assert!(error("16UC1", 4, &[0; 7]).starts_with("data holds 7 bytes"));
        assert!(error("64FC9", 4, &[0; 7]).starts_with("encoding \"64FC9\" is unknown"));
    }
}
