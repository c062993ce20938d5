//! Ends a forward pass before it is done.

/// A question that is asked between layers; the answer true ends the forward pass.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// Why a forward pass ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The caller's [`Stop`] answered true.
    #[error("stopped")]
    Stopped,
    /// Candle failed at an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Asks whether to stop.
///
/// # Errors
/// [`ModelError::Stopped`] where the caller's answer is true.
pub(crate) fn check(stop: Stop<'_>) -> Result<(), ModelError> {
    if stop() {
        Err(ModelError::Stopped)
    } else {
        Ok(())
    }
}
