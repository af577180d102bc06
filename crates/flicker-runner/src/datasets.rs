//! stand-in
use crate::Failure;
use flicker_core::data::{Dataset, embedded};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileFacts { pub path: String, pub sha256: String, pub bytes: u64 }
pub(crate) struct Located { pub origin: String, pub files: Vec<FileFacts> }
pub(crate) fn locate(_name: &str, _root: &Path) -> Result<(Dataset, Located), Failure> {
    Ok((embedded::mnist()?, Located { origin: "the sample in the program".into(), files: vec![] }))
}
pub(crate) fn data_root() -> PathBuf { "data".into() }
