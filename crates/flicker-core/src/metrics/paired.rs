//! Differences of two detectors on the same samples, with intervals by the paired, stratified bootstrap (Efron and
//! Tibshirani, "An introduction to the bootstrap", 1993): a replicate draws samples, and both detectors are judged on it.

use super::bootstrap::percentile_interval;
use super::{Estimate, Ranking};
use crate::{Error, Result, Rng};
use rayon::prelude::*;

/// First less second detector, for `K` statistics that `of_a` and `of_b` tell of the scores `a` and `b` of the same samples in
/// the same order, each with its 95 % interval. Replicate i draws from its own fork of `rng`.
///
/// # Errors
/// If the lengths differ, a score is not finite, `n_replicates` is 0, or a statistic is NaN.
pub fn bootstrap_difference<const K: usize>(
    [a, b]: [&[f32]; 2],
    abnormal: &[bool],
    n_replicates: usize,
    rng: &Rng,
    (of_a, of_b): (impl Fn(&Ranking) -> [f64; K] + Sync, impl Fn(&Ranking) -> [f64; K] + Sync),
) -> Result<[Estimate; K]> {
    let difference = |a: &[f32], b: &[f32], abnormal: &[bool]| -> Result<[f64; K]> {
        let (a, b) = (of_a(&Ranking::new(a, abnormal)?), of_b(&Ranking::new(b, abnormal)?));
        Ok(std::array::from_fn(|k| a[k] - b[k]))
    };
    let values = difference(a, b, abnormal)?;
    let classes = [true, false]
        .map(|class| -> Vec<usize> { (0..abnormal.len()).filter(|&i| abnormal[i] == class).collect() });
    let replicates: Vec<[f64; K]> = (0..n_replicates as u64)
        .into_par_iter()
        .map(|i| {
            let mut rng = rng.fork_index(i);
            let mut drawn: Vec<usize> = Vec::with_capacity(abnormal.len());
            for class in &classes {
                drawn.extend((0..class.len()).map(|_| class[rng.below(class.len())]));
            }
            let of = |scores: &[f32]| -> Vec<f32> { drawn.iter().map(|&i| scores[i]).collect() };
            let labels: Vec<bool> = drawn.iter().map(|&i| abnormal[i]).collect();
            difference(&of(a), &of(b), &labels)
        })
        .collect::<Result<_>>()?;
    if replicates.is_empty() || replicates.iter().chain([&values]).flatten().any(|value| value.is_nan()) {
        return Err(Error::Metric("the bootstrap of an undefined statistic, or without replicates".into()));
    }
    let column = |k: usize| replicates.iter().map(|row| row[k]).collect();
    Ok(std::array::from_fn(|k| percentile_interval(values[k], column(k))))
}

#[cfg(test)]
mod tests {
    use super::super::compare_auroc;
    use super::*;

    fn scores(seed: u64, shift: f32, base: &[f32], abnormal: &[bool]) -> Vec<f32> {
        let noise = Rng::new(seed).uniforms(base.len(), -0.5, 0.5);
        base.iter().zip(noise).zip(abnormal).map(|((b, e), &y)| b + e + if y { shift } else { 0.0 }).collect()
    }

    #[test]
    fn the_interval_of_an_auroc_difference_is_near_delongs() {
        let abnormal: Vec<bool> = (0..600).map(|i| i % 3 == 0).collect();
        let base = Rng::new(3).uniforms(600, 0.0, 2.0);
        let (a, b) = (scores(1, 0.9, &base, &abnormal), scores(2, 0.5, &base, &abnormal));
        let auroc = |ranking: &Ranking| [ranking.auroc().unwrap_or(f64::NAN)];
        let [found] =
            bootstrap_difference([&a, &b], &abnormal, 1000, &Rng::new(0), (auroc, auroc)).expect("defined");
        let delong = compare_auroc(&a, &b, &abnormal).expect("defined").difference;
        assert!((found.value - delong.value).abs() < 1e-12);
        assert!(
            (found.low - delong.low).abs() < 0.02 && (found.high - delong.high).abs() < 0.02,
            "{found:?} {delong:?}"
        );
        assert!(found.low > 0.0, "{found:?}");
        // The same detector twice differs from itself by nothing, in every replicate.
        let [same] =
            bootstrap_difference([&a, &a], &abnormal, 50, &Rng::new(0), (auroc, auroc)).expect("defined");
        assert_eq!((same.low, same.value, same.high), (0.0, 0.0, 0.0));
        assert!(bootstrap_difference([&a, &b[1..]], &abnormal, 5, &Rng::new(0), (auroc, auroc)).is_err());
    }
}
