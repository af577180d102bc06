//! Whether new scores still look like the validation normals': two-sample Kolmogorov–Smirnov test and population
//! stability index. Both see a change in the scores alone; many true abnormal samples change them too.

use super::{Calibration, sorted};
use crate::Result;
use crate::metrics::special::kolmogorov_upper_tail;
use serde::{Deserialize, Serialize};

/// Bins of the population stability index: tenths of the reference.
const N_BINS: usize = 10;

/// New scores beside the validation normals'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The Kolmogorov–Smirnov test.
    pub ks: KolmogorovSmirnov,
    /// Population stability index over tenths of the validation normals.
    pub psi: f64,
    /// Share of the new scores above the threshold.
    pub flagged: f64,
    /// Number of validation normals.
    pub n_reference: usize,
    /// Number of new scores.
    pub n_new: usize,
}

/// The two-sample Kolmogorov–Smirnov test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KolmogorovSmirnov {
    /// The largest distance between the two empirical distribution functions, 0 to 1.
    pub statistic: f64,
    /// Chance of a distance at least as large without drift (two-sided, asymptotic; conservative where scores tie).
    pub p_value: f64,
}

impl Calibration {
    /// Compares new scores with the validation normals'.
    ///
    /// # Errors
    /// If there are no new scores or one is not finite.
    pub fn drift(&self, new: &[f32]) -> Result<Drift> {
        let threshold = self.threshold_or_infinity();
        let n_flagged = new.iter().filter(|&&score| f64::from(score) > threshold).count();
        Ok(Drift {
            ks: kolmogorov_smirnov(self.normals(), new)?,
            psi: population_stability_index(self.normals(), new)?,
            flagged: n_flagged as f64 / new.len() as f64,
            n_reference: self.n(),
            n_new: new.len(),
        })
    }
}

/// The two-sample Kolmogorov–Smirnov test (Smirnov, 1939), with the limit distribution at
/// (√e + 0.12 + 0.11/√e) D, e = mn/(m + n): the small-sample correction of Stephens, "Use of the Kolmogorov–Smirnov,
/// Cramér–von Mises and related statistics without extensive tables", 1970.
///
/// # Errors
/// If a sample is empty or a score is not finite.
pub fn kolmogorov_smirnov(reference: &[f32], new: &[f32]) -> Result<KolmogorovSmirnov> {
    let (xs, ys) = (sorted(reference)?, sorted_new(new)?);
    let (mut i, mut j, mut statistic) = (0, 0, 0.0_f64);
    while i < xs.len() && j < ys.len() {
        let value = xs[i].min(ys[j]);
        i += xs[i..].iter().take_while(|&&x| x <= value).count();
        j += ys[j..].iter().take_while(|&&y| y <= value).count();
        statistic = statistic.max((i as f64 / xs.len() as f64 - j as f64 / ys.len() as f64).abs());
    }
    let effective = (xs.len() as f64 * ys.len() as f64 / (xs.len() + ys.len()) as f64).sqrt();
    let p_value = kolmogorov_upper_tail((effective + 0.12 + 0.11 / effective) * statistic);
    Ok(KolmogorovSmirnov { statistic, p_value })
}

/// Population stability index Σ (q − p) ln(q / p) over tenths of the reference, p and q being the shares of reference
/// and new scores in a bin (Siddiqi, "Credit risk scorecards", 2006, who reads below 0.1 as stable and above 0.25 as
/// shifted).
///
/// A bin reaches up to and including the ⌈n i/10⌉-th smallest reference score; tied bounds make fewer bins. Half a
/// count is added to each bin, so that an empty one does not make it infinite. Without drift it is near
/// 9 (1/n + 1/m) on average: below some hundred scores it is large by chance.
///
/// # Errors
/// If a sample is empty or a score is not finite.
pub fn population_stability_index(reference: &[f32], new: &[f32]) -> Result<f64> {
    let (reference, new) = (sorted(reference)?, sorted_new(new)?);
    let mut bounds: Vec<f32> =
        (1..N_BINS).map(|i| reference[(reference.len() * i).div_ceil(N_BINS) - 1]).collect();
    bounds.dedup();
    let (p, q) = (shares(&reference, &bounds), shares(&new, &bounds));
    Ok(p.iter().zip(&q).map(|(p, q)| (q - p) * (q / p).ln()).sum())
}

/// The share of each bin, half a count added.
fn shares(sorted: &[f32], bounds: &[f32]) -> Vec<f64> {
    let ends = bounds.iter().map(|&bound| sorted.partition_point(|&score| score <= bound));
    let mut start = 0;
    let total = sorted.len() as f64 + 0.5 * (bounds.len() + 1) as f64;
    ends.chain([sorted.len()])
        .map(|end| {
            let count = (end - start) as f64;
            start = end;
            (count + 0.5) / total
        })
        .collect()
}

fn sorted_new(new: &[f32]) -> Result<Vec<f32>> {
    if new.is_empty() {
        return Err(crate::Error::Metric("there are no new scores to compare".into()));
    }
    crate::metrics::check_finite("new score", new)?;
    sorted(new)
}
