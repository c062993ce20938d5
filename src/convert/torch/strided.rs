//! The places of tensors in their storages, which need not be row by row: tensors may be transposed, sliced, channels last or
//! expanded.

/// The place of a tensor in its storage; all numbers count elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strided {
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Distance from one entry of each dimension to the next; one number for each dimension of the shape.
    pub strides: Vec<usize>,
}

impl Strided {
    /// Checks that the tensor lies within a storage of `held` elements, and that it has at most `most` elements if it repeats
    /// some.
    ///
    /// # Errors
    /// What is wrong, in words that continue a sentence that begins with the tensor's name.
    pub fn check(&self, held: usize, most: usize) -> Result<(), String> {
        let (shape, strides) = (&self.shape, &self.strides);
        let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let last = shape
            .iter()
            .zip(strides)
            .try_fold(self.offset, |at, (d, stride)| {
                d.saturating_sub(1).checked_mul(*stride)?.checked_add(at)
            });
        match (count, last) {
            (Some(0), _) => Ok(()),
            (Some(count), Some(last)) if last < held => match count <= held.max(most) {
                true => Ok(()),
                false => Err(format!(
                    "repeats the {held} numbers that it has into shape {shape:?}; save it after .contiguous()"
                )),
            },
            _ => Err(format!(
                "of shape {shape:?} and strides {strides:?} reaches from {} past the {held} numbers of its storage; the file is damaged or cut short: download it again",
                self.offset
            )),
        }
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The part of the storage that the tensor needs: its first element, and the number of elements.
    pub fn reach(&self) -> (usize, usize) {
        if self.count() == 0 {
            return (0, 0);
        }
        let steps = self.shape.iter().zip(&self.strides);
        let further: usize = steps.map(|(d, stride)| (d - 1) * stride).sum();
        (self.offset, further + 1)
    }

    /// Puts the elements into the order of the shape. `reached` is the part of the storage that [`reach`](Self::reach) names,
    /// with `size` bytes for each element.
    pub fn gather(&self, reached: Vec<u8>, size: usize) -> Vec<u8> {
        if self.is_contiguous() {
            return reached;
        }
        let mut gathered = Vec::with_capacity(self.count() * size);
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..self.count() {
            gathered.extend_from_slice(&reached[at * size..(at + 1) * size]);
            // The index is advanced like an odometer, the last dimension first.
            for d in (0..index.len()).rev() {
                index[d] += 1;
                at += self.strides[d];
                if index[d] < self.shape[d] {
                    break;
                }
                at -= self.strides[d] * self.shape[d];
                index[d] = 0;
            }
        }
        gathered
    }

    /// Whether the tensor lies row by row. The stride of a dimension of one element does not matter.
    fn is_contiguous(&self) -> bool {
        let mut next = 1;
        for (d, stride) in self.shape.iter().zip(&self.strides).rev() {
            if *d != 1 && *stride != next {
                return false;
            }
            next *= d;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: usize, shape: &[usize], strides: &[usize]) -> Strided {
        Strided {
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    /// What PyTorch's `as_strided` reads of a storage of the numbers 0 to 23.
    fn read(place: &Strided) -> Vec<u8> {
        place.check(24, 0).unwrap();
        let (first, count) = place.reach();
        let reached = (first..first + count).map(|n| n as u8).collect();
        place.gather(reached, 1)
    }

    #[test]
    fn views_are_read_as_they_look() {
        assert_eq!(read(&place(2, &[2, 3], &[3, 1])), [2, 3, 4, 5, 6, 7]);
        // Transposed, of (2, 3).
        assert_eq!(read(&place(0, &[3, 2], &[1, 3])), [0, 3, 1, 4, 2, 5]);
        // Every second column.
        assert_eq!(read(&place(1, &[2, 2], &[6, 2])), [1, 3, 7, 9]);
        // (1, 2, 2, 3), channels last: stored as (1, 2, 3, 2).
        let channels_last = place(0, &[1, 2, 2, 3], &[12, 1, 6, 2]);
        assert_eq!(read(&channels_last), [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
        // A dimension of one element says nothing by its stride.
        assert_eq!(read(&place(0, &[1, 3], &[7, 1])), [0, 1, 2]);
        assert_eq!(read(&place(5, &[], &[])), [5]);
        assert!(read(&place(30, &[0, 4], &[4, 1])).is_empty());
        assert_eq!(read(&place(3, &[4], &[0])), [3, 3, 3, 3]);
    }

    #[test]
    fn what_lies_outside_or_swells_is_refused() {
        for (place, word) in [
            (place(23, &[2], &[1]), "past the 24"),
            (place(0, &[usize::MAX, 4], &[1, 1]), "past"),
            (place(usize::MAX, &[2], &[1]), "past"),
            (place(0, &[2, 2], &[usize::MAX, 1]), "past"),
            (place(0, &[1000, 1000], &[0, 0]), "repeats the 24"),
        ] {
            let reason = place.check(24, 100).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
    }
}
