//! Isolation forest (Liu, Ting and Zhou, 2008): abnormal samples are few and different, so random cuts isolate them after few
//! cuts. The score of x is `2^(-E[h(x)] / c(ψ))` (equation 2): above 0.5 more easily isolated than the mean sample, near 1
//! surely abnormal.

use crate::config::IsolationForest;
use crate::detector::{Method, Scored};
use crate::trees::{self, Tree, mean_path};
use candle_core::{DType, Device, Tensor};
use flicker_core::rows::{Rows, fitted};
use flicker_core::run::{Losses, Run};
use flicker_core::{Error, Result, Rng, TrainSet, Weights};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Trees that grow between two chances to stop.
const GROUP: usize = 16;
/// Rows that fall through a tree together, while it is in the cache.
const TOGETHER: usize = 64;

pub(crate) struct Forest {
    config: IsolationForest,
}

impl Forest {
    pub(crate) fn new(config: &IsolationForest, weights: &Weights) -> Self {
        trees::declare(weights);
        weights.declare("samples", &[Some(1)], DType::U32);
        Self { config: config.clone() }
    }
}

impl Method for Forest {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let (source, n) = (train.normal.as_ref(), train.normal.len());
        if n < 2 {
            return Err(Error::data("training samples", format!("{n}, expected at least 2")));
        }
        let (samples, wanted) = (self.config.samples.min(n), self.config.trees);
        let mut forest: Vec<Tree> = Vec::with_capacity(wanted);
        run.pass("trees", wanted.div_ceil(GROUP), &mut |piece, rng| {
            let numbers = piece * GROUP..((piece + 1) * GROUP).min(wanted);
            let grown = numbers.into_par_iter().map(|number| {
                let mut rng = rng.fork_index(number as u64); // so that a tree does not depend on the others
                let rows = Rows::read(source, &sample(n, samples, &mut rng))?;
                Ok(Tree::grow(&rows, &mut rng))
            });
            forest.extend(grown.collect::<Result<Vec<_>>>()?);
            Ok(Some(Losses::default()))
        })?;
        weights.set_fitted("samples", &Tensor::new(&[samples as u32], &Device::Cpu)?)?;
        trees::keep(weights, &forest)
    }

    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored> {
        let forest = trees::of(weights, rows.features)?;
        let samples = fitted(weights, "samples")?.to_vec1::<u32>()?[0] as usize;
        let unit = mean_path(samples) * forest.len() as f64;
        let depths = |rows: &[f32], features: usize| {
            let mut sums = vec![0f64; rows.len() / features];
            for tree in &forest {
                for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(features)) {
                    *sum += f64::from(tree.path(row));
                }
            }
            sums
        };
        let f = rows.features;
        let sums = rows.values.par_chunks(TOGETHER * f).flat_map_iter(|rows| depths(rows, f));
        Ok(Scored { total: sums.map(|sum| (-sum / unit).exp2() as f32).collect(), ..Scored::default() })
    }
}

/// `k` of `0..n` without replacement, ascending (Floyd's method: k draws, however large n is).
fn sample(n: usize, k: usize, rng: &mut Rng) -> Vec<usize> {
    let mut chosen = BTreeSet::new();
    for last in n - k..n {
        let drawn = rng.below(last + 1);
        if !chosen.insert(drawn) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_without_replacement_and_uniform() {
        let mut counts = [0usize; 10];
        for seed in 0..2000 {
            let chosen = sample(10, 4, &mut Rng::new(seed));
            assert!(chosen.len() == 4 && chosen.windows(2).all(|pair| pair[0] < pair[1]), "{chosen:?}");
            chosen.iter().for_each(|&i| counts[i] += 1);
        }
        // 800 expected of each, with a deviation of 22.
        assert!(counts.iter().all(|&count| (700..900).contains(&count)), "{counts:?}");
        assert_eq!(sample(3, 3, &mut Rng::new(0)), [0, 1, 2]);
    }
}
