//! The error type of this crate.

use std::path::{Path, PathBuf};

/// What can go wrong with manifests and files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A manifest is not what it should be.
    #[error("manifest {name}: {problem}")]
    Manifest {
        /// The data set.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// No data set has this name.
    #[error("no data set `{name}`, expected one of {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A file is not what its manifest says.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A data set is not there, and no sample stands in for it.
    #[error("{name} is not in {folder}: {problem}; `cargo xtask data {name}` brings it")]
    Absent {
        /// The data set.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// The operating system refused something.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn file(path: &Path, problem: String) -> Self {
        Self::File { path: path.to_path_buf(), problem }
    }
}
