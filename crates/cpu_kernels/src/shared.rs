//! A result that several threads write at once, each its own part.

use crate::product::Destination;

/// A matrix in memory that may be uninitialised, of which each thread writes rows and columns that no other thread has.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    start: *mut f32,
    rows: usize,
    stride: usize,
}

// SAFETY: the pointer is used by `Block` alone, whose users never ask for an element that another thread asks for.
#[allow(unsafe_code)]
unsafe impl Send for Shared {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Shared {}

/// Makes a matrix of `rows` × `columns` that `write` fills.
///
/// `write` must store every element, each from one thread, before it reads it.
pub(crate) fn written(rows: usize, columns: usize, write: impl FnOnce(Shared)) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows * columns);
    write(Shared {
        start: out.as_mut_ptr(),
        rows,
        stride: columns,
    });
    // SAFETY: the elements were allocated above, and `write` stored all of them; this is private to the crate, whose users do.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(rows * columns);
    }
    out
}

impl Shared {
    /// The part of one thread, which begins at this row and column.
    pub fn block(self, row: usize, column: usize) -> Block {
        Block {
            shared: self,
            row,
            column,
        }
    }
}

/// The part of one thread.
pub(crate) struct Block {
    shared: Shared,
    row: usize,
    column: usize,
}

impl Destination for Block {
    #[inline(always)]
    fn row(&mut self, row: usize, first: usize, count: usize) -> &mut [f32] {
        let (row, first) = (self.row + row, self.column + first);
        assert!(row < self.shared.rows && first + count <= self.shared.stride);
        // SAFETY: row and columns are inside of the allocation, as asserted, and belong to this thread alone. Whatever bits the
        // memory has are an f32, and they are overwritten before they are read.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(
                self.shared.start.add(row * self.shared.stride + first),
                count,
            )
        }
    }
}
