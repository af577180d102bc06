//! From a score to a decision, with validation normals only: threshold, p-value, normalised score.
//!
//! The promise is that of (split) conformal prediction: Vovk, Gammerman and Shafer, "Algorithmic learning in a random
//! world", 2005; for anomaly detection Laxhammar and Falkman, "Inductive conformal anomaly detection for sequential
//! detection of anomalous sub-trajectories", 2015. If a new normal sample and the n validation normals are
//! exchangeable, its p-value is at most α with a probability of at most α, whatever the detector and the distribution
//! of its scores. So the share of false alarms is at most α *on average over validation sets*; for the one set at hand
//! see [`false_alarm_interval`].
//!
//! ```
//! use flicker_core::calibration::Calibration;
//! let normals: Vec<f32> = (1..=99).map(|i| i as f32).collect();
//! let calibration = Calibration::conformal(&normals, 0.05)?;
//! assert_eq!(calibration.threshold(), Some(95.0));
//! let decision = calibration.decide(&[96.0])?[0];
//! assert!(decision.abnormal && decision.p_value == 0.05 && decision.normalised > 0.5);
//! # Ok::<(), flicker_core::Error>(())
//! ```

mod conformal;
mod drift;
mod saved;
#[cfg(test)]
mod tests;

pub use conformal::{conformal_rank, false_alarm_interval, normals_needed};
pub use drift::{Drift, KolmogorovSmirnov, kolmogorov_smirnov, population_stability_index};

use crate::metrics::{Estimate, Ranking, check_finite};
use crate::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// How the threshold was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Method {
    /// From validation normals, for at most this share of false alarms.
    Conformal {
        /// The promised false-alarm rate, between 0 and 1.
        alpha: f64,
    },
    /// The largest F1 on a labelled validation set.
    BestF1 {
        /// F1 on that set (an optimistic number: the threshold was chosen on it).
        f1: f64,
        /// Abnormal samples in that set.
        n_abnormal: usize,
    },
    /// Given by the user. (Braces, because serde lets unknown fields pass in a unit variant.)
    Fixed {},
}

/// A threshold and the validation normals' scores behind it, saved with the run. Loading checks that they agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "saved::Saved", into = "saved::Saved")]
pub struct Calibration {
    method: Method,
    threshold: Option<f64>,
    normals: Vec<f32>,
}

/// What a calibration says of one score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Conformal p-value: (1 + number of validation normals that score at least as high) / (n + 1).
    pub p_value: f64,
    /// Between 0 and 1, above 0.5 exactly for the scores above the threshold.
    pub normalised: f64,
    /// Whether the score is greater than the threshold.
    pub abnormal: bool,
}

impl Calibration {
    /// The conformal threshold: the k-th smallest score of the n validation normals, k = ⌈(n + 1)(1 − α)⌉. A score
    /// is above it exactly if its p-value is at most α. With fewer than [`normals_needed`] normals there is no such
    /// threshold and nothing is flagged: [`shortfall`](Self::shortfall) then has the sentence for the user.
    ///
    /// # Errors
    /// If there are no normals, a score is not finite, or `alpha` is not between 0 and 1.
    pub fn conformal(normals: &[f32], alpha: f64) -> Result<Self> {
        let normals = sorted(normals)?;
        let rank = conformal_rank(normals.len(), alpha)?;
        let threshold = rank.map(|rank| f64::from(normals[rank - 1]));
        Ok(Self { method: Method::Conformal { alpha }, threshold, normals })
    }

    /// The threshold with the largest F1 on a labelled *validation* set; its normals give the p-values. It makes no
    /// promise on false alarms.
    ///
    /// # Errors
    /// If a class is absent, a score is not finite, or the lengths differ.
    pub fn best_f1(scores: &[f32], abnormal: &[bool]) -> Result<Self> {
        let ranking = Ranking::new(scores, abnormal)?;
        let best = ranking.best_f1()?;
        let of_normals = scores.iter().zip(abnormal).filter(|&(_, &abnormal)| !abnormal);
        let normals = sorted(&of_normals.map(|(&score, _)| score).collect::<Vec<_>>())?;
        let method = Method::BestF1 { f1: best.f1, n_abnormal: ranking.n_abnormal() };
        Ok(Self { method, threshold: Some(best.threshold), normals })
    }

    /// A threshold that the user gives; the validation normals still give the p-values.
    ///
    /// # Errors
    /// If there are no normals, or a score or the threshold is not finite.
    pub fn fixed(normals: &[f32], threshold: f64) -> Result<Self> {
        if !threshold.is_finite() {
            return Err(Error::config("threshold", format!("{threshold} is not a finite number")));
        }
        Ok(Self { method: Method::Fixed {}, threshold: Some(threshold), normals: sorted(normals)? })
    }

    /// How the threshold was chosen.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The threshold: a sample is flagged if its score is greater. `None`: no score is high enough to be flagged.
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// [`threshold`](Self::threshold) as a number, infinite where there is none.
    pub fn threshold_or_infinity(&self) -> f64 {
        self.threshold.unwrap_or(f64::INFINITY)
    }

    /// The validation normals' scores, ascending.
    pub fn normals(&self) -> &[f32] {
        &self.normals
    }

    /// Number of validation normals.
    pub fn n(&self) -> usize {
        self.normals.len()
    }

    /// Why nothing can be flagged, if so: "α = 0.01 needs at least 99 validation normals, there are 50".
    pub fn shortfall(&self) -> Option<String> {
        match self.method {
            Method::Conformal { alpha } if self.threshold.is_none() => {
                let (needed, n) = (normals_needed(alpha), self.n());
                Some(format!("α = {alpha} needs at least {needed} validation normals, there are {n}"))
            }
            _ => None,
        }
    }

    /// The false-alarm rate that this one calibration set supports, with its 95 % interval; `None` for a threshold
    /// that was not chosen by false alarms. See [`false_alarm_interval`].
    pub fn false_alarms(&self) -> Option<Estimate> {
        match self.method {
            Method::Conformal { alpha } => false_alarm_interval(self.n(), alpha).ok(),
            Method::BestF1 { .. } | Method::Fixed {} => None,
        }
    }

    /// P-value, normalised score and decision of each score. An infinite score is allowed.
    ///
    /// # Errors
    /// If a score is NaN; the message names its index.
    pub fn decide(&self, scores: &[f32]) -> Result<Vec<Decision>> {
        if let Some(index) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::Metric(format!("score {index} is NaN")));
        }
        let threshold = self.threshold_or_infinity();
        let decide = |&score: &f32| Decision {
            p_value: (1 + self.n_at_least(score)) as f64 / (self.n() + 1) as f64,
            normalised: self.normalised(score),
            abnormal: f64::from(score) > threshold,
        };
        Ok(scores.iter().map(decide).collect())
    }

    /// The smoothed p-value (#{sᵢ > s} + U (1 + #{sᵢ = s})) / (n + 1) with U uniform in 0..1 (Vovk et al. 2005,
    /// section 2.3): uniform for new normals even where scores tie, at the price of a random number. Fork `rng` by
    /// sample, so that the result does not depend on the batch.
    ///
    /// # Errors
    /// If the score is NaN.
    pub fn smoothed_p_value(&self, score: f32, rng: &mut Rng) -> Result<f64> {
        if score.is_nan() {
            return Err(Error::Metric("the score is NaN".into()));
        }
        let at_least = self.n_at_least(score);
        let above = self.n() - self.normals.partition_point(|&normal| normal <= score);
        let ties = (1 + at_least - above) as f64;
        Ok((above as f64 + rng.uniform() * ties) / (self.n() + 1) as f64)
    }

    fn n_at_least(&self, score: f32) -> usize {
        self.n() - self.normals.partition_point(|&normal| normal < score)
    }

    /// ½ + ½ u / (1 + |u|) of u = (score − anchor) / spread: the anchor is the threshold (without one, the largest
    /// validation score) and goes to ½. Unlike 1 − p and the logistic function, which come to 1 beyond the validation
    /// scores, it keeps the order of scores for ever larger ones (a tail of 1 / u; distinct f32 scores stay distinct
    /// to about 10⁸ spreads).
    fn normalised(&self, score: f32) -> f64 {
        if score.is_infinite() {
            return if score > 0.0 { 1.0 } else { 0.0 };
        }
        let (anchor, spread) = self.anchor_and_spread();
        let u = (f64::from(score) - anchor) / spread;
        0.5 + 0.5 * u / (1.0 + u.abs())
    }

    /// The score that becomes ½, and the distance from it that becomes ¾.
    pub(crate) fn anchor_and_spread(&self) -> (f64, f64) {
        (self.threshold.unwrap_or_else(|| f64::from(self.normals[self.n() - 1])), self.spread())
    }

    /// Interquartile range of the validation scores; their range, their size, or 1 where that is 0.
    fn spread(&self) -> f64 {
        let at = |share: f64| f64::from(self.normals[(share * (self.n() - 1) as f64).round() as usize]);
        let candidates = [at(0.75) - at(0.25), at(1.0) - at(0.0), at(1.0).abs()];
        candidates.into_iter().find(|&spread| spread > 0.0).unwrap_or(1.0)
    }
}

/// The scores of validation normals, checked and ascending.
fn sorted(normals: &[f32]) -> Result<Vec<f32>> {
    if normals.is_empty() {
        return Err(Error::Metric("calibration needs validation normals, there are none".into()));
    }
    check_finite("validation score", normals)?;
    let mut sorted = normals.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    Ok(sorted)
}
