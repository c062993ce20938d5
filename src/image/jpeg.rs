//! JPEG: decoding to the same pixels as OpenCV and Pillow, and telling a whole file from one that was cut short.

use std::collections::BTreeMap;

use ::image::RgbImage;

const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
/// Most zero bytes at the end of a file that are tried as data of the picture. Flat blocks, of one colour, have codes of zeros.
const LAST_ZEROS: usize = 4;

/// Decodes a JPEG by libjpeg-turbo, whose pixels are those of OpenCV and Pillow to the bit. Other decoders differ by a few levels
/// where chroma is subsampled, which can move the border of a mask.
///
/// `None` where libjpeg reports an error or a warning. Many webcams write stray bytes between segments of a picture that is
/// whole, so the caller then tries the decoder of the crate `image`.
pub(super) fn libjpeg(bytes: &[u8]) -> Option<RgbImage> {
    let image = turbojpeg::decompress(bytes, turbojpeg::PixelFormat::RGB).ok()?;
    RgbImage::from_raw(image.width as u32, image.height as u32, image.pixels)
}

/// Whether a JPEG reaches its end-of-image marker.
///
/// This matters because the decoder of the crate `image` fills a missing rest with gray and reports nothing. The end marker of an
/// embedded thumbnail does not count: it lies within a segment, and segments are skipped by their length.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let mut markers = Markers { bytes, at: 2 };
    markers.any(|(marker, _)| marker == END_OF_IMAGE)
}

/// Decodes a JPEG that lacks only its end-of-image marker; `None` where more is missing. Cameras that stream JPEGs leave the
/// marker out, and some fill their buffer with zeros behind the picture.
///
/// The marker is appended and the result decoded. libjpeg reports a scan that ends before its last block, and bytes between that
/// block and the marker. It does not report that a whole scan is missing, so [`has_all_scans`] looks for that.
pub(super) fn whole_without_end(bytes: &[u8]) -> Option<RgbImage> {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let (data, _) = bytes.split_at(bytes.len() - zeros);
    let mut kept: Vec<usize> = (0..=zeros.min(LAST_ZEROS)).collect();
    if data.ends_with(&[0xff]) {
        // In data, 0xff is always followed by a zero. That is likelier than half a marker, so one zero is tried first.
        kept.rotate_left(1);
    }
    kept.into_iter().find_map(|kept| {
        let ended = [data, &[0; LAST_ZEROS][..kept], &[0xff, END_OF_IMAGE]].concat();
        libjpeg(&ended).filter(|_| has_all_scans(&ended))
    })
}

/// Whether the scans together hold every coefficient of every component to its last bit, which a progressive JPEG spreads over
/// several scans.
fn has_all_scans(bytes: &[u8]) -> bool {
    let mut components: BTreeMap<u8, [bool; 64]> = BTreeMap::new();
    for (marker, segment) in (Markers { bytes, at: 2 }) {
        match marker {
            // Start of frame: baseline, extended or progressive, with Huffman or arithmetic coding.
            0xc0..=0xc2 | 0xc9 | 0xca => {
                // Each component takes three bytes: its number, its sampling factors and its quantization table.
                let listed = segment.get(6..).unwrap_or_default().chunks_exact(3);
                components.extend(listed.filter_map(|c| Some((*c.first()?, [false; 64]))));
            }
            START_OF_SCAN => mark(segment, &mut components),
            _ => {}
        }
    }
    let mut known = components.values().flatten();
    !components.is_empty() && known.all(|known| *known)
}

/// Marks the coefficients that a scan completes.
fn mark(segment: &[u8], components: &mut BTreeMap<u8, [bool; 64]>) {
    let Some((&count, rest)) = segment.split_first() else {
        return;
    };
    let Some((listed, &[first, last, bits, ..])) = rest.split_at_checked(2 * usize::from(count))
    else {
        return;
    };
    // The lower half of this byte is the number of bits that are left for later scans.
    if bits & 15 != 0 {
        return;
    }
    for component in listed.chunks_exact(2).filter_map(<[u8]>::first) {
        let known = components.get_mut(component);
        let range = usize::from(first)..=usize::from(last);
        if let Some(known) = known.and_then(|known| known.get_mut(range)) {
            known.fill(true);
        }
    }
}

/// The markers of a JPEG that have a segment, each with its segment, and the end-of-image marker.
struct Markers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Markers<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.at;
            let &[first, second] = self.bytes.get(at..at + 2)? else {
                return None;
            };
            match (first, second) {
                // A byte of entropy-coded data, or a fill byte before a marker.
                (0..=0xfe, _) | (0xff, 0xff) => self.at += 1,
                // A 0xff in entropy-coded data, which is followed by a zero, or a marker without a segment.
                (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => self.at += 2,
                (0xff, END_OF_IMAGE) => {
                    self.at = self.bytes.len();
                    return Some((END_OF_IMAGE, &[]));
                }
                (0xff, marker) => {
                    let &[high, low] = self.bytes.get(at + 2..at + 4)? else {
                        return None;
                    };
                    // The length includes its own two bytes.
                    let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
                    self.at = end;
                    return Some((marker, self.bytes.get(at + 4..end).unwrap_or_default()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::{decode_image, whole_picture, PictureFormat};
    use super::*;
    use ::image::Rgb;

    fn picture() -> RgbImage {
        RgbImage::from_fn(97, 61, |x, y| {
            Rgb([(x * y) as u8, (x ^ y) as u8, x as u8 * 2])
        })
    }

    fn jpeg(progressive: bool) -> Vec<u8> {
        let mut compressor = turbojpeg::Compressor::new().unwrap();
        compressor.set_progressive(progressive).unwrap();
        compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2).unwrap();
        let picture = picture();
        let image = turbojpeg::Image {
            pixels: &picture.as_raw()[..],
            width: 97,
            pitch: 3 * 97,
            height: 61,
            format: turbojpeg::PixelFormat::RGB,
        };
        compressor.compress_to_vec(image).unwrap()
    }

    /// Where each scan begins.
    fn scans(jpeg: &[u8]) -> Vec<usize> {
        let starts = jpeg.windows(2).enumerate();
        let starts = starts.filter(|(_, pair)| *pair == [0xff, START_OF_SCAN]);
        starts.map(|(at, _)| at).collect()
    }

    #[test]
    fn a_jpeg_that_lacks_nothing_but_its_end_is_the_picture_it_is() {
        for progressive in [false, true] {
            let jpeg = jpeg(progressive);
            assert_eq!(scans(&jpeg).len() > 1, progressive);
            let whole = decode_image("x", &jpeg).unwrap();
            assert_eq!(whole, libjpeg(&jpeg).unwrap());
            for missing in [1, 2] {
                let unended = &jpeg[..jpeg.len() - missing];
                assert!(!has_end(unended));
                assert_eq!(decode_image("x", unended).unwrap(), whole);
                assert_eq!(whole_picture("x", unended).unwrap(), PictureFormat::Jpeg);
            }
        }
    }

    #[test]
    fn zeros_in_the_place_of_the_end_are_no_part_of_the_picture() {
        for progressive in [false, true] {
            let jpeg = jpeg(progressive);
            let whole = decode_image("x", &jpeg).unwrap();
            for missing in [1, 2] {
                for zeros in [1, 2, 3, 64, 5000] {
                    let padded = [&jpeg[..jpeg.len() - missing], &vec![0; zeros][..]].concat();
                    assert_eq!(
                        decode_image("x", &padded).unwrap(),
                        whole,
                        "{missing} {zeros}"
                    );
                    assert_eq!(whole_picture("x", &padded).unwrap(), PictureFormat::Jpeg);
                }
            }
            // Zeros are also codes of flat blocks, and must not be taken for blocks that are missing.
            for cut in [30, jpeg.len() / 3] {
                let padded = [&jpeg[..jpeg.len() - cut], &[0; 5000]].concat();
                let error = decode_image("x", &padded).unwrap_err().to_string();
                assert!(error.starts_with("x is a damaged JPEG: "), "{error}");
            }
        }
    }

    #[test]
    fn a_picture_whose_data_end_in_zeros_keeps_them() {
        // The codes of flat blocks are zeros for the most part.
        for (width, height) in [(8, 8), (16, 16), (24, 8), (64, 64)] {
            for level in [0, 128, 255] {
                let flat = RgbImage::from_pixel(width, height, Rgb([level; 3]));
                let mut jpeg = Vec::new();
                flat.write_to(
                    &mut std::io::Cursor::new(&mut jpeg),
                    ::image::ImageFormat::Jpeg,
                )
                .unwrap();
                let whole = decode_image("x", &jpeg).unwrap();
                let unended = &jpeg[..jpeg.len() - 2];
                for zeros in [0, 1, 100] {
                    let padded = [unended, &vec![0; zeros][..]].concat();
                    assert_eq!(
                        decode_image("x", &padded).unwrap(),
                        whole,
                        "{width} {level} {zeros}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_jpeg_that_lacks_more_is_refused_wherever_it_was_cut() {
        for progressive in [false, true] {
            let jpeg = jpeg(progressive);
            let scans = scans(&jpeg);
            let cuts = (scans[0]..jpeg.len() - 6).step_by(7);
            // Between two scans is where libjpeg would see nothing wrong.
            for cut in cuts.chain(scans.iter().skip(1).copied()) {
                for picture in [
                    decode_image("x", &jpeg[..cut]).err(),
                    whole_picture("x", &jpeg[..cut]).err(),
                ] {
                    let error = picture.unwrap_or_else(|| panic!("cut at {cut} of {}", jpeg.len()));
                    assert!(
                        error.to_string().starts_with("x is a damaged JPEG: "),
                        "{error}"
                    );
                }
            }
        }
    }
}
