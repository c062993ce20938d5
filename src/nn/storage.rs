//! Access to the numbers behind a tensor, for operations that are written out for the CPU.

use candle_core::{CpuStorage, Layout};

use super::Result;

/// The elements of a contiguous f32 tensor, in row-major order.
///
/// # Errors
/// The tensor is not contiguous, or not f32.
pub(super) fn contiguous_f32<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("a contiguous tensor was promised"),
    }
}
