//! What can go wrong with an export.

/// What can go wrong with an export.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The format cannot hold the model.
    #[error("onnx: {0}")]
    Format(String),
    /// The runtime refused the model, or the samples.
    #[error("onnx runtime: {0}")]
    Runtime(String),
    /// The core refused something.
    #[error(transparent)]
    Core(#[from] flicker_core::Error),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
