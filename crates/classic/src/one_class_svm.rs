//! The one-class support vector machine (Schölkopf, Platt, Shawe-Taylor, Smola and Williamson, 2001), with a Gaussian kernel:
//! the hyperplane in feature space that parts the training samples from the origin with the largest margin, but for a share of
//! at most ν.
//!
//! The score is `ρ - Σᵢ αᵢ k(xᵢ, x)`, minus the decision function (equation 10 before its sign is taken), with Σ αᵢ = 1;
//! scikit-learn's decision function is minus ν N times it.

use crate::config::{Gamma, OneClassSvm, Scale};
use crate::detector::{Method, Scored};
use crate::smo::{Kernel, Search, gaussian};
use candle_core::{DType, Device, Tensor};
use flicker_core::rows::{Rows, blocks, fitted, product, square, with_values};
use flicker_core::run::{Losses, Run};
use flicker_core::{Error, Result, TrainSet, Weights};
use rayon::prelude::*;

/// Moves between two chances to stop.
const MOVES: usize = 500;
/// Most moves for each training sample; LIBSVM's bound is 100.
const MOVES_A_SAMPLE: usize = 100;

pub(crate) struct Machine {
    config: OneClassSvm,
}

impl Machine {
    pub(crate) fn new(config: &OneClassSvm, features: usize, weights: &Weights) -> Self {
        weights.declare("mean", &[Some(features)], DType::F32);
        weights.declare("support", &[None, Some(features)], DType::F32);
        weights.declare("alpha", &[None], DType::F32);
        weights.declare("rho", &[Some(1)], DType::F32);
        weights.declare("gamma", &[Some(1)], DType::F32);
        Self { config: config.clone() }
    }
}

impl Method for Machine {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let rows = Rows::read_all(train.normal.as_ref())?;
        let gamma = gamma(self.config.gamma, &rows)?;
        let mean = rows.mean();
        let rows = rows.less(&mean); // the kernel does not change, and squares stay small
        let squares = rows.iter().map(|row| square(row) as f32).collect();
        let mut search = Search::new(Kernel::new(rows.tensor()?, squares, gamma), self.config.nu)?;
        let (tolerance, n) = (self.config.tolerance, rows.n);
        let (most, mut violation) = ((MOVES_A_SAMPLE * n).div_ceil(MOVES).max(20_000), f64::INFINITY);
        run.pass("multipliers", most, &mut |_, _| {
            if violation < tolerance {
                return Ok(None);
            }
            for _ in 0..MOVES {
                violation = search.step(tolerance)?;
                if violation < tolerance {
                    break;
                }
            }
            Ok(Some(Losses { values: vec![("violation", violation as f32)], notes: Vec::new() }))
        })?;
        if violation >= tolerance {
            run.note(&format!(
                "the multipliers are not optimal yet: violation {violation}, wanted {tolerance}"
            ))?;
        }
        self.keep(weights, &rows, &mean, gamma, &search)
    }

    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored> {
        let number =
            |name: &str| -> Result<f64> { Ok(f64::from(fitted(weights, name)?.to_vec1::<f32>()?[0])) };
        let (gamma, rho, mean) =
            (number("gamma")?, number("rho")?, fitted(weights, "mean")?.to_vec1::<f32>()?);
        let (support, alpha) = (fitted(weights, "support")?, fitted(weights, "alpha")?.to_vec1::<f32>()?);
        let squares: Vec<f32> = Rows::of_tensor(&support)?.iter().map(|row| square(row) as f32).collect();
        let rows = rows.centred(&mean);
        let mut total = Vec::with_capacity(rows.n);
        for block in blocks(rows.n) {
            let xs = rows.tensor()?.narrow(0, block.start, block.len())?;
            let scores: Vec<f32> = with_values(&product(&xs, &support)?, |products| {
                let score = |(i, products): (usize, &[f32])| {
                    let a = square(rows.row(block.start + i)) as f32;
                    let term = |((ab, b), alpha): ((&f32, &f32), &f32)| {
                        f64::from(*alpha) * f64::from(gaussian(gamma, a, *b, *ab))
                    };
                    (rho - products.iter().zip(&squares).zip(&alpha).map(term).sum::<f64>()) as f32
                };
                products.par_chunks(alpha.len()).enumerate().map(score).collect()
            })?;
            total.extend(scores);
        }
        Ok(Scored { total, ..Scored::default() })
    }
}

impl Machine {
    /// Keeps the samples whose multipliers are not zero.
    fn keep(&self, weights: &Weights, rows: &Rows, mean: &[f32], gamma: f64, search: &Search) -> Result<()> {
        let unit = self.config.nu * rows.n as f64;
        let support: Vec<usize> = (0..rows.n).filter(|&i| search.alpha[i] > 0.0).collect();
        let alpha: Vec<f32> = support.iter().map(|&i| (search.alpha[i] / unit) as f32).collect();
        let values: Vec<f32> = support.iter().flat_map(|&i| rows.row(i).iter().copied()).collect();
        let support = Tensor::from_vec(values, (support.len(), rows.features), &Device::Cpu)?;
        weights.set_fitted("mean", &Tensor::new(mean, &Device::Cpu)?)?;
        weights.set_fitted("support", &support)?;
        weights.set_fitted("alpha", &Tensor::new(alpha, &Device::Cpu)?)?;
        weights.set_fitted("rho", &Tensor::new(&[(search.rho() / unit) as f32], &Device::Cpu)?)?;
        weights.set_fitted("gamma", &Tensor::new(&[gamma as f32], &Device::Cpu)?)
    }
}

fn gamma(gamma: Gamma, rows: &Rows) -> Result<f64> {
    match gamma {
        Gamma::Value(gamma) => return Ok(gamma),
        Gamma::Rule(Scale::Scale) => {}
    }
    let n = rows.values.len() as f64;
    let mean = rows.values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = rows.values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    if variance > 0.0 {
        return Ok(1.0 / (rows.features as f64 * variance));
    }
    Err(Error::config(
        "config.gamma",
        "`scale` needs training samples that vary, they are all the same number",
    ))
}
