//! The numbers of an f-AnoGAN, and what they must satisfy.

use crate::FAnoGan;
use candle_core::Device;
use flicker_core::{Error, Family, Result, Rng, SampleShape, Supervision};
use serde::{Deserialize, Serialize};

/// The numbers of an f-AnoGAN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The layers.
    pub networks: Architecture,
    /// Width of the latent z, which is drawn from N(0, 1).
    pub latent: usize,
    /// Epochs of the adversarial game over the normal images.
    pub epochs: usize,
    /// Images a step; at least 2, for batch norm.
    pub batch: usize,
    /// Steps of the critic for each step of the generator.
    pub n_critic: usize,
    /// Weight of the gradient penalty.
    pub gradient_penalty: f64,
    /// Adam's learning rate, for critic and generator.
    pub learning_rate: f64,
    /// Adam's first decay rate.
    pub beta1: f64,
    /// Adam's second decay rate.
    pub beta2: f64,
    /// What the encoder learns from.
    pub encoder_training: EncoderTraining,
    /// Epochs of the encoder's training over the normal images.
    pub encoder_epochs: usize,
    /// What moves the encoder; Adam has the game's decay rates.
    pub encoder_optimizer: EncoderOptimizer,
    /// Its learning rate.
    pub encoder_learning_rate: f64,
    /// Whether the generator goes on learning beside the encoder, from the same loss; its running statistics stay. Ours: as
    /// published it is frozen, and images that the game did not learn to make stay far from all that it makes.
    pub tune_generator: bool,
    /// Where the encoder's latents lie.
    pub latent_range: LatentRange,
    /// κ: weight of the feature loss in the encoder's training.
    pub kappa: f64,
    /// Weight of the image residual in the score.
    pub score_image: f64,
    /// Weight of the feature residual in the score; the published value is κ.
    pub score_feature: f64,
    /// Weight of the latent distance in the score; published: 0.
    pub score_latent: f64,
    /// Whether the parts are standardised by their mean and deviation over training normals before they are weighed.
    pub score_standardised: bool,
}

/// The layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// Linear maps alone: those of <https://github.com/A03ki/f-AnoGAN>.
    Dense {
        /// Width of the generator's first layer; it doubles three times. The critic's layers are 4 and 2 times as wide.
        width: usize,
        /// ε of the generator's batch norms. That code has 0.8, which it meant as a momentum.
        norm_eps: f64,
    },
    /// Two 4×4 convolutions of stride 2 on either side, for images whose size 4 divides.
    Convolutional {
        /// Channels of the larger map; the smaller one has twice as many.
        features: usize,
    },
    /// Residual networks: those of the authors' code, for images of 8, 16, 32, 64 … pixels.
    Residual {
        /// Channels of the largest map; they double down to 4×4 pixels, to 8 times as many at the most.
        features: usize,
    },
}

/// What the encoder learns from, the generator being frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderTraining {
    /// Latent, image, latent: the distance of z and E(G(z)).
    Ziz,
    /// Image, latent, image: the distance of x and G(E(x)).
    Izi,
    /// The same, and κ times the distance of the critic's features of both.
    IziF,
}

/// What moves the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderOptimizer {
    /// Adam.
    Adam,
    /// RMSProp with decay 0.9 and ε 1e-10, TensorFlow's numbers.
    RmsProp,
}

/// Where the encoder's latents lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LatentRange {
    /// Anywhere.
    Free,
    /// Within ±`bound`, by `bound · tanh`. The paper's is 1.
    Tanh {
        /// The bound.
        bound: f64,
    },
    /// Cut off at ±`bound`.
    Clip {
        /// The bound.
        bound: f64,
    },
}

impl Config {
    /// The authors' code (<https://github.com/tSchlegl/f-AnoGAN>): residual networks, for 64×64 images. It counts 50,000
    /// steps of the encoder; here they are as many epochs as the game's, to be set by the amount of data.
    pub fn paper() -> Self {
        Self {
            networks: Architecture::Residual { features: 64 },
            latent: 128,
            epochs: 7,
            batch: 64,
            n_critic: 5,
            gradient_penalty: 10.0,
            learning_rate: 1e-4,
            beta1: 0.0,
            beta2: 0.9,
            encoder_training: EncoderTraining::IziF,
            encoder_epochs: 7,
            encoder_optimizer: EncoderOptimizer::RmsProp,
            encoder_learning_rate: 5e-5,
            tune_generator: false,
            latent_range: LatentRange::Tanh { bound: 1.0 },
            kappa: 1.0,
            score_image: 1.0,
            score_feature: 1.0,
            score_latent: 0.0,
            score_standardised: false,
        }
    }

    /// The dense networks of <https://github.com/A03ki/f-AnoGAN> with the numbers of its published result on MNIST: 20
    /// epochs of each phase.
    pub fn a03ki() -> Self {
        Self {
            networks: Architecture::Dense { width: 128, norm_eps: 0.8 },
            latent: 100,
            epochs: 20,
            learning_rate: 2e-4,
            beta1: 0.5,
            beta2: 0.999,
            encoder_epochs: 20,
            encoder_optimizer: EncoderOptimizer::Adam,
            encoder_learning_rate: 2e-4,
            ..Self::paper()
        }
    }

    /// Ours for 28×28 images and two cores: convolutional networks, a narrow latent, a generator that goes on learning beside
    /// the encoder, and a score of the paper's two parts, standardised and of equal weight.
    pub fn small() -> Self {
        Self {
            networks: Architecture::Convolutional { features: 16 },
            latent: 16,
            epochs: 20,
            n_critic: 2,
            learning_rate: 5e-4,
            beta1: 0.5,
            encoder_training: EncoderTraining::Izi,
            encoder_epochs: 60,
            encoder_optimizer: EncoderOptimizer::Adam,
            encoder_learning_rate: 1e-3,
            tune_generator: true,
            latent_range: LatentRange::Tanh { bound: 2.0 },
            kappa: 0.0,
            score_standardised: true,
            ..Self::paper()
        }
    }

    /// Checks the numbers against images of `shape` and answers with `(channels, size)`.
    pub(crate) fn check(&self, shape: SampleShape) -> Result<(usize, usize)> {
        let SampleShape::Image { channels, height, width } = shape else {
            return Err(Error::config("model", format!("fanogan takes images, found a {shape}")));
        };
        let wrong =
            |problem: &str| Err(Error::config("data.size", format!("{problem}, found {height}x{width}")));
        if height != width || height == 0 {
            return wrong("fanogan takes square images");
        }
        match self.networks {
            Architecture::Convolutional { .. } if !height.is_multiple_of(4) => {
                return wrong("convolutional networks take images whose size 4 divides");
            }
            Architecture::Residual { .. } if height < 8 || !height.is_power_of_two() => {
                return wrong("residual networks take images of 8, 16, 32, 64 … pixels");
            }
            _ => {}
        }
        self.check_numbers()?;
        Ok((channels, height))
    }

    fn check_numbers(&self) -> Result<()> {
        if self.tune_generator && self.encoder_training == EncoderTraining::Ziz {
            let problem = "ziz compares latents, from which a generator learns nothing; use izi or izi_f";
            return Err(Error::config("config.tune_generator", problem));
        }
        let (Architecture::Dense { width: n, .. }
        | Architecture::Convolutional { features: n }
        | Architecture::Residual { features: n }) = self.networks;
        let counts = [
            ("networks.width or features", n, 1),
            ("latent", self.latent, 1),
            ("epochs", self.epochs, 1),
            ("batch", self.batch, 2), // batch norm needs two
            ("n_critic", self.n_critic, 1),
            ("encoder_epochs", self.encoder_epochs, 1),
        ];
        for (field, value, least) in counts {
            if value < least {
                let problem = format!("must be at least {least}, is {value}");
                return Err(Error::config(format!("config.{field}"), problem));
            }
        }
        let mut weights = vec![
            ("gradient_penalty", self.gradient_penalty),
            ("kappa", self.kappa),
            ("score_image", self.score_image),
            ("score_feature", self.score_feature),
            ("score_latent", self.score_latent),
        ];
        if let Architecture::Dense { norm_eps, .. } = self.networks {
            weights.push(("networks.norm_eps", norm_eps));
        }
        if let LatentRange::Tanh { bound } | LatentRange::Clip { bound } = self.latent_range {
            weights.push(("latent_range.bound", bound));
        }
        match weights.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
            Some((field, value)) => {
                Err(Error::config(format!("config.{field}"), format!("must be 0 or more, is {value}")))
            }
            None => Ok(()),
        }
    }
}

impl flicker_core::Config for Config {
    type Model = FAnoGan;

    const FAMILY: Family = Family {
        name: "fanogan",
        supervision: Supervision::NormalOnly,
        input: "square images",
        source: "Schlegl et al. 2019, Medical Image Analysis 54",
    };

    fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<FAnoGan> {
        FAnoGan::new(self.clone(), shape, rng, device)
    }
}
