//! A calibration as it stands in a file, and the checks when it is read back.

use super::{Calibration, Method, conformal_rank};
use crate::metrics::check_finite;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    method: Method,
    threshold: Option<f64>,
    n: usize,
    normals: Vec<f32>,
}

impl From<Calibration> for Saved {
    fn from(calibration: Calibration) -> Self {
        let Calibration { method, threshold, normals } = calibration;
        Self { method, threshold, n: normals.len(), normals }
    }
}

impl TryFrom<Saved> for Calibration {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self> {
        let Saved { method, threshold, n, normals } = saved;
        let problem = if normals.is_empty() || n != normals.len() {
            format!("expected {n} validation scores, found {}", normals.len())
        } else if !normals.is_sorted() {
            "the validation scores are not ascending".into()
        } else if threshold.is_some_and(|threshold| !threshold.is_finite()) {
            format!("the threshold {threshold:?} is not finite")
        } else if !agrees(method, threshold, &normals)? {
            format!("the threshold {threshold:?} is not that of its method and validation scores")
        } else {
            check_finite("validation score", &normals)?;
            return Ok(Self { method, threshold, normals });
        };
        Err(Error::Metric(format!("saved calibration: {problem}")))
    }
}

fn agrees(method: Method, threshold: Option<f64>, normals: &[f32]) -> Result<bool> {
    Ok(match method {
        Method::Conformal { alpha } => {
            threshold == conformal_rank(normals.len(), alpha)?.map(|rank| f64::from(normals[rank - 1]))
        }
        Method::BestF1 { .. } | Method::Fixed {} => threshold.is_some(),
    })
}
