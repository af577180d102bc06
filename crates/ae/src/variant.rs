//! What is done to the input or to the code while training: nothing, corruption (denoising), or draws (variational).

use crate::Loss;
use candle_core::Tensor;
use flicker_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// The kind of autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Variant {
    /// Gives back what it gets.
    Plain {},
    /// Gives back what its input was before it was corrupted: Vincent et al., 2010
    /// (<https://www.jmlr.org/papers/v11/vincent10a.html>). Scoring corrupts nothing.
    Denoising {
        /// What is done to the input of each step.
        corruption: Corruption,
    },
    /// The code is a Gaussian, q(z|x) = N(μ(x), σ²(x)): Kingma and Welling, 2013 (<https://arxiv.org/abs/1312.6114>). Trained
    /// by the negative evidence lower bound, their equation 7, divided by the F values of a sample:
    /// `(E_q[-log p(x|z)] + β KL(q(z|x) ‖ N(0, 1))) / F`, with one draw `z = μ + σ ε` a sample (equation 4) and the KL in closed
    /// form. Up to a constant, `-log p(x|z)` is `F · MSE / (2 sigma²)` for a Gaussian decoder (loss mse) and `F · L1 / sigma` for
    /// a Laplacian one (loss l1). Scoring takes μ for z and draws nothing.
    Variational {
        /// Standard deviation of the Gaussian decoder, or scale of the Laplacian one.
        sigma: f64,
        /// Weight of the KL: 1 is the bound; more is Higgins et al., 2017.
        beta: f64,
    },
}

/// What a denoising autoencoder's input suffers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Corruption {
    /// Normal noise is added to every value.
    Gaussian {
        /// Its standard deviation.
        sigma: f64,
    },
    /// A value becomes the lowest or the highest one, as likely the one as the other.
    SaltAndPepper {
        /// Probability of a value to be hit.
        p: f64,
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    },
    /// A value becomes 0.
    Masking {
        /// Probability of a value to be hit.
        p: f64,
    },
}

impl Variant {
    pub(crate) fn is_variational(&self) -> bool {
        matches!(self, Self::Variational { .. })
    }

    pub(crate) fn check(&self, loss: &Loss) -> Result<()> {
        match self {
            Self::Plain {} => Ok(()),
            Self::Denoising { corruption } => corruption.check(),
            Self::Variational { sigma, beta } => {
                if !(sigma.is_finite() && *sigma > 0.0) {
                    return Err(Error::config(
                        "config.variant.sigma",
                        format!("must be above 0, is {sigma}"),
                    ));
                }
                if !(beta.is_finite() && *beta >= 0.0) {
                    return Err(Error::config(
                        "config.variant.beta",
                        format!("must be 0 or more, is {beta}"),
                    ));
                }
                if matches!(loss, Loss::Ssim { .. }) {
                    let problem =
                        "ssim is no likelihood, which a variational autoencoder needs; use mse or l1";
                    return Err(Error::config("config.loss", problem));
                }
                Ok(())
            }
        }
    }

    /// The factor that makes the mean loss of a value the negative logarithm of its likelihood.
    pub(crate) fn nats_per_loss(&self, loss: &Loss) -> f64 {
        match (self, loss) {
            (Self::Variational { sigma, .. }, Loss::L1 {}) => 1.0 / sigma,
            (Self::Variational { sigma, .. }, _) => 1.0 / (2.0 * sigma * sigma),
            _ => 1.0,
        }
    }
}

impl Corruption {
    fn check(self) -> Result<()> {
        let (field, fits, found) = match self {
            Self::Gaussian { sigma } => ("sigma", sigma.is_finite() && sigma > 0.0, sigma),
            Self::SaltAndPepper { low, high, .. } if !(low.is_finite() && high.is_finite() && low < high) => {
                let problem = format!("must be a finite number above the lowest, {low}, is {high}");
                return Err(Error::config("config.variant.corruption.high", problem));
            }
            Self::SaltAndPepper { p, .. } | Self::Masking { p } => ("p", p > 0.0 && p < 1.0, p),
        };
        if fits {
            return Ok(());
        }
        let problem =
            format!("must be above 0{}, is {found}", if field == "p" { " and below 1" } else { "" });
        Err(Error::config(format!("config.variant.corruption.{field}"), problem))
    }

    /// `xs`, corrupted by draws from `rng`.
    pub(crate) fn apply(self, xs: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let n = xs.elem_count();
        let like = |values: Vec<f32>| Tensor::from_vec(values, xs.shape(), xs.device());
        Ok(match self {
            Self::Gaussian { sigma } => (xs + (rng.randn(xs.shape(), xs.device())? * sigma)?)?,
            Self::Masking { p } => {
                let draws = rng.uniforms(n, 0.0, 1.0);
                let kept = draws.into_iter().map(|u| if f64::from(u) < p { 0.0 } else { 1.0 });
                (xs * like(kept.collect())?)?
            }
            Self::SaltAndPepper { p, low, high } => {
                // One draw a value: the lowest share p/2 is pepper, the next one salt.
                let draws = rng.uniforms(n, 0.0, 1.0);
                let kept = draws.iter().map(|&u| if f64::from(u) < p { 0.0 } else { 1.0 });
                let put = draws.iter().map(|&u| match f64::from(u) {
                    u if u < p / 2.0 => low as f32,
                    u if u < p => high as f32,
                    _ => 0.0,
                });
                ((xs * like(kept.collect())?)? + like(put.collect())?)?
            }
        })
    }
}

/// A draw from the Gaussian of each code: `μ + exp(log σ² / 2) ε`, Kingma and Welling's reparameterisation.
pub(crate) fn draw(mean: &Tensor, log_variance: &Tensor, noise: &Tensor) -> Result<Tensor> {
    Ok((mean + ((log_variance * 0.5)?.exp()? * noise)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn corrupted(corruption: Corruption, value: f64) -> Result<Vec<f32>> {
        let xs = Tensor::full(value as f32, (100, 200), &Device::Cpu)?;
        Ok(corruption.apply(&xs, &mut Rng::new(3))?.flatten_all()?.to_vec1()?)
    }

    /// The share of values that are `value`.
    fn share(values: &[f32], value: f32) -> f64 {
        values.iter().filter(|&&x| x == value).count() as f64 / values.len() as f64
    }

    #[test]
    fn so_many_values_are_hit() -> Result<()> {
        let masked = corrupted(Corruption::Masking { p: 0.3 }, 2.0)?;
        assert!((share(&masked, 0.0) - 0.3).abs() < 0.02 && share(&masked, 0.0) + share(&masked, 2.0) == 1.0);
        let spotted = corrupted(Corruption::SaltAndPepper { p: 0.2, low: -1.0, high: 1.0 }, 0.25)?;
        for (value, expected) in [(-1.0, 0.1), (1.0, 0.1), (0.25, 0.8)] {
            assert!((share(&spotted, value) - expected).abs() < 0.02, "{value}");
        }
        let noisy = corrupted(Corruption::Gaussian { sigma: 0.5 }, 3.0)?;
        let mean = noisy.iter().map(|&x| f64::from(x)).sum::<f64>() / noisy.len() as f64;
        let variance = noisy.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / noisy.len() as f64;
        assert!((mean - 3.0).abs() < 0.02 && (variance - 0.25).abs() < 0.01, "{mean} {variance}");
        Ok(())
    }

    #[test]
    fn a_draw_has_the_codes_mean_and_deviation() -> Result<()> {
        let mean = Tensor::full(2f32, (200, 100), &Device::Cpu)?;
        let log_variance = Tensor::full((0.09f32).ln(), (200, 100), &Device::Cpu)?;
        let draws = draw(&mean, &log_variance, &Rng::new(1).randn((200, 100), &Device::Cpu)?)?;
        let found = draws.mean_all()?.to_scalar::<f32>()?;
        let spread = (draws - 2.0)?.sqr()?.mean_all()?.to_scalar::<f32>()?;
        assert!((found - 2.0).abs() < 0.01 && (spread - 0.09).abs() < 0.003, "{found} {spread}");
        Ok(())
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let check = |corruption: Corruption, said: &str| {
            let error = corruption.check().expect_err("out of range").to_string();
            assert_eq!(error, format!("config field `config.variant.corruption.{said}"));
        };
        check(Corruption::Gaussian { sigma: 0.0 }, "sigma`: must be above 0, is 0");
        check(Corruption::Masking { p: 1.0 }, "p`: must be above 0 and below 1, is 1");
        check(
            Corruption::SaltAndPepper { p: 0.1, low: 1.0, high: 0.0 },
            "high`: must be a finite number above the lowest, 1, is 0",
        );
    }
}
