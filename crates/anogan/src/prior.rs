//! What latents are drawn from.

use candle_core::{Device, Tensor};
use flicker_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// What latents are drawn from, each number by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Prior {
    /// N(0, sd²).
    Normal {
        /// Its deviation.
        sd: f64,
    },
    /// Uniform between two numbers.
    Uniform {
        /// The lower.
        low: f64,
        /// The upper.
        high: f64,
    },
}

impl Prior {
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Normal { sd } if !(sd.is_finite() && sd > 0.0) => {
                Err(Error::config("config.prior.sd", format!("{sd} is not a positive number")))
            }
            Self::Uniform { low, high } if !(low.is_finite() && high.is_finite() && low < high) => {
                Err(Error::config("config.prior", format!("{low} to {high} is no interval")))
            }
            _ => Ok(()),
        }
    }

    /// `n` numbers.
    pub(crate) fn numbers(self, n: usize, rng: &mut Rng) -> Vec<f32> {
        match self {
            Self::Normal { sd } => rng.normals(n).into_iter().map(|x| x * sd as f32).collect(),
            Self::Uniform { low, high } => rng.uniforms(n, low as f32, high as f32),
        }
    }

    /// Latents `(n, width)`.
    pub(crate) fn latents(self, n: usize, width: usize, rng: &mut Rng, device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.numbers(n * width, rng), (n, width), device)?)
    }

    /// Mean and deviation.
    pub(crate) fn moments(self) -> (f64, f64) {
        match self {
            Self::Normal { sd } => (0.0, sd),
            Self::Uniform { low, high } => ((low + high) / 2.0, (high - low) / 12f64.sqrt()),
        }
    }

    /// Where a search with `bound` must stay; `None` is anywhere.
    pub(crate) fn limits(self, bound: f64) -> Option<(f64, f64)> {
        match self {
            _ if bound == 0.0 => None,
            Self::Normal { sd } => Some((-bound * sd, bound * sd)),
            Self::Uniform { low, high } => Some((low, high)),
        }
    }
}
