//! What a reconstruction is trained by, and how far each value of it is off.

use candle_core::{D, Tensor};
use flicker_core::losses::{l1, l1_per_sample, mse, mse_per_sample, ssim, ssim_map, ssim_per_sample};
use flicker_core::{Error, Result, SampleShape};
use serde::{Deserialize, Serialize};

/// The loss of a reconstruction x̂ of x, a mean over all values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Loss {
    /// `(x - x̂)²`.
    Mse {},
    /// `|x - x̂|`.
    L1 {},
    /// 1 minus the structural similarity (Wang et al., 2004) under a Gaussian window of 11×11 pixels: Bergmann et al., 2018
    /// (<https://arxiv.org/abs/1807.02011>).
    Ssim {
        /// The difference of the largest and the smallest value of a pixel: 1 for images in `[0, 1]`, 2 for `[-1, 1]`.
        range: f64,
    },
}

/// Side of the window of the structural similarity.
const WINDOW: usize = 11;

impl Loss {
    pub(crate) fn check(&self, shape: SampleShape) -> Result<()> {
        let &Self::Ssim { range } = self else { return Ok(()) };
        if !(range.is_finite() && range > 0.0) {
            return Err(Error::config("config.loss.range", format!("must be above 0, is {range}")));
        }
        match shape {
            SampleShape::Image { height, width, .. } if height >= WINDOW && width >= WINDOW => Ok(()),
            _ => {
                let problem = format!("ssim needs images of at least 11x11 pixels, found a {shape}");
                Err(Error::config("config.loss", problem))
            }
        }
    }

    /// The mean over all values: a scalar on the graph.
    pub(crate) fn mean(&self, x_hat: &Tensor, xs: &Tensor) -> Result<Tensor> {
        match self {
            Self::Mse {} => mse(x_hat, xs),
            Self::L1 {} => l1(x_hat, xs),
            Self::Ssim { range } => ssim(x_hat, xs, *range),
        }
    }

    /// The mean over each sample: `(B)`.
    pub(crate) fn per_sample(&self, x_hat: &Tensor, xs: &Tensor) -> Result<Tensor> {
        match self {
            Self::Mse {} => mse_per_sample(x_hat, xs),
            Self::L1 {} => l1_per_sample(x_hat, xs),
            Self::Ssim { range } => ssim_per_sample(x_hat, xs, *range),
        }
    }

    /// The loss of each value, in the shape of the batch. Where the window of the structural similarity does not fit, 5 pixels
    /// at each edge, the nearest value stands.
    pub(crate) fn of_values(&self, x_hat: &Tensor, xs: &Tensor) -> Result<Tensor> {
        let difference = (xs - x_hat)?;
        Ok(match self {
            Self::Mse {} => difference.sqr()?,
            Self::L1 {} => difference.abs()?,
            Self::Ssim { range } => {
                let edge = WINDOW / 2;
                let inner = (1.0 - ssim_map(x_hat, xs, *range)?)?;
                inner.pad_with_same(D::Minus1, edge, edge)?.pad_with_same(D::Minus2, edge, edge)?
            }
        })
    }
}
