//! Scores sorted once, from which every metric follows in one pass over the distinct scores.

use super::{Confusion, check_finite};
use crate::{Error, Result};

/// The distinct scores from high to low, with the number of abnormal and of normal samples at each.
#[derive(Clone, Debug)]
pub struct Ranking {
    pub(super) scores: Vec<f32>,
    pub(super) abnormal: Vec<u32>,
    pub(super) normal: Vec<u32>,
    pub(super) n_abnormal: usize,
    pub(super) n_normal: usize,
}

/// The threshold of the largest F1 on a labelled set. It may be shipped if that set was a validation set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestF1 {
    /// A sample is flagged if its score is greater. Half way between the lowest flagged score and the next one.
    pub threshold: f64,
    /// F1 of the abnormal class at that threshold.
    pub f1: f64,
}

impl Ranking {
    /// Sorts the scores of labelled samples.
    ///
    /// # Errors
    /// If the lengths differ, or a score is NaN or infinite (the message names its index).
    pub fn new(scores: &[f32], abnormal: &[bool]) -> Result<Self> {
        if scores.len() != abnormal.len() || u32::try_from(scores.len()).is_err() {
            let message = format!("{} scores but {} labels", scores.len(), abnormal.len());
            return Err(Error::Metric(message));
        }
        check_finite("score", scores)?;
        let mut keys: Vec<u64> = scores
            .iter()
            .zip(abnormal)
            .map(|(&score, &label)| u64::from(descending_bits(score)) << 1 | u64::from(label))
            .collect();
        keys.sort_unstable();
        Ok(Self::from_sorted_keys(&keys))
    }

    fn from_sorted_keys(keys: &[u64]) -> Self {
        let mut ranking =
            Self { scores: vec![], abnormal: vec![], normal: vec![], n_abnormal: 0, n_normal: 0 };
        for tied in keys.chunk_by(|a, b| a >> 1 == b >> 1) {
            let abnormal = tied.iter().filter(|&&key| key & 1 == 1).count();
            ranking.scores.push(score_of_bits((tied[0] >> 1) as u32));
            ranking.abnormal.push(abnormal as u32);
            ranking.normal.push((tied.len() - abnormal) as u32);
            ranking.n_abnormal += abnormal;
            ranking.n_normal += tied.len() - abnormal;
        }
        ranking
    }

    /// Number of abnormal samples.
    pub fn n_abnormal(&self) -> usize {
        self.n_abnormal
    }

    /// Number of normal samples.
    pub fn n_normal(&self) -> usize {
        self.n_normal
    }

    /// Area under the ROC curve, see [`auroc`](super::auroc). Exact up to the last division.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn auroc(&self) -> Result<f64> {
        self.need_both("AUROC")?;
        let (mut normals_below, mut twice_wins) = (self.n_normal as u64, 0);
        for (&abnormal, &normal) in self.abnormal.iter().zip(&self.normal) {
            normals_below -= u64::from(normal);
            twice_wins += u64::from(abnormal) * (2 * normals_below + u64::from(normal));
        }
        Ok(twice_wins as f64 / (2.0 * self.n_abnormal as f64 * self.n_normal as f64))
    }

    /// Average precision, see [`auprc`](super::auprc).
    ///
    /// # Errors
    /// If there is no abnormal sample.
    pub fn auprc(&self) -> Result<f64> {
        if self.n_abnormal == 0 {
            return Err(Error::Metric("AUPRC needs abnormal samples, there are none".into()));
        }
        // Counts are exact in f64. No branch on the labels, which a processor could not foresee.
        let (mut flagged, mut hits, mut sum) = (0.0, 0.0, 0.0);
        for (&abnormal, &normal) in self.abnormal.iter().zip(&self.normal) {
            let (abnormal, normal) = (f64::from(abnormal), f64::from(normal));
            hits += abnormal;
            flagged += abnormal + normal;
            // A replicate of the bootstrap may begin with scores that nothing has.
            sum += abnormal * hits / f64::max(flagged, 1.0);
        }
        Ok(sum / self.n_abnormal as f64)
    }

    /// The smallest false-positive rate among the thresholds that find at least this share of the abnormal samples
    /// (0.95 for "FPR at 95 % TPR"; Hendrycks and Gimpel, 2017, and their followers). No interpolation.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn fpr_at_tpr(&self, tpr: f64) -> Result<f64> {
        self.need_both("FPR at a TPR")?;
        let points = self.cumulative();
        let fpr = points.map(|(hits, alarms)| (hits as f64 / self.n_abnormal as f64, alarms));
        let alarms = fpr.filter(|&(found, _)| found >= tpr).map(|(_, alarms)| alarms).next();
        Ok(alarms.unwrap_or(self.n_normal as u64) as f64 / self.n_normal as f64)
    }

    /// Equal error rate: where the ROC curve, its points joined by straight lines, has as large a false-positive rate
    /// as false-negative rate.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn eer(&self) -> Result<f64> {
        self.need_both("EER")?;
        let (mut fpr, mut excess) = (0.0, -1.0);
        for (hits, alarms) in self.cumulative() {
            let next_fpr = alarms as f64 / self.n_normal as f64;
            // False positives less false negatives: grows from -1 to 1 along the curve.
            let next_excess = hits as f64 / self.n_abnormal as f64 + next_fpr - 1.0;
            if next_excess >= 0.0 {
                return Ok(fpr + (next_fpr - fpr) * -excess / (next_excess - excess));
            }
            (fpr, excess) = (next_fpr, next_excess);
        }
        Ok(fpr)
    }

    /// The threshold with the largest F1 of the abnormal class; the highest one where several tie. For a labelled
    /// *validation* set: chosen on the test set, it would be a peek.
    ///
    /// # Errors
    /// If a class is absent.
    pub fn best_f1(&self) -> Result<BestF1> {
        self.need_both("best F1")?;
        let (mut best, mut best_group) = (-1.0, 0);
        for (group, (hits, alarms)) in self.cumulative().enumerate() {
            let f1 = 2.0 * hits as f64 / (hits + alarms + self.n_abnormal as u64) as f64;
            if f1 > best {
                (best, best_group) = (f1, group);
            }
        }
        let lowest_flagged = f64::from(self.scores[best_group]);
        let threshold = match self.scores.get(best_group + 1) {
            Some(&next) => f64::midpoint(lowest_flagged, f64::from(next)),
            None => lowest_flagged.next_down(),
        };
        Ok(BestF1 { threshold, f1: best })
    }

    /// The confusion matrix when a sample is flagged if its score is greater than `threshold`.
    pub fn confusion(&self, threshold: f64) -> Confusion {
        self.confusion_of_top(self.scores.partition_point(|&score| f64::from(score) > threshold))
    }

    /// The confusion matrix when the `n_groups` highest distinct scores are flagged.
    pub(super) fn confusion_of_top(&self, n_groups: usize) -> Confusion {
        let count = |counts: &[u32]| counts[..n_groups].iter().map(|&count| count as usize).sum::<usize>();
        let (hits, alarms) = (count(&self.abnormal), count(&self.normal));
        Confusion {
            true_positive: hits,
            false_positive: alarms,
            true_negative: self.n_normal - alarms,
            false_negative: self.n_abnormal - hits,
        }
    }

    /// For each distinct score from high to low: abnormal and normal samples that score at least as high.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.abnormal.iter().zip(&self.normal).scan((0, 0), |(hits, alarms), (&abnormal, &normal)| {
            *hits += u64::from(abnormal);
            *alarms += u64::from(normal);
            Some((*hits, *alarms))
        })
    }

    pub(super) fn need_both(&self, metric: &str) -> Result<()> {
        if self.n_abnormal > 0 && self.n_normal > 0 {
            return Ok(());
        }
        let (abnormal, normal) = (self.n_abnormal, self.n_normal);
        Err(Error::Metric(format!(
            "{metric} needs both classes, there are {abnormal} abnormal and {normal} normal samples"
        )))
    }
}

/// Bits that sort ascending where the score sorts descending, equal for -0 and 0.
pub(super) fn descending_bits(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 { bits } else { !(bits | 1 << 31) }
}

/// The inverse of [`descending_bits`].
pub(super) fn score_of_bits(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits } else { !bits & !(1 << 31) })
}
