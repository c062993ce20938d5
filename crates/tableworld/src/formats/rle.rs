//! COCO's run-length encoding of a mask (cocodataset/cocoapi, `common/maskApi.c`): runs down the columns,
//! of zeros first, and the compressed string of them.

use serde::{Deserialize, Serialize};

/// A mask as COCO writes it: `{"size": [height, width], "counts": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle {
    /// Height, width.
    pub size: [u32; 2],
    /// The lengths of the runs, in the compressed form.
    pub counts: String,
}

impl Rle {
    /// `inside` says for each pixel, row by row, whether the mask has it.
    ///
    /// # Shapes
    /// `inside` holds `width · height`; what is missing counts as outside.
    pub fn encode(width: u32, height: u32, inside: &[bool]) -> Self {
        Self {
            size: [height, width],
            counts: compress(&runs(width, height, inside)),
        }
    }

    /// The pixels row by row; `None` where the string is not one of this encoding or of another size.
    pub fn decode(&self) -> Option<Vec<bool>> {
        let [height, width] = self.size.map(|n| n as usize);
        let mut inside = vec![false; width.checked_mul(height)?];
        let (mut at, mut value) = (0, false);
        for run in expand(&self.counts)? {
            let end = run.checked_add(at).filter(|&end| end <= inside.len())?;
            for k in at..end {
                inside[(k % height) * width + k / height] = value;
            }
            (at, value) = (end, !value);
        }
        (at == inside.len()).then_some(inside)
    }
}

/// Lengths of the runs of one value down the columns; the first is of zeros and may be 0 long.
fn runs(width: u32, height: u32, inside: &[bool]) -> Vec<usize> {
    let (mut runs, mut value, mut length) = (Vec::new(), false, 0);
    for x in 0..width as usize {
        for y in 0..height as usize {
            let here = inside
                .get(y * width as usize + x)
                .copied()
                .unwrap_or_default();
            if here != value {
                runs.push(length);
                (value, length) = (here, 0);
            }
            length += 1;
        }
    }
    runs.push(length);
    runs
}

/// Groups of five bits in printable characters, each number from the fourth on as the difference to the one
/// two before.
fn compress(runs: &[usize]) -> String {
    let mut text = String::new();
    for (i, &run) in runs.iter().enumerate() {
        let mut rest = run as i64;
        if i > 2 {
            rest -= runs[i - 2] as i64;
        }
        loop {
            let group = (rest & 0x1f) as u8;
            rest >>= 5;
            // The group's top bit is the sign of what follows.
            let more = if group & 0x10 == 0 {
                rest != 0
            } else {
                rest != -1
            };
            text.push(char::from(48 + group + if more { 0x20 } else { 0 }));
            if !more {
                break;
            }
        }
    }
    text
}

fn expand(text: &str) -> Option<Vec<usize>> {
    let mut runs: Vec<usize> = Vec::new();
    let mut bytes = text.bytes();
    while let Some(mut byte) = bytes.next() {
        let (mut number, mut shift) = (0i64, 0u32);
        loop {
            let bits = byte.checked_sub(48).filter(|&bits| bits < 64)?;
            number |= i64::from(bits & 0x1f).checked_shl(shift)?;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 && shift < 64 {
                    number |= -1 << shift;
                }
                break;
            }
            byte = bytes.next()?;
        }
        if runs.len() > 2 {
            number = number.checked_add(runs[runs.len() - 2] as i64)?;
        }
        runs.push(usize::try_from(number).ok()?);
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_undoes_encoding(width in 1u32..40, height in 1u32..90, seed: u64, coarse in 1u32..30) {
            let inside: Vec<bool> = (0..height * width)
                .map(|k| {
                    let cell = u64::from(k % width / coarse) * 31 + u64::from(k / width / coarse);
                    (cell.wrapping_add(seed)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
                })
                .collect();
            let rle = Rle::encode(width, height, &inside);
            prop_assert_eq!(rle.decode(), Some(inside));
        }
    }

    /// As `pycocotools.mask.encode` gives them.
    #[test]
    fn the_strings_are_cocos() {
        let square: Vec<bool> = (0..48)
            .map(|k| (2..5).contains(&(k / 8)) && (3..6).contains(&(k % 8)))
            .collect();
        assert_eq!(Rle::encode(8, 6, &square).counts, "d033000:");
        assert_eq!(Rle::encode(3, 2, &[true; 6]).counts, "06");
        assert_eq!(Rle::encode(3, 2, &[false; 6]).counts, "6");
    }

    #[test]
    fn a_string_of_something_else_is_no_mask() {
        for counts in ["", "\u{7f}", "P", "7", "5", "06x"] {
            let rle = Rle {
                size: [2, 3],
                counts: counts.into(),
            };
            assert_eq!(rle.decode(), None, "{counts:?}");
        }
    }
}
