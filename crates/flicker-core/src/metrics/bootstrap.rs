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

pub(super) fn percentile_interval(value: f64, mut replicates: Vec<f64>) -> Estimate {
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

    /// Draws the counts of `replicate` anew: as many samples of each class as it has, with replacement.
    fn resample(&self, rng: &mut Rng, replicate: &mut Ranking) {
        draw(&self.of_abnormal, rng, &mut replicate.abnormal);
        draw(&self.of_normal, rng, &mut replicate.normal);
    }
}

/// Samples that are drawn from together: their groups and counts fit into a first-level cache.
const BLOCK: usize = 4096;

/// Draws `groups.len()` samples with replacement and counts them by group.
///
/// Block by block: how many of the draws that are left fall into the next block is a binomial number, which gives the
/// counts the same multinomial distribution as draws from all samples at once. Those would miss the cache at every
/// draw of a large set.
fn draw(groups: &[u32], rng: &mut Rng, counts: &mut [u32]) {
    counts.fill(0);
    let mut n_left = groups.len();
    for (i, block) in groups.chunks(BLOCK).enumerate() {
        let share = block.len() as f64 / (groups.len() - i * BLOCK) as f64;
        let n = rng.binomial(n_left, share);
        match block.try_into() {
            Ok(block) => draw_block(block, n, rng, counts),
            Err(_) => (0..n).for_each(|_| counts[block[rng.below(block.len())] as usize] += 1),
        }
        n_left -= n;
    }
}

/// Draws `n` times from a whole block, whose length is a power of two: a random number holds several draws.
fn draw_block(block: &[u32; BLOCK], n: usize, rng: &mut Rng, counts: &mut [u32]) {
    const BITS: u32 = BLOCK.ilog2();
    let mut n_left = n;
    while n_left > 0 {
        let (mut bits, n_now) = (rng.next_u64(), n_left.min((u64::BITS / BITS) as usize));
        for _ in 0..n_now {
            counts[block[bits as usize % BLOCK] as usize] += 1;
            bits >>= BITS;
        }
        n_left -= n_now;
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

    #[test]
    fn blocks_are_drawn_from_as_all_samples_at_once() {
        // Two and a half blocks. The multinomial's variances n p (1 - p) and covariances -n p q, of the sums of the
        // blocks and of single samples; 1000 replicates know a variance to 4.5 %, so 20 % is far out.
        let groups: Vec<u32> = (0..10_240).collect();
        let (n, rng, mut counts) = (10_240.0, Rng::new(0), vec![0; 10_240]);
        let shares = [0.4, 0.4, 0.2];
        let [mut sums, mut squares, mut product, mut single] = [[0.0; 3]; 4];
        for i in 0..1000 {
            draw(&groups, &mut rng.fork_index(i), &mut counts);
            let off: Vec<f64> = (counts.chunks(BLOCK).zip(shares))
                .map(|(block, share)| f64::from(block.iter().sum::<u32>()) - n * share)
                .collect();
            for k in 0..3 {
                sums[k] += off[k] / 1000.0;
                squares[k] += off[k] * off[k] / 1000.0;
                product[k] += off[k] * off[(k + 1) % 3] / 1000.0;
                single[k] += (f64::from(counts[k * BLOCK + 7]) - 1.0).powi(2) / 1000.0;
            }
        }
        for k in 0..3 {
            let (p, q) = (shares[k], shares[(k + 1) % 3]);
            assert!(sums[k].abs() < 5.0 * (n * p * (1.0 - p) / 1000.0).sqrt(), "{sums:?}");
            assert!((squares[k] / (n * p * (1.0 - p)) - 1.0).abs() < 0.2, "{squares:?}");
            assert!((product[k] / (-n * p * q) - 1.0).abs() < 0.3, "{product:?}");
            assert!((single[k] - 1.0).abs() < 0.25, "{single:?}");
        }
    }

    #[test]
    fn the_interval_of_a_share_covers_it() -> Result<()> {
        // 60 abnormal samples, each found with probability 0.7: the percentile interval covers that share in 95.1 % of
        // all sets, by exact sums over the binomial distribution; 1000 sets know it to 0.7 %.
        let (n_sets, mut n_covered) = (1000, 0);
        for seed in 0..n_sets {
            let mut rng = Rng::new(seed);
            let scores: Vec<f32> = (0..60).map(|_| f32::from(rng.uniform() < 0.7)).collect();
            let ranking = Ranking::new(&scores, &[true; 60])?;
            let [recall] = bootstrap(&ranking, 400, &rng, |r| [r.confusion(0.5).recall()])?;
            n_covered += usize::from(recall.low <= 0.7 && 0.7 <= recall.high);
        }
        assert!((920..=980).contains(&n_covered), "{n_covered} of {n_sets}");
        Ok(())
    }
}
