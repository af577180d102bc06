//! The numbers of a GANomaly, and what they must satisfy.

use crate::Ganomaly;
use candle_core::Device;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// The numbers of a GANomaly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Width of the latent (`nz`).
    pub latent: usize,
    /// Channels after the first convolution (`ngf`); they double at each halving.
    pub features: usize,
    /// 3×3 convolutions after the first one, and mirrored in the decoder.
    pub extra_layers: usize,
    /// Epochs over the normal images.
    pub epochs: usize,
    /// Images a step; at least 2, for batch norm.
    pub batch: usize,
    /// Adam's learning rate, for both sides.
    pub learning_rate: f64,
    /// Adam's first decay rate.
    pub beta1: f64,
    /// Adam's second decay rate.
    pub beta2: f64,
    /// Weight of the adversarial loss.
    pub w_adversarial: f64,
    /// Weight of the contextual loss.
    pub w_contextual: f64,
    /// Weight of the encoder loss.
    pub w_encoder: f64,
    /// The discriminator is drawn anew after a step whose loss was below this; 0 never does it.
    pub reinit_below: f64,
    /// What the score is.
    pub score: Score,
}

/// What the score of an image x is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Score {
    /// The published one: the mean of `(z - ẑ)²`, the latent of the image against that of its reconstruction.
    Latent {},
    /// Ours: the local outlier factor of z among the latents of the training normals.
    OutlierFactor {
        /// Nearest neighbours that a density is taken from.
        neighbours: usize,
    },
}

impl Config {
    /// The published numbers (the authors' code: options, networks and training).
    pub fn paper() -> Self {
        Self {
            latent: 100,
            features: 64,
            extra_layers: 0,
            epochs: 15,
            batch: 64,
            learning_rate: 2e-4,
            beta1: 0.5,
            beta2: 0.999,
            w_adversarial: 1.0,
            w_contextual: 50.0,
            w_encoder: 1.0,
            reinit_below: 1e-5,
            score: Score::Latent {},
        }
    }

    /// The published numbers with fewer channels and epochs: minutes on two cores.
    pub fn small() -> Self {
        Self { features: 16, epochs: 5, ..Self::paper() }
    }

    /// Ours: as [`Config::small`], scored by how densely the latent's surroundings are peopled in training (its 20 nearest
    /// neighbours), not by how well the latent comes back.
    pub fn neighbours() -> Self {
        Self { score: Score::OutlierFactor { neighbours: 20 }, ..Self::small() }
    }

    /// Checks the numbers against images of `shape` and answers with `(channels, size)`.
    pub(crate) fn check(&self, shape: SampleShape) -> Result<(usize, usize)> {
        let SampleShape::Image { channels, height, width } = shape else {
            return Err(Error::config("model", format!("ganomaly takes images, found a {shape}")));
        };
        if height != width {
            return Err(Error::config(
                "data.size",
                format!("ganomaly takes square images, found {height}x{width}"),
            ));
        }
        if !height.is_multiple_of(16) || height == 0 {
            return Err(Error::config("data.size", format!("{height} is not a multiple of 16")));
        }
        if !height.is_power_of_two() {
            let problem = format!("{height} does not reach 4 by halving; use 16, 32, 64, 128 or 256");
            return Err(Error::config("data.size", problem));
        }
        self.check_numbers()?;
        Ok((channels, height))
    }

    fn check_numbers(&self) -> Result<()> {
        for (field, value) in [("latent", self.latent), ("features", self.features), ("epochs", self.epochs)]
        {
            if value == 0 {
                return Err(Error::config(format!("config.{field}"), "must be at least 1, is 0"));
            }
        }
        if self.score == (Score::OutlierFactor { neighbours: 0 }) {
            return Err(Error::config("config.score.neighbours", "must be at least 1, is 0"));
        }
        if !self.features.is_multiple_of(2) {
            return Err(Error::config("config.features", format!("must be even, is {}", self.features)));
        }
        if self.batch < 2 {
            let problem =
                format!("{} is too few for batch normalization, which needs at least 2", self.batch);
            return Err(Error::config("config.batch", problem));
        }
        let weights = [
            ("w_adversarial", self.w_adversarial),
            ("w_contextual", self.w_contextual),
            ("w_encoder", self.w_encoder),
            ("reinit_below", self.reinit_below),
        ];
        for (field, value) in weights {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::config(
                    format!("config.{field}"),
                    format!("must be 0 or more, is {value}"),
                ));
            }
        }
        Ok(())
    }
}

impl flicker_core::Config for Config {
    type Model = Ganomaly;

    const FAMILY: Family = Family {
        name: "ganomaly",
        supervision: Supervision::NormalOnly,
        input: "square images",
        source: "Akcay et al. 2018, arXiv:1805.06725",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<Ganomaly> {
        Ganomaly::new(self.clone(), shape, rng, device)
    }
}
