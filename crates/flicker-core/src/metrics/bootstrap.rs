//! Percentile intervals by the stratified bootstrap (Efron and Tibshirani, "An introduction to the bootstrap", 1993,
//! chapter 13): abnormal and normal samples are drawn with replacement each among themselves, so that every replicate
//! has the prevalence of the set.

use super::{Estimate, Ranking};
use crate::{Error, Result, Rng};
use rayon::prelude::*;

/// How many replicates [`summary`](super::summary) draws for `n` samples: 1000, and fewer for very large sets (200
/// from a million samples on), whose intervals are narrow and whose replicates cost more. Not for pixels: those of one
/// image are no independent samples.
pub fn n_replicates(n: usize) -> usize {
    (200_000_000 / n.max(1)).clamp(200, 1000)
}

/// 95 % intervals of `K` statistics of a labelled set, from the same `n_replicates` replicates.
///
/// Replicate i draws from its own fork of `rng`, so the result does not depend on the number of threads. The interval
/// runs from the 2.5 % to the 97.5 % quantile of the replicates (linear between them), widened to hold the value
/// itself where a skewed statistic would leave it outside. A statistic at its bound in every replicate (recall 1, say)
/// has an interval of one point: the bootstrap cannot see beyond the samples it has.
///
/// # Errors
/// If `n_replicates` is 0, or a statistic is NaN on the set or a replicate.
pub fn bootstrap<const K: usize>(
    ranking: &Ranking,
    n_replicates: usize,
    rng: &Rng,
    statistics: impl Fn(&Ranking) -> [f64; K] + Sync,
) -> Result<[Estimate; K]> {
    let groups = Groups::of(ranking);
    let replicates: Vec<[f64; K]> = (0..n_replicates as u64)
        .into_par_iter()
        .map_init(
            || ranking.clone(),
            |replicate, i| {
                groups.resample(&mut rng.fork_index(i), replicate);
                statistics(replicate)
            },
        )
        .collect();
    let values = statistics(ranking);
    if replicates.is_empty() || replicates.iter().chain([&values]).flatten().any(|value| value.is_nan()) {
        return Err(Error::Metric("the bootstrap of an undefined statistic, or without replicates".into()));
    }
    Ok(std::array::from_fn(|k| percentile_interval(values[k], replicates.iter().map(|row| row[k]).collect())))
}

fn percentile_interval(value: f64, mut replicates: Vec<f64>) -> Estimate {
    replicates.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&replicates, 0.025), quantile(&replicates, 0.975));
    Estimate { value, low: low.min(value), high: high.max(value) }
}

/// The quantile of sorted numbers, linear between neighbours (definition 7 of Hyndman and Fan, 1996).
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// For each sample of a class, the distinct score that it has.
struct Groups {
    of_abnormal: Vec<u32>,
    of_normal: Vec<u32>,
}

impl Groups {
    fn of(ranking: &Ranking) -> Self {
        let expand = |counts: &[u32]| -> Vec<u32> {
            (0..).zip(counts).flat_map(|(group, &count)| std::iter::repeat_n(group, count as usize)).collect()
        };
        Self { of_abnormal: expand(&ranking.abnormal), of_normal: expand(&ranking.normal) }
    }

    /// Draws the counts of `replicate` anew.
    fn resample(&self, rng: &mut Rng, replicate: &mut Ranking) {
        for (groups, counts) in
            [(&self.of_abnormal, &mut replicate.abnormal), (&self.of_normal, &mut replicate.normal)]
        {
            counts.fill(0);
            for _ in 0..groups.len() {
                counts[groups[rng.below(groups.len())] as usize] += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_linear_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0], 0.975), 1.0);
    }

    #[test]
    fn an_interval_holds_its_value() {
        let above = percentile_interval(9.0, vec![2.0, 1.0, 3.0]);
        assert_eq!(above, Estimate { value: 9.0, low: 1.05, high: 9.0 });
        assert_eq!(percentile_interval(0.0, vec![2.0, 1.0, 3.0]).low, 0.0);
    }

    #[test]
    fn a_replicate_keeps_the_size_of_each_class() -> Result<()> {
        let scores: Vec<f32> = (0..50).map(|i| (i % 7) as f32).collect();
        let abnormal: Vec<bool> = (0..50).map(|i| i % 5 == 0).collect();
        let ranking = Ranking::new(&scores, &abnormal)?;
        let mut replicate = ranking.clone();
        Groups::of(&ranking).resample(&mut Rng::new(0), &mut replicate);
        assert_eq!(replicate.abnormal.iter().sum::<u32>(), 10);
        assert_eq!(replicate.normal.iter().sum::<u32>(), 40);
        assert_ne!(replicate.normal, ranking.normal);
        Ok(())
    }
}
