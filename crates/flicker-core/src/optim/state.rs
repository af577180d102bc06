//! The check of a [`State`] before anything is taken from it.

use super::State;
use crate::{Error, Result};
use candle_core::DType;
use std::collections::BTreeMap;

/// Shape and type of each tensor that a state must hold.
pub(super) type Expected = BTreeMap<String, (Vec<usize>, DType)>;

/// Refuses a state whose names, shapes or types differ from `expected`, and says the first difference.
pub(super) fn require_same(origin: &str, expected: &Expected, found: &State) -> Result<()> {
    let refuse = |problem: String| Err(Error::Weights { origin: origin.into(), problem });
    let (n_expected, n_found) = (expected.len(), found.len());
    let missing = expected.keys().find(|name| !found.contains_key(*name));
    let extra = found.keys().find(|name| !expected.contains_key(*name));
    match (missing, extra) {
        (Some(missing), Some(extra)) => return refuse(format!("expected `{missing}`, found `{extra}`")),
        (Some(missing), None) => {
            return refuse(format!("expected {n_expected} tensors, found {n_found}; `{missing}` is missing"));
        }
        (None, Some(extra)) => {
            return refuse(format!("expected {n_expected} tensors, found {n_found}; `{extra}` is unknown"));
        }
        (None, None) => {}
    }
    for ((name, (dims, dtype)), tensor) in expected.iter().zip(found.values()) {
        if tensor.dims() != dims || tensor.dtype() != *dtype {
            let (found_dims, found_dtype) = (tensor.dims(), tensor.dtype());
            return refuse(format!(
                "`{name}`: expected {dims:?} of {dtype:?}, found {found_dims:?} of {found_dtype:?}"
            ));
        }
    }
    Ok(())
}
