//! Draws an answer on the picture it is about: each object in its colour with its name, question and answer below.

use ::image::{GrayImage, Rgb, RgbImage};

use super::lettering::{elide, plain, wrap, Lettering};
use super::paint::{fill, mix, outline, tint};
use super::Roi;

/// An object to draw.
#[derive(Clone, Copy, Debug)]
pub struct OverlayObject<'a> {
    /// Where the mask lies in the frame.
    pub roi: Roi,
    /// The mask, cropped to `roi`; every pixel that is not 0 belongs to the object.
    pub mask: &'a GrayImage,
    /// The name that is drawn beside it; may be empty.
    pub label: &'a str,
    /// The score that is drawn beside it in percent, 0..=1; a number that is not finite is left out.
    pub score: f32,
}

/// The question and the answer, as text to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caption {
    /// The question, drawn first.
    pub instruction: String,
    /// The answer, drawn below it.
    pub answer: String,
}

const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
const BLACK: Rgb<u8> = Rgb([0, 0, 0]);

/// The colour of the `i`-th object, from 0. The colours repeat after eight objects.
///
/// The palette is that of Okabe and Ito (2008), which people with any common kind of colour blindness can tell apart. Its black
/// is replaced by a pink, because black does not show on dark parts of a picture.
pub fn colour(i: usize) -> Rgb<u8> {
    const PALETTE: [[u8; 3]; 8] = [
        [230, 159, 0],
        [86, 180, 233],
        [0, 158, 115],
        [240, 228, 66],
        [204, 121, 167],
        [213, 94, 0],
        [0, 114, 178],
        [255, 182, 219],
    ];
    Rgb(PALETTE[i % PALETTE.len()])
}

/// Draws objects and caption on a copy of the frame, which keeps its size.
///
/// `alpha` in 0..=1 says how much of an object is covered by its colour; 0 leaves the outline alone. The caption covers at most
/// the lowest third of the frame, and text that does not fit ends in "...". A mask or box that reaches beyond the frame is cut at
/// its edge.
pub fn draw_overlay(
    image: &RgbImage,
    objects: &[OverlayObject<'_>],
    caption: Option<&Caption>,
    alpha: f32,
) -> RgbImage {
    let mut out = image.clone();
    let letters = Lettering::for_picture(image.width(), image.height());
    let alpha = if alpha.is_nan() {
        0.0
    } else {
        alpha.clamp(0.0, 1.0)
    };
    // All tints are drawn before all outlines, so that the outlines of objects that overlap stay whole.
    for (i, object) in objects.iter().enumerate() {
        tint(&mut out, object.roi, object.mask, colour(i), alpha);
    }
    for (i, object) in objects.iter().enumerate() {
        let thick = letters.scale + 1;
        outline(&mut out, object.roi, object.mask, colour(i), thick);
    }
    let mut taken = Vec::new();
    if let Some(caption) = caption {
        taken.extend(draw_caption(&mut out, caption, letters));
    }
    for (i, object) in objects.iter().enumerate() {
        taken.extend(draw_tag(&mut out, i, object, letters, &taken));
    }
    out
}

/// Draws a tag such as "2 mug 93%" on the object's colour, and returns the box that it covers. Its place is above the object's
/// box, below it or inside it, the first of these where it covers neither the caption nor another tag, if there is one.
fn draw_tag(
    image: &mut RgbImage,
    index: usize,
    object: &OverlayObject<'_>,
    letters: Lettering,
    taken: &[Roi],
) -> Option<Roi> {
    let (frame_width, frame_height) = image.dimensions();
    let pad = 2 * letters.scale;
    let score = if object.score.is_finite() {
        format!(" {:.0}%", 100.0 * object.score.clamp(0.0, 1.0))
    } else {
        String::new()
    };
    let number = (index + 1).to_string();
    // The number and the score are always drawn. The label gets the room that is left of half the frame's width.
    let room = letters.columns((frame_width / 2).saturating_sub(2 * pad));
    let label = plain(object.label);
    let label = match room.saturating_sub(number.len() + 1 + score.len()) {
        _ if label.is_empty() => String::new(),
        room @ 4.. => format!(" {}", elide(&label, room)),
        _ => String::new(),
    };
    let text = format!("{number}{label}{score}");
    let (width, height) = (letters.width(&text) + 2 * pad, letters.height() + 2 * pad);
    if object.roi.is_empty() || width + 1 > frame_width || height + 1 > frame_height {
        return None;
    }

    let Roi { x, y, .. } = object.roi;
    let x = x.min(frame_width - width - 1);
    let tops = [
        y.checked_sub(height + 1),
        Some(object.roi.bottom().saturating_add(1)),
        Some(y.saturating_add(1)),
        Some(object.roi.bottom().saturating_sub(height + 1)),
    ];
    let tag = |y: u32| Roi {
        x,
        y,
        width,
        height,
    };
    let mut tops = tops
        .into_iter()
        .flatten()
        .filter(|y| y.saturating_add(height) <= frame_height);
    let free = tops.find(|&y| {
        taken
            .iter()
            .all(|other| other.intersection(&tag(y)).is_empty())
    });
    let tag = tag(free.unwrap_or_else(|| y.min(frame_height - height)));

    let Rgb(background) = colour(index);
    // Brightness with the weights of Rec. 601, times 1000.
    let bright =
        background[0] as u32 * 299 + background[1] as u32 * 587 + background[2] as u32 * 114;
    let ink = if bright > 115_000 { BLACK } else { WHITE };
    let rim = Roi {
        x: tag.x.saturating_sub(1),
        y: tag.y.saturating_sub(1),
        width: width + 2,
        height: height + 2,
    };
    fill(image, rim, BLACK);
    fill(image, tag, Rgb(background));
    letters.write(image, tag.x + pad, tag.y + pad, &text, ink);
    Some(rim)
}

/// Draws question and answer in a dark strip along the lower edge, and returns the box of the strip. Draws nothing where the
/// frame has no room for a line.
fn draw_caption(image: &mut RgbImage, caption: &Caption, letters: Lettering) -> Option<Roi> {
    let (width, height) = image.dimensions();
    let pad = 4 * letters.scale;
    let columns = letters.columns(width.saturating_sub(2 * pad));
    let most = ((height / 3).saturating_sub(2 * pad) / letters.line_height()) as usize;
    // The answer matters more, so the question takes at most half the lines.
    let question = wrap(&plain(&caption.instruction), columns, most.div_ceil(2));
    let answer = wrap(&plain(&caption.answer), columns, most - question.len());
    let lines = (question.len() + answer.len()) as u32;
    if lines == 0 {
        return None;
    }

    let strip_height = lines * letters.line_height() - 3 * letters.scale + 2 * pad;
    let strip = Roi {
        x: 0,
        y: height - strip_height,
        width,
        height: strip_height,
    };
    for pixel in image.as_mut()[(3 * width * strip.y) as usize..].iter_mut() {
        *pixel = mix(*pixel, 16, 0.8);
    }
    let quiet = Rgb([180, 200, 220]);
    let colours = question
        .iter()
        .map(|_| quiet)
        .chain(answer.iter().map(|_| WHITE));
    let mut y = strip.y + pad;
    for (line, colour) in question.iter().chain(&answer).zip(colours) {
        letters.write(image, pad, y, line, colour);
        y += letters.line_height();
    }
    Some(strip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Luma;
    use proptest::prelude::*;

    fn disc(radius: u32) -> GrayImage {
        let r = radius as f32;
        GrayImage::from_fn(2 * radius, 2 * radius, |x, y| {
            Luma([if (x as f32 + 0.5 - r).hypot(y as f32 + 0.5 - r) < r {
                255
            } else {
                0
            }])
        })
    }

    fn object(mask: &GrayImage, x: u32, y: u32) -> OverlayObject<'_> {
        let roi = Roi {
            x,
            y,
            width: mask.width(),
            height: mask.height(),
        };
        OverlayObject {
            roi,
            mask,
            label: "mug",
            score: 0.931,
        }
    }

    #[test]
    fn inside_is_tinted_the_edge_is_crisp_and_the_rest_untouched() {
        let image = RgbImage::from_pixel(400, 300, Rgb([100; 3]));
        let mask = disc(40);
        let out = draw_overlay(&image, &[object(&mask, 200, 120)], None, 0.5);
        assert_eq!(out.dimensions(), image.dimensions());
        let Rgb([r, g, b]) = colour(0);
        assert_eq!(
            out.get_pixel(240, 160).0,
            [r, g, b].map(|c| mix(100, c, 0.5))
        );
        assert_eq!(*out.get_pixel(200, 160), colour(0));
        assert_eq!(*out.get_pixel(201, 160), colour(0));
        assert_ne!(*out.get_pixel(203, 160), colour(0));
        assert!(out.get_pixel(199, 160)[0] < 50);
        assert_eq!(out.get_pixel(198, 160).0, [100; 3]);
        assert_eq!(out.get_pixel(20, 280).0, [100; 3]);
    }

    #[test]
    fn tags_of_neighbours_do_not_cover_each_other() {
        let mut image = RgbImage::new(400, 300);
        let mask = disc(30);
        let letters = Lettering { scale: 1 };
        let mut taken = Vec::new();
        for i in 0..3 {
            taken.extend(draw_tag(
                &mut image,
                i,
                &object(&mask, 100 + 10 * i as u32, 100),
                letters,
                &taken,
            ));
        }
        assert_eq!(taken.len(), 3);
        for (i, a) in taken.iter().enumerate() {
            assert!(
                taken[..i].iter().all(|b| a.intersection(b).is_empty()),
                "{taken:?}"
            );
        }
    }

    #[test]
    fn the_caption_stays_below_and_shows_both() {
        let image = RgbImage::from_pixel(640, 480, Rgb([200; 3]));
        let caption = Caption {
            instruction: "where? ".repeat(200),
            answer: "here. ".repeat(200),
        };
        let out = draw_overlay(&image, &[], Some(&caption), 0.5);
        assert!(out
            .enumerate_pixels()
            .all(|(_, y, p)| y >= 320 || p.0 == [200; 3]));
        assert!(out.pixels().any(|p| *p == WHITE) && out.pixels().any(|p| p.0 == [180, 200, 220]));
        assert_eq!(
            draw_overlay(&image, &[], Some(&Caption::default()), 0.5),
            image
        );
    }

    proptest! {
        #[test]
        fn no_size_place_or_text_panics(
            size in (0u32..70, 0u32..70), at in prop::collection::vec((any::<u16>(), any::<u16>(), 0u32..20), 0..4),
            label in "\\PC{0,30}", answer in "\\PC{0,200}", score: f32, alpha: f32, near in any::<bool>(),
        ) {
            let image = RgbImage::new(size.0, size.1);
            let limit = if near { 60 } else { u32::MAX };
            let masks: Vec<_> = at.iter().map(|(.., r)| disc(*r)).collect();
            let objects: Vec<_> = at.iter().zip(&masks).map(|((x, y, _), mask)| {
                let place = |v: &u16| u32::from(*v).wrapping_mul(65_537) % limit;
                OverlayObject { label: &label, score, ..object(mask, place(x), place(y)) }
            }).collect();
            let caption = Caption { instruction: label.clone(), answer };
            prop_assert_eq!(draw_overlay(&image, &objects, Some(&caption), alpha).dimensions(), size);
        }
    }
}
