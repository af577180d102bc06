//! The numbers of an AnoGAN, and what they must satisfy.

use crate::AnoGan;
use crate::prior::Prior;
use candle_core::Device;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// The numbers of an AnoGAN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The layers.
    pub networks: Architecture,
    /// Width of the latent z.
    pub latent: usize,
    /// What z is drawn from, in training and for a search.
    pub prior: Prior,
    /// What generator and discriminator play for.
    pub adversarial: Adversarial,
    /// Epochs of the adversarial game over the normal images.
    pub epochs: usize,
    /// Images a step; at least 2, for batch norm.
    pub batch: usize,
    /// Adam's learning rate of the generator.
    pub learning_rate_generator: f64,
    /// Adam's learning rate of the discriminator.
    pub learning_rate_discriminator: f64,
    /// Adam's first decay rate.
    pub beta1: f64,
    /// Adam's second decay rate.
    pub beta2: f64,
    /// Epochs in which an encoder learns where a search should start, the generator being frozen; 0 for no encoder.
    pub encoder_epochs: usize,
    /// Channels after the encoder's first convolution; it has the discriminator's layers.
    pub encoder_features: usize,
    /// Adam's learning rate of the encoder.
    pub encoder_learning_rate: f64,
    /// Whether the generator goes on learning beside the encoder, from the same loss; its running statistics stay. Ours:
    /// without it, normal images that the game did not learn to make stay far from all that it makes.
    pub tune_generator: bool,
    /// Steps of a search.
    pub search_steps: usize,
    /// Adam's learning rates of a search: each holds from its step on; the first one begins at 0.
    pub search_rates: Vec<Rate>,
    /// Searches for each image, from different starts; the one that ends at the lowest loss counts.
    pub search_restarts: usize,
    /// A search ends where its loss has not fallen by a thousandth for so many steps; 0 goes on to the last step.
    pub search_patience: usize,
    /// z is held within so many deviations of a normal prior, or within the ends of a uniform one; 0 leaves it free.
    pub search_bound: f64,
    /// λ: weight of the discrimination loss; that of the residual is 1 − λ.
    pub lambda: f64,
    /// How differences become a loss. With `sum`, as published, what λ means depends on the number of pixels and features.
    pub reduction: Reduction,
    /// How the two losses become a score.
    pub score: Scoring,
}

/// The layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// 3×3 kernels, batch norm everywhere, leaky ReLU of slope 0.01; the features are the last map. The code that the
    /// tutorial builds on.
    Tutorial {
        /// Channels of the generator's first map, halved by each layer; a multiple of 8.
        generator: usize,
        /// Channels after the discriminator's first convolution, doubled by each layer.
        discriminator: usize,
    },
    /// 4×4 kernels of stride 2 and a dense layer on either side; the features are the last dense layer. The networks that
    /// Zenati et al. 2018 (<https://arxiv.org/abs/1802.06222>) compare AnoGAN with.
    Dense {
        /// Channels of the generator's first map, half of it after the next; its dense layer is 8 times as wide.
        generator: usize,
        /// Channels of both of the discriminator's convolutions; its dense layer is 16 times as wide.
        discriminator: usize,
    },
}

/// What generator and discriminator play for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adversarial {
    /// Binary cross entropy (Goodfellow et al., 2014), the generator's in the form that does not saturate.
    CrossEntropy,
    /// Squared distance of D(x) from 1 and of D(G(z)) from 0 (Mao et al., 2017), D being without a bound.
    LeastSquares,
    /// The same with a sigmoid at the end of D: the tutorial's. Its slope vanishes where D is wrong and sure.
    LeastSquaresOfSigmoid,
}

/// A learning rate, and from which step of a search on it holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The step, from 0.
    pub from: usize,
    /// The learning rate.
    pub rate: f64,
}

/// How differences become a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their sum over pixels, and over features: the paper's.
    Sum,
    /// Their mean, so that λ weighs a pixel against a feature.
    Mean,
}

/// How residual R and discrimination D become a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// (1 − λ) R + λ D: the paper's.
    Weighted,
    /// The same after both are standardised by their mean and deviation over training normals.
    Standardised,
}

impl Config {
    /// The tutorial's numbers and those of the code that it builds on: 28×28 images, 200 epochs, λ 0.01, a search of 5,000
    /// steps at 1e-4.
    pub fn tutorial() -> Self {
        Self {
            networks: Architecture::Tutorial { generator: 512, discriminator: 8 },
            latent: 100,
            prior: Prior::Normal { sd: 0.1 },
            adversarial: Adversarial::LeastSquaresOfSigmoid,
            epochs: 200,
            batch: 65,
            learning_rate_generator: 1e-3,
            learning_rate_discriminator: 2e-4,
            beta1: 0.5,
            beta2: 0.999,
            encoder_epochs: 0,
            encoder_features: 8,
            encoder_learning_rate: 1e-3,
            tune_generator: false,
            search_steps: 5000,
            search_rates: vec![Rate { from: 0, rate: 1e-4 }],
            search_restarts: 1,
            search_patience: 0,
            search_bound: 0.0,
            lambda: 0.01,
            reduction: Reduction::Sum,
            score: Scoring::Weighted,
        }
    }

    /// The AnoGAN that Zenati et al. 2018 compare with (their code): cross entropy, and the search that works, 500 steps at
    /// 0.01, from 200 on at 0.001, from 300 on at 0.0005; λ 0.1. Their moving average of the weights is left out.
    pub fn egbad() -> Self {
        Self {
            networks: Architecture::Dense { generator: 128, discriminator: 64 },
            latent: 200,
            prior: Prior::Normal { sd: 1.0 },
            adversarial: Adversarial::CrossEntropy,
            epochs: 100,
            batch: 100,
            learning_rate_generator: 1e-5,
            learning_rate_discriminator: 1e-5,
            search_steps: 500,
            search_rates: falling_rates(),
            lambda: 0.1,
            ..Self::tutorial()
        }
    }

    /// Ours for 28×28 images and two cores: small dense networks, a narrow latent, an encoder that says where the search
    /// starts, a generator that learns beside it, few steps of a search that stays near the prior, and means for sums.
    pub fn small() -> Self {
        Self {
            networks: Architecture::Dense { generator: 32, discriminator: 16 },
            latent: 16,
            epochs: 20,
            batch: 64,
            learning_rate_generator: 5e-4,
            learning_rate_discriminator: 2e-4,
            encoder_epochs: 60,
            encoder_features: 16,
            tune_generator: true,
            search_steps: 30,
            search_rates: vec![Rate { from: 0, rate: 0.02 }, Rate { from: 20, rate: 0.005 }],
            search_bound: 2.5,
            lambda: 0.1,
            reduction: Reduction::Mean,
            ..Self::egbad()
        }
    }

    /// Checks the numbers against images of `shape` and answers with `(channels, size)`.
    pub(crate) fn check(&self, shape: SampleShape) -> Result<(usize, usize)> {
        let SampleShape::Image { channels, height, width } = shape else {
            return Err(Error::config("model", format!("anogan takes images, found a {shape}")));
        };
        if height != width || height == 0 || !height.is_multiple_of(4) {
            let problem = format!("anogan takes square images whose size 4 divides, found {height}x{width}");
            return Err(Error::config("data.size", problem));
        }
        self.check_numbers()?;
        self.check_search()?;
        Ok((channels, height))
    }

    fn check_numbers(&self) -> Result<()> {
        let (generator, discriminator, divisor) = match self.networks {
            Architecture::Tutorial { generator, discriminator } => (generator, discriminator, 8),
            Architecture::Dense { generator, discriminator } => (generator, discriminator, 2),
        };
        if generator == 0 || !generator.is_multiple_of(divisor) {
            let problem = format!("must be a multiple of {divisor}, is {generator}");
            return Err(Error::config("config.networks.generator", problem));
        }
        let counts = [
            ("networks.discriminator", discriminator, 1),
            ("latent", self.latent, 1),
            ("epochs", self.epochs, 1),
            ("batch", self.batch, 2), // batch norm needs two
            ("encoder_features", self.encoder_features, 1),
        ];
        for (field, value, least) in counts {
            if value < least {
                let problem = format!("must be at least {least}, is {value}");
                return Err(Error::config(format!("config.{field}"), problem));
            }
        }
        self.prior.check()
    }

    fn check_search(&self) -> Result<()> {
        let wrong = |field: &str, problem: String| Err(Error::config(format!("config.{field}"), problem));
        if self.search_restarts == 0 {
            return wrong("search_restarts", "must be at least 1, is 0".into());
        }
        if !(0.0..=1.0).contains(&self.lambda) {
            return wrong("lambda", format!("must lie between 0 and 1, is {}", self.lambda));
        }
        if !(self.search_bound.is_finite() && self.search_bound >= 0.0) {
            return wrong("search_bound", format!("must be 0 or more, is {}", self.search_bound));
        }
        if self.search_steps > 0 && self.search_rates.first().is_none_or(|rate| rate.from != 0) {
            return wrong("search_rates", "the first rate must hold from step 0".into());
        }
        if !self.search_rates.is_sorted_by(|a, b| a.from < b.from) {
            return wrong("search_rates", "must be in the order of their steps".into());
        }
        match self.search_rates.iter().find(|rate| !(rate.rate.is_finite() && rate.rate > 0.0)) {
            Some(rate) => wrong("search_rates", format!("{} is not a positive number", rate.rate)),
            None => Ok(()),
        }
    }
}

/// The rates of [`Config::egbad`].
fn falling_rates() -> Vec<Rate> {
    [(0, 1e-2), (200, 1e-3), (300, 5e-4)].map(|(from, rate)| Rate { from, rate }).to_vec()
}

impl flicker_core::Config for Config {
    type Model = AnoGan;

    const FAMILY: Family = Family {
        name: "anogan",
        supervision: Supervision::NormalOnly,
        input: "square images whose size 4 divides",
        source: "Schlegl et al. 2017, arXiv:1703.05921",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<AnoGan> {
        AnoGan::new(self.clone(), shape, rng, device)
    }
}
