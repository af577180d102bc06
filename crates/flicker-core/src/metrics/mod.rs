//! Metrics of a detector, from scores and labels: pure functions, the one place that test labels reach.
//!
//! A score is higher for a more abnormal sample; the label is `true` for an abnormal one; the positive class is the
//! abnormal one. A sample is *flagged* (called abnormal) if and only if its score is **greater than** the threshold.
//! Points of [`RocCurve`] and [`PrCurve`] alone follow scikit-learn, whose rule is "at least the threshold".
//!
//! Point values equal scikit-learn's. Intervals are 95 %: DeLong's for AUROC, the stratified bootstrap's for the
//! others.
//!
//! ```
//! use flicker_core::{Rng, metrics};
//! let scores = [0.1, 0.4, 0.35, 0.8];
//! let abnormal = [false, false, true, true];
//! assert_eq!(metrics::auroc(&scores, &abnormal)?, 0.75);
//! let summary = metrics::summary(&scores, Some(&abnormal), 0.5, &Rng::new(0))?;
//! assert_eq!(summary.recall.map(|recall| recall.value), Some(0.5));
//! # Ok::<(), flicker_core::Error>(())
//! ```

mod bootstrap;
mod confusion;
mod curves;
mod delong;
mod paired;
pub mod pixels;
mod ranking;
pub(crate) mod special;
mod summary;
#[cfg(test)]
mod tests;

pub use bootstrap::{bootstrap, n_replicates};
pub use confusion::{ClassMetrics, Confusion};
pub use curves::{PrCurve, RocCurve, RocPoint};
pub use delong::{AurocComparison, auroc_estimate, auroc_variance, compare_auroc};
pub use paired::bootstrap_difference;
pub use ranking::{BestF1, Ranking};
pub use summary::{Summary, summary};

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A metric with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The metric on the samples as they are.
    pub value: f64,
    /// Lower end of the interval; never above `value`.
    pub low: f64,
    /// Upper end of the interval; never below `value`.
    pub high: f64,
}

/// Area under the ROC curve: the chance that an abnormal sample scores higher than a normal one, a tie counting half
/// (the Mann–Whitney statistic).
///
/// # Errors
/// If a class is absent, a score is not finite, or the lengths differ.
pub fn auroc(scores: &[f32], abnormal: &[bool]) -> Result<f64> {
    Ranking::new(scores, abnormal)?.auroc()
}

/// Area under the precision–recall curve as average precision, the sum over thresholds of (gain in recall) ×
/// (precision), without interpolation. A detector that knows nothing gets the prevalence.
///
/// # Errors
/// If there is no abnormal sample, a score is not finite, or the lengths differ.
pub fn auprc(scores: &[f32], abnormal: &[bool]) -> Result<f64> {
    Ranking::new(scores, abnormal)?.auprc()
}

/// Refuses a score that is NaN or infinite, naming its index.
pub(crate) fn check_finite(what: &str, scores: &[f32]) -> Result<()> {
    match scores.iter().position(|score| !score.is_finite()) {
        Some(index) => {
            Err(Error::Metric(format!("{what} {index} is {}, expected a finite number", scores[index])))
        }
        None => Ok(()),
    }
}
