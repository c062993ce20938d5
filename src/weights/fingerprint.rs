//! [`Fingerprint`]: tells the tensors of one model from those of another without reading all of their bytes.

use candle_core::safetensors::MmapedSafetensors;
use serde::{Deserialize, Serialize};

/// Number of pieces of a large tensor that are read, spread evenly from its first byte to its last.
const PIECES: usize = 16;
/// Bytes of a piece: a page, the least that a memory map reads.
const PIECE: usize = 4096;

/// A checksum of some of a model's tensors, small enough to be kept with a checkpoint.
///
/// The checksum covers names, element types, shapes and bytes: all bytes of a tensor of up to 64 KiB, and 64 KiB in 16 pieces of
/// a larger one. For a model of 7B parameters, 14 GB in about 1200 tensors, 75 MB are read, which takes a second or less.
/// Training changes all of a tensor, which is noticed; a single number that is changed by hand may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Number of tensors.
    pub tensors: u64,
    /// Elements of all tensors together.
    pub numbers: u64,
    /// CRC-32 of what is described above.
    pub crc32: u32,
}

impl Fingerprint {
    /// The fingerprint of the tensors whose names `chosen` accepts.
    pub(super) fn of(mapped: &MmapedSafetensors, chosen: impl Fn(&str) -> bool) -> Self {
        let mut tensors = mapped.tensors();
        tensors.retain(|(name, _)| chosen(name));
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (mut crc, mut numbers) = (crc32fast::Hasher::new(), 0);
        for (name, view) in &tensors {
            let (dtype, shape) = (view.dtype(), view.shape());
            numbers += shape.iter().map(|side| *side as u64).product::<u64>();
            crc.update(format!("{name} {dtype:?} {shape:?}\n").as_bytes());
            sample(view.data()).for_each(|piece| crc.update(piece));
        }
        Self {
            tensors: tensors.len() as u64,
            numbers,
            crc32: crc.finalize(),
        }
    }

    /// Says how the tensors of `others` differ from these, in words that continue a sentence that begins with "the tensors".
    /// `None` where both are equal.
    pub fn difference(&self, others: &Self) -> Option<String> {
        if self == others {
            return None;
        }
        let size = |some: &Self| (some.tensors, some.numbers);
        Some(match size(self) == size(others) {
            true => format!(
                "are {} as before and as large, but hold other numbers",
                others.tensors
            ),
            false => format!(
                "were {} of {} numbers together and are {} of {}",
                self.tensors, self.numbers, others.tensors, others.numbers
            ),
        })
    }
}

/// The pieces of a tensor that are read.
fn sample(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let beyond = bytes.len().saturating_sub(PIECE);
    let all = bytes.len() <= PIECES * PIECE;
    let pieces = if all { 1 } else { PIECES };
    (0..pieces).map(move |i| match all {
        true => bytes,
        // The last piece ends where the tensor ends. The product comes first for exactness; it cannot overflow, because a tensor
        // has less than 2⁶⁰ bytes.
        false => &bytes[i * beyond / (PIECES - 1)..][..PIECE],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_tensors_are_looked_at_whole_and_large_ones_from_end_to_end() {
        let bytes: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
        for length in [0, 1, PIECE, PIECES * PIECE] {
            assert_eq!(
                sample(&bytes[..length]).collect::<Vec<_>>().concat(),
                bytes[..length]
            );
        }
        for length in [PIECES * PIECE + 1, 1_000_003] {
            let pieces: Vec<&[u8]> = sample(&bytes[..length]).collect();
            assert_eq!(pieces.len(), PIECES);
            assert!(pieces.iter().all(|piece| piece.len() == PIECE));
            assert_eq!(pieces[0].as_ptr(), bytes.as_ptr());
            let end = pieces[PIECES - 1].as_ptr_range().end;
            assert_eq!(end, bytes[..length].as_ptr_range().end);
        }
    }

    #[test]
    fn what_differs_is_said() {
        let print = |tensors, numbers, crc32| Fingerprint {
            tensors,
            numbers,
            crc32,
        };
        let ours = print(3, 70, 1);
        assert_eq!(ours.difference(&ours), None);
        let other = ours.difference(&print(3, 70, 2)).unwrap();
        assert!(other.contains("hold other numbers"), "{other}");
        let larger = ours.difference(&print(3, 90, 2)).unwrap();
        assert_eq!(larger, "were 3 of 70 numbers together and are 3 of 90");
    }
}
