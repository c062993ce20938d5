//! The text that COCO calls compressed: run lengths in printable letters.
//!
//! A number is written in groups of five bits, the lowest first, each a letter from `0` on. The sixth bit says that more
//! groups follow, and the top bit of the last group is the sign. From the fourth number on, the difference to the number two
//! before it is written.

use super::RleError;

/// Numbers of the text hold at most this many bits; more would not fit into 64 with their sign.
const MOST_BITS: u32 = 60;

/// The text of run lengths.
pub fn pack(runs: &[u32]) -> String {
    let mut text = String::new();
    let mut before = [0i64; 2];
    for (i, &run) in runs.iter().enumerate() {
        let run = i64::from(run);
        let mut rest = if i > 2 { run - before[0] } else { run };
        before = [before[1], run];
        loop {
            let group = (rest & 0x1f) as u8;
            rest >>= 5;
            // The number is complete when what is left is the sign that the group's top bit gives.
            let more = if group & 0x10 == 0 {
                rest != 0
            } else {
                rest != -1
            };
            text.push(char::from(b'0' + group + if more { 0x20 } else { 0 }));
            if !more {
                break;
            }
        }
    }
    text
}

/// The run lengths of a text.
///
/// # Errors
/// [`RleError::Letter`], [`RleError::Cut`], [`RleError::Run`].
pub fn unpack(text: &str) -> Result<Vec<u32>, RleError> {
    let mut runs = Vec::new();
    let mut before = [0u32; 2];
    let mut bytes = text.bytes();
    while let Some(first) = bytes.next() {
        let (mut number, mut shift, mut byte) = (0i64, 0u32, first);
        loop {
            let bits = match byte.checked_sub(b'0') {
                Some(bits) if bits < 64 && shift < MOST_BITS => i64::from(bits),
                _ => return Err(RleError::Letter),
            };
            number |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 {
                    number |= -1i64 << shift;
                }
                break;
            }
            byte = bytes.next().ok_or(RleError::Cut)?;
        }
        if runs.len() > 2 {
            // The number is within 2⁶⁰ and a run within 2³², so that the sum does not overflow.
            number += i64::from(before[0]);
        }
        let run = u32::try_from(number).map_err(|_| RleError::Run { length: number })?;
        before = [before[1], run];
        runs.push(run);
    }
    Ok(runs)
}
