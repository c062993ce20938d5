//! Text on pictures: an 8×8 bitmap font at whole multiples of its size, word wrap, elision.

use ::image::{Rgb, RgbImage};
use font8x8::UnicodeFonts;

use super::paint::fill;
use super::Roi;

/// Side of a letter's cell before scaling, in pixels.
const CELL: u32 = 8;

/// The glyph of a letter that the font lacks, an empty box.
const UNKNOWN: [u8; 8] = [0x00, 0x3e, 0x22, 0x22, 0x22, 0x22, 0x3e, 0x00];

/// A size of letters, as a multiple of the font's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lettering {
    pub scale: u32,
}

impl Lettering {
    /// A size that is legible on a picture of this size: one step for every 360 pixels of its short side, 1 to 8.
    pub fn for_picture(width: u32, height: u32) -> Self {
        Self {
            scale: (width.min(height) / 360).clamp(1, 8),
        }
    }

    /// Width of one letter, in pixels.
    pub fn advance(self) -> u32 {
        CELL * self.scale
    }

    /// Height of a letter, in pixels.
    pub fn height(self) -> u32 {
        CELL * self.scale
    }

    /// Distance from the top of one line to the top of the next, in pixels.
    pub fn line_height(self) -> u32 {
        (CELL + 3) * self.scale
    }

    /// Width of a line without the gap after its last letter, in pixels.
    pub fn width(self, text: &str) -> u32 {
        (text.chars().count() as u32 * self.advance()).saturating_sub(self.scale)
    }

    /// Number of letters that fit into `width` pixels.
    pub fn columns(self, width: u32) -> usize {
        ((width + self.scale) / self.advance()) as usize
    }

    /// Writes one line with its top left corner at (`x`, `y`). Pixels outside the picture are left out.
    pub fn write(self, image: &mut RgbImage, x: u32, y: u32, text: &str, colour: Rgb<u8>) {
        for (i, letter) in text.chars().enumerate() {
            let left = x + i as u32 * self.advance();
            if left >= image.width() {
                return;
            }
            for (row, bits) in (0u32..).zip(glyph(letter)) {
                for column in (0..CELL).filter(|c| bits >> c & 1 == 1) {
                    let dot = Roi {
                        x: left + column * self.scale,
                        y: y + row * self.scale,
                        width: self.scale,
                        height: self.scale,
                    };
                    fill(image, dot, colour);
                }
            }
        }
    }
}

/// Writes one line on a picture with its top left corner at `(x, y)`. Letters are `8 * scale` pixels high.
pub fn draw_text(
    image: &mut RgbImage,
    (x, y): (u32, u32),
    text: &str,
    colour: Rgb<u8>,
    scale: u32,
) {
    Lettering { scale }.write(image, x, y, text, colour);
}

fn glyph(letter: char) -> [u8; 8] {
    let fonts = [
        font8x8::BASIC_FONTS.get(letter),
        font8x8::LATIN_FONTS.get(letter),
        font8x8::GREEK_FONTS.get(letter),
    ];
    fonts.into_iter().flatten().next().unwrap_or(UNKNOWN)
}

/// Text as it can be drawn on one line. White space is joined to single blanks, typographic signs become plain ones, and control
/// and invisible characters are removed. Letters that the font lacks stay and are drawn as a box.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            _ if letter.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '\u{2018}' | '\u{2019}' | '\u{201a}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201e}' => out.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '\u{2022}' => out.push('*'),
            '\u{2026}' => out.push_str("..."),
            // Joiners, direction marks, variation selectors and skin tones change a sign that is already drawn; none is a sign.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {}
            '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}' => {}
            '\u{300}'..='\u{36f}' => {}
            _ if letter.is_control() => {}
            _ => out.push(letter),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The text, cut to at most `columns` letters; a text that was cut ends in "...".
pub(super) fn elide(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(columns.saturating_sub(3)).collect();
    short.truncate(short.trim_end().len());
    short.extend("...".chars().take(columns));
    short
}

/// The text in lines of at most `columns` letters. Lines are broken between words, and within a word that is longer than a line.
/// At most `lines` lines are kept, of which the last then ends in "...".
pub(super) fn wrap(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let (mut wrapped, mut line) = (Vec::new(), String::new());
    if columns == 0 || lines == 0 {
        return wrapped;
    }
    let (mut used, mut words) = (0, text.split_whitespace());
    // One line more than wanted is made, which shows that the text has to be cut.
    while let (Some(word), true) = (words.next(), wrapped.len() <= lines) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            wrapped.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for letter in word.chars() {
            if used == columns {
                wrapped.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(letter);
            used += 1;
        }
    }
    if used > 0 {
        wrapped.push(line);
    }
    if wrapped.len() > lines {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            *last = elide(
                &format!("{last}    "),
                columns.min(last.chars().count() + 3),
            );
        }
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_kept_together() {
        assert_eq!(
            wrap("pick up the red mug", 8, 9),
            ["pick up", "the red", "mug"]
        );
        assert_eq!(
            wrap("a verylongword b", 5, 9),
            ["a", "veryl", "ongwo", "rd b"]
        );
        assert_eq!(wrap("pick up the red mug", 8, 2), ["pick up", "the r..."]);
        assert_eq!(wrap("pick up the mug", 9, 1), ["pick u..."]);
        assert_eq!(elide("instruction", 8), "instr...");
        assert_eq!(elide("mug", 8), "mug");
    }

    #[test]
    fn signs_become_plain_ones() {
        assert_eq!(
            plain(" \u{201c}it\u{2019}s\u{201d}\n\t here\u{2026}\u{7}\u{200b} "),
            "\"it's\" here..."
        );
        assert_eq!(plain("caf\u{e9}"), "caf\u{e9}");
        assert_ne!(glyph('\u{e9}'), UNKNOWN);
        assert_eq!(glyph('\u{1f600}'), UNKNOWN);
    }

    proptest! {
        #[test]
        fn lines_fit(text in "\\PC{0,80}", columns in 0usize..30, lines in 0usize..6) {
            let wrapped = wrap(&plain(&text), columns, lines);
            prop_assert!(wrapped.len() <= lines);
            prop_assert!(wrapped.iter().all(|line| line.chars().count() <= columns && !line.is_empty()));
        }
    }
}
