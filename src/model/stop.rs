//! Stopping in the middle.

/// Asked between the layers of the long encoders: true means stop.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// Why a forward pass ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The caller's [`Stop`] said so.
    #[error("stopped")]
    Stopped,
    /// Candle failed at an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// `Err(Stopped)` where the caller asks to stop.
pub(crate) fn check(stop: Stop<'_>) -> Result<(), ModelError> {
    if stop() {
        Err(ModelError::Stopped)
    } else {
        Ok(())
    }
}
