//! What is done about a sample that cannot be read.

use serde::{Deserialize, Serialize};

/// What is done about a file, or another single sample, that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// End with an error that names it.
    #[default]
    Fail,
    /// Name it, count it, and go on without it.
    Skip,
}

impl OnError {
    /// Whether it is [`OnError::Fail`], which need not be said in a config.
    pub fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}
