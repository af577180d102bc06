//! What a score is made of, and the statistics of the training normals that some scores need.

use crate::{Config, Loss, Network, Variant};
use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};
use flicker_core::data::{Source, chunks, tensor};
use flicker_core::losses::gaussian_kl_per_sample;
use flicker_core::neighbours::OutlierFactor;
use flicker_core::nn::Mode;
use flicker_core::rows::Rows;
use flicker_core::{Error, Result, SampleShape, Scores, Weights};
use serde::{Deserialize, Serialize};

/// What the score of a sample x with reconstruction x̂ is. The statistics behind it are those of the training normals after the
/// last epoch; they are saved with the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Score {
    /// The loss that was trained by, a mean over the sample.
    Error {},
    /// The mean of `(x - x̂)² / s²`, each value's s² being the mean of its squared residuals on the training normals: up to
    /// constants the negative log-likelihood of independent Gaussian residuals.
    Scaled {},
    /// The mean of `log(1 + (x - x̂)² / s²)`: up to constants that of independent Cauchy residuals, which a few large ones do not
    /// rule.
    LogScaled {},
    /// The sum of `(x - x̂)² / s²` and the squared Mahalanobis distance of the code from the training normals' codes, divided by
    /// the number of both: up to constants the negative log-likelihood of Gaussian residuals and a Gaussian code.
    Latent {},
    /// The local outlier factor of the code (a variational one's mean) among those of the training normals: how much less
    /// densely its surroundings are peopled than those of its neighbours.
    OutlierFactor {
        /// Nearest neighbours that a density is taken from.
        neighbours: usize,
    },
    /// The negative evidence lower bound a value, with μ for the code: reconstruction in nats and β KL. Of a variational
    /// autoencoder only.
    Elbo {},
}

/// Samples looked at together when the statistics are fitted.
const BATCH: usize = 512;
/// A value whose residuals are smaller than this share of the mean one counts as having that share: one that never varies in
/// training would rule every score otherwise.
const FLOOR: f64 = 1e-3;

impl Score {
    pub(crate) fn check(self, variant: &Variant) -> Result<()> {
        if self == (Self::OutlierFactor { neighbours: 0 }) {
            return Err(Error::config("config.score.neighbours", "must be at least 1, is 0"));
        }
        if self == (Self::Elbo {}) && !variant.is_variational() {
            return Err(Error::config("config.score", "elbo needs the variational variant"));
        }
        Ok(())
    }

    fn needs_residuals(self) -> bool {
        matches!(self, Self::Scaled {} | Self::LogScaled {} | Self::Latent {})
    }
}

/// What is known of the training normals.
#[derive(Clone, Debug)]
pub(crate) struct Statistics {
    /// `(F)`: mean squared residual of each value.
    residuals: Option<Var>,
    codes: Option<Codes>,
}

/// The training normals' codes.
#[derive(Clone, Debug)]
struct Codes {
    /// `(K)`.
    mean: Var,
    /// `(K, K)`: the inverse of their covariance.
    precision: Var,
}

impl Statistics {
    /// Those that the score of `config` needs; until they are fitted, residuals count as they are and codes not at all.
    pub(crate) fn new(config: &Config, shape: SampleShape, vb: &VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("statistics");
        let var = |shape: &[usize], name: &str, value: f64| -> Result<Var> {
            Ok(Var::from_tensor(&vb.get_with_hints(shape, name, Init::Const(value))?)?)
        };
        let code = config.network.code();
        let residuals = config.score.needs_residuals();
        let residuals = residuals.then(|| var(&[shape.elements()], "residuals", 1.0)).transpose()?;
        let codes = || -> Result<Codes> {
            Ok(Codes {
                mean: var(&[code], "code_mean", 0.0)?,
                precision: var(&[code, code], "code_precision", 0.0)?,
            })
        };
        let codes = (config.score == Score::Latent {}).then(codes).transpose()?;
        Ok(Self { residuals, codes })
    }

    /// `(F)`.
    pub(crate) fn residuals(&self) -> Option<&Tensor> {
        self.residuals.as_ref().map(Var::as_tensor)
    }

    /// Mean `(K)` and precision `(K, K)` of the codes.
    pub(crate) fn codes(&self) -> Option<(&Tensor, &Tensor)> {
        self.codes.as_ref().map(|codes| (codes.mean.as_tensor(), codes.precision.as_tensor()))
    }

    /// Fits what is needed on `normal`, in f64 and in the order of the samples.
    pub(crate) fn fit(&self, network: &Network, normal: &dyn Source) -> Result<()> {
        let Some(residuals) = &self.residuals else { return Ok(()) };
        let mut squares = vec![0f64; residuals.elem_count()];
        let mut moments = self.codes.as_ref().map(|codes| Moments::new(codes.mean.elem_count()));
        let all: Vec<usize> = (0..normal.len()).collect();
        for indices in chunks(&all, BATCH) {
            let xs = tensor(normal, indices, residuals.device())?;
            let code = network.encode(&xs, Mode::Evaluation)?.mean;
            let x_hat = network.decode(&code, Mode::Evaluation)?;
            for row in (xs - x_hat)?.flatten_from(1)?.to_vec2::<f32>()? {
                squares.iter_mut().zip(row).for_each(|(sum, r)| *sum += f64::from(r).powi(2));
            }
            if let Some(moments) = &mut moments {
                code.to_vec2::<f32>()?.iter().for_each(|code| moments.add(code));
            }
        }
        let n = all.len().max(1) as f64;
        let mean = squares.iter().sum::<f64>() / (n * squares.len() as f64);
        let floor = (FLOOR * mean).max(f64::from(f32::MIN_POSITIVE));
        set(residuals, squares.iter().map(|sum| (sum / n).max(floor)))?;
        if let (Some(codes), Some(moments)) = (&self.codes, moments) {
            let (mean, precision) = moments.finish();
            set(&codes.mean, mean)?;
            set(&codes.precision, precision)?;
        }
        Ok(())
    }
}

fn set(var: &Var, values: impl IntoIterator<Item = f64>) -> Result<()> {
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Ok(var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?)
}

/// First and second moments of codes.
struct Moments {
    n: f64,
    sum: Vec<f64>,
    /// Row by row.
    products: Vec<f64>,
}

impl Moments {
    fn new(width: usize) -> Self {
        Self { n: 0.0, sum: vec![0.0; width], products: vec![0.0; width * width] }
    }

    fn add(&mut self, code: &[f32]) {
        let k = self.sum.len();
        self.n += 1.0;
        for (i, &a) in code.iter().enumerate() {
            self.sum[i] += f64::from(a);
            let row = &mut self.products[i * k..][..k];
            row.iter_mut().zip(code).for_each(|(sum, &b)| *sum += f64::from(a) * f64::from(b));
        }
    }

    /// The mean, and the inverse of the covariance. To the variances a millionth of their mean is added, so that codes that
    /// never vary do not make it singular.
    fn finish(self) -> (Vec<f64>, Vec<f64>) {
        let (k, n) = (self.sum.len(), self.n.max(1.0));
        let mean: Vec<f64> = self.sum.iter().map(|sum| sum / n).collect();
        let mut covariance = self.products;
        for (i, value) in covariance.iter_mut().enumerate() {
            *value = *value / n - mean[i / k] * mean[i % k];
        }
        let ridge = 1e-6 * (0..k).map(|i| covariance[i * k + i]).sum::<f64>() / k as f64;
        (0..k).for_each(|i| covariance[i * k + i] += ridge.max(1e-12));
        let precision = inverse(&covariance, k);
        (mean, precision)
    }
}

/// The inverse of a symmetric positive definite matrix of side `k`, by Cholesky's factor L: first L, then its inverse M, then
/// MᵀM.
fn inverse(matrix: &[f64], k: usize) -> Vec<f64> {
    let mut lower = vec![0f64; k * k];
    for i in 0..k {
        for j in 0..=i {
            let rest = matrix[i * k + j] - (0..j).map(|m| lower[i * k + m] * lower[j * k + m]).sum::<f64>();
            lower[i * k + j] = if i == j { rest.max(1e-300).sqrt() } else { rest / lower[j * k + j] };
        }
    }
    let mut inverse = vec![0f64; k * k];
    for column in 0..k {
        for i in column..k {
            let unit = if i == column { 1.0 } else { 0.0 };
            let rest = unit - (column..i).map(|m| lower[i * k + m] * inverse[m * k + column]).sum::<f64>();
            inverse[i * k + column] = rest / lower[i * k + i];
        }
    }
    let product = |i: usize, j: usize| (0..k).map(|m| inverse[m * k + i] * inverse[m * k + j]).sum::<f64>();
    (0..k * k).map(|at| product(at / k, at % k)).collect()
}

/// The local outlier factor, with the weights that keep its rows.
pub(crate) type Factor<'a> = (&'a OutlierFactor, &'a Weights);

/// The scores of the batch `xs`, each of its own sample alone.
pub(crate) fn score(
    config: &Config,
    network: &Network,
    statistics: &Statistics,
    factor: Option<Factor<'_>>,
    xs: &Tensor,
) -> Result<Scores> {
    let code = network.encode(xs, Mode::Evaluation)?;
    let x_hat = network.decode(&code.mean, Mode::Evaluation)?;
    let values = match (config.score, &statistics.residuals) {
        (Score::Scaled {} | Score::Latent {}, Some(residuals)) => scaled(xs, &x_hat, residuals)?,
        (Score::LogScaled {}, Some(residuals)) => (scaled(xs, &x_hat, residuals)? + 1.0)?.log()?,
        _ => config.loss.of_values(&x_hat, xs)?,
    };
    let (total, parts) = match config.score {
        Score::Elbo {} => elbo(config, &x_hat, xs, code.log_variance.as_ref().zip(Some(&code.mean)))?,
        Score::Latent {} => latent(&values, &code.mean, statistics)?,
        // Not the mean of the map: at the edges of the structural similarity the map repeats itself.
        Score::Error {} | Score::OutlierFactor { .. } => {
            let error = config.loss.per_sample(&x_hat, xs)?.to_vec1()?;
            match factor {
                Some((factor, weights)) => {
                    (factor.score(weights, &Rows::of_tensor(&code.mean)?)?, vec![("error", error)])
                }
                None => (error, Vec::new()),
            }
        }
        Score::Scaled {} | Score::LogScaled {} => (values.flatten_from(1)?.mean(1)?.to_vec1()?, Vec::new()),
    };
    let map = if values.rank() == 4 { values.mean_keepdim(1)? } else { values };
    Ok(Scores { total, parts, reconstruction: Some(x_hat), map: Some(map) })
}

/// Squared residuals in units of the training normals', in the shape of the batch.
fn scaled(xs: &Tensor, x_hat: &Tensor, residuals: &Var) -> Result<Tensor> {
    let squares = (xs - x_hat)?.sqr()?;
    Ok(squares.flatten_from(1)?.broadcast_div(residuals)?.reshape(squares.shape())?)
}

type Parts = (Vec<f32>, Vec<(&'static str, Vec<f32>)>);

fn elbo(config: &Config, x_hat: &Tensor, xs: &Tensor, code: Option<(&Tensor, &Tensor)>) -> Result<Parts> {
    let (Variant::Variational { beta, .. }, Some((log_variance, mean))) = (config.variant, code) else {
        return Err(Error::config("config.score", "elbo needs the variational variant"));
    };
    let nats = config.variant.nats_per_loss(&config.loss);
    let reconstruction = (config.loss.per_sample(x_hat, xs)? * nats)?;
    let values = xs.elem_count() / xs.dim(0)?.max(1);
    let kl = (gaussian_kl_per_sample(mean, log_variance)? * (beta / values as f64))?;
    let total = (&reconstruction + &kl)?.to_vec1()?;
    Ok((total, vec![("reconstruction", reconstruction.to_vec1()?), ("kl", kl.to_vec1()?)]))
}

fn latent(scaled: &Tensor, code: &Tensor, statistics: &Statistics) -> Result<Parts> {
    let Some(Codes { mean, precision }) = &statistics.codes else {
        return Err(Error::config("config.score", "latent has no statistics of codes"));
    };
    let scaled = scaled.flatten_from(1)?;
    let n = (scaled.dim(1)? + code.dim(1)?) as f64;
    let residual = (scaled.sum(1)? / n)?;
    let off = code.broadcast_sub(mean)?;
    let distance = ((off.matmul(precision)? * &off)?.sum(1)? / n)?;
    let total = (&residual + &distance)?.to_vec1()?;
    Ok((total, vec![("residual", residual.to_vec1()?), ("latent", distance.to_vec1()?)]))
}

/// The trained loss of each sample, for curves.
pub(crate) fn losses(loss: &Loss, network: &Network, xs: &Tensor) -> Result<(Vec<f32>, Tensor)> {
    let x_hat = network.decode(&network.encode(xs, Mode::Evaluation)?.mean, Mode::Evaluation)?;
    Ok((loss.per_sample(&x_hat, xs)?.to_vec1()?, x_hat))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_core::Rng;

    #[test]
    fn an_inverse_times_its_matrix_is_one() {
        let k = 7;
        let draws = Rng::new(2).normals(k * k);
        let a = |i: usize, j: usize| f64::from(draws[i * k + j]);
        let matrix: Vec<f64> =
            (0..k * k).map(|at| (0..k).map(|m| a(at / k, m) * a(at % k, m)).sum()).collect();
        let inverse = inverse(&matrix, k);
        for at in 0..k * k {
            let found: f64 = (0..k).map(|m| matrix[at / k * k + m] * inverse[m * k + at % k]).sum();
            let expected = if at / k == at % k { 1.0 } else { 0.0 };
            assert!((found - expected).abs() < 1e-8, "{at}: {found}");
        }
    }

    #[test]
    fn moments_are_those_of_the_codes() {
        let mut moments = Moments::new(2);
        for code in [[0.0f32, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]] {
            moments.add(&code);
        }
        let (mean, precision) = moments.finish();
        assert_eq!(mean, [1.0, 2.0]);
        for (found, expected) in precision.iter().zip([1.0, 0.0, 0.0, 0.25]) {
            assert!((found - expected).abs() < 1e-5, "{precision:?}");
        }
    }
}
