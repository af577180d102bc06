//! Everything that `metrics.json` says of one set of scores.

use super::{
    ClassMetrics, Confusion, Estimate, Ranking, auroc_estimate, bootstrap, check_finite, n_replicates,
};
use crate::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// The metrics of one test set. A field is `None` where it is undefined: all but the first four without labels, those
/// of two classes where one is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of samples.
    pub n_test: usize,
    /// Number of samples that were flagged.
    pub n_flagged: usize,
    /// The threshold; a sample is flagged if its score is greater. `None` if it is infinite: nothing is flagged.
    pub threshold: Option<f64>,
    /// Replicates behind the bootstrap's intervals.
    pub n_replicates: usize,
    /// Share of the samples that is abnormal: the AUPRC of a detector that knows nothing.
    pub prevalence: Option<f64>,
    /// Counts at the threshold.
    pub confusion: Option<Confusion>,
    /// Area under the ROC curve, DeLong's interval.
    pub auroc: Option<Estimate>,
    /// Average precision.
    pub auprc: Option<Estimate>,
    /// F1 of the abnormal class at the threshold.
    pub f1: Option<Estimate>,
    /// Precision at the threshold; 0 where nothing is flagged.
    pub precision: Option<Estimate>,
    /// Recall at the threshold; needs abnormal samples alone.
    pub recall: Option<Estimate>,
    /// Specificity at the threshold; needs normal samples alone.
    pub specificity: Option<Estimate>,
    /// Accuracy at the threshold.
    pub accuracy: Option<Estimate>,
    /// Matthews correlation at the threshold.
    pub mcc: Option<Estimate>,
    /// False-positive rate where 95 % of the abnormal samples are found.
    pub fpr_at_95_tpr: Option<Estimate>,
    /// Equal error rate.
    pub eer: Option<Estimate>,
    /// Precision and its company at the threshold with the *normal* class as the positive one, as some sources report.
    pub normal_class: Option<ClassMetrics>,
}

/// The metrics of `scores` at a threshold that was fixed without them, with 95 % intervals.
///
/// # Errors
/// If the lengths differ, there are no samples, a score is not finite (the message names its index), or the threshold
/// is NaN.
pub fn summary(scores: &[f32], abnormal: Option<&[bool]>, threshold: f64, rng: &Rng) -> Result<Summary> {
    if scores.is_empty() || threshold.is_nan() {
        return Err(Error::Metric(format!("{} scores at threshold {threshold}", scores.len())));
    }
    match abnormal {
        Some(abnormal) => labelled(&Ranking::new(scores, abnormal)?, threshold, rng),
        None => {
            check_finite("score", scores)?;
            let n_flagged = scores.iter().filter(|&&score| f64::from(score) > threshold).count();
            Ok(unlabelled(scores.len(), n_flagged, threshold))
        }
    }
}

fn unlabelled(n_test: usize, n_flagged: usize, threshold: f64) -> Summary {
    Summary {
        n_test,
        n_flagged,
        threshold: threshold.is_finite().then_some(threshold),
        n_replicates: 0,
        prevalence: None,
        confusion: None,
        auroc: None,
        auprc: None,
        f1: None,
        precision: None,
        recall: None,
        specificity: None,
        accuracy: None,
        mcc: None,
        fpr_at_95_tpr: None,
        eer: None,
        normal_class: None,
    }
}

fn labelled(ranking: &Ranking, threshold: f64, rng: &Rng) -> Result<Summary> {
    let confusion = ranking.confusion(threshold);
    let n_flagged = confusion.true_positive + confusion.false_positive;
    let (n, n_abnormal) = (confusion.n(), ranking.n_abnormal());
    let n_replicates = n_replicates(n);
    let statistics = |replicate: &Ranking| statistics_at(replicate, threshold);
    let [auprc, f1, precision, recall, specificity, accuracy, mcc, fpr, eer] =
        bootstrap(ranking, n_replicates, &rng.fork("bootstrap"), statistics)?;
    let both = n_abnormal > 0 && n_abnormal < n;
    Ok(Summary {
        n_replicates,
        prevalence: Some(n_abnormal as f64 / n as f64),
        confusion: Some(confusion),
        auroc: if both { Some(auroc_estimate(ranking)?) } else { None },
        auprc: both.then_some(auprc),
        f1: both.then_some(f1),
        precision: both.then_some(precision),
        recall: (n_abnormal > 0).then_some(recall),
        specificity: (n_abnormal < n).then_some(specificity),
        accuracy: Some(accuracy),
        mcc: both.then_some(mcc),
        fpr_at_95_tpr: both.then_some(fpr),
        eer: both.then_some(eer),
        normal_class: both.then(|| confusion.of_normal_class().class_metrics()),
        ..unlabelled(n, n_flagged, threshold)
    })
}

/// The statistics of one replicate; 0 where undefined, which the caller leaves out.
fn statistics_at(ranking: &Ranking, threshold: f64) -> [f64; 9] {
    let at = ranking.confusion(threshold);
    let auprc = ranking.auprc().unwrap_or(0.0);
    let fpr = ranking.fpr_at_tpr(0.95).unwrap_or(0.0);
    let eer = ranking.eer().unwrap_or(0.0);
    let (precision, recall) = (at.precision(), at.recall());
    [auprc, at.f1(), precision, recall, at.specificity(), at.accuracy(), at.mcc(), fpr, eer]
}
