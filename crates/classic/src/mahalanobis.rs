//! Mahalanobis distance (Mahalanobis, 1936): how far a sample, or its latent, lies from the mean of the normals, each direction
//! in units of the spread that the normals have along it.
//!
//! With mean μ and covariance Σ (over N, not N - 1) the score is `√((x - μ)ᵀ Σ_δ⁻¹ (x - μ))`, where
//! `Σ_δ = (1 - δ) Σ + δ (tr Σ / F) I` is well conditioned for the δ of Ledoit and Wolf (2004, "A well-conditioned estimator for
//! large-dimensional covariance matrices", equation 14). It is taken as the norm of `W (x - μ)` with `W = Λ_δ^(-1/2) Vᵀ`, by the
//! eigenvectors V of Σ, which are those of Σ_δ too.

use crate::config::{Mahalanobis, Shrinkage, ShrinkageRule};
use crate::detector::{Method, Scored};
use crate::encoder::Latents;
use crate::pca::eigen;
use candle_core::{DType, Device, Tensor};
use flicker_core::graph::{Binary, Described, Graph, Unary, Value};
use flicker_core::rows::{Rows, blocks, fitted, product, square, transposed_product, with_values};
use flicker_core::run::{Losses, Run};
use flicker_core::{Error, Result, TrainSet, Weights};
use nalgebra::DMatrix;

/// Variances below this share of the largest are rounding: along their directions the samples do not vary.
const NOTHING: f64 = 1e-12;

pub(crate) struct Ellipsoid {
    config: Mahalanobis,
    latents: Latents,
}

impl Ellipsoid {
    pub(crate) fn new(config: &Mahalanobis, features: usize, weights: &Weights) -> Result<Self> {
        let latents = Latents::new(&config.encoder, features, weights)?;
        weights.declare("centre", &[None], DType::F32);
        weights.declare("whitening", &[None, None], DType::F32);
        weights.declare("shrinkage", &[Some(1)], DType::F32);
        Ok(Self { config: config.clone(), latents })
    }
}

impl Method for Ellipsoid {
    fn fit(&mut self, weights: &Weights, train: &TrainSet, run: &mut Run<'_>) -> Result<()> {
        let (source, n) = (train.normal.as_ref(), train.normal.len());
        if n < 2 {
            return Err(Error::data("training samples", format!("{n}, expected at least 2")));
        }
        self.latents.fit(weights, train, run)?;
        let blocks: Vec<_> = blocks(n).collect();
        let (mut moments, mut found) = (Moments { n, ..Moments::default() }, None);
        // Once over the samples for the mean, and once for what is around it.
        run.pass("covariance", 2 * blocks.len() + 1, &mut |piece, _| {
            let Some(block) = blocks.get(piece % blocks.len()).filter(|_| piece < 2 * blocks.len()) else {
                found = Some(moments.whitening(self.config.shrinkage)?);
                return Ok(Some(Losses::default()));
            };
            let rows = Rows::read(source, &block.clone().collect::<Vec<_>>())?;
            let latents = self.latents.encode(weights, &rows)?;
            if piece < blocks.len() {
                moments.add_to_mean(&latents);
            } else {
                moments.add_squares(&latents)?;
            }
            Ok(Some(Losses::default()))
        })?;
        let (shrinkage, whitening) = found.ok_or_else(|| Error::data("training samples", "none"))?;
        let centre: Vec<f32> = moments.mean.iter().map(|&x| x as f32).collect();
        weights.set_fitted("centre", &Tensor::new(centre, &Device::Cpu)?)?;
        weights.set_fitted("whitening", &whitening)?;
        weights.set_fitted("shrinkage", &Tensor::new(&[shrinkage as f32], &Device::Cpu)?)
    }

    fn score(&self, weights: &Weights, rows: &Rows) -> Result<Scored> {
        let (centre, whitening) =
            (fitted(weights, "centre")?.to_vec1::<f32>()?, fitted(weights, "whitening")?);
        let latents = self.latents.encode(weights, rows)?.centred(&centre).into_tensor()?; // (B, F)
        let white = product(&latents, &whitening)?; // (B, K)
        let width = whitening.dims()[0];
        let norm = |row: &[f32]| square(row).sqrt() as f32;
        let total = with_values(&white, |white| white.chunks_exact(width).map(norm).collect())?;
        Ok(Scored { total, ..Scored::default() })
    }

    fn describe(&self, weights: &Weights, graph: &mut Graph, rows: Value) -> Result<Described> {
        let latents = self.latents.describe(weights, graph, rows)?;
        let centre = graph.weight(&weights.fitted("centre")?);
        let off = graph.binary(Binary::Sub, latents, centre)?;
        let white = graph.linear(off, &weights.fitted("whitening")?, None)?;
        let squares = graph.binary(Binary::Mul, white, white)?;
        let distance = graph.sum(squares);
        Ok(Described { total: graph.unary(Unary::Sqrt, distance), map: None })
    }
}

/// Sums over the latents of the training samples.
#[derive(Default)]
struct Moments {
    n: usize,
    mean: Vec<f64>,
    /// Σ (x - μ)(x - μ)ᵀ, F by F.
    scatter: Vec<f64>,
    /// Σ ‖x - μ‖⁴.
    fourth: f64,
}

impl Moments {
    fn add_to_mean(&mut self, rows: &Rows) {
        self.mean.resize(rows.features, 0.0);
        for row in rows.iter() {
            self.mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x) / self.n as f64);
        }
    }

    fn add_squares(&mut self, rows: &Rows) -> Result<()> {
        let f = rows.features;
        self.scatter.resize(f * f, 0.0);
        let centred: Vec<f64> = rows
            .iter()
            .flat_map(|row| row.iter().zip(&self.mean).map(|(x, mean)| f64::from(*x) - mean))
            .collect();
        let fourth = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>().powi(2);
        self.fourth += centred.chunks_exact(f).map(fourth).sum::<f64>();
        let centred = Tensor::from_vec(centred, (rows.n, f), &Device::Cpu)?;
        let products: Vec<f64> = transposed_product(&centred, &centred)?.flatten_all()?.to_vec1()?;
        self.scatter.iter_mut().zip(products).for_each(|(sum, more)| *sum += more);
        Ok(())
    }

    /// δ, and the rows of W for the directions in which anything varies: (K, F).
    fn whitening(&self, shrinkage: Shrinkage) -> Result<(f64, Tensor)> {
        let f = self.mean.len();
        // The two halves may differ in rounding; their mean is symmetric.
        let at =
            |i: usize, j: usize| (self.scatter[i * f + j] + self.scatter[j * f + i]) / 2.0 / self.n as f64;
        let covariance = DMatrix::from_fn(f, f, at);
        let shrinkage = match shrinkage {
            Shrinkage::Value(share) => share,
            Shrinkage::Rule(ShrinkageRule::LedoitWolf) => self.ledoit_wolf(&covariance),
        };
        let (values, vectors) = eigen(covariance);
        let mean = values.iter().sum::<f64>() / f as f64;
        let largest = values.first().copied().unwrap_or(0.0);
        if largest <= 0.0 {
            return Err(Error::data(
                "training samples",
                "do not vary: there is no distance in units of their spread",
            ));
        }
        let mut rows = Vec::with_capacity(f * f);
        for (value, vector) in values.iter().zip(&vectors) {
            let variance = (1.0 - shrinkage) * value.max(0.0) + shrinkage * mean;
            if variance > NOTHING * largest {
                rows.extend(vector.iter().map(|x| (x / variance.sqrt()) as f32));
            }
        }
        let kept = rows.len() / f;
        Ok((shrinkage, Tensor::from_vec(rows, (kept, f), &Device::Cpu)?))
    }

    /// The δ of Ledoit and Wolf: how far the squares of single samples scatter around the covariance, over how far the
    /// covariance is from the multiple of the identity (b² over d², lemma 3.2 to 3.4).
    fn ledoit_wolf(&self, covariance: &DMatrix<f64>) -> f64 {
        let (n, f) = (self.n as f64, self.mean.len() as f64);
        let squares = covariance.norm_squared();
        let scatter = (self.fourth / n - squares) / n;
        let distance = squares - covariance.trace().powi(2) / f;
        if distance > 0.0 && scatter > 0.0 { (scatter / distance).min(1.0) } else { 0.0 }
    }
}
