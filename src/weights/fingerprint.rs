//! [`Fingerprint`]: tells the tensors of one model from those of another without reading all of their bytes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::tensor_file::TensorFile;
use super::WeightsError;

/// Number of pieces of a large tensor that are read, spread evenly from its first byte to its last.
const PIECES: usize = 16;
/// Bytes of a piece: a page, the least that the system reads.
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
    ///
    /// # Errors
    /// [`WeightsError::Tensor`] where one cannot be read.
    pub(super) fn of(
        file: &TensorFile,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<Self, WeightsError> {
        let (mut crc, mut tensors, mut numbers) = (crc32fast::Hasher::new(), 0, 0);
        let chosen = |name: &&String| chosen(TensorFile::weight_of(name));
        for (name, info) in file.tensors().iter().filter(|(name, _)| chosen(name)) {
            let (dtype, shape) = (info.dtype, &info.shape);
            tensors += 1;
            numbers += shape.iter().map(|side| *side as u64).product::<u64>();
            crc.update(format!("{name} {dtype:?} {shape:?}\n").as_bytes());
            for piece in sample(info.data_offsets.1 - info.data_offsets.0) {
                let mut bytes = vec![0; piece.len()];
                let read = file.read(info, piece.start, &mut bytes);
                read.map_err(|source| WeightsError::Tensor {
                    name: name.clone(),
                    source,
                })?;
                crc.update(&bytes);
            }
        }
        Ok(Self {
            tensors,
            numbers,
            crc32: crc.finalize(),
        })
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

/// The pieces of a tensor of `length` bytes that are read.
fn sample(length: usize) -> impl Iterator<Item = Range<usize>> {
    let beyond = length.saturating_sub(PIECE);
    let all = length <= PIECES * PIECE;
    let pieces = if all { 1 } else { PIECES };
    (0..pieces).map(move |i| {
        // The last piece ends where the tensor ends. The product comes first for exactness; it cannot overflow, because a tensor
        // has less than 2⁶⁰ bytes.
        let start = i * beyond / (PIECES - 1);
        match all {
            true => 0..length,
            false => start..start + PIECE,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_tensors_are_looked_at_whole_and_large_ones_from_end_to_end() {
        for length in [0, 1, PIECE, PIECES * PIECE] {
            let pieces: Vec<_> = sample(length).collect();
            assert_eq!(pieces.len(), 1);
            assert_eq!(pieces[0], 0..length);
        }
        for length in [PIECES * PIECE + 1, 1_000_003] {
            let pieces: Vec<_> = sample(length).collect();
            assert_eq!(pieces.len(), PIECES);
            assert!(pieces.iter().all(|piece| piece.len() == PIECE));
            assert_eq!(pieces[0].start, 0);
            assert_eq!(pieces[PIECES - 1].end, length);
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
