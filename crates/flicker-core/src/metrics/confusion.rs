//! The confusion matrix at a threshold and the metrics of one class that follow from it.

use super::check_finite;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How many samples were called what. Positive is abnormal; a sample is called abnormal if its score is greater than
/// the threshold.
///
/// A ratio whose denominator is 0 is 0, as scikit-learn's default has it: the precision of a detector that flags
/// nothing, the recall where there is nothing to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Abnormal samples called abnormal.
    pub true_positive: usize,
    /// Normal samples called abnormal: false alarms.
    pub false_positive: usize,
    /// Normal samples called normal.
    pub true_negative: usize,
    /// Abnormal samples called normal: misses.
    pub false_negative: usize,
}

/// Precision and its company, of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Of the samples called this class, the share that is.
    pub precision: f64,
    /// Of the samples of this class, the share that is called so.
    pub recall: f64,
    /// Of the samples of the other class, the share that is called so.
    pub specificity: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of samples of this class.
    pub support: usize,
}

impl Confusion {
    /// Counts at a threshold: a sample is called abnormal if its score is greater.
    ///
    /// # Errors
    /// If the lengths differ, a score is not finite, or the threshold is NaN.
    pub fn at(scores: &[f32], abnormal: &[bool], threshold: f64) -> Result<Self> {
        if scores.len() != abnormal.len() {
            return Err(Error::Metric(format!("{} scores but {} labels", scores.len(), abnormal.len())));
        }
        if threshold.is_nan() {
            return Err(Error::Metric("the threshold is NaN".into()));
        }
        check_finite("score", scores)?;
        let mut counts = Self { true_positive: 0, false_positive: 0, true_negative: 0, false_negative: 0 };
        for (&score, &abnormal) in scores.iter().zip(abnormal) {
            *match (f64::from(score) > threshold, abnormal) {
                (true, true) => &mut counts.true_positive,
                (true, false) => &mut counts.false_positive,
                (false, false) => &mut counts.true_negative,
                (false, true) => &mut counts.false_negative,
            } += 1;
        }
        Ok(counts)
    }

    /// The same decisions with the normal class as the positive one, for sources that report the normal class.
    #[must_use]
    pub fn of_normal_class(&self) -> Self {
        Self {
            true_positive: self.true_negative,
            false_positive: self.false_negative,
            true_negative: self.true_positive,
            false_negative: self.false_positive,
        }
    }

    /// Number of samples.
    pub fn n(&self) -> usize {
        self.true_positive + self.false_positive + self.true_negative + self.false_negative
    }

    /// TP / (TP + FP).
    pub fn precision(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    /// TP / (TP + FN), the true-positive rate.
    pub fn recall(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    /// TN / (TN + FP), 1 less the false-positive rate.
    pub fn specificity(&self) -> f64 {
        ratio(self.true_negative, self.true_negative + self.false_positive)
    }

    /// 2 TP / (2 TP + FP + FN).
    pub fn f1(&self) -> f64 {
        ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)
    }

    /// (TP + TN) / all.
    pub fn accuracy(&self) -> f64 {
        ratio(self.true_positive + self.true_negative, self.n())
    }

    /// Matthews correlation coefficient (Matthews, 1975), -1 to 1: the correlation of decision and label. 0 if all
    /// samples are of one class or are called one class. The same for both classes.
    pub fn mcc(&self) -> f64 {
        let [tp, fp, tn, fn_] =
            [self.true_positive, self.false_positive, self.true_negative, self.false_negative]
                .map(|count| count as f64);
        let square = (tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_);
        if square == 0.0 { 0.0 } else { (tp * tn - fp * fn_) / square.sqrt() }
    }

    /// The metrics of the positive class; of the normal class after [`of_normal_class`](Self::of_normal_class).
    pub fn class_metrics(&self) -> ClassMetrics {
        ClassMetrics {
            precision: self.precision(),
            recall: self.recall(),
            specificity: self.specificity(),
            f1: self.f1(),
            support: self.true_positive + self.false_negative,
        }
    }
}

fn ratio(numerator: usize, denominator: usize) -> f64 {
    if denominator == 0 { 0.0 } else { numerator as f64 / denominator as f64 }
}
