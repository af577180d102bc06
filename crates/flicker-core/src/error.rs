//! The one error type of the library crates.
//!
//! A message starts in lower case, ends without a full stop, names the file, row or field, and says what was expected
//! and what was found.

use std::path::{Path, PathBuf};

/// What can go wrong in a library crate of this workspace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of a configuration has a value that cannot work.
    #[error("config field `{field}`: {problem}")]
    Config {
        /// Path of the field, as in the TOML (`data.size`).
        field: String,
        /// What is wrong, with the value found.
        problem: String,
    },
    /// A tensor or a sample has another shape than its consumer needs.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What was being shaped.
        what: String,
        /// The shape that is needed.
        expected: String,
        /// The shape that came.
        found: String,
    },
    /// A file, or the bytes of one, does not hold what it should.
    #[error("{origin}: {problem}")]
    Data {
        /// Path of the file, or the name of the bytes.
        origin: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A protocol cannot be carried out on this data set.
    #[error("protocol: {0}")]
    Protocol(String),
    /// Saved weights or a checkpoint belong to another model.
    #[error("{origin}: {problem}")]
    Weights {
        /// Path of the file, or the name of the store.
        origin: String,
        /// The first difference, with both sides.
        problem: String,
    },
    /// A metric is undefined on this input.
    #[error("metric: {0}")]
    Metric(String),
    /// A loss stopped being finite.
    #[error("training diverged: loss `{name}` is {value} at step {step}")]
    Diverged {
        /// Name of the loss.
        name: String,
        /// Its value.
        value: f32,
        /// Step within the phase, from 0.
        step: usize,
    },
    /// Training was stopped from outside; the last checkpoint is whole.
    #[error("stopped: {0}")]
    Stopped(Stop),
    /// A score is no single pass from a sample to a number, so no graph can say it.
    #[error("no single forward pass: {0}")]
    NotOnePass(String),
    /// The operating system refused something.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Why a training was stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// An interrupt from the keyboard (SIGINT).
    Interrupt,
    /// A request to terminate (SIGTERM).
    Terminate,
    /// The wall-clock limit was reached.
    TimeLimit,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
            Self::TimeLimit => "time limit reached",
        })
    }
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A [`Error::Config`] for `field`.
    pub fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into() }
    }

    /// A [`Error::Data`] for the file or bytes named `origin`.
    pub fn data(origin: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Data { origin: origin.into(), problem: problem.into() }
    }

    /// A [`Error::Io`] for `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}
