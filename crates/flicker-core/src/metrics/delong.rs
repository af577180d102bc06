//! Variance of AUROC and the paired test of two detectors: DeLong, DeLong and Clarke-Pearson, "Comparing the areas
//! under two or more correlated receiver operating characteristic curves", Biometrics 44, 1988; in O(n log n) by
//! ranks, after Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 21, 2014.

use super::special::{Z_95, normal_two_sided};
use super::{Estimate, Ranking};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// AUROC of two detectors on the same samples, and the test of their difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AurocComparison {
    /// AUROC of the first detector.
    pub a: Estimate,
    /// AUROC of the second detector.
    pub b: Estimate,
    /// First less second, with the interval of the *paired* difference, within -1 and 1.
    pub difference: Estimate,
    /// The difference divided by its standard error; `None` where that is 0.
    pub z: Option<f64>,
    /// Two-sided p-value of "no difference". Where the standard error is 0: 1 for equal areas, 0 for unequal ones.
    pub p_value: f64,
}

/// AUROC with DeLong's 95 % interval, symmetric on the AUROC scale and clipped to 0..1.
///
/// At an AUROC of exactly 1 or 0 the estimated variance is 0 and the interval a point: that says that the estimate
/// fails there, not that the detector is perfect. With fewer than two samples of a class nothing can be estimated,
/// and the interval is all of 0..1.
///
/// # Errors
/// If a class is absent.
pub fn auroc_estimate(ranking: &Ranking) -> Result<Estimate> {
    let value = ranking.auroc()?;
    Ok(match auroc_variance(ranking)? {
        Some(variance) => interval(value, variance, 0.0),
        None => Estimate { value, low: 0.0, high: 1.0 },
    })
}

/// DeLong's variance of AUROC; `None` if a class has fewer than two samples.
///
/// # Errors
/// If a class is absent.
pub fn auroc_variance(ranking: &Ranking) -> Result<Option<f64>> {
    let auroc = ranking.auroc()?;
    let (n_abnormal, n_normal) = (ranking.n_abnormal as f64, ranking.n_normal as f64);
    if n_abnormal < 2.0 || n_normal < 2.0 {
        return Ok(None);
    }
    let (mut above, mut below) = (0.0, n_normal);
    let (mut of_abnormal, mut of_normal) = (0.0, 0.0);
    for (&abnormal, &normal) in ranking.abnormal.iter().zip(&ranking.normal) {
        let (abnormal, normal) = (f64::from(abnormal), f64::from(normal));
        below -= normal;
        of_abnormal += abnormal * ((below + 0.5 * normal) / n_normal - auroc).powi(2);
        of_normal += normal * ((above + 0.5 * abnormal) / n_abnormal - auroc).powi(2);
        above += abnormal;
    }
    Ok(Some(of_abnormal / (n_abnormal - 1.0) / n_abnormal + of_normal / (n_normal - 1.0) / n_normal))
}

/// DeLong's paired test: two detectors' scores of the same samples, in the same order.
///
/// # Errors
/// If the lengths differ, a score is not finite, or a class has fewer than two samples.
pub fn compare_auroc(scores_a: &[f32], scores_b: &[f32], abnormal: &[bool]) -> Result<AurocComparison> {
    let (a, b) = (Placements::new(scores_a, abnormal)?, Placements::new(scores_b, abnormal)?);
    let (variance_a, variance_b) = (a.covariance(&a), b.covariance(&b));
    // The difference of two equal detectors must have a variance of 0, not one that rounding makes negative.
    let variance = (variance_a + variance_b - 2.0 * a.covariance(&b)).max(0.0);
    let difference = a.auroc - b.auroc;
    let z = (variance > 0.0).then(|| difference / variance.sqrt());
    Ok(AurocComparison {
        a: interval(a.auroc, variance_a, 0.0),
        b: interval(b.auroc, variance_b, 0.0),
        difference: interval(difference, variance, -1.0),
        z,
        p_value: z.map_or(if difference == 0.0 { 1.0 } else { 0.0 }, normal_two_sided),
    })
}

fn interval(value: f64, variance: f64, least: f64) -> Estimate {
    let half = Z_95 * variance.sqrt();
    Estimate { value, low: (value - half).max(least), high: (value + half).min(1.0) }
}

/// The structural components V10 and V01 of DeLong et al.: for each abnormal sample the share of normal ones below it,
/// for each normal sample the share of abnormal ones above it, ties counting half.
struct Placements {
    auroc: f64,
    of_abnormal: Vec<f64>,
    of_normal: Vec<f64>,
}

impl Placements {
    fn new(scores: &[f32], abnormal: &[bool]) -> Result<Self> {
        let ranking = Ranking::new(scores, abnormal)?;
        let auroc = ranking.auroc()?;
        if ranking.n_abnormal < 2 || ranking.n_normal < 2 {
            let message = "the paired test needs two abnormal and two normal samples at least";
            return Err(Error::Metric(message.into()));
        }
        let (abnormals, normals) =
            (sorted_class(scores, abnormal, true), sorted_class(scores, abnormal, false));
        let (mut of_abnormal, mut of_normal) = (vec![], vec![]);
        for (score, &is_abnormal) in scores.iter().zip(abnormal) {
            if is_abnormal {
                of_abnormal.push(share_below(&normals, *score));
            } else {
                of_normal.push(1.0 - share_below(&abnormals, *score));
            }
        }
        Ok(Self { auroc, of_abnormal, of_normal })
    }

    /// S10 / m + S01 / n of DeLong et al., equation 4 ff.
    fn covariance(&self, other: &Self) -> f64 {
        let part = |xs: &[f64], ys: &[f64]| {
            let products = xs.iter().zip(ys).map(|(x, y)| (x - self.auroc) * (y - other.auroc));
            products.sum::<f64>() / (xs.len() - 1) as f64 / xs.len() as f64
        };
        part(&self.of_abnormal, &other.of_abnormal) + part(&self.of_normal, &other.of_normal)
    }
}

fn sorted_class(scores: &[f32], abnormal: &[bool], class: bool) -> Vec<f32> {
    let of_class = scores.iter().zip(abnormal).filter(|&(_, &abnormal)| abnormal == class);
    let mut sorted: Vec<f32> = of_class.map(|(&score, _)| score).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted
}

/// Share of `sorted` below `score`, ties counting half. A search a sample rather than Sun and Xu's midranks: the same
/// numbers in the same O(n log n).
fn share_below(sorted: &[f32], score: f32) -> f64 {
    let below = sorted.partition_point(|&other| other < score);
    let up_to = sorted.partition_point(|&other| other <= score);
    (below + up_to) as f64 / (2 * sorted.len()) as f64
}
